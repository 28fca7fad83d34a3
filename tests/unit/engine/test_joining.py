import pytest

from coracle.core.errors import Conflict, NotFound
from coracle.core.object import Meta, Object
from coracle.engine.joining import Joined, joined
from coracle.engine.kinds.container import ContainerSpec


class Records:
    """Containers by id: (state, pid, started_at, sandbox, ipc_mode)."""

    def __init__(self, **these):
        self._these = {id: record(id, *these[id]) for id in these}

    def get(self, id):
        if id not in self._these:
            raise NotFound(kind="Container", name=id)
        return self._these[id]

    def list(self):
        return list(self._these.values())


def record(id, state, pid=0, started_at="", sandbox="", ipc_mode=""):
    body = {
        "spec": {"sandbox": sandbox, "ipc_mode": ipc_mode},
        "status": {"state": state, "pid": pid, "started_at": started_at},
    }
    return Object("Container", Meta(name=id), body, "engine/v1")


def sandbox(*, share_pid=False, names=""):
    body = {"spec": {"share_pid": share_pid}, "status": {"ipcns_path": "", "utsns_path": names}}
    return Object("Sandbox", Meta(name="s"), body, "engine/v1")


def spec(**fields):
    return ContainerSpec(name="x", image="y", sandbox="s", **fields)


def test_what_a_sandbox_shares_is_joined():
    shared = sandbox(share_pid=True)
    shared = shared.with_status(ipcns_path="/run/s/ipc", pidns_path="/run/s/pid", shm_path="/run/s/shm")
    assert joined(spec(), shared, OTHER) == Joined(pidns_path="/run/s/pid", ipcns_path="/run/s/ipc", shm="none")
    private = joined(spec(pid_mode="private", ipc_mode="private"), shared, OTHER)
    assert (private.ipcns_path, private.shm) == ("", "")
    assert joined(spec(ipc_mode="host"), shared, OTHER).shm == "host"


OTHER = Records(a=("running", 7, "1", "s", "shareable"), b=("running", 8, "0", "s"), c=("exited",))


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param({}, Joined(), id="all its own"),
        pytest.param({"pid_mode": "private", "ipc_mode": "private", "uts_mode": "private"}, Joined(), id="said so"),
        pytest.param({"pid_mode": "host"}, Joined(pidns_path="host"), id="the host's processes"),
        pytest.param({"pid_mode": "container:a"}, Joined(pidns_path="/proc/7/ns/pid"), id="another's processes"),
        pytest.param({"uts_mode": "host"}, Joined(utsns_path="host"), id="the host's names"),
        pytest.param({"uts_mode": "container:a"}, Joined(utsns_path="/proc/7/ns/uts"), id="another's names"),
        pytest.param({"ipc_mode": "host"}, Joined(ipcns_path="host", shm="host"), id="the host's IPC and memory"),
        pytest.param({"ipc_mode": "none"}, Joined(shm="none"), id="no memory"),
        pytest.param({"ipc_mode": "shareable"}, Joined(shm="shared"), id="memory for others"),
        pytest.param(
            {"ipc_mode": "container:a"}, Joined(ipcns_path="/proc/7/ns/ipc", shm="of:a"), id="another's memory"
        ),
    ],
)
def test_namespaces(fields, expected):
    assert joined(spec(**fields), sandbox(), OTHER) == expected


def test_in_a_sandbox_that_shares_processes_they_are_those_of_the_first():
    assert joined(spec(), sandbox(share_pid=True), OTHER).pidns_path == "/proc/8/ns/pid"
    assert joined(spec(), sandbox(share_pid=True), Records()).pidns_path == ""
    assert joined(spec(pid_mode="host"), sandbox(share_pid=True), OTHER).pidns_path == "host"


def test_a_sandbox_with_the_hosts_names_gives_them_unless_its_own_are_asked_for():
    assert joined(spec(), sandbox(names="host"), OTHER).utsns_path == "host"
    assert joined(spec(uts_mode="private"), sandbox(names="host"), OTHER).utsns_path == ""


def test_who_joins_one_that_has_joined_has_what_that_one_has():
    records = Records(a=("running", 7, "1", "s", "shareable"), d=("running", 9, "2", "s", "container:a"))
    assert joined(spec(ipc_mode="container:d"), sandbox(), records).shm == "of:a"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        pytest.param({"pid_mode": "container:c"}, "is not running", id="one that has ended"),
        pytest.param({"ipc_mode": "container:b"}, "non-shareable IPC", id="one that does not share"),
    ],
)
def test_who_cannot_be_joined(fields, said):
    with pytest.raises(Conflict, match=said):
        joined(spec(**fields), sandbox(), OTHER)
