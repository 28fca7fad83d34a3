"""What becomes of a volume."""

from __future__ import annotations

import pytest

from coracle.kube.controllers.storage.contents import NAME
from coracle.kube.controllers.storage.reclaiming import deed
from coracle.kube.controllers.storage.volumes import fate
from unit.kube.controllers.storage.house import a_claim, a_volume, for_claim

CLAIM = a_claim()
MINE = for_claim(CLAIM)
DELETE, RECYCLE = ({"persistentVolumeReclaimPolicy": policy} for policy in ("Delete", "Recycle"))
TMP = {"hostPath": {"path": "/tmp/x"}}
LOCAL = {"hostPath": None, "local": {"path": "/x"}}
MADE = {"annotations": {"pv.kubernetes.io/provisioned-by": "example.org/disks"}}


@pytest.mark.parametrize(
    ("volume", "claim", "phase", "unbind", "reason"),
    [
        pytest.param(a_volume(), None, "Available", False, "", id="free"),
        pytest.param(a_volume(claimRef=for_claim(CLAIM, uid=False)), None, "Available", False, "", id="kept for a claim to come"),
        pytest.param(a_volume(claimRef=MINE), CLAIM, "", False, "", id="being bound"),
        pytest.param(a_volume(claimRef=MINE), CLAIM.with_spec(volumeName="disk"), "Bound", False, "", id="bound"),
        pytest.param(a_volume(claimRef=MINE), CLAIM.with_spec(volumeName="other"), "Available", True, "", id="its claim has another"),
        pytest.param(a_volume(claimRef=MINE, **DELETE, **MADE), CLAIM.with_spec(volumeName="other"), "Released", False, "", id="made for a claim that has another"),
        pytest.param(a_volume(claimRef=MINE), None, "Released", False, "", id="its claim is gone"),
        pytest.param(a_volume(claimRef=MINE), CLAIM.with_meta(uid="new"), "Released", False, "", id="its claim was made anew"),
        pytest.param(a_volume(claimRef=MINE, **DELETE, **MADE), None, "Released", False, "", id="to be deleted by who made it"),
        pytest.param(a_volume(claimRef=MINE, **DELETE), None, "Failed", False, "VolumeFailedDelete", id="nobody deletes it outside of /tmp"),
        pytest.param(a_volume(claimRef=MINE, **DELETE, **TMP), None, "Released", False, "", id="deleted below /tmp"),
        pytest.param(a_volume(claimRef=MINE, **DELETE, **LOCAL), None, "Failed", False, "VolumeFailedDelete", id="nobody can delete it"),
        pytest.param(a_volume(claimRef=MINE, **RECYCLE), None, "Released", False, "", id="to be recycled"),
        pytest.param(a_volume(claimRef=MINE, **RECYCLE, **LOCAL), None, "Failed", False, "VolumeFailedRecycle", id="nobody can recycle it"),
        pytest.param(a_volume(claimRef=MINE, phase="Failed", **DELETE), None, "Failed", False, "", id="said once"),
    ],
)  # fmt: skip
def test_fate(volume, claim, phase, unbind, reason):
    found = fate(volume, claim)
    assert (found.phase, found.unbind, found.failure[0]) == (phase, unbind, reason)


OURS = {"annotations": {"pv.kubernetes.io/provisioned-by": NAME}}
GONE = "2026-11-23T00:00:00Z"


def going(volume):
    return volume.with_meta(deleting=GONE)


@pytest.mark.parametrize(
    ("volume", "todo"),
    [
        pytest.param(a_volume(phase="Bound", **DELETE, **OURS), "", id="ours, bound"),
        pytest.param(a_volume(phase="Released", **DELETE, **OURS), "remove", id="ours, released"),
        pytest.param(a_volume(phase="Released", **OURS), "", id="ours, kept"),
        pytest.param(going(a_volume(phase="Released", **OURS)), "forget", id="ours, kept and taken away by somebody"),
        pytest.param(going(a_volume(phase="Available", **DELETE, **OURS)), "remove", id="ours, never used, going"),
        pytest.param(going(a_volume(phase="Bound", **DELETE, **OURS)), "", id="ours, going, but bound"),
        pytest.param(a_volume(phase="Released", **RECYCLE), "recycle", id="a host's path to be emptied"),
        pytest.param(a_volume(phase="Bound", **RECYCLE), "", id="the same, in use"),
        pytest.param(a_volume(phase="Released", **RECYCLE, **LOCAL), "", id="local ones are not emptied"),
        pytest.param(a_volume(phase="Released", **DELETE, **TMP), "remove", id="below /tmp"),
        pytest.param(a_volume(phase="Released", **DELETE, hostPath={"path": "/tmp"}), "", id="/tmp itself"),
        pytest.param(a_volume(phase="Released", **DELETE), "", id="elsewhere"),
        pytest.param(a_volume(phase="Released", **DELETE, **TMP, **MADE), "", id="below /tmp, but others made it"),
    ],
)  # fmt: skip
def test_deed(volume, todo):
    assert deed(volume.with_spec(claimRef=MINE), None) == todo


@pytest.mark.parametrize("more", [{**DELETE, **OURS}, RECYCLE, {**DELETE, **TMP}])
def test_nothing_is_removed_under_a_claim_whatever_the_phase_says_still(more):
    volume = a_volume(phase="Released", **more)
    assert deed(volume.with_spec(claimRef=MINE), CLAIM) == ""
    assert deed(volume, None) == ""  # free again
