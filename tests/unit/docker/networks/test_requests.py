import pytest

from coracle.core.errors import Forbidden, Malformed, NotFound
from coracle.docker.bodies import Fields
from coracle.docker.networks.requests import read_create

MTU = "com.docker.network.driver.mtu"
BRIDGE = "com.docker.network.bridge."


def create(**body):
    return read_create(Fields({"Name": "n1", **body}))


def test_nothing_said_is_a_bridge_of_our_choice():
    spec = create()
    assert (spec.name, spec.subnet, spec.ipv6, spec.internal, spec.isolated) == ("n1", "", False, False, True)
    assert (spec.mtu, spec.icc, spec.masquerade, spec.bridge, spec.made_by) == (1500, True, True, "", "docker")
    assert spec.details["Driver"] == "bridge"
    assert create(Driver="bridge", IPAM=None, Options=None, EnableIPv4=True, Scope="local").details == spec.details


def test_everything_said_is_heard_and_kept():
    config = [
        {
            "Subnet": "10.1.0.0/24", "IPRange": "10.1.0.128/25", "Gateway": "10.1.0.254",
            "AuxiliaryAddresses": {"printer": "10.1.0.129"},
        },
        {"Subnet": "fd00::/64", "Gateway": "fd00::99"},
    ]  # fmt: skip
    options = {
        MTU: "1400", f"{BRIDGE}enable_icc": "false", f"{BRIDGE}enable_ip_masquerade": "0", f"{BRIDGE}name": "br-mine",
        f"{BRIDGE}host_binding_ipv4": "127.0.0.1", "somebody.elses": "x",
    }  # fmt: skip
    spec = create(
        IPAM={"Config": config, "Options": {"a": "b"}},
        Options=options,
        EnableIPv6=True,
        Internal=True,
        Attachable=True,
        Labels={"tier": "db"},
    )
    assert (spec.subnet, spec.gateway, spec.range) == ("10.1.0.0/24", "10.1.0.254", "10.1.0.128/25")
    assert (spec.subnet6, spec.gateway6, spec.reserved) == ("fd00::/64", "fd00::99", ("10.1.0.129",))
    assert (spec.mtu, spec.icc, spec.masquerade, spec.bridge) == (1400, False, False, "br-mine")
    assert (spec.ipv6, spec.internal, spec.labels) == (True, True, {"tier": "db"})
    assert spec.details == {
        "Driver": "bridge",
        "Options": options,
        "IPAM": {"Driver": "default", "Options": {"a": "b"}, "Config": config},
        "Attachable": True,
    }


def test_a_subnet_of_ipv6_without_ipv6_is_not_used():
    assert create(IPAM={"Config": [{"Subnet": "fd00::/64"}]}).subnet6 == ""


@pytest.mark.parametrize(
    ("body", "error", "said"),
    [
        ({"Name": ""}, Malformed, "name is empty"),
        ({"Name": "a/b"}, Malformed, "invalid name"),
        ({"Name": "a\nb"}, Malformed, "invalid name"),
        ({"Name": "x" * 300}, Malformed, "invalid name"),
        ({"Name": "host"}, Forbidden, "operation is not permitted on predefined host network"),
        ({"Name": 7}, Malformed, "Name must be a string"),
        ({"Driver": "null"}, Forbidden, 'only one instance of "null" network is allowed'),
        ({"Driver": "overlay"}, Forbidden, "This node is not a swarm manager"),
        ({"Driver": "macvlan"}, NotFound, 'plugin "macvlan" not found'),
        ({"IPAM": {"Driver": "dhcp"}}, NotFound, 'plugin "dhcp" not found'),
        ({"Scope": "swarm"}, Malformed, "scope"),
        ({"Ingress": True}, Forbidden, "swarm manager"),
        ({"ConfigOnly": True}, Malformed, "configuration-only"),
        ({"ConfigFrom": {"Network": "x"}}, Malformed, "configuration-only"),
        ({"EnableIPv4": False}, Malformed, "IPv4 cannot be disabled"),
        ({"Labels": {"a": 1}}, Malformed, "Labels.a must be a string"),
        ({"Options": {MTU: "big"}}, Malformed, "mtu"),
        ({"Options": {MTU: "67"}}, Malformed, "from 68"),
        ({"Options": {MTU: "1279"}, "EnableIPv6": True}, Malformed, "from 1280"),
        ({"Options": {f"{BRIDGE}enable_icc": "perhaps"}}, Malformed, "enable_icc"),
        ({"Options": {f"{BRIDGE}name": "../../x"}}, Malformed, "not a name for a link"),
        ({"Options": {f"{BRIDGE}host_binding_ipv4": "here"}}, Malformed, "not an IPv4 address"),
        ({"Options": {f"{BRIDGE}gateway_mode_ipv4": "routed"}}, Malformed, "only nat is supported"),
        ({"IPAM": {"Config": [{"Subnet": "10.1.0.0/24"}, {"Subnet": "10.2.0.0/24"}]}}, Malformed, "multiple subnets"),
        ({"IPAM": {"Config": [{"Gateway": "10.1.0.1"}]}}, Malformed, "invalid network config:\ninvalid subnet"),
        ({"IPAM": {"Config": {}}}, Malformed, "IPAM.Config must be a list"),
    ],
)
def test_what_cannot_be(body, error, said):
    with pytest.raises(error, match=said):
        create(**body)


def test_all_faults_of_a_subnet_are_told_at_once():
    config = {
        "Subnet": "10.1.0.0/24",
        "IPRange": "10.2.0.0/25",
        "Gateway": "ten",
        "AuxiliaryAddresses": {"x": "10.9.0.1"},
    }
    with pytest.raises(Malformed) as refused:
        create(IPAM={"Config": [config]})
    assert refused.value.message.splitlines() == [
        "invalid network config:",
        "invalid gateway ten: invalid address",
        "invalid ip-range 10.2.0.0/25: parent subnet 10.1.0.0/24 doesn't contain ip-range",
        "invalid auxiliary address x: parent subnet 10.1.0.0/24 doesn't contain this address",
    ]
