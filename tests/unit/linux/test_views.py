import os

import pytest

from coracle.linux.rooted import open_in_root
from coracle.linux.views import Bind, open_bound, open_plain


def read(view, path):
    with view.borrowed() as root:
        fd = open_in_root(root, path, os.O_RDONLY)
    try:
        return os.read(fd, 100)
    finally:
        os.close(fd)


@pytest.fixture
def place(tmp_path):
    (tmp_path / "root/etc").mkdir(parents=True)
    (tmp_path / "root/etc/name").write_text("root")
    (tmp_path / "volume/inner").mkdir(parents=True)
    (tmp_path / "volume/file").write_text("volume")
    (tmp_path / "file").write_text("alone")
    return tmp_path


def test_binds_are_seen_in_the_view_only(place):
    binds = [
        Bind(f"{place}/volume", "/data"),
        Bind(f"{place}/file", "/data/inner/file"),
        Bind(f"{place}/file", "/etc/name", read_only=True),
        Bind(f"{place}/missing", "/nothing"),
    ]
    with open_bound(f"{place}/root", binds) as view:
        assert read(view, "/data/file") == b"volume"
        assert read(view, "/data/inner/file") == b"alone"
        assert read(view, "/etc/name") == b"alone"
        with view.borrowed() as root:
            with pytest.raises(OSError, match="Read-only"):
                open_in_root(root, "/etc/name", os.O_WRONLY)
            with pytest.raises(FileNotFoundError):
                open_in_root(root, "/nothing", os.O_PATH)
    assert os.listdir(place / "root/data") == []
    assert (place / "root/etc/name").read_text() == "root"
    with open("/proc/self/mountinfo") as file:
        assert str(place) not in file.read()


def test_a_read_only_root_with_a_volume_that_is_not(place):
    (place / "root/data").mkdir()
    binds = [Bind(f"{place}/volume", "/data")]
    with open_bound(f"{place}/root", binds, read_only=True) as view, view.borrowed() as root:
        os.close(open_in_root(root, "/data/file", os.O_WRONLY))
        with pytest.raises(OSError, match="Read-only"):
            open_in_root(root, "/etc/name", os.O_WRONLY)
    (place / "root/etc/name").write_text("still ours")


def test_a_target_that_is_a_link_stays_inside(place):
    os.symlink("../../..", place / "root/up")
    with open_bound(f"{place}/root", [Bind(f"{place}/volume", "/up/etc")]) as view:
        assert read(view, "/etc/file") == b"volume"
    assert os.listdir(place / "root/etc") == ["name"]


def test_a_closed_view_gives_no_descriptors(place):
    view = open_plain(f"{place}/root")
    with view.borrowed() as root:
        view.close()
        assert os.fstat(root)
    with pytest.raises(OSError, match="descriptor"), view.borrowed():
        pass
    view.close()


def test_what_cannot_be_bound_is_an_error(place):
    os.symlink("/nowhere", place / "root/dangling")
    with pytest.raises(NotADirectoryError):
        open_bound(f"{place}/root", [Bind(f"{place}/file", "/etc/name/below")])
