import pytest

from coracle.core.errors import Unavailable
from coracle.engine import inits


@pytest.fixture(autouse=True)
def fresh():
    inits.find_init.cache_clear()
    yield
    inits.find_init.cache_clear()


def test_the_first_that_is_there_is_taken(tmp_path, monkeypatch):
    program = tmp_path / "catatonit"
    program.write_text("")
    program.chmod(0o755)
    monkeypatch.setattr(inits, "_PATHS", (str(tmp_path / "tini-static"), str(program)))
    assert inits.find_init() == str(program)


def test_without_one_it_is_said_what_to_do_and_asked_again_later(tmp_path, monkeypatch):
    monkeypatch.setattr(inits, "_PATHS", (str(tmp_path / "tini-static"),))
    with pytest.raises(Unavailable, match="install tini"):
        inits.find_init()
    (tmp_path / "tini-static").touch(mode=0o755)
    assert inits.find_init() == str(tmp_path / "tini-static")


def test_the_command_line_is_dockers():
    assert inits.wrapped(("sleep", "5")) == ("/sbin/docker-init", "--", "sleep", "5")
    mount = inits.mount_of("/usr/bin/x")
    assert (mount.target, mount.source, mount.read_only) == ("/sbin/docker-init", "/usr/bin/x", True)
