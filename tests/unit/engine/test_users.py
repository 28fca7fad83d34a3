import os

import pytest

from coracle.core.errors import Invalid
from coracle.engine.users import Account, Group, Identity, find_identity, resolve

ACCOUNTS = (Account("root", 0, 0, "/root"), Account("web", 33, 34, "/srv"))
GROUPS = (Group("root", 0, ()), Group("web", 34, ()), Group("video", 44, ("root", "web")), Group("audio", 29, ("web",)))


@pytest.mark.parametrize(
    ("user", "groups", "expected"),
    [
        pytest.param("", (), Identity(0, 0, (0, 44), "/root"), id="nobody in particular is root"),
        pytest.param("web", (), Identity(33, 34, (34, 44, 29), "/srv"), id="a name brings its groups"),
        pytest.param("33", (), Identity(33, 34, (34, 44, 29), "/srv"), id="a known number is that name"),
        pytest.param("1000", (), Identity(1000, 0, (0,), ""), id="an unknown number has group 0"),
        pytest.param("1000:50", (), Identity(1000, 50, (50,), ""), id="two numbers"),
        pytest.param("web:video", (), Identity(33, 44, (44,), "/srv"), id="a named group leaves the others out"),
        pytest.param("web:", (), Identity(33, 34, (34, 44, 29), "/srv"), id="an empty group is none"),
        pytest.param("1000:50", ("video", "7", "7"), Identity(1000, 50, (50, 44, 7), ""), id="more groups, each once"),
        pytest.param("2147483647", (), Identity(2147483647, 0, (0,), ""), id="the largest number"),
    ],
)
def test_resolve(user, groups, expected):
    assert resolve(user, groups, ACCOUNTS, GROUPS) == expected


@pytest.mark.parametrize(
    ("memberships", "user", "expected"),
    [("all", "web:50", (50, 44, 29)), ("none", "web:50", (50,)), ("", "web:50", (50,)), ("none", "web", (34,))],
)
def test_memberships_count_where_one_asks_for_them(memberships, user, expected):
    assert resolve(user, (), ACCOUNTS, GROUPS, memberships).groups == expected


@pytest.mark.parametrize(
    "user",
    ["2147483648", "4294967296", "-1", "+1", "0:99999999999", "nobody", "web:nothing", "root\n", "٣", "1" * 40],
)
def test_what_is_no_user_is_refused(user):
    with pytest.raises(Invalid):
        resolve(user, (), ACCOUNTS, GROUPS)


def rootfs(tmp_path):
    (tmp_path / "etc").mkdir(exist_ok=True)
    return str(tmp_path)


def test_the_images_own_files_are_read_and_bad_lines_skipped(tmp_path):
    root = rootfs(tmp_path)
    (tmp_path / "etc/passwd").write_text("# x\nbroken\nbig:x:4294967296:0::/:\nweb:x:7:8:Web:/w:/bin/sh\n")
    (tmp_path / "etc/group").write_text("video:x:44:web,other\nbad:x:no:web\n")
    assert find_identity(root, "web") == Identity(7, 8, (8, 44), "/w")
    with pytest.raises(Invalid):
        find_identity(root, "big")


def test_an_image_without_the_files_knows_numbers_only(tmp_path):
    assert find_identity(str(tmp_path), "7:8") == Identity(7, 8, (8,))
    with pytest.raises(Invalid):
        find_identity(str(tmp_path), "web")


@pytest.mark.parametrize("trap", ["symlink", "fifo", "directory", "directory link"])
def test_traps_instead_of_the_file_are_not_followed(tmp_path, trap):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "passwd").write_text("evil:x:0:0::/:\n")
    root = tmp_path / "root"
    root.mkdir()
    if trap == "directory link":
        os.symlink(outside, root / "etc")
    else:
        (root / "etc").mkdir()
    at = root / "etc/passwd"
    if trap == "symlink":
        at.symlink_to(outside / "passwd")
    elif trap == "fifo":
        os.mkfifo(at)
    elif trap == "directory":
        at.mkdir()
    with pytest.raises(Invalid):
        find_identity(str(root), "evil")


def test_a_huge_file_is_refused(tmp_path):
    root = rootfs(tmp_path)
    with open(f"{root}/etc/passwd", "wb") as file:
        file.truncate(4 << 30)
    with pytest.raises(Invalid, match="larger than"):
        find_identity(root, "web")
