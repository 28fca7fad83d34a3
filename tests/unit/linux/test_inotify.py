import pytest

from coracle.linux.inotify import CREATE, MODIFY, MOVED_TO, ONLYDIR, Inotify


def test_what_happens_in_a_directory_is_told(tmp_path):
    watched = Inotify()
    try:
        number = watched.add(str(tmp_path), CREATE | MODIFY | MOVED_TO)
        assert watched.read() == []
        (tmp_path / "a").write_text("x")
        (tmp_path / "a").rename(tmp_path / "b")
        happened = watched.read()
        assert {one.watch for one in happened} == {number}
        assert [(one.mask, one.name) for one in happened] == [(CREATE, "a"), (MODIFY, "a"), (MOVED_TO, "b")]
        watched.remove(number)
        (tmp_path / "c").write_text("x")
        assert [one.name for one in watched.read()] == [""]  # only that the watch is gone
    finally:
        watched.close()


def test_what_is_not_there_cannot_be_watched(tmp_path):
    watched = Inotify()
    try:
        with pytest.raises(FileNotFoundError):
            watched.add(str(tmp_path / "none"), CREATE)
        (tmp_path / "file").write_text("")
        with pytest.raises(NotADirectoryError):
            watched.add(str(tmp_path / "file"), CREATE | ONLYDIR)
    finally:
        watched.close()
