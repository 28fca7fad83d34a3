"""Where a copy goes, and what it is called there."""

import pytest

from coracle.cli.docker.files import Place, Unfit, place

FILE, DIRECTORY, NOTHING = False, True, None


@pytest.mark.parametrize(
    ("source", "is_directory", "target", "there", "found"),
    [
        ("/a/f", False, "/t", DIRECTORY, Place("/t", "f")),
        ("/a/f", False, "/t/g", NOTHING, Place("/t", "g")),
        ("/a/f", False, "/t/g", FILE, Place("/t", "g")),
        ("/a/f", False, "g", NOTHING, Place(".", "g")),
        ("/a/d", True, "/t", DIRECTORY, Place("/t", "d")),
        ("/a/d/", True, "/t", DIRECTORY, Place("/t", "d")),
        ("/a/d/.", True, "/t", DIRECTORY, Place("/t", "")),
        ("/a/d", True, "/t/n", NOTHING, Place("/t", "n")),
        ("/a/d", True, "/t/n/", NOTHING, Place("/t", "n")),
        ("/a/d/.", True, "/t/n", NOTHING, Place("/t", "n")),
        ("/", True, "/t", DIRECTORY, Place("/t", "")),
        (".", True, "/t", DIRECTORY, Place("/t", "")),
    ],
)
def test_places(source, is_directory, target, there, found):
    assert place(source, target, source_is_directory=is_directory, target_is_directory=there) == found


@pytest.mark.parametrize(
    ("source", "is_directory", "target", "there", "why"),
    [
        ("/a/d", True, "/t/f", FILE, "cannot copy directory"),
        ("/a/f", False, "/t/n/", NOTHING, "no such directory"),
        ("/a/f", False, "/t/f/", FILE, "not a directory"),
        ("/a/f/", False, "/t", DIRECTORY, "not a directory"),
        ("/a/f/.", False, "/t", DIRECTORY, "not a directory"),
    ],
)
def test_what_does_not_go_together(source, is_directory, target, there, why):
    with pytest.raises(Unfit, match=why):
        place(source, target, source_is_directory=is_directory, target_is_directory=there)
