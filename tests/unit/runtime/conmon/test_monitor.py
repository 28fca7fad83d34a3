from __future__ import annotations

from pathlib import Path

import pytest

from coracle.core.errors import Broken, Invalid
from coracle.runtime.api import Bundle, Process
from coracle.runtime.conmon.monitor import Binaries, _created_pid, conmon_arguments
from coracle.runtime.conmon.places import Place

CRUN = Binaries("/usr/bin/conmon", "/usr/bin/crun")
RUNC = Binaries("/usr/bin/conmon", "/usr/sbin/runc")
PLACE = Place("a", Path("/run/web"))


def arguments(binaries=CRUN, tty=False, **fields):
    bundle = Bundle(id="a", rootfs_path="/r", process=Process(argv=("true",), tty=tty), **fields)
    return conmon_arguments(binaries, PLACE, bundle)


@pytest.mark.parametrize(
    ("fields", "present", "absent"),
    [
        pytest.param({}, {"--leave-stdin-open", "none"}, {"--stdin", "--terminal"}, id="a plain one"),
        pytest.param({"stdin": True}, {"--stdin", "--leave-stdin-open"}, set(), id="input that stays"),
        pytest.param({"stdin": True, "stdin_once": True}, {"--stdin"}, {"--leave-stdin-open"}, id="input that ends"),
        pytest.param({"tty": True}, {"--terminal"}, set(), id="a terminal"),
        pytest.param(
            {"log_path": "/l", "log_limit_bytes": 9}, {"k8s-file:/l", "--log-size-max", "9"}, {"none"}, id="a log"
        ),
        pytest.param(
            {"binaries": RUNC}, set(), {"--runtime-arg=--cgroup-manager=cgroupfs"}, id="runc has no such flag"
        ),
    ],
)
def test_conmon_is_told_what_the_bundle_says(fields, present, absent):
    found = set(arguments(**fields))
    assert present <= found
    assert not absent & found


def test_what_conmon_answers():
    assert _created_pid(b'{"pid": 42}\n') == 42
    with pytest.raises(Invalid, match=r"^no such program$"):
        _created_pid(b'{"pid": -1, "message": "no such program\\n"}\n')
    cut_in_a_letter = '{"pid": -1, "message": "no é'.encode()[:-1] + b'"}\n'
    with pytest.raises(Invalid, match=r"^no \ufffd$"):
        _created_pid(cut_in_a_letter)
    for rubbish in (b"", b"{}", b"[]", b'{"pid": -1}\n', b"\xff"):
        with pytest.raises(Broken):
            _created_pid(rubbish)
