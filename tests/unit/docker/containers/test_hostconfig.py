import pytest

from coracle.core.errors import Malformed
from coracle.docker.bodies import Fields
from coracle.docker.containers.hostconfig import read_host_config, read_ulimits
from coracle.docker.containers.limits import resources
from coracle.docker.containers.logconfig import LIMIT_BYTES, LogRules, read_log_config
from coracle.docker.containers.modes import check_modes
from coracle.docker.containers.security import security

GIB = 1 << 30


def read(**host):
    return read_host_config(Fields(host))[0]


def test_nothing_asked_for_is_the_default():
    # as the client sends it
    host = read(
        NetworkMode="default", MemorySwappiness=-1, PidsLimit=0, RestartPolicy={"Name": "no", "MaximumRetryCount": 0},
        MaskedPaths=None, ReadonlyPaths=None, OomKillDisable=False, Binds=None, LogConfig={"Type": "", "Config": {}},
    )  # fmt: skip
    assert host == {
        "NetworkMode": "default",
        "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
        "LogConfig": {"Type": "json-file", "Config": {}},
    }


def test_memory_without_end_has_swap_without_end():
    assert read(Memory=GIB)["MemorySwap"] == 2 * GIB
    assert read(Memory=2**63 - 1)["MemorySwap"] == 2**63 - 1


def test_empty_path_lists_are_kept_apart_from_none():
    assert read(MaskedPaths=[])["MaskedPaths"] == []
    assert security(read(MaskedPaths=[])).masked_paths == ()
    assert security(read()).masked_paths is None


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ({"Memory": 1 << 20}, "Minimum memory limit allowed is 6MB"),
        ({"Memory": -1}, "Minimum memory limit allowed is 6MB"),
        ({"Memory": 2**63}, "Memory must be an integer"),
        ({"Memory": GIB, "MemorySwap": GIB // 2}, "Minimum memoryswap limit should be larger than memory limit"),
        ({"MemorySwap": GIB}, "You should always set the Memory limit when using Memoryswap limit"),
        ({"MemorySwappiness": 101}, "valid memory swappiness range is 0-100"),
        ({"Memory": GIB, "MemoryReservation": 2 * GIB}, "Minimum memory limit can not be less than memory reservation"),
        ({"NanoCpus": 10**9, "CpuPeriod": 5000}, "Nano CPUs and CPU Period cannot both be set"),
        ({"NanoCpus": 1}, "Range of CPUs is from 0.01"),
        ({"NanoCpus": 10**18}, "Range of CPUs is from 0.01"),
        ({"CpuPeriod": 10}, "CPU cfs period can not be less than 1ms"),
        ({"CpuQuota": 10}, "CPU cfs quota can not be less than 1ms"),
        ({"CpuShares": -1}, "invalid CPU shares (-1)"),
        ({"CpusetCpus": "a-b"}, "Invalid value a-b for cpuset cpus"),
        ({"CpusetCpus": "99999"}, "Requested CPUs are not available - requested 99999"),
        ({"BlkioWeight": 5}, "Range of blkio weight is from 10 to 1000"),
        ({"RestartPolicy": {"Name": "always", "MaximumRetryCount": 3}}, "can only be used with 'on-failure'"),
        ({"RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": -3}}, "cannot be negative"),
        ({"RestartPolicy": {"Name": "often"}}, "unknown policy 'often'"),
        ({"RestartPolicy": {"Name": "always"}, "AutoRemove": True}, "can't create 'AutoRemove' container"),
        ({"MaskedPaths": ["../.."]}, "invalid MaskedPaths: '../..' must be an absolute path"),
        ({"ReadonlyPaths": ["/proc/sys", "/a\0b"]}, "invalid ReadonlyPaths: '/a\\x00b' must be an absolute path"),
        ({"ShmSize": -1}, "SHM size can not be less than 0"),
        ({"ExtraHosts": ["db"]}, 'bad format for add-host: "db"'),
        ({"ExtraHosts": ["db:nowhere"]}, 'bad format for add-host: "db:nowhere"'),
        ({"LogConfig": {"Type": "syslog"}}, 'plugin "syslog" not found'),
        ({"LogConfig": {"Type": "json-file", "Config": {"x": "1"}}}, "unknown log opt 'x' for json-file log driver"),
        ({"LogConfig": {"Config": {"max-file": "0"}}}, "max-file cannot be less than 1"),
        ({"LogConfig": {"Config": {"max-size": "much"}}}, "invalid value for max-size"),
        ({"PortBindings": {"80/tcp": [{"HostPort": "65536"}]}}, "invalid port specification"),
        ({"PortBindings": {"80/tcp": "x"}}, "must be a list"),
        ({"Ulimits": [{"Name": "nofile", "Soft": 5, "Hard": 3}]}, "ulimit soft limit must be less than or equal"),
        ({"Ulimits": [{"Name": "fish", "Soft": 5, "Hard": 5}]}, "invalid ulimit type: fish"),
        ({"StorageOpt": {"size": "1g"}}, "--storage-opt is not supported"),
        (
            {"DeviceRequests": [{"Driver": "", "Capabilities": [["gpu"]]}]},
            'device driver "" with capabilities: [[gpu]]',
        ),
        ({"Isolation": "hyperv"}, "invalid isolation 'hyperv' on linux"),
        ({"OomScoreAdj": -2000}, "range for oom score adj is [-1000, 1000]"),
        ({"Privileged": "yes"}, "Privileged must be a boolean"),
        ({"CapAdd": [1]}, "CapAdd must be a list of strings"),
    ],
)
def test_what_is_refused(host, said):
    with pytest.raises(Malformed) as refused:
        read(**host)
    assert said in str(refused.value)


@pytest.mark.parametrize("entry", ["db:10.0.0.1", "db=10.0.0.1", "db:::1", "db=[::1]", "db:host-gateway"])
def test_hosts_that_are_accepted(entry):
    assert read(ExtraHosts=[entry])["ExtraHosts"] == [entry]


def test_limits_for_the_runtime():
    held = resources(read(Memory=GIB, NanoCpus=500_000_000, PidsLimit=50, CpusetCpus="0"))
    assert (held.memory_bytes, held.memory_swap_bytes, held.pids) == (GIB, 2 * GIB, 50)
    assert (held.cpu_quota_us, held.cpu_period_us, held.cpuset_cpus) == (50_000, 100_000, "0")
    assert resources(read(CpuQuota=20_000, CpuPeriod=50_000)).cpu_quota_us == 20_000
    assert resources(read(PidsLimit=-1)).pids is None
    disks = [{"Path": "/dev/sda", "Rate": 1000}]
    assert resources(read(BlkioDeviceReadBps=disks)).blkio_read_bps == (("/dev/sda", 1000),)
    with pytest.raises(Malformed, match="invalid BlkioDeviceReadBps"):
        resources(read(BlkioDeviceReadBps=[{"Path": "../x", "Rate": 1}]))


@pytest.mark.parametrize(
    ("config", "rules"),
    [
        ({}, LogRules(True, LIMIT_BYTES, 2)),
        ({"Type": "none"}, LogRules(False, LIMIT_BYTES, 2)),
        ({"Config": {"max-size": "10k", "max-file": "3"}}, LogRules(True, 10 * 1024, 3)),
        ({"Type": "local", "Config": {"max-size": "-1"}}, LogRules(True, None, 2)),
        ({"Config": {"max-size": "1.5g"}}, None),
    ],
)
def test_logs(config, rules):
    if rules is None:
        with pytest.raises(Malformed):
            read_log_config(Fields({"LogConfig": config}))
    else:
        assert read_log_config(Fields({"LogConfig": config}))[1] == rules


def test_ulimits_without_a_hard_one_and_without_end():
    asked = [{"Name": "nofile", "Soft": 100}, {"Name": "core", "Soft": -1, "Hard": -1}]
    assert read_ulimits({"Ulimits": asked}) == {"nofile": (100, 100), "core": (-1, -1)}


@pytest.mark.parametrize(
    ("options", "field", "value"),
    [
        (["no-new-privileges"], "no_new_privileges", True),
        (["no-new-privileges:false"], "no_new_privileges", False),
        (["no-new-privileges=true"], "no_new_privileges", True),
        (["seccomp=unconfined"], "seccomp", "unconfined"),
        (["seccomp:unconfined"], "seccomp", "unconfined"),
        (["seccomp=builtin"], "seccomp", "default"),
        (['seccomp={"defaultAction":"SCMP_ACT_ALLOW"}'], "seccomp", '{"defaultAction":"SCMP_ACT_ALLOW"}'),
        (["apparmor=unconfined", "label=disable"], "seccomp", "default"),
    ],
)
def test_security_options(options, field, value):
    assert getattr(security({"SecurityOpt": options}), field) == value


@pytest.mark.parametrize("option", ["what", "seccomp", "no-new-privileges=maybe", "seccomp=/etc/profile.json"])
def test_security_options_that_are_refused(option):
    with pytest.raises(Malformed):
        security({"SecurityOpt": [option]})


@pytest.mark.parametrize(
    ("config", "host", "said"),
    [
        ({}, {"IpcMode": "odd"}, "invalid IPC mode: odd"),
        ({}, {"PidMode": "container:"}, "invalid PID mode: container:"),
        ({}, {"UTSMode": "private"}, "invalid UTS mode: private"),
        ({}, {"CgroupnsMode": "x"}, "invalid CgroupNS mode: x"),
        ({}, {"NetworkMode": "container:"}, "invalid container format container:<name|id>"),
        ({"Hostname": "x"}, {"NetworkMode": "container:y"}, "conflicting options: hostname and the network mode"),
        ({"Hostname": "x"}, {"UTSMode": "host"}, "conflicting options: hostname and the UTS mode"),
        ({}, {"NetworkMode": "container:y", "Dns": ["1.1.1.1"]}, "conflicting options: dns and the network mode"),
        ({"ExposedPorts": {"80/tcp": {}}}, {"NetworkMode": "container:y"}, "port exposing and the container type"),
        ({}, {"NetworkMode": "container:y", "PublishAllPorts": True}, "port publishing and the container type"),
        ({}, {"NetworkMode": "host", "Links": ["a:b"]}, "host type networking can't be used with links"),
    ],
)
def test_modes_that_exclude_each_other(config, host, said):
    with pytest.raises(Malformed) as refused:
        check_modes(config, host)
    assert said in str(refused.value)


def test_modes_that_are_accepted():
    check_modes({"Hostname": "x"}, {"IpcMode": "shareable", "PidMode": "container:web", "NetworkMode": "host"})
