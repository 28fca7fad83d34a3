import os

import pytest

from coracle.core.errors import Invalid, Malformed
from coracle.engine.bundles import CAPABILITIES, capabilities, clean_workdir, find_workdir
from coracle.engine.kinds.container import Security, overlaid
from coracle.engine.signals import to_number
from coracle.runtime.api import DEFAULT_CAPABILITIES


@pytest.mark.parametrize(
    ("security", "expected"),
    [
        pytest.param(Security(), set(DEFAULT_CAPABILITIES), id="the default fourteen"),
        pytest.param(Security(drop=("ALL",)), set(), id="nothing"),
        pytest.param(Security(drop=("all",), add=("kill",)), {"CAP_KILL"}, id="only what is added"),
        pytest.param(Security(drop=("CAP_KILL",)), set(DEFAULT_CAPABILITIES) - {"CAP_KILL"}, id="one less"),
        pytest.param(Security(add=("ALL",)), set(CAPABILITIES), id="everything"),
        pytest.param(Security(add=("ALL",), drop=("BPF",)), set(CAPABILITIES) - {"CAP_BPF"}, id="everything but one"),
        pytest.param(Security(privileged=True, drop=("ALL",)), set(CAPABILITIES), id="privileged"),
    ],
)
def test_capabilities(security, expected):
    assert set(capabilities(security)) == expected


def test_the_default_is_docker_s_mask():
    mask = sum(1 << CAPABILITIES.index(name) for name in DEFAULT_CAPABILITIES)
    assert mask == 0x00000000A80425FB


def test_env_lists_are_joined_by_name():
    assert overlaid(("A=1", "B=2"), ("A=3", "C=")) == ("A=3", "B=2", "C=")


@pytest.mark.parametrize(
    ("text", "number"), [("SIGTERM", 15), ("term", 15), ("9", 9), (3, 3), ("SIGRTMIN+3", 37), ("RTMAX-1", 63)]
)
def test_signals(text, number):
    assert to_number(text) == number


@pytest.mark.parametrize("text", ["", "0", "65", "-1", "SIGX", "RTMIN+99", "9 9", "__class__"])
def test_no_signals(text):
    with pytest.raises(Malformed):
        to_number(text)


def test_a_working_directory_is_made_where_the_image_leads(tmp_path):
    (tmp_path / "var").mkdir()
    (tmp_path / "run").mkdir()
    os.symlink("/run", tmp_path / "var/run")
    assert find_workdir(str(tmp_path), "/var/run/a/../b") == "/var/run/b"
    assert (tmp_path / "run/b").is_dir()


@pytest.mark.parametrize("workdir", ["/proc", "/proc/self/fd/8", "/a/../proc/x", "//proc/self", "app", "", "/x\0"])
def test_a_working_directory_that_leads_out_is_refused(workdir):
    with pytest.raises(Invalid):
        clean_workdir(workdir)


@pytest.mark.parametrize("link", ["/proc/self/fd/8", "../../proc/self/cwd", "/proc"])
def test_a_link_into_proc_is_refused(tmp_path, link):
    (tmp_path / "proc").mkdir()
    os.symlink(link, tmp_path / "app")
    with pytest.raises(Invalid):
        find_workdir(str(tmp_path), "/app")


def test_a_link_out_of_the_image_stays_inside(tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    os.symlink("../../..", root / "up")
    find_workdir(str(root), "/up/made")
    assert (root / "made").is_dir()
    assert not (tmp_path / "made").exists()


def test_a_file_in_the_way_is_said(tmp_path):
    (tmp_path / "app").write_text("")
    with pytest.raises(Invalid, match="cannot make the working directory"):
        find_workdir(str(tmp_path), "/app/x")
