"""What a claim can be a copy of."""

from __future__ import annotations

import pytest

from coracle.kube.controllers.storage.cloning import NoSource, original
from coracle.kube.controllers.storage.contents import NAME
from unit.kube.controllers.storage.house import a_claim, a_volume

COPY = a_claim("copy", size="2Gi", dataSource={"kind": "PersistentVolumeClaim", "name": "data"})
SOURCE = a_claim(volumeName="disk").with_status(phase="Bound")
OURS = a_volume(annotations={"pv.kubernetes.io/provisioned-by": NAME})


@pytest.mark.parametrize(
    ("source", "volume", "said"),
    [
        pytest.param(None, None, 'persistentvolumeclaims "data" not found', id="not there"),
        pytest.param(a_claim().with_status(phase="Pending"), None, "is not in Bound state (current phase: Pending)", id="not bound yet"),
        pytest.param(SOURCE.with_meta(deleting="2026-11-23T00:00:00Z"), OURS, "is being deleted", id="going"),
        pytest.param(SOURCE, a_volume(), "was not made by this provisioner", id="somebody else's"),
        pytest.param(SOURCE.with_spec(volumeMode="Block"), OURS, "must have the same volume mode", id="of another mode"),
        pytest.param(SOURCE.with_spec(resources={"requests": {"storage": "3Gi"}}), OURS, "requested 2Gi but source is 3Gi", id="larger"),
    ],
)  # fmt: skip
def test_what_no_copy_is_made_of(source, volume, said):
    with pytest.raises(NoSource) as told:
        original(COPY, source, volume)
    assert str(told.value).startswith("error getting handle for DataSource Type PersistentVolumeClaim by Name data: ")
    assert str(told.value).endswith(said) or said in str(told.value)


def test_a_volume_of_ours_that_is_as_large_is_copied():
    assert original(COPY, SOURCE, OURS) is OURS
