import pytest

from coracle.docker.containers.listing import command, ports
from coracle.docker.containers.names import check_name, random_name
from coracle.docker.containers.places import has_own_sandbox, sandbox_spec
from coracle.engine.kinds.sandbox import Endpoint
from unit.docker.containers.records import ended, record


@pytest.mark.parametrize(
    ("argv", "shown"),
    [((), ""), (("sh",), "sh"), (("sh", "-c", "echo a b"), "sh -c 'echo a b'"), (("a b", "c"), "a b c")],
)
def test_commands_are_quoted_where_they_have_spaces(argv, shown):
    assert command(argv) == shown


def test_bound_ports_come_with_the_hosts_and_others_without():
    bound = {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}], "9/udp": None}
    assert ports(bound, ["443/tcp"], record()) == [
        {"PrivatePort": 9, "Type": "udp"},
        {"IP": "0.0.0.0", "PrivatePort": 80, "Type": "tcp", "PublicPort": 8080},
        {"PrivatePort": 443, "Type": "tcp"},
    ]
    assert ports(bound, ["443/tcp"], ended()) == []


@pytest.mark.parametrize("name", ["ab", "/ab", "a.b", "A_1-x", "0-"])
def test_names_that_are_accepted(name):
    assert check_name(name) == name.removeprefix("/")


def test_random_names_are_accepted_and_get_longer_when_they_are_taken():
    for attempt in range(8):
        assert check_name(random_name(attempt))
    assert random_name(3)[-1].isdigit()


def test_the_sandbox_of_a_container():
    host = {"Dns": ["9.9.9.9"], "DnsSearch": ["lan"], "DnsOptions": ["ndots:2"], "ShmSize": 1 << 20,
            "ExtraHosts": ["db:10.0.0.3", "up=host-gateway", "six=[::1]"], "Sysctls": {"net.core.somaxconn": "9"}}  # fmt: skip
    there = record(host=host, config={"Hostname": "ship", "Domainname": "sea"})
    spec = sandbox_spec(there, (Endpoint(network="bridge"),), "172.17.0.1")
    assert (spec.name, spec.hostname, spec.domain, spec.shm_bytes) == (there.meta.name, "ship", "sea", 1 << 20)
    assert spec.hosts == (("10.0.0.3", "db"), ("172.17.0.1", "up"), ("::1", "six"))
    assert (spec.dns.servers, spec.dns.searches, spec.dns.options) == (("9.9.9.9",), ("lan",), ("ndots:2",))
    assert spec.dns.embedded
    assert not sandbox_spec(there, ()).dns.embedded
    assert sandbox_spec(record(host={"NetworkMode": "host"}), ()).host_network
    assert has_own_sandbox(there)
    assert not has_own_sandbox(record(sandbox="pod-1"))
