import pytest

from coracle.net.nft import sysctls
from coracle.net.nft.sysctls import Ledger


@pytest.fixture
def settings(tmp_path, monkeypatch):
    """A /proc/sys of our own, with one setting."""
    (tmp_path / "net").mkdir()
    (tmp_path / "net/forward").write_text("0\n")
    monkeypatch.setattr(sysctls, "_ROOT", tmp_path)
    return tmp_path


def value(settings):
    return (settings / "net/forward").read_text().strip()


def alive(_user):
    return True


def test_a_setting_is_put_back_by_the_last_who_needed_it(settings):
    ledger, other = Ledger(settings / "run/ledger"), Ledger(settings / "run/ledger")
    ledger.change("net/forward", "1", "a")
    other.change("net/forward", "1", "b")
    ledger.release("a", alive)
    assert value(settings) == "1"
    other.release("b", alive)
    assert value(settings) == "0"
    assert (settings / "run/ledger").read_text() == ""


def test_asking_twice_and_releasing_twice_changes_nothing(settings):
    ledger = Ledger(settings / "ledger")
    ledger.release("a", alive)
    for _ in range(2):
        ledger.change("net/forward", "1", "a")
    for _ in range(2):
        ledger.release("a", alive)
    assert value(settings) == "0"


def test_a_setting_that_was_so_before_stays(settings):
    sysctls.write("net/forward", "1")
    ledger = Ledger(settings / "ledger")
    ledger.change("net/forward", "1", "a")
    ledger.release("a", alive)
    assert value(settings) == "1"


def test_who_is_gone_needs_nothing(settings):
    ledger = Ledger(settings / "ledger")
    ledger.change("net/forward", "1", "crashed")
    ledger.change("net/forward", "1", "a")
    ledger.release("a", lambda user: user != "crashed")
    assert value(settings) == "0"


def test_a_setting_this_kernel_has_not_is_left_out(settings):
    sysctls.write_if_known("net/ipv6/forward", "1")
    assert not (settings / "net/ipv6").exists()
