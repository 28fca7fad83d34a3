"""What becomes of a volume."""

from __future__ import annotations

import pytest

from coracle.kube.controllers.storage.volumes import fate
from unit.kube.controllers.storage.house import a_claim, a_volume, for_claim

CLAIM = a_claim()
MINE = for_claim(CLAIM)
DELETE, RECYCLE = ({"persistentVolumeReclaimPolicy": policy} for policy in ("Delete", "Recycle"))
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
        pytest.param(a_volume(claimRef=MINE, **DELETE), None, "Failed", False, "VolumeFailedDelete", id="nobody can delete it"),
        pytest.param(a_volume(claimRef=MINE, **RECYCLE), None, "Failed", False, "VolumeFailedRecycle", id="nobody can recycle it"),
        pytest.param(a_volume(claimRef=MINE, phase="Failed", **DELETE), None, "Failed", False, "", id="said once"),
    ],
)  # fmt: skip
def test_fate(volume, claim, phase, unbind, reason):
    found = fate(volume, claim)
    assert (found.phase, found.unbind, found.failure[0]) == (phase, unbind, reason)
