"""StatefulSets: identity, order, updates, claims, and the whole on virtual time."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coracle.core.object import Key, Meta, Object, Owner
from coracle.kube.controllers import history, workloads
from coracle.kube.controllers.stateful import identity, plans
from coracle.kube.controllers.stateful.loop import StatefulSets
from coracle.kube.controllers.stateful.plans import Roster, plan
from coracle.kube.kinds import statefulset
from coracle.testing.autojump import run
from coracle.testing.kube import Kubelet, Stage, a_workload

NOW_S = 1_700_000_000.0
BEFORE, JUST_NOW = "2023-11-14T20:00:00Z", "2023-11-14T22:13:15Z"
DB = Key("default", "db")
DATA = {
    "metadata": {"name": "data"},
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
}
PARALLEL = {"podManagementPolicy": "Parallel"}


def a_statefulset(replicas=3, **spec):
    made = a_workload("StatefulSet", "db", {"app": "db"}, replicas=replicas, serviceName="db", **spec)
    return statefulset.default(made).with_meta(uid="u-db")


def rolling(**said):
    return {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": said}}


def a_present_pod(number, *, revision="new", ready=True, phase="Running", deleting="", since=BEFORE):
    conditions = [{"type": "Ready", "status": "True" if ready else "False", "lastTransitionTime": since}]
    labels = {"app": "db", "controller-revision-hash": revision}
    meta = Meta(name=f"db-{number}", uid=f"u{number}", created=BEFORE, labels=labels, deleting=deleting)
    return Object("Pod", meta, {"spec": {"nodeName": "n1"}, "status": {"phase": phase, "conditions": conditions}})


def a_roster(*present, replicas=3, current="old", **spec):
    stateful = a_statefulset(replicas, **spec)
    return Roster(stateful, current, "new", {int(pod.meta.name[3:]): pod for pod in present}, NOW_S)


def fine(*numbers, **said):
    return [a_present_pod(number, **said) for number in numbers]


ILL, GOING, ENDED = {"ready": False}, {"deleting": JUST_NOW}, {"phase": "Failed", "ready": False}


@pytest.mark.parametrize(
    ("spec", "present", "make", "remove"),
    [
        pytest.param({}, [], [0], [], id="the first one first"),
        pytest.param({}, fine(0), [1], [], id="then the second"),
        pytest.param({}, fine(0, **ILL), [], [], id="when the first is ready"),
        pytest.param({"minReadySeconds": 60}, fine(0, since=JUST_NOW), [], [], id="and was so for a while"),
        pytest.param({}, fine(1, 2), [0], [], id="what is missing before what comes after"),
        pytest.param({}, fine(0, 2) + fine(1, **GOING), [], [], id="one that goes is waited for"),
        pytest.param({}, fine(0, 2) + fine(1, **ENDED), [], ["db-1"], id="one that ended goes"),
        pytest.param({}, fine(0, 1, 2), [], [], id="enough"),
        pytest.param({}, fine(0, 1, 2, 3, 4), [], ["db-4"], id="the highest goes first"),
        pytest.param({}, fine(0, 1, 2, 3) + fine(4, **GOING), [], [], id="one at a time"),
        pytest.param({}, fine(0, 1, 2, 3) + fine(4, **ILL), [], ["db-4"], id="the only ill one may go"),
        pytest.param({}, fine(0, 1, 2) + fine(3, 4, **ILL), [], [], id="but not before an ill one below it"),
        pytest.param({}, fine(0, 1, 2) + fine(3, 4, **ENDED), [], ["db-4"], id="unless it has ended, which nothing mends"),
        pytest.param({}, fine(0, 1, 3) + fine(2, **ILL), [], [], id="nothing goes while one of those that stay is ill"),
        pytest.param({"ordinals": {"start": 2}}, fine(2), [3], [], id="ordinals begin where they are asked to"),
        pytest.param({"ordinals": {"start": 2}}, fine(2, 3, 4, 0, 1), [], ["db-1"], id="those below go too"),
        pytest.param(PARALLEL, fine(1), [0, 2], [], id="in parallel all at once"),
        pytest.param(PARALLEL, fine(0, 3, 4) + fine(1, **ENDED), [2], ["db-1", "db-4", "db-3"], id="and all that is too many"),
        pytest.param(PARALLEL, fine(0, 1, 2) + fine(3, **GOING), [], [], id="nothing twice"),
    ],
)  # fmt: skip
def test_order(spec, present, make, remove):
    todo = plan(a_roster(*present, **spec))
    assert (list(todo.make), [pod.meta.name for pod in todo.remove]) == (make, remove)


def old(*numbers, **said):
    return fine(*numbers, revision="old", **said)


@pytest.mark.parametrize(
    ("spec", "present", "remove"),
    [
        pytest.param({}, old(0, 1, 2), ["db-2"], id="from the highest"),
        pytest.param({}, old(0, 1) + fine(2), ["db-1"], id="down"),
        pytest.param({}, old(0, 1) + fine(2, **ILL), [], id="when the new one is ready"),
        pytest.param({"minReadySeconds": 60}, old(0, 1) + fine(2, since=JUST_NOW), [], id="and was so for a while"),
        pytest.param(rolling(partition=2), old(0, 1) + fine(2), [], id="not below the partition"),
        pytest.param(rolling(maxUnavailable=2), old(0, 1, 2), ["db-2", "db-1"], id="as many as may be missing"),
        pytest.param(rolling(maxUnavailable="40%"), old(0, 1, 2), ["db-2"], id="a share is rounded down"),
        pytest.param(rolling(maxUnavailable="30%"), old(0, 1, 2), ["db-2"], id="at least one"),
        pytest.param({"updateStrategy": {"type": "OnDelete"}}, old(0, 1, 2), [], id="only when somebody deletes"),
        pytest.param(PARALLEL, old(0, 1) + old(2, **ILL), ["db-2"], id="an ill one at once"),
        pytest.param(PARALLEL, old(0, 2) + old(1, **ILL), ["db-1"], id="before others, which would be one too many"),
        pytest.param(PARALLEL, old(0, 1) + fine(2, **GOING), [], id="one that goes counts"),
        pytest.param(PARALLEL, old(0, 1, 2, **ILL), ["db-2", "db-1", "db-0"], id="all that are ill at once"),
        pytest.param({**PARALLEL, **rolling(maxUnavailable=2)}, old(0, 2) + old(1, **ILL), ["db-1", "db-2"], id="and one more"),
        pytest.param({**PARALLEL, **rolling(partition=1)}, old(0, 1, 2, **ILL), ["db-2", "db-1"], id="none below the partition"),
        pytest.param({**PARALLEL, **rolling(maxUnavailable=2)}, old(0) + fine(1, 2, **GOING), [], id="more are away than may be"),
        pytest.param(PARALLEL, old(0, 1), [], id="one that is missing counts"),
        pytest.param({**PARALLEL, **rolling(maxUnavailable=2)}, old(0, 1) + fine(2, **ILL), ["db-1"], id="as far as enough stay"),
    ],
)  # fmt: skip
def test_an_update(spec, present, remove):
    assert [pod.meta.name for pod in plan(a_roster(*present, **spec)).remove] == remove


@pytest.mark.parametrize(
    ("spec", "number", "revision"),
    [
        ({}, 0, "new"),
        (rolling(partition=2), 1, "old"),
        (rolling(partition=2), 2, "new"),
        ({**rolling(partition=1), "ordinals": {"start": 5}}, 5, "old"),
        ({"updateStrategy": {"type": "OnDelete"}}, 0, "new"),
    ],
)
def test_the_revision_of_a_new_pod(spec, number, revision):
    assert a_roster(**spec).revision_of(number) == revision


@pytest.mark.parametrize(
    ("present", "expected"),
    [
        pytest.param(old(0, 1) + fine(2), {"currentReplicas": 2, "updatedReplicas": 1, "currentRevision": "old"}, id="under way"),
        pytest.param(fine(0, 1, 2), {"currentReplicas": 3, "updatedReplicas": 3, "currentRevision": "new"}, id="complete"),
        pytest.param(fine(0, 1) + fine(2, **ILL), {"updatedReplicas": 3, "readyReplicas": 2, "currentRevision": "old"}, id="not before all are ready"),
        pytest.param(old(0) + fine(1) + fine(2, **GOING), {"replicas": 3, "currentReplicas": 1, "updatedReplicas": 1}, id="one that goes is no replica of any"),
    ],
)  # fmt: skip
def test_status(present, expected):
    told = plans.status(a_roster(*present), {"conditions": [{"type": "Mine", "status": "True"}]})
    assert expected.items() <= told.items()
    assert (told["updateRevision"], told["collisionCount"]) == ("new", 0)
    assert told["conditions"] == [{"type": "Mine", "status": "True"}]


def test_an_update_that_users_roll_is_never_told_complete():
    told = plans.status(a_roster(*fine(0, 1, 2), updateStrategy={"type": "OnDelete"}), {})
    assert (told["currentRevision"], told["updatedReplicas"]) == ("old", 3)


# -- identity ----------------------------------------------------------------------------------------------------------


def test_a_pod_is_who_its_ordinal_says():
    stateful = a_statefulset(volumeClaimTemplates=[DATA])
    template = {
        **stateful.spec["template"],
        "spec": {
            **stateful.spec["template"]["spec"],
            "volumes": [{"name": "data", "emptyDir": {}}, {"name": "tmp", "emptyDir": {}}],
        },
    }
    pod = identity.stateful_pod(stateful, template, "db-abc", 4)
    assert pod.meta.name == "db-4"
    assert pod.meta.labels == {
        "app": "db",
        "controller-revision-hash": "db-abc",
        "statefulset.kubernetes.io/pod-name": "db-4",
        "apps.kubernetes.io/pod-index": "4",
    }
    assert (pod.spec["hostname"], pod.spec["subdomain"]) == ("db-4", "db")
    assert pod.spec["volumes"] == [
        {"name": "data", "persistentVolumeClaim": {"claimName": "data-db-4"}},
        {"name": "tmp", "emptyDir": {}},
    ]
    claim = identity.new_claim(stateful, stateful.spec["volumeClaimTemplates"][0], 4)
    assert (claim.meta.name, claim.meta.labels) == ("data-db-4", {"app": "db"})


@pytest.mark.parametrize(
    ("name", "expected"), [("db-0", 0), ("db-12", 12), ("db-01", None), ("db-x", None), ("other-1", None), ("db-1-2", None)]
)  # fmt: skip
def test_ordinals(name, expected):
    assert identity.ordinal(a_statefulset(), Object("Pod", Meta(name=name))) == expected


@pytest.mark.parametrize(
    ("deleted", "scaled", "condemned", "owners"),
    [
        ("Retain", "Retain", False, []),
        ("Retain", "Retain", True, []),
        ("Delete", "Retain", False, ["StatefulSet"]),
        ("Delete", "Retain", True, ["StatefulSet"]),
        ("Retain", "Delete", False, []),
        ("Retain", "Delete", True, ["Pod"]),
        ("Delete", "Delete", False, ["StatefulSet"]),
        ("Delete", "Delete", True, ["Pod"]),
    ],
)
@pytest.mark.parametrize("before", ["Retain", "Delete"])
def test_who_a_claim_goes_with(deleted, scaled, condemned, owners, before):
    first = a_statefulset(persistentVolumeClaimRetentionPolicy={"whenDeleted": before, "whenScaled": before})
    stateful = a_statefulset(persistentVolumeClaimRetentionPolicy={"whenDeleted": deleted, "whenScaled": scaled})
    claim, pod = Object("PersistentVolumeClaim", Meta(name="data-db-4")), a_present_pod(4)
    claim = identity.kept_by(claim, first, pod, condemned=condemned)
    kept = identity.kept_by(claim, stateful, pod, condemned=condemned)
    assert [owner.kind for owner in kept.meta.owners] == owners


@pytest.mark.parametrize(
    ("owners", "deleting", "stale"),
    [
        pytest.param((), "", False, id="nobody's"),
        pytest.param((), BEFORE, True, id="on its way out"),
        pytest.param((Owner("v1", "Pod", "db-4", "now"),), "", False, id="this pod's"),
        pytest.param((Owner("v1", "Pod", "db-4", "before"),), "", True, id="that of a pod before"),
        pytest.param((Owner("apps/v1", "StatefulSet", "db", "u"),), "", False, id="the set's"),
        pytest.param((Owner("example.com/v1", "Pod", "db-4", "x"),), "", False, id="that of another kind of pod"),
    ],
)
def test_claims_of_pods_before(owners, deleting, stale):
    claim = Object("PersistentVolumeClaim", Meta(name="data-db-4", owners=owners, deleting=deleting))
    assert identity.is_stale(claim, a_present_pod(4).with_meta(uid="now")) is stale
    assert identity.is_stale(claim, None) is (stale or any(owner.uid == "now" for owner in owners))


@pytest.mark.parametrize(
    ("name", "ours"),
    [("data-db-0", True), ("data-db-12", True), ("data-db-x", False), ("logs-db-0", False), ("data-other-0", False)],
)
def test_claims_are_known_by_their_names(name, ours):
    stateful = a_statefulset(volumeClaimTemplates=[{"metadata": {"name": "data"}, "spec": {}}])
    assert identity.is_claim_of(stateful, name) is ours
    assert not identity.is_claim_of(a_statefulset(), name)


@pytest.mark.parametrize(
    ("deleted", "scaled", "controls", "taken"),
    [
        pytest.param("Delete", "Delete", True, True, id="somebody else controls it"),
        pytest.param("Retain", "Delete", True, True, id="it goes with its pod only"),
        pytest.param("Delete", "Retain", True, True, id="or with the set only"),
        pytest.param("Retain", "Retain", True, False, id="it stays anyway"),
        pytest.param("Delete", "Delete", False, False, id="somebody else is an owner among others"),
    ],
)
@pytest.mark.parametrize("condemned", [False, True])
def test_a_claim_that_somebody_else_controls_is_left_to_them(deleted, scaled, controls, taken, condemned):
    stateful = a_statefulset(persistentVolumeClaimRetentionPolicy={"whenDeleted": deleted, "whenScaled": scaled})
    pod = a_present_pod(4)
    other = Owner("example.com/v1", "Backup", "b", "other", controls)
    claim = Object("PersistentVolumeClaim", Meta(name="data-db-4", owners=(other, stateful.as_owner())))
    assert identity.is_taken(claim, stateful, pod) is taken
    kept = identity.kept_by(claim, stateful, pod, condemned=condemned)
    if taken:
        assert kept.meta.owners == (other,)
    assert sum(owner.controller for owner in kept.meta.owners) <= 1


# -- on virtual time ---------------------------------------------------------------------------------------------------


class Cluster(Stage):
    """Remembers in which order pods were made and removed."""

    def __init__(self, **kubelet):
        super().__init__(workloads.INDEXES)
        self.sets, self.pods, self.claims = self["StatefulSet"], self["Pod"], self["PersistentVolumeClaim"]
        self.run(StatefulSets(self.means))
        self.run(Kubelet(self, **kubelet))
        self.happened, self.fewest = [], 1000
        self.caches["Pod"].listen(self._look)

    def _look(self, event):
        if event.type != "MODIFIED":
            self.happened.append(("+" if event.type == "ADDED" else "-") + event.entry.key.name)
        active = [pod for pod in self.caches["Pod"].list() if not pod.meta.deleting]
        ready = [pod for pod in active if any(c["status"] == "True" for c in pod.status.get("conditions", ()))]
        self.fewest = min(self.fewest, len(ready))

    async def full(self, replicas=3, **spec):
        await self.rooms()
        await self.sets.create(
            a_workload("StatefulSet", "db", {"app": "db"}, replicas=replicas, serviceName="db", **spec)
        )
        await self.settle(60)
        self.fewest = 1000

    async def change(self, **spec):
        await self.sets.change(DB, lambda stateful: stateful.with_spec(**spec))

    async def set_image(self, image):
        template = self.sets.get(DB).spec["template"]
        container = {**template["spec"]["containers"][0], "image": image}
        await self.change(template={**template, "spec": {**template["spec"], "containers": [container]}})

    def images(self):
        return {pod.meta.name: pod.spec["containers"][0]["image"] for pod in self.pods.list()}


def test_up_and_down_in_order():
    async def main():
        cluster = Cluster(ready_after_s=2, stop_s=1)
        await cluster.full(3, volumeClaimTemplates=[DATA])
        assert cluster.happened == ["+db-0", "+db-1", "+db-2"]
        await cluster.change(replicas=1)
        await cluster.settle(60)
        assert cluster.happened[3:] == ["-db-2", "-db-1"]
        assert [claim.meta.name for claim in cluster.claims.list()] == ["data-db-0", "data-db-1", "data-db-2"]
        assert "create Claim data-db-2 Pod db-2 in StatefulSet db success" in cluster.said("SuccessfulCreate")
        assert "create Pod db-2 in StatefulSet db successful" in cluster.said("SuccessfulCreate")
        assert sorted(cluster.said("SuccessfulDelete")) == [
            "delete Pod db-1 in StatefulSet db successful",
            "delete Pod db-2 in StatefulSet db successful",
        ]

    run(main())


def test_the_next_one_comes_when_the_one_before_has_been_ready_for_a_while():
    async def main():
        cluster = Cluster()
        await cluster.full(2, minReadySeconds=20)
        assert cluster.happened == ["+db-0", "+db-1"]
        assert cluster.sets.get(DB).status["availableReplicas"] == 2

    run(main())


@pytest.mark.parametrize(
    ("spec", "fewest", "happened"),
    [
        pytest.param({}, 2, ["-db-2", "+db-2", "-db-1", "+db-1", "-db-0", "+db-0"], id="one by one from the highest"),
        pytest.param(rolling(partition=1), 2, ["-db-2", "+db-2", "-db-1", "+db-1"], id="down to the partition"),
        pytest.param({**PARALLEL, **rolling(maxUnavailable=3)}, 0, None, id="all at once"),
    ],
)
def test_an_update_goes_in_order(spec, fewest, happened):
    async def main():
        cluster = Cluster(ready_after_s=3, stop_s=2)
        await cluster.full(3, **spec)
        del cluster.happened[:]
        await cluster.set_image("nginx:2")
        await cluster.settle(120)
        assert cluster.fewest == fewest
        assert happened is None or cluster.happened == happened
        status = cluster.sets.get(DB).status
        complete = "partition" not in str(spec)
        assert (status["currentRevision"] == status["updateRevision"]) == complete
        assert status["updatedReplicas"] == (3 if complete else 2)

    run(main())


def test_a_pod_that_has_failed_is_made_anew_and_told():
    async def main():
        cluster = Cluster()
        await cluster.full(2)
        doomed = cluster.pods.get(Key("default", "db-0"))
        await cluster.pods.change(doomed.key, lambda pod: pod.with_status(phase="Failed"), part="status")
        await cluster.settle(60)
        assert cluster.pods.get(doomed.key).meta.uid != doomed.meta.uid
        assert cluster.said("RecreatingFailedPod") == ["StatefulSet default/db is recreating failed Pod db-0"]
        await cluster.change(replicas=1)
        await cluster.settle(60)
        assert len(cluster.said("RecreatingFailedPod")) == 1

    run(main())


def test_a_pod_below_the_partition_comes_back_as_it_was():
    async def main():
        cluster = Cluster()
        await cluster.full(3, **rolling(partition=2))
        await cluster.set_image("nginx:2")
        await cluster.settle(30)
        for name in ("db-0", "db-2"):
            await cluster.pods.delete(Key("default", name))
        await cluster.settle(30)
        assert cluster.images() == {"db-0": "nginx", "db-1": "nginx", "db-2": "nginx:2"}

    run(main())


def test_claims_go_with_their_pods_where_that_is_asked_for():
    async def main():
        cluster = Cluster(stop_s=2)
        policy = {"whenDeleted": "Delete", "whenScaled": "Delete"}
        await cluster.full(2, volumeClaimTemplates=[DATA], persistentVolumeClaimRetentionPolicy=policy)
        assert {claim.meta.owners[0].kind for claim in cluster.claims.list()} == {"StatefulSet"}
        await cluster.change(replicas=1)
        await cluster.settle(1)  # the pod is on its way out: its claim must be its own by now
        claim = cluster.claims.get(Key("default", "data-db-1"))
        assert [owner.kind for owner in claim.meta.owners] == ["Pod"]
        await cluster.settle(5)
        await cluster.change(replicas=2)
        await cluster.settle(5)
        assert "db-1" not in cluster.images()  # it waits until the claim of the earlier pod is gone
        await cluster.claims.change(claim.key, lambda claim: claim.with_meta(finalizers=()))
        await cluster.claims.delete(claim.key)
        await cluster.settle(5)
        assert "db-1" in cluster.images()

    run(main())


def test_a_pod_that_fits_is_taken_and_labelled():
    async def main():
        cluster = Cluster()
        await cluster.rooms()
        pod = {"spec": {"containers": [{"name": "www", "image": "nginx"}]}}
        await cluster.pods.create(Object("Pod", Meta(name="db-0", namespace="default", labels={"app": "db"}), pod))
        await cluster.pods.create(Object("Pod", Meta(name="stray", namespace="default", labels={"app": "db"}), pod))
        await cluster.sets.create(a_workload("StatefulSet", "db", {"app": "db"}, updateStrategy={"type": "OnDelete"}))
        await cluster.settle(30)
        assert cluster.pods.get(Key("default", "db-0")).meta.controller.name == "db"
        assert cluster.pods.get(Key("default", "db-0")).meta.labels["apps.kubernetes.io/pod-index"] == "0"
        assert cluster.pods.get(Key("default", "stray")).meta.owners == ()

    run(main())


def test_old_revisions_go_and_one_that_comes_back_is_the_newest():
    async def main():
        cluster = Cluster()
        await cluster.full(1, revisionHistoryLimit=1)
        for image in ("nginx:2", "nginx:3", "nginx:2"):
            await cluster.set_image(image)
            await cluster.settle(30)
        revisions = history.by_number(cluster["ControllerRevision"].list())
        assert [one.body["revision"] for one in revisions] == [3, 4]
        assert cluster.sets.get(DB).status["currentRevision"] == revisions[-1].meta.name

    run(main())


@settings(max_examples=20, deadline=None)
@given(st.lists(st.sampled_from(["kill", "fail", "scale", "image"]), max_size=10), st.booleans(), st.integers())
def test_whatever_happens_it_ends_as_it_was_asked_to(blows, parallel, seed):
    async def main():
        chance, cluster, asked = random.Random(seed), Cluster(ready_after_s=1, stop_s=1), 3
        await cluster.full(3, volumeClaimTemplates=[DATA], **(PARALLEL if parallel else {}))
        for number, blow in enumerate(blows):
            asked = chance.randint(0, 4) if blow == "scale" else asked
            await strike(cluster, blow, asked, number, chance)
            await cluster.settle(chance.choice([0.0, 0.9, 3.0]) + chance.random() / 10)
        await cluster.set_image("nginx:last")
        await cluster.settle(900)
        assert cluster.images() == {f"db-{number}": "nginx:last" for number in range(asked)}
        status = cluster.sets.get(DB).status
        assert (status["replicas"], status["availableReplicas"]) == (asked, asked)
        assert status["currentRevision"] == status["updateRevision"]

    run(main())


async def strike(cluster, blow, asked, number, chance):
    pods = [pod for pod in cluster.pods.list() if not pod.meta.deleting and pod.status["phase"] != "Failed"]
    match blow:
        case "kill" if pods:
            await cluster.pods.delete(chance.choice(pods).key)
        case "fail" if pods:
            doomed = chance.choice(pods).key
            await cluster.pods.change(doomed, lambda pod: pod.with_status(phase="Failed", conditions=[]), part="status")
        case "scale":
            await cluster.change(replicas=asked)
        case "image":
            await cluster.set_image(f"nginx:{number}")
