"""Deployments' decisions: which version is which, how large each is to be next, what the status says."""

from __future__ import annotations

import pytest

from coracle.core.clock import rfc3339
from coracle.kube.controllers.deployments import progress, sizes, versions
from coracle.kube.controllers.deployments.versions import DESIRED, MAX, REVISION, Family, family
from coracle.kube.controllers.hashes import template_hash
from coracle.kube.kinds import deployment as deployments
from coracle.kube.kinds import replicaset as sets
from coracle.testing.kube import a_workload

NOW_S = 1_700_000_000.0
RECREATE = {"type": "Recreate"}


def rolling(surge, unavailable):
    return {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}


def a_deployment(replicas=4, **spec):
    return deployments.default(a_workload("Deployment", replicas=replicas, **spec)).with_meta(uid="u", generation=1)


def a_set(name, size, ready=None, *, image="old", **said):
    """A ReplicaSet of `size` pods of which `ready` are available (None: all)."""
    rs = sets.default(a_workload("ReplicaSet", replicas=size))
    template = rs.spec["template"]
    container = {**template["spec"]["containers"][0], "image": image}
    rs = rs.with_spec(template={**template, "spec": {**template["spec"], "containers": [container]}})
    here = size if ready is None else ready
    status = {"replicas": size, "readyReplicas": here, "availableReplicas": here}
    annotations = {key: str(value) for key, value in said.items()}
    return rs.with_body(status=status).with_meta(name=name, annotations=annotations, created=f"2023-11-1{name[-1]}")


def a_family(deployment, new, *old):
    return Family(deployment, new, old)


# -- sizes -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("replicas", "strategy", "bounds"),
    [
        pytest.param(4, rolling("25%", "25%"), (1, 1), id="a quarter of four is one"),
        pytest.param(3, rolling("25%", "25%"), (1, 0), id="surge is rounded up, unavailable down"),
        pytest.param(10, rolling(3, 2), (3, 2), id="numbers are as they are"),
        pytest.param(1, rolling(0, "25%"), (0, 1), id="nothing and nothing is one unavailable"),
        pytest.param(2, rolling(1, 5), (1, 2), id="no more unavailable than there are"),
        pytest.param(0, rolling(1, 1), (0, 0), id="none of none"),
        pytest.param(4, RECREATE, (0, 0), id="recreating has no bounds"),
    ],
)
def test_bounds(replicas, strategy, bounds):
    deployment = a_deployment(replicas, strategy=strategy)
    assert (sizes.surge(deployment), sizes.unavailable(deployment)) == bounds


QUARTERS, SAFE, BOLD = rolling("25%", "25%"), rolling(1, 0), rolling(0, 2)


@pytest.mark.parametrize(
    ("strategy", "new", "old", "expected"),
    [
        pytest.param(QUARTERS, a_set("n2", 0), [a_set("o1", 4)], {"n2": 1}, id="the new one takes what may surge"),
        pytest.param(QUARTERS, a_set("n2", 1, 0), [a_set("o1", 4)], {"o1": 3}, id="then one of the old may go"),
        pytest.param(QUARTERS, a_set("n2", 1, 0), [a_set("o1", 3)], {"n2": 2}, id="whose place a new one takes"),
        pytest.param(QUARTERS, a_set("n2", 2, 0), [a_set("o1", 3)], {}, id="then it waits for a new one"),
        pytest.param(QUARTERS, a_set("n2", 2, 1), [a_set("o1", 3)], {"o1": 2}, id="a ready new one frees an old one"),
        pytest.param(QUARTERS, a_set("n2", 4, 4), [a_set("o1", 1)], {"o1": 0}, id="the last old one goes"),
        pytest.param(QUARTERS, a_set("n2", 4), [a_set("o1", 0)], {}, id="done"),
        pytest.param(SAFE, a_set("n2", 1, 0), [a_set("o1", 4)], {}, id="nothing may be unavailable: it waits"),
        pytest.param(SAFE, a_set("n2", 1, 1), [a_set("o1", 4)], {"o1": 3}, id="and one goes for each that is ready"),
        pytest.param(BOLD, a_set("n2", 0), [a_set("o1", 4)], {"o1": 2}, id="nothing may surge: old ones go first"),
        pytest.param(QUARTERS, a_set("n3", 1, 0), [a_set("o1", 2), a_set("o2", 2, 0)], {"o2": 1, "o1": 2}, id="those that are ill go first") ,
        pytest.param(QUARTERS, a_set("n3", 5), [a_set("o1", 0)], {"n3": 4}, id="too many new ones shrink"),
        pytest.param(rolling(2, 0), a_set("n2", 3), [a_set("o1", 0)], {"n2": 4}, id="no more than is asked for"),
        pytest.param(rolling(0, 1), a_set("n3", 1, 1), [a_set("o1", 1), a_set("o2", 2)], {"o1": 0}, id="one after the other"),
        pytest.param(rolling(1, "100%"), a_set("n3", 1, 0), [a_set("o1", 2), a_set("o2", 2)], {"o1": 0, "o2": 0}, id="all may be unavailable"),
    ],
)  # fmt: skip
def test_a_rolling_update_step_by_step(strategy, new, old, expected):
    found = sizes.roll(a_family(a_deployment(4, strategy=strategy), new, *old))
    assert {name: size for name, size in found.items() if size != size_of(name, new, old)} == {
        name: size for name, size in expected.items() if size != size_of(name, new, old)
    }


def size_of(name, new, old):
    return next(rs.spec["replicas"] for rs in (new, *old) if rs.meta.name == name)


@pytest.mark.parametrize(
    ("new", "old", "pods_left", "expected"),
    [
        pytest.param(None, [a_set("o1", 4), a_set("o2", 1)], True, {"o1": 0, "o2": 0}, id="everything old goes"),
        pytest.param(a_set("n2", 0), [a_set("o1", 0)], True, {}, id="it waits for the last old pod"),
        pytest.param(a_set("n2", 0), [a_set("o1", 0)], False, {"n2": 4}, id="then all new ones come"),
        pytest.param(a_set("n2", 4), [], False, {}, id="done"),
    ],
)
def test_recreating(new, old, pods_left, expected):
    assert sizes.recreate(a_family(a_deployment(4, strategy=RECREATE), new, *old), pods_left) == expected


def marked(name, size, desired, most, ready=None):
    return a_set(name, size, ready, **{DESIRED: desired, MAX: most})


@pytest.mark.parametrize(
    ("replicas", "strategy", "new", "old", "expected"),
    [
        pytest.param(6, QUARTERS, marked("n1", 4, 4, 5), [], {"n1": 6}, id="the only one gets all"),
        pytest.param(6, QUARTERS, marked("n2", 0, 4, 5), [marked("o1", 4, 4, 5)], {"o1": 6}, id="also an old one"),
        pytest.param(3, QUARTERS, None, [a_set("o1", 0), a_set("o2", 0)], {"o2": 3}, id="from nothing the latest old one"),
        pytest.param(10, rolling(2, 1), marked("n2", 5, 5, 7), [marked("o1", 2, 5, 7)], {"n2": 9, "o1": 3}, id="growing shares by size"),
        pytest.param(15, rolling(3, 2), marked("n2", 5, 10, 13), [marked("o1", 8, 10, 13)], {"o1": 11, "n2": 7}, id="as the documentation's example"),
        pytest.param(4, rolling(1, 1), marked("n2", 4, 8, 9), [marked("o1", 5, 8, 9)], {"o1": 3, "n2": 2}, id="shrinking shares by size"),
        pytest.param(0, QUARTERS, marked("n2", 2, 4, 5), [marked("o1", 3, 4, 5)], {"n2": 0, "o1": 0}, id="to nothing"),
        pytest.param(4, QUARTERS, marked("n2", 4, 4, 5), [marked("o1", 1, 4, 5)], {"o1": 0}, id="a complete one is all there is"),
        pytest.param(6, RECREATE, marked("n2", 2, 4, 4), [marked("o1", 2, 4, 4)], {}, id="recreating has no shares"),
    ],
)  # fmt: skip
def test_scaling(replicas, strategy, new, old, expected):
    assert sizes.scale(a_family(a_deployment(replicas, strategy=strategy), new, *old)) == expected


@pytest.mark.parametrize(
    ("replicas", "surge", "before", "new", "old", "expected"),
    [
        pytest.param(12, 0, 10, 10, [], [12], id="one version grows"),
        pytest.param(5, 0, 10, 10, [], [5], id="one version shrinks"),
        pytest.param(10, 0, 5, 2, [3], [4, 6], id="two grow by their shares"),
        pytest.param(3, 0, 5, 2, [3], [1, 2], id="two shrink by their shares"),
        pytest.param(4, 0, 9, 8, [1], [4, 0], id="a small one vanishes"),
        pytest.param(10, 0, 7, 2, [3, 2], [3, 4, 3], id="three grow"),
        pytest.param(8, 0, 13, 2, [8, 3], [1, 5, 2], id="three shrink"),
        pytest.param(4, 0, 3, 1, [1, 1], [2, 1, 1], id="what is left over goes to the youngest"),
        pytest.param(2, 0, 3, 1, [1, 1], [1, 1, 0], id="and is taken from the oldest"),
        pytest.param(5, 0, 4, None, [2, 2], [3, 2], id="without a present version, to the latest"),
        pytest.param(0, 0, 6, 3, [2, 1], [0, 0, 0], id="to nothing"),
        pytest.param(6, 0, 6, 0, [0, 0], [6, 0, 0], id="from nothing"),
        pytest.param(20, 2, 10, 6, [6], [11, 11], id="with pods that surge"),
        pytest.param(50, 6, (10, 3), 5, [8], [22, 34], id="surge and size change together"),
        pytest.param(14, 0, 10, None, [7, 3], [10, 4], id="size and template change together"),
    ],
)
def test_shares(replicas, surge, before, new, old, expected):
    """Sizes of the present version and of the old ones, the latest first.  `before`: the size, or it and its surge."""
    desired, extra = before if isinstance(before, tuple) else (before, surge)
    sized = [marked(f"o{9 - at}", size, desired, desired + extra) for at, size in enumerate(old)]
    present = marked("n9", new, desired, desired + extra).with_meta(created="2023-11-20") if new is not None else None
    found = a_family(a_deployment(replicas, strategy=rolling(surge, 0)), present, *reversed(sized))
    sizes_now = {rs.meta.name: rs.spec["replicas"] for rs in found.all} | dict(sizes.scale(found))
    names = [rs.meta.name for rs in ([present] if present is not None else []) + sized]
    assert [sizes_now[name] for name in names] == expected


def test_it_is_scaling_where_a_set_was_made_for_another_number():
    deployment = a_deployment(4)
    assert sizes.is_scaling(a_family(deployment, marked("n1", 3, 3, 4)))
    assert not sizes.is_scaling(a_family(deployment, marked("n1", 3, 4, 5)))
    assert not sizes.is_scaling(a_family(deployment, a_set("n1", 3), marked("o1", 0, 3, 4)))


@pytest.mark.parametrize(
    ("strategy", "new", "old", "expected"),
    [
        (QUARTERS, None, [], 4),
        (QUARTERS, None, [a_set("o1", 4)], 1),
        (QUARTERS, a_set("n2", 1), [a_set("o1", 4)], 1),
        (QUARTERS, a_set("n2", 1), [a_set("o1", 2)], 3),
        (RECREATE, None, [a_set("o1", 4)], 4),
    ],
)
def test_how_many_pods_the_present_version_may_have(strategy, new, old, expected):
    assert sizes.new_size(a_family(a_deployment(4, strategy=strategy), new, *old)) == expected


# -- versions ----------------------------------------------------------------------------------------------------------


def test_the_version_of_the_present_template_is_found_by_its_content():
    deployment = a_deployment()
    made = sets.default(versions.new_set(family(deployment, ()), 4))
    found = family(deployment, [a_set("o1", 4), made.with_meta(created="2023-11-13")])
    assert found.new.meta.name == made.meta.name
    assert [rs.meta.name for rs in found.old] == ["o1"]


def test_a_new_version():
    deployment = a_deployment(minReadySeconds=5).with_meta(
        annotations={"team": "a", "kubectl.kubernetes.io/last-applied-configuration": "{}", REVISION: "7"}
    )
    rs = versions.new_set(a_family(deployment, None, a_set("o1", 1, **{REVISION: 3}), a_set("o2", 1)), 2)
    hash = rs.meta.labels["pod-template-hash"]
    assert rs.meta.name == f"web-{hash}"
    assert rs.meta.labels == {"app": "web", "pod-template-hash": hash}
    assert rs.spec["selector"] == {"matchLabels": rs.meta.labels}
    assert rs.spec["template"]["metadata"]["labels"] == rs.meta.labels
    assert rs.meta.annotations == {"team": "a", REVISION: "4"}
    assert rs.meta.controller.name == "web"
    assert (rs.spec["replicas"], rs.spec["minReadySeconds"]) == (2, 5)


def test_a_version_with_zeros_of_an_earlier_daemon_is_the_same():
    rs = a_set("n1", 4, image=a_deployment().spec["template"]["spec"]["containers"][0]["image"])
    template = rs.spec["template"]
    kept = rs.with_spec(template={**template, "spec": {**template["spec"], "hostNetwork": False, "volumes": []}})
    assert family(a_deployment(), [kept]).new is kept


def test_going_back_to_a_version_numbers_it_anew():
    old = a_set("n1", 0, **{REVISION: 1})
    found = a_family(a_deployment(), old, a_set("o2", 4, **{REVISION: 2}))
    assert versions.marked(old, found).meta.annotations == {
        REVISION: "3",
        "deployment.kubernetes.io/revision-history": "1",
    }


def test_a_long_history_loses_its_beginning():
    history = ",".join(str(number) for number in range(1000, 1400))
    old = a_set("n1", 0, **{REVISION: 1400, "deployment.kubernetes.io/revision-history": history})
    found = a_family(a_deployment(), old, a_set("o2", 4, **{REVISION: 1401}))
    kept = versions.marked(old, found).meta.annotations["deployment.kubernetes.io/revision-history"]
    assert (kept[:9], kept[-9:], len(kept)) == ("1001,1002", "1399,1400", 1999)


@pytest.mark.parametrize(("before", "after"), [(None, 5), (3, 5), (5, 0)])
def test_a_version_waits_as_long_as_its_deployment(before, after):
    rs = a_set("n1", 4, **{REVISION: 1})
    rs = rs.with_spec(minReadySeconds=before) if before else rs
    marked = versions.marked(rs, a_family(a_deployment(minReadySeconds=after), rs))
    assert marked.spec["minReadySeconds"] == after


def test_a_version_that_is_as_it_should_be_stays_so():
    rs = a_set("n1", 4, **{REVISION: 1})
    assert versions.marked(rs, a_family(a_deployment(), rs)) is rs


def test_hashes_are_equal_for_equal_templates_and_have_kubernetes_form():
    one = template_hash({"a": 1, "b": 2})
    assert one == template_hash({"b": 2, "a": 1})
    assert one != template_hash({"a": 1, "b": 2}, collisions=1)
    assert set(one) <= set("bcdfghjklmnpqrstvwxz2456789")
    assert len(one) <= 10


@pytest.mark.parametrize(
    ("limit", "gone"),
    [
        pytest.param(3, [], id="as many as are kept"),
        pytest.param(1, ["o1", "o2"], id="the lowest revisions go"),
        pytest.param(0, ["o1", "o2"], id="one that still has pods stays"),
    ],
)
def test_old_versions_go(limit, gone):
    """One that goes already is none of those that are kept."""
    going = a_set("o0", 0, **{REVISION: 1}).with_meta(deleting="2023-11-14T20:00:00Z")
    old = [going, a_set("o2", 0, **{REVISION: 2}), a_set("o1", 0, **{REVISION: 1}), a_set("o3", 1, **{REVISION: 3})]
    found = a_family(a_deployment(revisionHistoryLimit=limit), a_set("n4", 4), *old)
    assert sorted(rs.meta.name for rs in versions.outdated(found)) == gone


# -- progress ----------------------------------------------------------------------------------------------------------


def condition(type, status, reason, *, ago_s=10):
    moment = rfc3339(NOW_S - ago_s)
    return {
        "type": type, "status": status, "reason": reason, "message": "", "lastUpdateTime": moment,
        "lastTransitionTime": moment,
    }  # fmt: skip


FULL = {"replicas": 4, "updatedReplicas": 4, "readyReplicas": 4, "availableReplicas": 4}
HALF = {"replicas": 4, "updatedReplicas": 2, "readyReplicas": 4, "availableReplicas": 4}


@pytest.mark.parametrize(
    ("present", "before", "numbers", "expected"),
    [
        pytest.param(("True", "NewReplicaSetCreated"), {}, FULL, ("True", "NewReplicaSetAvailable", 'ReplicaSet "n1" has successfully progressed.'), id="complete"),
        pytest.param(("True", "NewReplicaSetCreated"), {}, HALF, ("True", "ReplicaSetUpdated", 'ReplicaSet "n1" is progressing.'), id="under way"),
        pytest.param(("True", "ReplicaSetUpdated", 599), HALF, HALF, ("True", "ReplicaSetUpdated", ""), id="waiting"),
        pytest.param(("True", "ReplicaSetUpdated", 601), HALF, HALF, ("False", "ProgressDeadlineExceeded", 'ReplicaSet "n1" has timed out progressing.'), id="too late"),
        pytest.param(("False", "ProgressDeadlineExceeded", 900), HALF, FULL, ("True", "NewReplicaSetAvailable", 'ReplicaSet "n1" has successfully progressed.'), id="late, and complete"),
        pytest.param(("True", "NewReplicaSetAvailable", 900), FULL, {**FULL, "availableReplicas": 3}, ("True", "NewReplicaSetAvailable", ""), id="a pod is lost, which is no rollout"),
        pytest.param(("True", "NewReplicaSetAvailable", 900), {**FULL, "availableReplicas": 2}, {**FULL, "availableReplicas": 3}, ("True", "NewReplicaSetAvailable", ""), id="one comes back, which is none either"),
        pytest.param(("True", "NewReplicaSetAvailable", 900), FULL, HALF, ("True", "NewReplicaSetAvailable", ""), id="a rollout begins"),
    ],
)  # fmt: skip
def test_progress(present, before, numbers, expected):
    status, reason, *ago = present
    conditions = [condition("Progressing", status, reason, ago_s=ago[0] if ago else 10)]
    deployment = a_deployment(4).with_body(status={**before, "conditions": conditions})
    (told,) = progress.progressing(a_family(deployment, a_set("n1", 4)), numbers, conditions, NOW_S)
    assert (told["status"], told["reason"], told["message"]) == expected


@pytest.mark.parametrize(
    ("status", "reason", "transition_ago_s"),
    [
        pytest.param("True", "NewReplicaSetCreated", 10, id="its status stays"),
        pytest.param("True", "ReplicaSetUpdated", 10, id="it is told again"),
        pytest.param("False", "ProgressDeadlineExceeded", 0, id="its status moves"),
    ],
)
def test_the_moments_of_progress(status, reason, transition_ago_s):
    other = condition("Available", "True", "MinimumReplicasAvailable")
    conditions = [condition("Progressing", status, reason), other]
    deployment = a_deployment(4).with_body(status={"updatedReplicas": 1, "replicas": 4, "conditions": conditions})
    kept, told = progress.progressing(a_family(deployment, a_set("n1", 4)), HALF, conditions, NOW_S)
    assert kept == other
    moments = (told["lastUpdateTime"], told["lastTransitionTime"])
    assert moments == (rfc3339(NOW_S), rfc3339(NOW_S - transition_ago_s))


@pytest.mark.parametrize(
    ("after", "moved"),
    [
        pytest.param(HALF, False, id="nothing"),
        pytest.param({**HALF, "updatedReplicas": 3}, True, id="more of the present version"),
        pytest.param({**HALF, "readyReplicas": 5}, True, id="more that are ready"),
        pytest.param({**HALF, "availableReplicas": 5}, True, id="more that are available"),
        pytest.param({**HALF, "replicas": 3}, True, id="fewer old ones"),
        pytest.param({**HALF, "replicas": 5}, False, id="more old ones"),
        pytest.param({**HALF, "readyReplicas": 3, "availableReplicas": 3}, False, id="some are lost"),
    ],
)
def test_what_counts_as_progress(after, moved):
    conditions = [condition("Progressing", "True", "NewReplicaSetCreated")]
    deployment = a_deployment(4).with_body(status={**HALF, "conditions": conditions})
    (told,) = progress.progressing(a_family(deployment, a_set("n1", 4)), after, conditions, NOW_S)
    assert (told["reason"] == "ReplicaSetUpdated") is moved


def test_without_a_deadline_nothing_is_said_of_progress():
    deployment = a_deployment(4, progressDeadlineSeconds=2**31 - 1)
    before = [condition("Progressing", "True", "ReplicaSetUpdated")]
    assert progress.progressing(a_family(deployment, None), HALF, before, NOW_S) == []


@pytest.mark.parametrize(
    ("available", "status"),
    [(4, "True"), (3, "True"), (2, "False")],
)
def test_availability(available, status):
    found = a_family(a_deployment(4), a_set("n1", 4))
    (told,) = progress.available(found, {"availableReplicas": available}, [], NOW_S)
    assert told["status"] == status


@pytest.mark.parametrize(
    ("is_paused", "present", "reason"),
    [
        (True, "ReplicaSetUpdated", "DeploymentPaused"),
        (True, "DeploymentPaused", "DeploymentPaused"),
        (False, "DeploymentPaused", "DeploymentResumed"),
        (False, "ReplicaSetUpdated", "ReplicaSetUpdated"),
        (True, "ProgressDeadlineExceeded", "ProgressDeadlineExceeded"),
    ],
)
def test_pausing(is_paused, present, reason):
    before = [condition("Progressing", "True", present)]
    deployment = a_deployment(paused=is_paused).with_body(status={"conditions": before})
    assert [entry["reason"] for entry in progress.paused(deployment, NOW_S)] == [reason]


def test_a_failure_of_a_replica_set_is_told():
    failure = {
        "type": "ReplicaFailure",
        "status": "True",
        "reason": "FailedCreate",
        "message": "full",
        "lastTransitionTime": "t",
    }
    ill = a_set("o1", 1).with_status(conditions=[failure])
    (told,) = progress.failing([a_set("n2", 1), ill], None, [])
    assert told == {**failure, "lastUpdateTime": "t"}
    new = a_set("n2", 1).with_status(conditions=[{**failure, "message": "the present version's goes first"}])
    (told,) = progress.failing([ill, new], new, [told])
    assert told["message"] == "the present version's goes first"
    assert progress.failing([a_set("n2", 1)], None, [told]) == []


def test_counts():
    found = a_family(a_deployment(4).with_status(collisionCount=1), a_set("n2", 2, 1), a_set("o1", 3))
    assert progress.counts(found) == {
        "observedGeneration": 1,
        "replicas": 5,
        "updatedReplicas": 2,
        "readyReplicas": 4,
        "availableReplicas": 4,
        "unavailableReplicas": 1,
        "collisionCount": 1,
        "terminatingReplicas": 0,
    }


def test_how_long_is_left():
    def left(reason, ago_s=100, numbers=HALF):
        return progress.left_s(a_deployment(4), numbers, [condition("Progressing", "True", reason, ago_s=ago_s)], NOW_S)

    assert left("ReplicaSetUpdated") == 500
    assert left("ReplicaSetUpdated", 700) == 0
    assert left("NewReplicaSetAvailable") is None
    assert left("ReplicaSetUpdated", numbers=FULL) is None
