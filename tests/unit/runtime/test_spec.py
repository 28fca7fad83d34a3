from __future__ import annotations

import pytest

from coracle.core.errors import Invalid
from coracle.linux.idmaps import Users
from coracle.runtime import limits, spec
from coracle.runtime.api import DEFAULT_CAPABILITIES, Bundle, Device, Mount, Process, Resources
from coracle.runtime.machine import Host, HostDevice

HOST = Host(processors=2, devices={"/dev/fuse": HostDevice("c", 10, 229, 0o666)})


def a_bundle(**fields):
    process = fields.pop("process", Process(argv=("true",)))
    return Bundle(id="a", rootfs_path="/root-fs", process=process, **fields)


def config(**fields):
    return spec.config(a_bundle(**fields), HOST, "/coracle/a")


def namespaces(text):
    return {entry["type"]: entry.get("path") for entry in text["linux"]["namespaces"]}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param({}, {"pid", "network", "ipc", "uts", "mount"}, id="all its own"),
        pytest.param({"netns_path": "host"}, {"pid", "ipc", "uts", "mount"}, id="the host's network"),
        pytest.param(
            {"pidns_path": "host", "ipcns_path": "host"}, {"network", "uts", "mount"}, id="the host's processes"
        ),
    ],
)
def test_namespaces_are_new_or_the_hosts(fields, expected):
    assert namespaces(config(**fields)) == dict.fromkeys(expected)


def test_namespaces_of_a_sandbox_are_joined_and_its_name_is_left_alone():
    text = config(netns_path="/run/n", utsns_path="/run/u", hostname="boat")
    assert (namespaces(text)["network"], namespaces(text)["uts"]) == ("/run/n", "/run/u")
    assert "hostname" not in text
    assert config(hostname="boat")["hostname"] == "boat"


def test_a_profile_of_the_host_is_named():
    assert "apparmorProfile" not in config()["process"]
    assert config(process=Process(argv=("true",), apparmor="tight"))["process"]["apparmorProfile"] == "tight"


def test_other_users_are_joined():
    assert "user" not in namespaces(config())
    assert namespaces(config(users=Users("/run/users", 65536)))["user"] == "/run/users"


def test_a_users_mount_replaces_the_usual_one_and_outer_ones_come_first():
    mounts = (
        Mount(target="/data/inner", source="/a"),
        Mount(target="/dev/shm/", source="/b"),
        Mount(target="/data", source="/c", read_only=True),
    )
    found = config(mounts=mounts)["mounts"]
    targets = [mount["destination"] for mount in found]
    assert targets.count("/dev/shm") == 1
    assert targets.index("/data") < targets.index("/data/inner")
    assert "ro" in found[targets.index("/data")]["options"]
    assert targets.index("/proc") < targets.index("/dev/shm")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        pytest.param(("rbind", "rprivate"), "rprivate", id="private"),
        pytest.param(("rbind", "rslave"), "rslave", id="follows the host"),
        pytest.param(("rbind", "rshared"), "rshared", id="shares with the host"),
    ],
)
def test_the_root_propagates_as_far_as_a_mount_needs(options, expected):
    mount = Mount(target="/data", source="/a", options=options)
    assert config(mounts=(mount,))["linux"]["rootfsPropagation"] == expected


def test_capabilities_are_held_by_root_only_and_never_inherited():
    root = config()["process"]["capabilities"]
    user = config(process=Process(argv=("true",), uid=7))["process"]["capabilities"]
    assert root["effective"] == root["permitted"] == root["bounding"] == sorted(DEFAULT_CAPABILITIES)
    assert (user["effective"], user["permitted"], user["bounding"]) == ([], [], sorted(DEFAULT_CAPABILITIES))
    assert root["inheritable"] == root["ambient"] == user["inheritable"] == user["ambient"] == []


def test_what_the_host_lacks_is_not_promised():
    host = Host(capabilities=frozenset({"CAP_CHOWN", "CAP_SYS_ADMIN"}), oom_score_adj_floor=100)
    process = Process(argv=("true",), oom_score_adj=-500)
    assert spec.process(process, host)["capabilities"]["bounding"] == ["CAP_CHOWN"]
    assert spec.process(process, host, privileged=True)["capabilities"]["bounding"] == ["CAP_CHOWN", "CAP_SYS_ADMIN"]
    assert spec.process(process, host)["oomScoreAdj"] == 100


def test_a_privileged_one_has_no_masks_no_filter_and_every_device():
    linux = config(privileged=True)["linux"]
    assert (linux["maskedPaths"], linux["readonlyPaths"]) == ([], [])
    assert "seccomp" not in linux
    assert linux["resources"]["devices"] == [{"allow": True, "access": "rwm"}]
    assert [device["path"] for device in linux["devices"]] == ["/dev/fuse"]


def test_a_device_that_is_named_is_made_and_allowed():
    linux = config(devices=(Device(path="/dev/f", source="/dev/fuse", access="rw"),))["linux"]
    assert linux["devices"][0] | {"path": "/dev/f", "major": 10, "minor": 229} == linux["devices"][0]
    assert linux["resources"]["devices"] == [
        {"allow": False, "access": "rwm"},
        {"allow": True, "access": "rw", "type": "c", "major": 10, "minor": 229},
    ]
    with pytest.raises(Invalid, match="not a device"):
        config(devices=(Device(path="/dev/x", source="/dev/nothing"),))


def test_limits_that_are_not_set_are_not_said():
    assert limits.resources(Resources(), HOST) == {}
    assert limits.resources(Resources(cpu_quota_us=5000, memory_bytes=7, pids=3), HOST) == {
        "memory": {"limit": 7},
        "cpu": {"quota": 5000, "period": 100_000},
        "pids": {"limit": 3},
    }


def test_paths_to_mask_can_be_ones_own():
    linux = config(masked_paths=("/proc/x",), read_only_paths=())["linux"]
    assert (linux["maskedPaths"], linux["readonlyPaths"]) == (["/proc/x"], [])
    assert "/sys/devices/system/cpu/cpu1/thermal_throttle" in config()["linux"]["maskedPaths"]


def test_groups_are_a_namespace_of_its_own_with_version_2_and_where_asked_for():
    unified = Host(unified=True)
    for fields, host, own in (({}, HOST, False), ({}, unified, True), ({"cgroupns": "host"}, unified, False)):
        found = spec.config(a_bundle(**fields), host, "/c")["linux"]["namespaces"]
        assert ({"type": "cgroup"} in found) is own
    assert "cgroup" in namespaces(config(cgroupns="private"))


@pytest.mark.parametrize(
    ("shm", "expected"),
    [
        pytest.param("", [("tmpfs", "shm")], id="its own"),
        pytest.param("none", [], id="none"),
        pytest.param("host", [("bind", "/dev/shm")], id="the host's"),
        pytest.param("shared", [("bind", "/run/shm/a")], id="for others"),
        pytest.param("of:b", [("bind", "/run/shm/a")], id="another's"),
    ],
)
def test_memory(shm, expected):
    text = spec.config(a_bundle(shm=shm), HOST, "/c", "/run/shm/a")
    found = [(mount["type"], mount["source"]) for mount in text["mounts"] if mount["destination"] == "/dev/shm"]
    assert found == expected


def test_a_domain_name_is_a_sysctl_of_its_own_names():
    assert config(domainname="x.org")["linux"]["sysctl"] == {"kernel.domainname": "x.org"}
    with pytest.raises(Invalid, match="namespaced"):
        config(sysctls={"kernel.domainname": "x.org"}, utsns_path="host")


def test_no_limit_is_the_largest_there_is():
    text = config(process=Process(argv=("a",), rlimits={"core": (0, -1)}))["process"]
    assert text["rlimits"] == [{"type": "RLIMIT_CORE", "soft": 0, "hard": 2**64 - 1}]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        pytest.param({"process": Process(argv=())}, "argv", id="no command"),
        pytest.param({"process": Process(argv=("a",), uid=2**31)}, "uid", id="a uid too large"),
        pytest.param({"process": Process(argv=("a",), groups=(-1,))}, "groups", id="a negative group"),
        pytest.param({"process": Process(argv=("a",), cwd="/proc/self/fd/8")}, "cwd", id="a directory that leads out"),
        pytest.param({"process": Process(argv=("a",), cwd="/x/../proc/1")}, "cwd", id="the same on a detour"),
        pytest.param({"process": Process(argv=("a\0",))}, "argv", id="a NUL"),
        pytest.param(
            {"process": Process(argv=("a",), rlimits={"nofile": (9, 1)})}, "rlimits[nofile]", id="soft above hard"
        ),
        pytest.param(
            {"process": Process(argv=("a",), rlimits={"core": (-2, -1)})}, "rlimits[core]", id="less than nothing"
        ),
        pytest.param({"device_rules": ("x",)}, "device_rules[0]", id="a rule that is none"),
        pytest.param({"mounts": (Mount(target="/", source="/a"),)}, "mounts[0].target", id="a mount on the root"),
        pytest.param({"mounts": (Mount(target="/proc/sys", source="/a"),)}, "mounts[0].target", id="a mount in /proc"),
        pytest.param({"mounts": (Mount(target="/a/../b", source="/a"),)}, "mounts[0].target", id="a target with dots"),
        pytest.param({"mounts": (Mount(target="/a", source="b"),)}, "mounts[0].source", id="a relative source"),
        pytest.param({"sysctls": {"vm.swappiness": "1"}}, "sysctls[vm.swappiness]", id="a sysctl of the host"),
        pytest.param(
            {"sysctls": {"kernel.shmmax": "1"}, "ipcns_path": "host"}, "sysctls[kernel.shmmax]", id="host ipc"
        ),
    ],
)
def test_what_is_refused_names_its_field(fields, field):
    with pytest.raises(Invalid) as caught:
        config(**fields)
    assert [problem.field for problem in caught.value.problems] == [field]
