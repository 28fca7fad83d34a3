import pytest

from coracle.core.errors import Invalid, Malformed, NotFound
from coracle.docker.bodies import Fields
from coracle.docker.networks.endpoints import endpoints_of, read_endpoint, read_networking
from coracle.engine.kinds import network as networks
from coracle.engine.kinds.network import NetworkSpec
from coracle.engine.kinds.sandbox import Endpoint

CONFIG = {"IPAM": {"Config": [{"Subnet": "10.1.0.0/24"}, {"Subnet": "fd00::/64"}]}}
NETWORKS = {
    "bridge": networks.to_record("b" * 64, NetworkSpec(name="bridge", subnet="172.17.0.0/16")),
    "n1": networks.to_record("1" * 64, NetworkSpec(name="n1", subnet="10.1.0.0/24", details=CONFIG)),
    "n2": networks.to_record("2" * 64, NetworkSpec(name="n2", subnet="172.18.0.0/16")),
}


def lookup(text):
    for record in NETWORKS.values():
        if text in (record.spec["name"], record.meta.name, record.meta.name[:12]):
            return record
    raise NotFound(f"network {text} not found")


def networking(mode="default", mac="", **endpoints):
    return read_networking(Fields({"EndpointsConfig": endpoints}), mode, mac, lookup)["EndpointsConfig"]


def plugged(mode="default", **endpoints):
    kept = networking(mode, **endpoints)
    return endpoints_of({"HostConfig": {"NetworkMode": mode}, "NetworkingConfig": {"EndpointsConfig": kept}}, lookup)


def test_the_modes():
    assert plugged() == plugged("bridge") == plugged("", default={}) == (Endpoint(network="bridge"),)
    assert plugged("n1") == plugged("1" * 64) == plugged("1" * 12) == (Endpoint(network="n1"),)
    assert plugged("none") == plugged("host") == plugged("container:web") == ()
    assert (networking("none"), networking("host"), networking("container:web")) == ({"none": {}}, {"host": {}}, {})
    disabled = {"Config": {"NetworkDisabled": True}, "NetworkingConfig": {"EndpointsConfig": {"bridge": {}}}}
    assert endpoints_of(disabled, lookup) == ()


def test_what_an_endpoint_may_say():
    asked = {
        "IPAMConfig": {"IPv4Address": "10.1.0.9", "IPv6Address": "fd00:0::9", "LinkLocalIPs": None},
        "Aliases": ["web", "www", "web"],
        "MacAddress": "02-00-00-00-00-0A",
        "GwPriority": 3,
        "Links": ["db:store"],
        "DriverOpts": {"com.docker.network.endpoint.ifname": "lan0"},
    }
    kept = networking("n1", n1=asked)["n1"]
    assert kept["IPAMConfig"] == {"IPv4Address": "10.1.0.9", "IPv6Address": "fd00::9"}
    (endpoint,) = plugged("n1", n1=asked)
    assert endpoint == Endpoint(
        network="n1",
        address="10.1.0.9",
        address6="fd00::9",
        mac="02:00:00:00:00:0a",
        interface="lan0",
        priority=3,
        aliases=("web", "www"),
    )


def test_several_networks_at_once():
    assert [one.network for one in plugged("n2", n2={}, n1={"GwPriority": 1})] == ["n1", "n2"]
    assert [one.network for one in plugged("n2", **{"1" * 64: {}})] == ["n1", "n2"]
    with pytest.raises(Invalid, match="cannot attach both user-defined and non-user-defined"):
        networking("host", n1={})


@pytest.mark.parametrize("mode", ["host", "none", "container:web"])
def test_without_a_network_of_its_own_there_is_nothing_to_say_of_it(mode):
    for asked in ({"IPAMConfig": {"IPv4Address": "10.1.0.9"}}, {"Aliases": ["x"]}):
        with pytest.raises(Invalid, match="invalid endpoint settings"):
            networking(mode, **{mode: asked})


def test_a_network_need_not_be_there_before_the_start():
    kept = networking("later", later={"Aliases": ["x"], "IPAMConfig": {"IPv4Address": "10.9.0.1"}})
    assert list(kept) == ["later"]
    details = {"HostConfig": {"NetworkMode": "later"}, "NetworkingConfig": {"EndpointsConfig": kept}}
    with pytest.raises(NotFound, match="network later not found"):
        endpoints_of(details, lookup)


def test_no_endpoint_at_all_is_no_network_at_all():
    assert endpoints_of({"NetworkingConfig": {"EndpointsConfig": {}}}, lookup) == ()


def test_the_mac_of_the_container_is_that_of_its_main_network():
    mac = "02:00:00:00:00:01"
    assert networking("n1", mac, n2={}) == {"n1": {"MacAddress": mac}, "n2": {}}
    assert networking("n1", mac, n1={"MacAddress": mac}) == {"n1": {"MacAddress": mac}}
    with pytest.raises(Invalid, match="must match the endpoint-specific MAC address"):
        networking("n1", mac, n1={"MacAddress": "02:00:00:00:00:02"})


@pytest.mark.parametrize(
    ("name", "endpoint", "said"),
    [
        ("bridge", {"IPAMConfig": {"IPv4Address": "172.17.0.9"}}, "supported on user defined networks only"),
        ("bridge", {"Aliases": ["x"]}, "network-scoped alias is supported only for containers in user defined"),
        ("n2", {"IPAMConfig": {"IPv4Address": "172.18.0.9"}}, "networks with user configured subnets"),
        ("n1", {"IPAMConfig": {"IPv4Address": "10.2.0.9"}}, "no configured subnet or ip-range contain the IP address"),
        ("n1", {"IPAMConfig": {"IPv4Address": "10.1.0"}}, "invalid IPv4 address: 10.1.0"),
        ("n1", {"IPAMConfig": {"IPv4Address": "0.0.0.0"}}, "invalid IPv4 address"),
        ("n1", {"IPAMConfig": {"IPv6Address": "10.1.0.9"}}, "invalid IPv6 address"),
        ("n1", {"MacAddress": "02:00:00"}, "invalid MAC address"),
        ("n1", {"Links": ["a:b:c"]}, "bad format for links"),
        ("n1", {"Aliases": ["web"], "GwPriority": "high"}, "GwPriority must be an integer"),
        ("n1", {"DriverOpts": {"x": 1}}, "DriverOpts.x must be a string"),
        ("n1", {"IPAMConfig": []}, "IPAMConfig must be an object"),
    ],
)
def test_what_cannot_be(name, endpoint, said):
    with pytest.raises((Invalid, Malformed), match=said):
        read_endpoint(Fields(endpoint), name, lookup)
