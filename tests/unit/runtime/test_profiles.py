from __future__ import annotations

import json

import pytest

from coracle.core.errors import Invalid
from coracle.runtime import profiles
from coracle.runtime.profiles import Place

HERE = Place("x86_64", (6, 1))


def read(syscalls=(), capabilities=(), **fields):
    text = json.dumps({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": list(syscalls), **fields})
    return profiles.read(text, capabilities, HERE)


def allowing(name="mkdir", **more):
    return {"names": [name], "action": "SCMP_ACT_ALLOW", **more}


def names(profile):
    return [name for rule in profile["syscalls"] for name in rule["names"]]


@pytest.mark.parametrize(
    ("rule", "capabilities", "holds"),
    [
        pytest.param({}, (), True, id="without conditions"),
        pytest.param({"includes": {}, "excludes": {}}, (), True, id="with empty ones"),
        pytest.param({"includes": {"caps": ["CAP_SYS_ADMIN"]}}, (), False, id="a capability that is not there"),
        pytest.param({"includes": {"caps": ["CAP_SYS_ADMIN"]}}, ("CAP_SYS_ADMIN",), True, id="one that is"),
        pytest.param({"includes": {"caps": ["CAP_BPF", "CAP_SYS_ADMIN"]}}, ("CAP_BPF",), False, id="one of two"),
        pytest.param({"excludes": {"caps": ["CAP_SYS_ADMIN"]}}, ("CAP_SYS_ADMIN",), False, id="one that excludes"),
        pytest.param({"excludes": {"caps": ["CAP_SYS_ADMIN"]}}, (), True, id="one that would exclude"),
        pytest.param({"includes": {"arches": ["amd64", "x32"]}}, (), True, id="this architecture"),
        pytest.param({"includes": {"arches": ["s390"]}}, (), False, id="another architecture"),
        pytest.param({"excludes": {"arches": ["amd64"]}}, (), False, id="not this architecture"),
        pytest.param({"includes": {"minKernel": "4.8"}}, (), True, id="an older kernel"),
        pytest.param({"includes": {"minKernel": "6.1"}}, (), True, id="this kernel"),
        pytest.param({"includes": {"minKernel": "6.10"}}, (), False, id="a newer kernel"),
        pytest.param({"excludes": {"minKernel": "4.8"}}, (), False, id="up to an older kernel"),
    ],
)
def test_a_rule_holds_where_its_conditions_do(rule, capabilities, holds):
    assert names(read([allowing(**rule)], capabilities)) == (["mkdir"] if holds else [])


def test_conditions_and_comments_are_not_handed_on():
    rule = allowing(comment="x", includes={"arches": ["amd64"]}, args=None, errnoRet=None)
    assert read([rule])["syscalls"] == [{"names": ["mkdir"], "action": "SCMP_ACT_ALLOW"}]


def test_arguments_and_errors_are():
    compared = {"index": 1, "value": 2**64 - 1, "valueTwo": 3, "op": "SCMP_CMP_MASKED_EQ"}
    rule = {"name": "socket", "action": "SCMP_ACT_ERRNO", "errnoRet": 97, "args": [compared]}
    found = read([rule], defaultErrnoRet=1)
    assert found["defaultErrnoRet"] == 1
    assert found["syscalls"] == [{"names": ["socket"], "action": "SCMP_ACT_ERRNO", "errnoRet": 97, "args": [compared]}]


def test_the_table_of_architectures_gives_those_of_this_machine():
    table = [
        {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": ["SCMP_ARCH_ARM"]},
        {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86", "SCMP_ARCH_X32"]},
    ]
    assert read(archMap=table)["architectures"] == ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"]
    assert read(architectures=["SCMP_ARCH_X86_64"])["architectures"] == ["SCMP_ARCH_X86_64"]
    assert "architectures" not in read()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("{", "decoding seccomp profile failed", id="no JSON"),
        pytest.param("[]", "not an object", id="a list"),
        pytest.param("{}", "defaultAction: no such action: 'None'", id="no default"),
        pytest.param('{"defaultAction": "ALLOW"}', "no such action: 'ALLOW'", id="an unknown action"),
        pytest.param({"syscalls": {}}, "syscalls is not a list", id="rules that are none"),
        pytest.param({"syscalls": [{"names": "mkdir"}]}, "names is not a list of texts", id="names that are one"),
        pytest.param({"syscalls": [allowing("../x")]}, "no such system call: '../x'", id="a strange name"),
        pytest.param({"syscalls": [allowing(name="a") | {"name": "b"}]}, "both 'name' and 'names'", id="both names"),
        pytest.param({"architectures": ["a"], "archMap": [{}]}, "both 'architectures'", id="both architectures"),
        pytest.param({"architectures": ["amd64"]}, "no such architecture: 'amd64'", id="an unknown architecture"),
        pytest.param({"syscalls": [allowing(args=[{"op": "="}])]}, r"args\[0\].op", id="an unknown comparison"),
        pytest.param(
            {"syscalls": [allowing(args=[{"op": "SCMP_CMP_EQ", "index": 6}])]}, "six arguments", id="a seventh argument"
        ),
        pytest.param({"syscalls": [allowing(errnoRet=-1)]}, "'-1' is no number", id="a negative error"),
        pytest.param({"syscalls": [allowing(includes={"minKernel": "new"})]}, "no kernel version", id="no version"),
        pytest.param({"syscalls": [allowing(excludes=[])]}, "excludes is not an object", id="conditions that are none"),
    ],
)
def test_what_cannot_be_read_is_said(text, said):
    text = text if isinstance(text, str) else json.dumps({"defaultAction": "SCMP_ACT_ALLOW", **text})
    with pytest.raises(Invalid, match=said):
        profiles.check(text)
