"""What a namespace may take together."""

from __future__ import annotations

import asyncio

import pytest

from coracle.core.errors import Forbidden, Invalid
from coracle.core.object import Key, Meta, Object
from coracle.core.store import MemoryStore
from coracle.kube.controllers.quotas import Quotas
from coracle.kube.kinds import priorityclass, resourcequota
from coracle.testing.autojump import run
from coracle.testing.kube import Stage, a_pod, a_service, a_workload


def a_quota(name="most", hard=None, **spec):
    return Object("ResourceQuota", Meta(name=name, namespace="default"), {"spec": {"hard": hard or {}, **spec}})


def asks(name, cpu="100m", limit=None, **spec):
    resources = {"requests": {"cpu": cpu}, **({"limits": {"cpu": limit}} if limit else {})}
    return a_pod(name, containers=[{"name": "www", "image": "nginx", "resources": resources}], **spec)


def a_map(name):
    return Object("ConfigMap", Meta(name=name, namespace="default"))


def a_claim(name, size, **more):
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}, **more}
    return Object("PersistentVolumeClaim", Meta(name=name, namespace="default"), {"spec": spec})


LOCAL = Object("StorageClass", Meta(name="local", annotations={"storageclass.kubernetes.io/is-default-class": "true"}), {"provisioner": "x/y"}, "storage.k8s.io/v1")  # fmt: skip
HIGH = Object("PriorityClass", Meta(name="high"), {"value": 9}, priorityclass.API)
PORTS = [{"port": 80, "name": "a"}, {"port": 81, "name": "b"}]


@pytest.mark.parametrize(
    ("hard", "more", "things", "said"),
    [
        ({"pods": "1"}, {}, [a_pod("a"), a_pod("b")], 'pods "b" is forbidden: exceeded quota: most, requested: pods=1, used: pods=1, limited: pods=1'),
        ({"requests.cpu": "250m", "pods": "9"}, {}, [asks("a"), asks("b"), asks("c")], "exceeded quota: most, requested: requests.cpu=100m, used: requests.cpu=200m, limited: requests.cpu=250m"),
        ({"limits.cpu": "1", "cpu": "1"}, {}, [asks("a", "2", "2")], "exceeded quota: most, requested: cpu=2,limits.cpu=2, used: cpu=0,limits.cpu=0, limited: cpu=1,limits.cpu=1"),
        ({"limits.memory": "1Gi", "requests.cpu": "1"}, {}, [a_pod("a")], 'pods "a" is forbidden: failed quota: most: must specify limits.memory for: www; requests.cpu for: www'),
        ({"count/configmaps": "1"}, {}, [a_map("a"), a_map("b")], 'configmaps "b" is forbidden: exceeded quota: most, requested: count/configmaps=1, used: count/configmaps=1, limited: count/configmaps=1'),
        ({"configmaps": "0"}, {}, [a_map("a")], "requested: configmaps=1, used: configmaps=0, limited: configmaps=0"),
        ({"count/deployments.apps": "0"}, {}, [a_workload("Deployment")], 'deployments.apps "web" is forbidden: exceeded quota: most, requested: count/deployments.apps=1'),
        ({"services.nodeports": "1"}, {}, [a_service("a", type="NodePort", ports=PORTS)], "requested: services.nodeports=2"),
        ({"services.loadbalancers": "0"}, {}, [a_service("a", type="LoadBalancer")], "requested: services.loadbalancers=1"),
        ({"requests.storage": "3Gi"}, {}, [a_claim("a", "2Gi"), a_claim("b", "2Gi")], "requested: requests.storage=2Gi, used: requests.storage=2Gi, limited: requests.storage=3Gi"),
        ({"local.storageclass.storage.k8s.io/persistentvolumeclaims": "0"}, {}, [LOCAL, a_claim("a", "1Gi")], "requested: local.storageclass.storage.k8s.io/persistentvolumeclaims=1"),
        ({"pods": "0"}, {"scopes": ["BestEffort"]}, [asks("a"), a_pod("b")], 'pods "b" is forbidden'),
        ({"pods": "0"}, {"scopes": ["Terminating"]}, [a_pod("a"), a_pod("b", activeDeadlineSeconds=9)], 'pods "b" is forbidden'),
        ({"pods": "0"}, {"scopeSelector": {"matchExpressions": [{"scopeName": "PriorityClass", "operator": "In", "values": ["high"]}]}},
         [HIGH, a_pod("a"), a_pod("b", priorityClassName="high")], 'pods "b" is forbidden'),
        ({"persistentvolumeclaims": "0"}, {"scopeSelector": {"matchExpressions": [{"scopeName": "VolumeAttributesClass", "operator": "In", "values": ["gold"]}]}},
         [a_claim("a", "1Gi"), a_claim("b", "1Gi", volumeAttributesClassName="tin"), a_claim("c", "1Gi", volumeAttributesClassName="gold")], 'persistentvolumeclaims "c" is forbidden'),
    ],
)  # fmt: skip
def test_what_is_too_much(hard, more, things, said):
    async def main():
        stage = Stage()
        await stage.rooms()
        await stage["ResourceQuota"].create(a_quota(hard=hard, **more))
        for thing in things[:-1]:
            await stage[thing.kind].create(thing)
        with pytest.raises(Forbidden) as refused:
            await stage[things[-1].kind].create(things[-1])
        assert said in refused.value.message

    run(main())


class SlowStore(MemoryStore):
    """What is committed becomes visible later, as where it has to reach a disk first."""

    async def commit(self, *changes):
        revision, events = self._table.prepare(changes)
        await asyncio.sleep(1)
        self._table.apply(revision, events)
        return revision


def test_many_at_once_get_no_more_than_one_after_the_other():
    async def main():
        stage = Stage(store=SlowStore())
        await stage.rooms()
        await stage["ResourceQuota"].create(a_quota(hard={"pods": "3"}))
        made = await asyncio.gather(*(stage["Pod"].create(a_pod(f"p{n}")) for n in range(9)), return_exceptions=True)
        assert sum(1 for one in made if isinstance(one, Forbidden)) == 6
        assert len(stage["Pod"].list()) == 3
        await stage["Pod"].delete(Key("default", "p0"))
        await stage["Pod"].create(a_pod("again"))

    run(main())


def test_what_breaks_its_own_rules_is_told_that_first():
    async def main():
        stage = Stage()
        await stage.rooms()
        await stage["ResourceQuota"].create(a_quota(hard={"pods": "0"}))
        with pytest.raises(Invalid):
            await stage["Pod"].create(a_pod("a", restartPolicy="Sometimes"))
        with pytest.raises(Forbidden):
            await stage["Pod"].create(a_pod("a"))

    run(main())


def test_the_status_follows():
    async def main():
        stage = Stage()
        stage.run(Quotas(stage.caches, stage.collections))
        await stage.rooms()
        hard = {"pods": "3", "requests.cpu": "1", "count/configmaps": "5", "resourcequotas": "2"}
        await stage["ResourceQuota"].create(a_quota(hard=hard))
        for thing in (asks("a"), asks("b", "250m"), a_map("one")):
            await stage[thing.kind].create(thing)
        await stage.settle(1)
        quota = stage["ResourceQuota"].get(Key("default", "most"))
        assert quota.status == {
            "hard": hard,
            "used": {"pods": "2", "requests.cpu": "350m", "count/configmaps": "1", "resourcequotas": "1"},
        }
        cells = [column.cell(quota, 0) for column in resourcequota.KIND.columns[1:3]]
        assert cells == ["count/configmaps: 1/5, pods: 2/3, requests.cpu: 350m/1, resourcequotas: 1/2", ""]
        await stage["Pod"].change(Key("default", "a"), lambda pod: pod.with_status(phase="Succeeded"), part="status")
        await stage["ConfigMap"].delete(Key("default", "one"))
        await stage.settle(1)
        used = stage["ResourceQuota"].get(quota.key).status["used"]
        assert used == {"pods": "1", "requests.cpu": "250m", "count/configmaps": "0", "resourcequotas": "1"}

    run(main())


@pytest.mark.parametrize(
    ("quota", "said"),
    [
        (a_quota(hard={"apples": "1"}), "must be a standard resource type or fully qualified"),
        (a_quota(hard={"pods": "-1"}), "must be greater than or equal to 0"),
        (a_quota(hard={"pods": "100m"}), "must be an integer"),
        (a_quota(hard={"pods": "1"}, scopes=["Often"]), "unsupported scope"),
        (a_quota(hard={"pods": "1"}, scopes=["BestEffort", "NotBestEffort"]), "conflicting scopes"),
        (a_quota(hard={"secrets": "1"}, scopes=["Terminating"]), "unsupported scope applied to resource"),
        (a_quota(hard={"pods": "1"}, scopes=["VolumeAttributesClass"]), "unsupported scope applied to resource"),
        (a_quota(hard={"pods": "1"}, scopeSelector={"matchExpressions": [{"scopeName": "PriorityClass", "operator": "In"}]}), "must be at least one value when"),
    ],
)  # fmt: skip
def test_quotas_that_make_no_sense(quota, said):
    assert any(said in problem.text for problem in resourcequota.validate(resourcequota.default(quota)))
