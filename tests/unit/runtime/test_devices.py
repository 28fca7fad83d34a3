from __future__ import annotations

import pytest

from coracle.core.errors import Invalid
from coracle.runtime import devices
from coracle.runtime.api import Bundle, Device, Process
from coracle.runtime.machine import Host, HostDevice

HOST = Host(
    devices={
        "/dev/fuse": HostDevice("c", 10, 229, 0o666),
        "/dev/snd/a": HostDevice("c", 116, 1),
        "/dev/snd/deep/b": HostDevice("c", 116, 2),
        "/dev/sndother": HostDevice("c", 116, 3),
    }
)


def bundle(*asked, rules=(), privileged=False):
    process = Process(argv=("true",))
    return Bundle(id="a", rootfs_path="/r", process=process, devices=asked, device_rules=rules, privileged=privileged)


def test_a_directory_is_taken_with_all_that_is_below():
    asked = bundle(Device(path="/dev/sound", source="/dev/snd/", access="rw"))
    assert [node["path"] for node in devices.nodes(asked, HOST)] == ["/dev/sound/a", "/dev/sound/deep/b"]
    assert [rule["minor"] for rule in devices.rules(asked, HOST)[1:]] == [1, 2]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("c 10:200 rwm", {"allow": True, "type": "c", "major": 10, "minor": 200, "access": "rwm"}),
        ("b 8:* r", {"allow": True, "type": "b", "major": 8, "access": "r"}),
        ("a *:* rwm", {"allow": True, "type": "a", "access": "rwm"}),
    ],
)
def test_rules_are_read(rule, expected):
    assert devices.rules(bundle(rules=(rule,)), HOST) == [{"allow": False, "access": "rwm"}, expected]
    assert devices.problems_of(bundle(rules=(rule,))) == []


def test_a_privileged_one_has_each_device_once():
    asked = bundle(Device(path="/dev/fuse", source="/dev/fuse"), privileged=True)
    assert [node["path"] for node in devices.nodes(asked, HOST)].count("/dev/fuse") == 1
    assert devices.rules(asked, HOST) == [{"allow": True, "access": "rwm"}]


@pytest.mark.parametrize("rule", ["", "c 10:200", "d 1:1 rwm", "c 1:1 x", "c 1:1 rwm\n", "c -1:1 r", "c 1:1  rwm"])
def test_rules_that_are_none_are_refused(rule):
    assert [problem.field for problem in devices.problems_of(bundle(rules=(rule,)))] == ["device_rules[0]"]
    with pytest.raises(Invalid):
        devices.rules(bundle(rules=(rule,)), HOST)


@pytest.mark.parametrize(
    ("device", "field"),
    [
        (Device(path="dev/x", source="/dev/fuse"), "devices[0].path"),
        (Device(path="/dev/../x", source="/dev/fuse"), "devices[0].path"),
        (Device(path="/dev/x", source="/dev/fuse", access=""), "devices[0].access"),
        (Device(path="/dev/x", source="/dev/fuse", access="rwmx"), "devices[0].access"),
    ],
)
def test_devices_that_cannot_be_meant_are_refused(device, field):
    assert [problem.field for problem in devices.problems_of(bundle(device))] == [field]


def test_what_is_no_device_is_refused():
    with pytest.raises(Invalid, match="/dev/nothing"):
        devices.nodes(bundle(Device(path="/dev/x", source="/dev/nothing")), HOST)
