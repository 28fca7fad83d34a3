"""Block devices that pods have: what is none is refused, and leaves nothing."""

import pytest

from coracle.core.errors import Invalid, NotFound
from coracle.engine import blocks


@pytest.mark.parametrize(
    ("name", "error", "said"),
    [
        ("folder", Invalid, "is not a block device"),
        ("null", Invalid, "is not a block device"),
        ("none", NotFound, "is not there"),
    ],
)
def test_what_is_no_device(tmp_path, name, error, said):
    (tmp_path / "folder").mkdir()
    (tmp_path / "null").symlink_to("/dev/null")
    owner = tmp_path / "owners" / "pod"
    with pytest.raises(error, match=said):
        blocks.hold(owner, "v", str(tmp_path / name))
    assert not owner.exists()
    blocks.let_go(owner)
