"""DaemonSets: which nodes, which pods on each, and the whole on virtual time."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coracle.core.object import Key, Meta, Object
from coracle.kube.controllers import workloads
from coracle.kube.controllers.daemons import plans
from coracle.kube.controllers.daemons.loop import Daemons
from coracle.kube.controllers.daemons.nodes import Fit, daemon_pod, fit, node_of
from coracle.kube.controllers.daemons.plans import Crew, keep, roll
from coracle.kube.kinds import daemonset
from coracle.testing.autojump import run
from coracle.testing.kube import Kubelet, Stage, a_node, a_workload

NOW_S = 1_700_000_000.0
BEFORE, LATER = "2023-11-14T20:00:00Z", "2023-11-14T21:00:00Z"
AGENT = Key("default", "agent")


def a_daemonset(strategy=None, pod=None, **spec):
    daemons = a_workload("DaemonSet", "agent", {"app": "agent"}, **spec)
    template = daemons.spec["template"]
    daemons = daemons.with_spec(template={**template, "spec": {**template["spec"], **(pod or {})}})
    return daemonset.default(daemons.with_spec(updateStrategy=strategy) if strategy else daemons)


def rolling(surge, unavailable):
    return {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}


# -- nodes -------------------------------------------------------------------------------------------------------------


def tainted(key, effect):
    return {"taints": [{"key": key, "effect": effect}]}


AFFINITY = {
    "nodeAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": {
            "nodeSelectorTerms": [{"matchExpressions": [{"key": "disk", "operator": "In", "values": ["ssd"]}]}]
        }
    }
}


@pytest.mark.parametrize(
    ("pod", "node", "expected"),
    [
        pytest.param({}, a_node(), (True, True), id="every node"),
        pytest.param({"nodeName": "n2"}, a_node(), (False, False), id="only the node it names"),
        pytest.param({"nodeSelector": {"disk": "ssd"}}, a_node(), (False, False), id="nodes that are selected"),
        pytest.param({"nodeSelector": {"disk": "ssd"}}, a_node(labels={"disk": "ssd"}), (True, True), id="selected"),
        pytest.param({"affinity": AFFINITY}, a_node(), (False, False), id="nodes that it is drawn to"),
        pytest.param({"affinity": AFFINITY}, a_node(labels={"disk": "ssd"}), (True, True), id="drawn to"),
        pytest.param({}, a_node(**tainted("gpu", "NoSchedule")), (False, True), id="not new on a tainted node"),
        pytest.param({}, a_node(**tainted("gpu", "NoExecute")), (False, False), id="not at all on a forbidden one"),
        pytest.param({}, a_node(**tainted("gpu", "PreferNoSchedule")), (True, True), id="a wish is no reason"),
        pytest.param({"tolerations": [{"operator": "Exists"}]}, a_node(**tainted("gpu", "NoExecute")), (True, True), id="tolerated"),
        pytest.param({}, a_node(**tainted("node.kubernetes.io/unschedulable", "NoSchedule")), (True, True), id="a cordoned one"),
        pytest.param({}, a_node(**tainted("node.kubernetes.io/unreachable", "NoExecute")), (True, True), id="a lost one"),
        pytest.param({}, a_node(**tainted("node.kubernetes.io/network-unavailable", "NoSchedule")), (False, True), id="one without a network"),
        pytest.param({"hostNetwork": True}, a_node(**tainted("node.kubernetes.io/network-unavailable", "NoSchedule")), (True, True), id="which it does not need"),
    ],
)  # fmt: skip
def test_which_nodes_it_is_for(pod, node, expected):
    assert fit(a_daemonset(pod=pod), node) == Fit(*expected)


def test_a_pod_is_for_one_node_whatever_the_template_prefers():
    pod = daemon_pod(a_daemonset(pod={"affinity": AFFINITY}).with_meta(uid="u"), "n7", "abc")
    assert node_of(pod) == "n7"
    terms = pod.spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    assert terms == [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n7"]}]}]
    assert pod.meta.labels == {"app": "agent", "controller-revision-hash": "abc"}
    keys = {toleration["key"].partition("/")[2] for toleration in pod.spec["tolerations"]}
    assert {"not-ready", "unreachable", "disk-pressure", "unschedulable"} <= keys


# -- plans -------------------------------------------------------------------------------------------------------------


def a_daemon(name, node, *, hash="new", ready=True, phase="Running", created=BEFORE, deleting=""):
    conditions = [{"type": "Ready", "status": "True" if ready else "False", "lastTransitionTime": created}]
    labels = {"controller-revision-hash": hash}
    meta = Meta(name=name, created=created, labels=labels, deleting=deleting)
    return Object("Pod", meta, {"spec": {"nodeName": node}, "status": {"phase": phase, "conditions": conditions}})


def a_crew(*present, fits=None, strategy=None, **spec):
    nodes = fits or {"n1": Fit(True, True), "n2": Fit(True, True), "n3": Fit(True, True)}
    by_node = {}
    for pod in present:
        by_node.setdefault(pod.spec["nodeName"] or "n1", []).append(pod)
    return Crew(a_daemonset(strategy, **spec), "new", nodes, by_node, now_s=NOW_S)


def names(keys):
    return [key.name for key in keys]


ONE = {"n1": Fit(True, True)}


@pytest.mark.parametrize(
    ("fits", "present", "make", "remove", "ended"),
    [
        pytest.param(None, [a_daemon("a", "n1")], ["n2", "n3"], [], [], id="one on every node"),
        pytest.param(ONE, [a_daemon("a", "n1"), a_daemon("b", "n1", created=LATER)], [], ["b"], [], id="one only"),
        pytest.param(ONE, [a_daemon("a", "n1").with_spec(nodeName=""), a_daemon("b", "n1", created=LATER)], [], ["a"], [], id="the one that is placed stays"),
        pytest.param({"n1": Fit(False, True)}, [a_daemon("a", "n1")], [], [], [], id="none new, the old one stays"),
        pytest.param({"n1": Fit(False, True)}, [], [], [], [], id="none new"),
        pytest.param({"n1": Fit(False, False)}, [a_daemon("a", "n1")], [], ["a"], [], id="none at all"),
        pytest.param(ONE, [a_daemon("a", "n1", phase="Failed")], [], [], ["a"], id="one that ended goes first"),
        pytest.param(ONE, [a_daemon("a", "n1", deleting=BEFORE)], [], [], [], id="one that goes is waited for"),
        pytest.param(ONE, [a_daemon("a", "n1"), a_daemon("b", "n9")], [], [], [], id="a pod of a lost node is not ours to end"),
    ],
)  # fmt: skip
def test_keeping(fits, present, make, remove, ended):
    todo = keep(a_crew(*present, fits=fits))
    assert (list(todo.make), names(todo.remove)) == (make, remove)
    assert [pod.meta.name for pod in todo.ended] == ended


def old(name, node, **said):
    return a_daemon(name, node, hash="old", **said)


NEW = a_daemon("new", "n1")
GOING = {"deleting": BEFORE}


@pytest.mark.parametrize(
    ("strategy", "present", "make", "remove"),
    [
        pytest.param(rolling(0, 1), [old("a", "n1"), old("b", "n2"), old("c", "n3")], [], ["a"], id="one at a time"),
        pytest.param(rolling(0, "60%"), [old("a", "n1"), old("b", "n2"), old("c", "n3")], [], ["a", "b"], id="a share, rounded up"),
        pytest.param(rolling(0, 1), [a_daemon("a", "n1", ready=False), old("b", "n2"), old("c", "n3")], [], [], id="the new one first"),
        pytest.param(rolling(0, 1), [NEW, old("b", "n2"), old("c", "n3")], [], ["b"], id="then the next"),
        pytest.param(rolling(0, 1), [NEW, old("b", "n2", ready=False), old("c", "n3")], [], ["b"], id="an ill one at once"),
        pytest.param(rolling(0, 1), [NEW, old("c", "n3")], [], [], id="a node without one counts"),
        pytest.param(rolling(0, 2), [old("a", "n1"), old("x", "n1"), old("b", "n2"), old("c", "n3")], [], ["b"], id="one with two old ones counts"),
        pytest.param(rolling(0, 2), [NEW, a_daemon("x", "n1"), old("b", "n2"), old("c", "n3")], [], ["b"], id="or with two new ones"),
        pytest.param(rolling(0, 2), [NEW, old("a", "n1"), old("b", "n2"), old("c", "n3")], [], ["b"], id="or with one of each"),
        pytest.param(rolling(0, 2), [old("a", "n1", deleting=BEFORE), old("b", "n2"), old("c", "n3")], [], ["b"], id="or whose pod goes"),
        pytest.param(rolling(1, 0), [NEW, a_daemon("x", "n1"), old("b", "n2")], [], [], id="beside, too"),
        pytest.param({"type": "OnDelete"}, [old("a", "n1"), old("b", "n2", ready=False)], [], [], id="only when somebody deletes"),
        pytest.param(rolling(1, 0), [old("a", "n1"), old("b", "n2"), old("c", "n3")], ["n1"], [], id="a new one beside"),
        pytest.param(rolling(1, 0), [a_daemon("x", "n1", ready=False), old("a", "n1"), old("b", "n2")], [], [], id="until it is ready"),
        pytest.param(rolling(1, 0), [NEW, old("a", "n1"), old("b", "n2")], ["n2"] , ["a"], id="then the old one goes"),
        pytest.param(rolling(1, 0), [old("a", "n1", ready=False), old("b", "n2")], ["n1", "n2"], [], id="an ill one does not count"),
    ],
)  # fmt: skip
def test_rolling(strategy, present, make, remove):
    nodes = {pod.spec["nodeName"]: Fit(True, True) for pod in present}
    todo = roll(a_crew(*present, fits=None if strategy == rolling(0, 1) else nodes, strategy=strategy))
    assert (list(todo.make), names(todo.remove)) == (make, remove)


def test_a_pod_that_waits_for_a_node_that_is_gone_goes():
    waits, goes = (a_daemon(name, "n8", **said).with_spec(nodeName="") for name, said in (("a", {}), ("b", GOING)))
    assert names(keep(replace(a_crew(NEW, fits=ONE), pods={"n1": [NEW], "n8": [waits, goes]})).remove) == ["a"]


def test_an_ill_one_stays_until_there_is_a_new_one_beside():
    assert keep(a_crew(old("a", "n1", ready=False), fits=ONE, strategy=rolling(1, 0))) == plans.Plan()


def test_a_new_one_counts_when_it_has_been_ready_for_a_while():
    present = [a_daemon("a", "n1", created="2023-11-14T22:13:15Z"), old("b", "n2"), old("c", "n3")]
    for wait_s, removed, available in ((60, [], 2), (1, ["b"], 3)):
        crew = a_crew(*present, strategy=rolling(0, 1), minReadySeconds=wait_s)
        assert (names(roll(crew).remove), plans.status(crew, {})["numberAvailable"]) == (removed, available)


def test_the_next_one_goes_when_the_new_one_has_been_ready_for_a_while():
    async def main():
        cluster = Cluster()
        await cluster.full(2, minReadySeconds=10)
        await cluster.set_image("nginx:2")
        await cluster.settle(60)
        assert {pod.spec["containers"][0]["image"] for pod in cluster.pods.list()} == {"nginx:2"}
        assert cluster.sets.get(AGENT).status["numberAvailable"] == 2

    run(main())


def test_status():
    fits = {f"n{number}": Fit(True, True) for number in (1, 2, 3)} | {"n4": Fit(False, True), "n5": Fit(False, False)}
    present = [a_daemon("a", "n1"), old("b", "n2", ready=False), a_daemon("d", "n4")]
    before = {"collisionCount": 2, "conditions": [{"type": "Mine", "status": "True"}], "numberReady": 9}
    assert plans.status(a_crew(*present, fits=fits), before) == {
        "currentNumberScheduled": 2,
        "numberMisscheduled": 1,
        "desiredNumberScheduled": 3,
        "numberReady": 1,
        "observedGeneration": 0,
        "updatedNumberScheduled": 1,
        "numberAvailable": 1,
        "numberUnavailable": 2,
        "collisionCount": 2,
        "conditions": [{"type": "Mine", "status": "True"}],
    }
    numbers = ("currentNumberScheduled", "numberMisscheduled", "desiredNumberScheduled", "numberReady")
    assert plans.status(replace(a_crew(), fits={}), {}) == {**dict.fromkeys(numbers, 0), "observedGeneration": 0}


# -- on virtual time ---------------------------------------------------------------------------------------------------


class Cluster(Stage):
    def __init__(self, **kubelet):
        super().__init__(workloads.INDEXES)
        self.sets, self.pods, self.nodes = self["DaemonSet"], self["Pod"], self["Node"]
        self.run(Daemons(self.means))
        self.run(Kubelet(self, **kubelet))
        self.fewest, self.most = 1000, 0
        self.caches["Pod"].listen(lambda _event: self._look())

    def _look(self):
        active = [pod for pod in self.caches["Pod"].list() if not pod.meta.deleting]
        ready = [pod for pod in active if any(c["status"] == "True" for c in pod.status.get("conditions", ()))]
        self.fewest, self.most = min(self.fewest, len(ready)), max(self.most, len(active))

    async def full(self, nodes=3, **daemons):
        await self.rooms()
        for number in range(nodes):
            await self.nodes.create(a_node(f"n{number}"))
        await self.sets.create(a_daemonset(**daemons))
        await self.settle(30)
        self.fewest, self.most = 1000, 0

    async def set_image(self, image):
        def changed(daemons):
            template = daemons.spec["template"]
            container = {**template["spec"]["containers"][0], "image": image}
            return daemons.with_spec(template={**template, "spec": {**template["spec"], "containers": [container]}})

        await self.sets.change(AGENT, changed)

    def there(self):
        """node -> images of the pods there."""
        found = {}
        for pod in self.pods.list():
            found.setdefault(node_of(pod), []).append(pod.spec["containers"][0]["image"])
        return found


def test_nodes_come_and_go():
    async def main():
        cluster = Cluster()
        await cluster.full(2)
        assert cluster.there() == {"n0": ["nginx"], "n1": ["nginx"]}
        await cluster.nodes.create(a_node("n2", {"disk": "ssd"}))
        await cluster.settle(5)
        assert sorted(cluster.there()) == ["n0", "n1", "n2"]
        taint = {"key": "gpu", "effect": "NoExecute"}
        await cluster.nodes.change(Key("", "n1"), lambda node: node.with_spec(taints=[taint]))
        await cluster.settle(5)
        assert sorted(cluster.there()) == ["n0", "n2"]
        assert cluster.sets.get(AGENT).status["desiredNumberScheduled"] == 2
        assert len(cluster.said("SuccessfulCreate")) == 3

    run(main())


@pytest.mark.parametrize(
    ("strategy", "fewest", "most"),
    [
        pytest.param(rolling(0, 1), 2, 3, id="one at a time"),
        pytest.param(rolling(0, 3), 0, 3, id="all at once"),
        pytest.param(rolling(1, 0), 3, 4, id="never fewer"),
    ],
)
def test_an_update_keeps_within_its_bounds(strategy, fewest, most):
    async def main():
        cluster = Cluster(ready_after_s=3, stop_s=2)
        await cluster.full(3, strategy=strategy)
        await cluster.set_image("nginx:2")
        await cluster.settle(120)
        assert cluster.there() == {"n0": ["nginx:2"], "n1": ["nginx:2"], "n2": ["nginx:2"]}
        assert (cluster.fewest, cluster.most) == (fewest, most)
        assert cluster.sets.get(AGENT).status["updatedNumberScheduled"] == 3

    run(main())


def test_with_on_delete_a_pod_is_new_when_somebody_removed_the_old_one():
    async def main():
        cluster = Cluster()
        await cluster.full(2, strategy={"type": "OnDelete"})
        await cluster.set_image("nginx:2")
        await cluster.settle(30)
        assert cluster.there() == {"n0": ["nginx"], "n1": ["nginx"]}
        doomed = next(pod for pod in cluster.pods.list() if node_of(pod) == "n0")
        await cluster.pods.delete(doomed.key)
        await cluster.settle(30)
        assert cluster.there() == {"n0": ["nginx:2"], "n1": ["nginx"]}
        assert cluster.sets.get(AGENT).status["updatedNumberScheduled"] == 1

    run(main())


def test_a_revision_for_each_template_and_one_number_more_when_it_comes_back():
    async def main():
        cluster = Cluster()
        await cluster.full(1, revisionHistoryLimit=2)
        for image in ("nginx:2", "nginx:3", "nginx:4", "nginx:2"):
            await cluster.set_image(image)
            await cluster.settle(30)
        revisions = cluster["ControllerRevision"].list()
        assert sorted(one.body["revision"] for one in revisions) == [3, 4, 5]
        newest = max(revisions, key=lambda one: one.body["revision"])
        template = newest.body["data"]["spec"]["template"]
        assert (template["$patch"], template["spec"]["containers"][0]["image"]) == ("replace", "nginx:2")
        assert newest.meta.labels["controller-revision-hash"] == newest.meta.name.removeprefix("agent-")

    run(main())


def test_a_pod_that_keeps_ending_is_replaced_ever_more_slowly():
    async def main():
        cluster = Cluster()
        await cluster.full(1)
        moments = []
        for _ in range(4):
            pod = cluster.pods.list()[0]
            await cluster.pods.change(pod.key, lambda pod: pod.with_status(phase="Failed"), part="status")
            start = cluster.clock.now_s()
            while cluster.pods.list() and cluster.pods.list()[0].meta.uid == pod.meta.uid:
                await cluster.settle(0.25)
            moments.append(cluster.clock.now_s() - start)
            await cluster.settle(0.1)
        assert moments == sorted(moments)
        assert moments[-1] > 2

    run(main())


@settings(max_examples=20, deadline=None)
@given(st.lists(st.sampled_from(["kill", "fail", "image", "node", "taint", "untaint"]), max_size=10), st.integers())
def test_whatever_happens_every_node_that_is_to_have_one_has_one(blows, seed):
    async def main():
        chance, cluster = random.Random(seed), Cluster(ready_after_s=1, stop_s=1)
        await cluster.full(3, strategy=chance.choice([rolling(0, 1), rolling("50%", 0)]))
        for number, blow in enumerate(blows):
            await strike(cluster, blow, number, chance)
            await cluster.settle(chance.choice([0.0, 0.9, 3.0]) + chance.random() / 10)
        await cluster.set_image("nginx:last")
        await cluster.settle(900)
        wanted = [node.meta.name for node in cluster.nodes.list() if not node.spec.get("taints")]
        assert cluster.there() == {name: ["nginx:last"] for name in wanted}
        assert cluster.sets.get(AGENT).status.get("updatedNumberScheduled", 0) == len(wanted)

    run(main())


async def strike(cluster, blow, number, chance):
    pods = [pod for pod in cluster.pods.list() if not pod.meta.deleting and pod.status["phase"] != "Failed"]
    node = chance.choice(cluster.nodes.list()).key
    match blow:
        case "kill" if pods:
            await cluster.pods.delete(chance.choice(pods).key)
        case "fail" if pods:
            doomed = chance.choice(pods).key
            await cluster.pods.change(doomed, lambda pod: pod.with_status(phase="Failed", conditions=[]), part="status")
        case "image":
            await cluster.set_image(f"nginx:{number}")
        case "node":
            await cluster.nodes.create(a_node(f"extra-{number}"))
        case "taint" | "untaint":
            taints = [{"key": "gpu", "effect": "NoExecute"}] if blow == "taint" else []
            await cluster.nodes.change(node, lambda node: node.with_spec(taints=taints))
