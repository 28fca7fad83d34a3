from __future__ import annotations

import base64

import pytest

from coracle.runtime.conmon.filters import Filters
from coracle.runtime.conmon.places import Place

PROFILE = {"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{"names": ["read"], "action": "SCMP_ACT_ALLOW"}]}


def config(profile=PROFILE, **annotations):
    return {"annotations": annotations, "linux": {"namespaces": [], **({"seccomp": profile} if profile else {})}}


def place(tmp_path, compiled=b"12345678"):
    made = Place("c", tmp_path)
    (made.runtime_root / "c").mkdir(parents=True)
    if compiled is not None:
        (made.runtime_root / "c" / "seccomp.bpf").write_bytes(compiled)
    return made


def test_the_second_container_is_given_what_came_out_of_the_first(tmp_path):
    filters = Filters()
    assert filters.compiled(config()) == config()
    filters.learn(config(), place(tmp_path))
    given = filters.compiled(config(owner="x"))
    assert given["annotations"] == {
        "owner": "x",
        "run.oci.seccomp_bpf_data": base64.b64encode(b"12345678").decode(),
    }
    assert given["linux"] == {"namespaces": [], "seccomp": {"defaultAction": "SCMP_ACT_ERRNO"}}


def test_another_profile_is_compiled_by_itself(tmp_path):
    filters = Filters()
    filters.learn(config(), place(tmp_path))
    other = config({**PROFILE, "defaultErrnoRet": 38})
    assert filters.compiled(other) == other


@pytest.mark.parametrize(
    ("profile", "compiled"),
    [
        pytest.param(None, b"12345678", id="no profile"),
        pytest.param({**PROFILE, "flags": ["X"]}, b"12345678", id="one with flags"),
        pytest.param({**PROFILE, "listenerPath": "/x"}, b"12345678", id="one with a listener"),
        pytest.param(PROFILE, b"", id="nothing came out"),
        pytest.param(PROFILE, b"123", id="no filter came out"),
        pytest.param(PROFILE, None, id="this runtime keeps it elsewhere"),
    ],
)
def test_what_cannot_be_learned_is_compiled_each_time(tmp_path, profile, compiled):
    filters = Filters()
    filters.learn(config(profile), place(tmp_path, compiled))
    assert filters.compiled(config(profile)) == config(profile)


def test_a_ready_filter_is_not_learned_as_the_profile_that_stands_in_for_it(tmp_path):
    filters = Filters()
    filters.learn(config(), place(tmp_path))
    filters.learn(filters.compiled(config()), place(tmp_path / "other"))
    refusing = config({"defaultAction": "SCMP_ACT_ERRNO"})
    assert filters.compiled(refusing) == refusing


def test_only_so_many_are_kept(tmp_path):
    filters = Filters()
    for number in range(100):
        filters.learn(config({**PROFILE, "defaultErrnoRet": number}), place(tmp_path / str(number)))
    assert filters.compiled(config({**PROFILE, "defaultErrnoRet": 0}))["annotations"] == {}
    assert filters.compiled(config({**PROFILE, "defaultErrnoRet": 99}))["annotations"] != {}
