"""A directory whose files are replaced all at once."""

import os
import stat

import pytest

from coracle.kube.kubelet.volumes import atomic, ownership
from coracle.kube.kubelet.volumes.payloads import File

STAMP = "2026_11_23_15_45_10"


def written(path, payload, gid=None):
    return atomic.write(path, {name: File(data, 0o640) for name, data in payload.items()}, STAMP, gid)


def held(path):
    """What a reader finds: text by path, through the links."""
    return {
        os.path.relpath(os.path.join(folder, name), path): (path / folder / name).read_bytes()
        for top in os.listdir(path)
        if not top.startswith("..")
        for folder, _, names in (
            [(path, [], [top])] if (path / top).is_file() else os.walk(path / top, followlinks=True)
        )
        for name in names
    }


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param({"a": b"1"}, {"a": b"2"}, id="another content"),
        pytest.param({"a": b"1"}, {"a": b"1", "b": b"2"}, id="a file more"),
        pytest.param({"a": b"1", "b": b"2"}, {"b": b"2"}, id="a file less"),
        pytest.param({"a/b/c": b"1"}, {"a/d": b"1"}, id="directories"),
        pytest.param({"a": b"1"}, {}, id="nothing left"),
        pytest.param({}, {"a": b"1"}, id="nothing before"),
        pytest.param({"a": b"1"}, {"a/b": b"1"}, id="a directory in place of a file"),
    ],
)
def test_files_are_replaced(tmp_path, first, second):
    for payload in (first, second):
        assert written(tmp_path, payload)
        assert held(tmp_path) == payload
        assert not written(tmp_path, payload)
    hidden = [name for name in os.listdir(tmp_path) if name.startswith("..")]
    assert len(hidden) == 2  # the link and what it leads to
    assert os.readlink(tmp_path / "..data").startswith(f"..{STAMP}.")


def test_permissions_are_the_files_own_whatever_the_umask_is(tmp_path):
    before = os.umask(0o077)
    try:
        written(tmp_path, {"a/b": b""})
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a/b").stat().st_mode) == 0o640
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o755


def test_an_unfinished_change_is_swept_away(tmp_path):
    written(tmp_path, {"a": b"1"})
    (tmp_path / f"..{STAMP}.crashed").mkdir()
    os.symlink("nowhere", tmp_path / "..data_tmp")
    assert written(tmp_path, {"a": b"2"})
    assert held(tmp_path) == {"a": b"2"}
    assert len(os.listdir(tmp_path)) == 3


def test_files_that_cannot_be_leave_those_that_were(tmp_path):
    written(tmp_path, {"a": b"1"})
    there = sorted(os.listdir(tmp_path))
    with pytest.raises(OSError, match="a"):
        written(tmp_path, {"a": b"2", "a/b": b"3"})
    assert sorted(os.listdir(tmp_path)) == there
    assert held(tmp_path) == {"a": b"1"}


@pytest.mark.parametrize(
    ("mode", "read_only", "expected"),
    [
        (stat.S_IFREG, False, 0o660),
        (stat.S_IFREG, True, 0o440),
        (stat.S_IFDIR, False, 0o2770),
        (stat.S_IFDIR, True, 0o2550),
    ],
)
def test_what_a_group_is_given(mode, read_only, expected):
    assert ownership.mask(mode, read_only=read_only) == expected


def test_a_group_is_given_everything_and_no_link_is_followed(tmp_path):
    gid, outside, volume = os.getgid(), tmp_path / "outside", tmp_path / "volume"
    (volume / "deep").mkdir(parents=True)
    outside.write_text("")
    outside.chmod(0o600)
    (volume / "deep/file").touch(0o600)
    os.symlink(outside, volume / "link")
    ownership.give(str(volume), gid)
    assert stat.S_IMODE((volume / "deep/file").stat().st_mode) == 0o660
    assert stat.S_IMODE((volume / "deep").stat().st_mode) & 0o2770 == 0o2770
    assert stat.S_IMODE(outside.stat().st_mode) == 0o600
    (volume / "deep/file").chmod(0o600)
    ownership.give(str(volume), gid, only_if_root_differs=True)
    assert stat.S_IMODE((volume / "deep/file").stat().st_mode) == 0o600


def test_a_file_changes_hands(tmp_path):
    for uid in (1000, 7):
        payload = {"a": File(b"1", 0o600, uid)}
        assert atomic.write(tmp_path, payload, STAMP)
        assert (tmp_path / "a").stat().st_uid == uid
        assert not atomic.write(tmp_path, payload, STAMP)
