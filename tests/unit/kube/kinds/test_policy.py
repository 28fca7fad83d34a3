"""Priorities, runtimes and the limits of a namespace, as pods and claims meet them."""

from __future__ import annotations

import pytest

from coracle.core.errors import Forbidden, Invalid
from coracle.core.object import Key, Meta, Object
from coracle.kube.kinds import limitrange, priorityclass, runtimeclass
from coracle.kube.scheduler.classes import ensure_classes
from coracle.testing.autojump import run
from coracle.testing.kube import Stage, a_pod


def a_class(name, value=10, **body):
    return Object("PriorityClass", Meta(name=name), {"value": value, **body}, priorityclass.API)


def a_range(*items):
    return Object("LimitRange", Meta(name="bounds", namespace="default"), {"spec": {"limits": list(items)}})


def a_runtime(**body):
    return Object("RuntimeClass", Meta(name="small"), {"handler": "crun", **body}, runtimeclass.API)


def of(requests=None, limits=None):
    resources = {"requests": requests or {}, "limits": limits or {}}
    return {"containers": [{"name": "www", "image": "nginx", "resources": resources}]}


def a_claim(size):
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}}
    return Object("PersistentVolumeClaim", Meta(name="data", namespace="default"), {"spec": spec})


async def a_stage(*things):
    stage = Stage()
    await stage.rooms()
    for thing in things:
        await stage[thing.kind].create(thing)
    return stage


def refusal(*things):
    """What is said to the last of `things`, made after the others."""

    async def main():
        stage = await a_stage(*things[:-1])
        with pytest.raises((Forbidden, Invalid)) as refused:
            await stage[things[-1].kind].create(things[-1])
        return refused.value.message

    return run(main())


def made(*things):
    async def main():
        stage = await a_stage(*things)
        return stage[things[-1].kind].get(things[-1].key)

    return run(main())


# -- priorities --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("classes", "spec", "expected"),
    [
        ([], {}, ("", 0, "PreemptLowerPriority")),
        ([a_class("low", -5)], {}, ("", 0, "PreemptLowerPriority")),
        ([a_class("high", 100)], {"priorityClassName": "high"}, ("high", 100, "PreemptLowerPriority")),
        ([a_class("calm", 7, preemptionPolicy="Never")], {"priorityClassName": "calm"}, ("calm", 7, "Never")),
        ([a_class("usual", 3, globalDefault=True)], {}, ("usual", 3, "PreemptLowerPriority")),
        ([a_class("high", 100)], {"priorityClassName": "high", "priority": 100}, ("high", 100, "PreemptLowerPriority")),
        ([], {"priorityClassName": "system-node-critical"}, ("system-node-critical", 2_000_001_000, "PreemptLowerPriority")),
    ],
    ids=["no class", "not the default", "named", "one that waits", "the default for all", "said twice", "built in"],
)  # fmt: skip
def test_a_pods_priority(classes, spec, expected):
    pod = made(*classes, a_pod("one", **spec))
    found = (pod.spec.get("priorityClassName", ""), pod.spec["priority"], pod.spec["preemptionPolicy"])
    assert found == expected


@pytest.mark.parametrize(
    ("things", "said"),
    [
        ([a_pod("one", priorityClassName="none")], 'pods "one" is forbidden: no PriorityClass with name none was found'),
        ([a_pod("one", priority=5)], "the integer value of priority (5) must not be provided in pod spec; priority admission controller computed 0 from the given PriorityClass name"),
        ([a_pod("one", preemptionPolicy="Never")], "the string value of PreemptionPolicy (Never) must not be provided"),
        ([a_class("a", globalDefault=True), a_class("b", globalDefault=True)], "PriorityClass a is already marked as default. Only one default can exist"),
        ([a_class("a", 1_000_000_001)], "value: Forbidden: maximum allowed value of a user defined priority is 1000000000"),
        ([a_class("system-mine")], "priority class names with 'system-' prefix are reserved for system use only. error: system-mine is not a known system priority class"),
        ([a_class("a", preemptionPolicy="Maybe")], 'preemptionPolicy: Unsupported value: "Maybe"'),
        ([a_pod("one", runtimeClassName="none")], 'pods "one" is forbidden: pod rejected: RuntimeClass "none" not found'),
        ([a_pod("one", overhead={"cpu": "1"})], "Pod Overhead set without corresponding RuntimeClass defined Overhead"),
        ([a_runtime(), a_pod("one", runtimeClassName="small", overhead={"cpu": "1"})], "Pod's Overhead doesn't match RuntimeClass's defined Overhead"),
        ([a_runtime(scheduling={"nodeSelector": {"a": "b"}}), a_pod("one", runtimeClassName="small", nodeSelector={"a": "c"})], "conflict: runtimeClass.scheduling.nodeSelector[a] = b; pod.spec.nodeSelector[a] = c"),
        ([a_runtime(handler="A B")], "handler: Invalid value"),
    ],
)  # fmt: skip
def test_what_is_refused(things, said):
    assert said in refusal(*things)


def test_a_priority_stays_when_its_class_goes_or_a_client_leaves_it_out():
    async def main():
        stage = await a_stage(a_class("high", 100), a_pod("one", priorityClassName="high"))
        await stage["PriorityClass"].delete(Key("", "high"))
        pod = stage["Pod"].get(Key("default", "one"))
        spec = {name: value for name, value in pod.spec.items() if name not in ("priority", "preemptionPolicy")}
        await stage["Pod"].update(pod.with_body(spec=spec).with_meta(labels={"app": "two"}))
        assert stage["Pod"].get(pod.key).spec["priority"] == 100

    run(main())


def test_a_class_keeps_its_value_and_the_system_has_two():
    async def main():
        stage = await a_stage(a_class("high"))
        with pytest.raises(Invalid, match="may not be changed in an update"):
            await stage["PriorityClass"].change(Key("", "high"), lambda one: one.with_body(value=11))
        await ensure_classes(stage["PriorityClass"])
        await ensure_classes(stage["PriorityClass"])
        found = {one.meta.name: one.body["value"] for one in stage["PriorityClass"].list()}
        assert found == {"high": 10, "system-cluster-critical": 2_000_000_000, "system-node-critical": 2_000_001_000}
        with pytest.raises(Forbidden, match="this is a system priority class and cannot be deleted"):
            await stage["PriorityClass"].delete(Key("", "system-node-critical"))

    run(main())


def test_a_runtime_gives_its_overhead_and_its_places():
    places = {"nodeSelector": {"disk": "ssd"}, "tolerations": [{"key": "gpu", "operator": "Exists"}]}
    runtime = a_runtime(overhead={"podFixed": {"cpu": "250m"}}, scheduling=places)
    pod = made(runtime, a_pod("one", runtimeClassName="small", nodeSelector={"a": "b"}))
    assert pod.spec["overhead"] == {"cpu": "250m"}
    assert pod.spec["nodeSelector"] == {"a": "b", "disk": "ssd"}
    assert places["tolerations"][0] in pod.spec["tolerations"]


# -- limits of a namespace ---------------------------------------------------------------------------------------------


def test_what_containers_get_unasked():
    item = {"type": "Container", "max": {"cpu": "1"}, "default": {"memory": "256Mi"}, "defaultRequest": {"cpu": "100m"}}
    first = {"name": "first", "image": "nginx", "resources": {"limits": {"cpu": "1"}, "requests": {"cpu": "1"}}}
    pod = made(a_range(item), a_pod("one", initContainers=[first]))
    assert pod.spec["containers"][0]["resources"] == {
        "limits": {"cpu": "1", "memory": "256Mi"},
        "requests": {"cpu": "100m", "memory": "256Mi"},
    }
    assert pod.spec["initContainers"][0]["resources"] == {
        "limits": {"cpu": "1", "memory": "256Mi"},
        "requests": {"cpu": "1", "memory": "256Mi"},
    }
    said = (
        "LimitRanger plugin set: cpu, memory request for container www; cpu, memory limit for container www; "
        "memory request for init container first; memory limit for init container first"
    )
    assert pod.meta.annotations["kubernetes.io/limit-ranger"] == said
    assert pod.status["qosClass"] == "Burstable"


def test_a_pod_that_was_given_limits_can_be_placed_and_labelled():
    item = {"type": "Container", "default": {"memory": "256Mi"}, "defaultRequest": {"memory": "64Mi"}}

    async def main():
        stage = await a_stage(a_range(item), a_pod("one"))
        key = Key("default", "one")
        return await stage["Pod"].change(key, lambda pod: pod.with_meta(labels={"a": "b"}))

    pod = run(main())
    assert pod.meta.labels == {"a": "b"}


CPU = {"type": "Container", "min": {"cpu": "200m"}, "max": {"cpu": "800m"}}


@pytest.mark.parametrize(
    ("item", "thing", "said"),
    [
        (CPU, a_pod("one", **of({"cpu": "100m"}, {"cpu": "500m"})), "minimum cpu usage per Container is 200m, but request is 100m"),
        (CPU, a_pod("one", **of({"cpu": "500m"}, {"cpu": "1500m"})), 'pods "one" is forbidden: maximum cpu usage per Container is 800m, but limit is 1500m'),
        ({"type": "Pod", "max": {"memory": "1Gi"}}, a_pod("one"), "maximum memory usage per Pod is 1Gi.  No limit is specified"),
        ({"type": "Pod", "min": {"memory": "1Gi"}}, a_pod("one"), "minimum memory usage per Pod is 1Gi.  No request is specified"),
        ({"type": "Container", "maxLimitRequestRatio": {"memory": "2"}}, a_pod("one", **of({"memory": "100Mi"}, {"memory": "300Mi"})),
         "memory max limit to request ratio per Container is 2, but provided ratio is 3.000000"),
        ({"type": "PersistentVolumeClaim", "max": {"storage": "2Gi"}}, a_claim("3Gi"), "maximum storage usage per PersistentVolumeClaim is 2Gi, but request is 3Gi"),
        ({"type": "PersistentVolumeClaim", "min": {"storage": "2Gi"}}, a_claim("1Gi"), "minimum storage usage per PersistentVolumeClaim is 2Gi, but request is 1Gi"),
    ],
)  # fmt: skip
def test_what_does_not_fit(item, thing, said):
    assert said in refusal(a_range(item), thing)


@pytest.mark.parametrize(
    ("item", "said"),
    [
        ({"type": "Container", "min": {"cpu": "2"}, "max": {"cpu": "1"}}, "min value 2 is greater than max value 1"),
        ({"type": "Container", "default": {"cpu": "2"}, "max": {"cpu": "1"}}, "default value 2 is greater than max value 1"),
        ({"type": "Pod", "default": {"cpu": "2"}}, "may not be specified when `type` is 'Pod'"),
        ({"type": "Container", "maxLimitRequestRatio": {"cpu": "800m"}}, "ratio is less than 1"),
        ({"type": "PersistentVolumeClaim"}, "either minimum or maximum storage value is required"),
        ({"type": "Strange"}, "must be a standard limit type or fully qualified"),
        ({"type": "Container", "min": {"cpu": "many"}}, "spec.limits[0].min[cpu]: Invalid value"),
    ],
)  # fmt: skip
def test_limits_that_make_no_sense(item, said):
    assert any(said in f"{one.field}: {one.text}" for one in limitrange.validate(limitrange.default(a_range(item))))
