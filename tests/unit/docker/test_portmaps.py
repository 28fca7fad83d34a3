from ipaddress import ip_address

import pytest

from coracle.core.errors import Malformed
from coracle.docker.portmaps import Wish, exposed, read_bindings, read_exposed, shown, wishes


def details(bindings=None, *exposed, publish_all=False):
    return {
        "Config": {"ExposedPorts": read_exposed({key: {} for key in exposed}, "ExposedPorts")},
        "HostConfig": {"PortBindings": read_bindings(bindings or {}, "PortBindings"), "PublishAllPorts": publish_all},
    }


def wish(port, protocol="tcp", host=None, first=0, last=0):
    return Wish(port, protocol, ip_address(host) if host else None, first, last or first)


def test_bindings_are_read():
    asked = {
        "80/tcp": [{"HostIp": "", "HostPort": "8001"}, {"HostIp": "127.0.0.1", "HostPort": "8002"}],
        "53/udp": [{"HostPort": ""}],
        "99": [{"HostIp": "[::1]", "HostPort": "99"}],
        "7/SCTP": [{"HostIp": "0.0.0.0", "HostPort": "7000-7002"}],
        "443/tcp": None,
    }
    assert wishes(details(asked)) == [
        wish(7, "sctp", "0.0.0.0", 7000, 7002),
        wish(80, "tcp", None, 8001),
        wish(80, "tcp", "127.0.0.1", 8002),
        wish(99, "tcp", "::1", 99),
        wish(53, "udp"),
    ]


def test_a_wish_says_whether_we_choose():
    assert wish(80).is_open
    assert wish(80, first=1, last=2).is_open
    assert not wish(80, first=8001).is_open
    assert (wish(80).key, wish(80, "udp").transport) == ("80/tcp", "UDP")


def test_ranges_are_many_ports():
    assert list(read_exposed({"80-82/tcp": {}, "53/udp": {}}, "ExposedPorts")) == [
        "80/tcp",
        "81/tcp",
        "82/tcp",
        "53/udp",
    ]
    assert len(wishes(details({"1-1000/tcp": [{}]}))) == 1000


def test_everything_that_is_exposed_may_be_published():
    found = details({"80/tcp": [{"HostPort": "8001"}]}, "80/tcp", "81/tcp", publish_all=True)
    assert wishes(found) == [wish(80, first=8001), wish(81)]
    assert list(exposed(found)) == ["80/tcp", "81/tcp", "80/tcp"]


def test_what_is_bound_is_shown_with_what_is_only_exposed():
    bound = [(wish(80, host="0.0.0.0"), 8001), (wish(80, host="::"), 8001)]
    assert shown(details(None, "80/tcp", "81/udp"), bound) == {
        "80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8001"}, {"HostIp": "::", "HostPort": "8001"}],
        "81/udp": None,
    }


@pytest.mark.parametrize(
    "name",
    ["", "/tcp", "x/tcp", "0/tcp", "65536/tcp", "80/icmp", "82-80/tcp", "-1/tcp", "80/tcp/x", "99999999/tcp", "٣/tcp"],
)
def test_what_is_no_port(name):
    with pytest.raises(Malformed, match="invalid port specification"):
        read_exposed({name: {}}, "ExposedPorts")
    with pytest.raises(Malformed, match="invalid port specification"):
        read_bindings({name: []}, "PortBindings")


@pytest.mark.parametrize(
    ("bindings", "said"),
    [
        ([{"HostPort": "65536"}], "invalid port specification"),
        ([{"HostPort": "9-8"}], "invalid port specification"),
        ([{"HostPort": "a"}], "invalid port specification"),
        ([{"HostPort": 80}], "must be a string"),
        ([{"HostIp": "1.2.3"}], "invalid HostIp"),
        ({"HostPort": "80"}, "must be a list of objects"),
        (["80"], "must be an object"),
    ],
)
def test_what_is_no_binding(bindings, said):
    with pytest.raises(Malformed, match=said):
        read_bindings({"80/tcp": bindings}, "PortBindings")
