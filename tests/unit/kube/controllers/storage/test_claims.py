"""Which volume a claim gets, or what it waits for."""

from __future__ import annotations

import pytest

from coracle.kube.controllers.storage.plans import Around, plan
from coracle.kube.kinds.nodeterms import Place
from coracle.kube.kinds.storagematching import best, mismatch
from coracle.kube.kinds.storagerules import default_class
from unit.kube.controllers.storage.house import a_claim, a_class, a_volume, for_claim

LATE = {"volumeBindingMode": "WaitForFirstConsumer"}
CHOSEN = {"volume.kubernetes.io/selected-node": "n1"}
ONCE = {"pv.kubernetes.io/bind-completed": "yes"}
ON_N2 = {
    "nodeAffinity": {
        "required": {
            "nodeSelectorTerms": [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n2"]}]}]
        }
    }
}


@pytest.mark.parametrize(
    ("claim", "volumes", "expected"),
    [
        pytest.param(a_claim(), [], None, id="none there"),
        pytest.param(a_claim(), [a_volume("b"), a_volume("a")], "a", id="the first by name of equals"),
        pytest.param(a_claim(size="2Gi"), [a_volume("a"), a_volume("b", "5Gi"), a_volume("c", "3Gi")], "c", id="the smallest that is large enough"),
        pytest.param(a_claim(size="2Gi"), [a_volume("a")], None, id="too small"),
        pytest.param(a_claim(), [a_volume(phase="Released")], None, id="somebody's data is still in it"),
        pytest.param(a_claim(), [a_volume(claimRef=for_claim(a_claim("other")))], None, id="kept for another"),
        pytest.param(a_claim(size="1Gi"), [a_volume("a"), a_volume("b", "9Gi", claimRef=for_claim(a_claim(), uid=False))], "b", id="kept for it"),
        pytest.param(a_claim(), [a_volume(claimRef={**for_claim(a_claim()), "uid": "older"})], None, id="kept for an older one of its name"),
        pytest.param(a_claim(modes=("ReadWriteMany",)), [a_volume()], None, id="access modes differ"),
        pytest.param(a_claim(), [a_volume(modes=("ReadOnlyMany", "ReadWriteOnce"))], "disk", id="more access modes than asked for"),
        pytest.param(a_claim(storageClassName="fast"), [a_volume()], None, id="another class"),
        pytest.param(a_claim(volumeMode="Block"), [a_volume()], None, id="another mode"),
        pytest.param(a_claim(selector={"matchLabels": {"a": "b"}}), [a_volume("a"), a_volume("b", labels={"a": "b"})], "b", id="by label"),
        pytest.param(a_claim(), [a_volume(**ON_N2)], None, id="on another node"),
    ],
)  # fmt: skip
def test_the_best_volume(claim, volumes, expected):
    found = best(claim, volumes, Place("n1", {}))
    assert (found.meta.name if found else None) == expected


@pytest.mark.parametrize(
    ("claim", "said"),
    [
        (a_claim(size="2Gi"), "requested PV is too small"),
        (a_claim(storageClassName="fast"), "storageClassName does not match"),
        (a_claim(volumeAttributesClassName="gold"), "volumeAttributesClassName does not match"),
        (a_claim(volumeMode="Block"), "incompatible volumeMode"),
        (a_claim(modes=("ReadWriteMany",)), "incompatible accessMode"),
        (a_claim(), ""),
    ],
)
def test_why_a_volume_does_not_match(claim, said):
    assert mismatch(a_volume(), claim) == said


def test_the_newest_default_class_counts():
    mark = {"storageclass.kubernetes.io/is-default-class": "true"}
    old, new = (a_class(name, annotations=mark).with_meta(created=at) for name, at in (("a", "2020"), ("b", "2021")))
    assert default_class([new, a_class("c"), old]) == new
    assert default_class([a_class()]) is None


@pytest.mark.parametrize(
    ("claim", "around", "expected"),
    [
        pytest.param(a_claim(), Around(candidates=(a_volume(),)), ("disk", "Pending", ""), id="a volume is free"),
        pytest.param(a_claim(), Around(), (None, "Pending", "FailedBinding"), id="nothing, and no class"),
        pytest.param(a_claim(storageClassName="fast"), Around(), (None, "Pending", "ProvisioningFailed"), id="no such class"),
        pytest.param(a_claim(storageClassName="fast"), Around(cls=a_class()), (None, "Pending", "ExternalProvisioning"), id="to be made"),
        pytest.param(a_claim(storageClassName="fast"), Around(cls=a_class(**LATE)), (None, "Pending", "WaitForFirstConsumer"), id="no pod yet"),
        pytest.param(a_claim(storageClassName="fast"), Around(cls=a_class(**LATE), candidates=(a_volume(storageClassName="fast"),)), (None, "Pending", "WaitForFirstConsumer"), id="no pod yet, though a volume is free"),
        pytest.param(a_claim(storageClassName="fast", annotations=CHOSEN), Around(cls=a_class(**LATE)), (None, "Pending", "ExternalProvisioning"), id="a pod has come"),
        pytest.param(a_claim(storageClassName="fast", annotations=CHOSEN), Around(cls=a_class(**LATE), node=Place("n1", {}), candidates=(a_volume("a", storageClassName="fast", **ON_N2), a_volume("b", storageClassName="fast"))), ("b", "Pending", ""), id="a pod has come to this node"),
        pytest.param(a_claim(volumeName="disk"), Around(volume=a_volume()), ("disk", "Pending", ""), id="by name"),
        pytest.param(a_claim(volumeName="disk"), Around(), (None, "Pending", ""), id="by name, and not there yet"),
        pytest.param(a_claim(volumeName="disk", size="2Gi"), Around(volume=a_volume()), (None, "Pending", "VolumeMismatch"), id="by name, too small"),
        pytest.param(a_claim(volumeName="disk"), Around(volume=a_volume(claimRef=for_claim(a_claim("x")))), (None, "Pending", "FailedBinding"), id="by name, and another's"),
        pytest.param(a_claim(volumeName="disk", annotations=ONCE), Around(volume=a_volume(claimRef=for_claim(a_claim()))), ("disk", "Pending", ""), id="bound"),
        pytest.param(a_claim(volumeName="disk", annotations=ONCE), Around(), (None, "Lost", "ClaimLost"), id="bound, and its volume is gone"),
        pytest.param(a_claim(annotations=ONCE), Around(), (None, "Lost", "ClaimLost"), id="bound, and knows not to what"),
        pytest.param(a_claim(volumeName="disk", annotations=ONCE), Around(volume=a_volume(claimRef=for_claim(a_claim("x")))), (None, "Lost", "ClaimMisbound"), id="bound to another's"),
    ],
)  # fmt: skip
def test_the_next_step_of_a_claim(claim, around, expected):
    found = plan(claim, around)
    bind, said = found.bind.meta.name if found.bind else None, found.say.reason if found.say else ""
    assert (bind, found.phase, said) == expected


def test_a_claim_that_says_nothing_takes_the_default_class_that_comes_later():
    assert plan(a_claim(), Around(fallback=a_class())).cls == "fast"
    assert plan(a_claim(storageClassName=""), Around(fallback=a_class())).cls == ""


@pytest.mark.parametrize(
    ("pods", "reason", "said"),
    [
        ((), "WaitForFirstConsumer", "waiting for first consumer to be created before binding"),
        (("a",), "WaitForPodScheduled", "waiting for pod a to be scheduled"),
        (("a", "b"), "WaitForPodScheduled", "waiting for pods a,b to be scheduled"),
    ],
)
def test_whom_a_late_claim_waits_for(pods, reason, said):
    found = plan(a_claim(storageClassName="fast"), Around(cls=a_class(**LATE), pods=pods)).say
    assert (found.reason, found.message) == (reason, said)
