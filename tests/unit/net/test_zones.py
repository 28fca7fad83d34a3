from ipaddress import IPv4Address

import pytest

from coracle.net.zones import Alias, Pointer, Service, Text, Zones
from coracle.wire import dns

ONE, TWO = IPv4Address("10.32.0.5"), IPv4Address("10.32.0.6")
ZONES = ("cluster.local", "32.10.in-addr.arpa")


@pytest.fixture
def zones():
    zones = Zones(ZONES)
    zones.publish(
        "kube",
        {
            "web.default.svc.cluster.local": [ONE],
            "db.default.svc.cluster.local": [ONE, TWO],
            "_http._tcp.web.default.svc.cluster.local": [Service("web.default.svc.cluster.local", 80)],
            "www.default.svc.cluster.local": [Alias("web.default.svc.cluster.local")],
            "out.default.svc.cluster.local": [Alias("example.com")],
            "round.default.svc.cluster.local": [Alias("round.default.svc.cluster.local")],
            "dns-version.cluster.local": [Text("1.1.0")],
            dns.reverse_name(ONE): [Pointer("web.default.svc.cluster.local")],
        },
    )
    return zones


def found(zones, name, type=dns.A, *networks):
    return zones.find(dns.read_question(dns.query(1, name, type)), networks)


@pytest.mark.parametrize(
    ("name", "type", "code", "records"),
    [
        pytest.param("web.default.svc.cluster.local", dns.A, 0, 1, id="a published name"),
        pytest.param("WEB.Default.svc.cluster.local", dns.A, 0, 1, id="in any spelling"),
        pytest.param("web.default.svc.cluster.local", dns.AAAA, 0, 0, id="has no address of that sort"),
        pytest.param("_http._tcp.web.default.svc.cluster.local", dns.SRV, 0, 1, id="a named port"),
        pytest.param("www.default.svc.cluster.local", dns.A, 0, 2, id="an alias is followed"),
        pytest.param("www.default.svc.cluster.local", dns.CNAME, 0, 1, id="an alias may be what is asked for"),
        pytest.param("default.svc.cluster.local", dns.A, 0, 0, id="what only has names below it exists"),
        pytest.param("cluster.local", dns.A, 0, 0, id="the zone itself exists"),
        pytest.param("no.default.svc.cluster.local", dns.A, 3, 0, id="what nobody published does not"),
        pytest.param("5.0.32.10.in-addr.arpa", dns.PTR, 0, 1, id="an address has a name"),
        pytest.param("9.0.32.10.in-addr.arpa", dns.PTR, 3, 0, id="an address of ours that nobody has"),
        pytest.param("dns-version.cluster.local", dns.TXT, 0, 1, id="a text"),
        pytest.param("round.default.svc.cluster.local", dns.A, 2, 0, id="an alias of itself"),
    ],
)
def test_finding(zones, name, type, code, records):
    finding = found(zones, name, type)
    assert (finding.code, len(finding.records)) == (code, records)
    assert bool(finding.authority) == (code == 3 or (records == 0 and code == 0))


def test_other_peoples_names_are_not_ours_to_say(zones):
    assert found(zones, "example.com") is None
    assert found(zones, "cluster.local.example.com") is None
    assert found(zones, "mycluster.local") is None


def test_an_alias_that_leads_outside_says_where(zones):
    finding = found(zones, "out.default.svc.cluster.local")
    assert (finding.elsewhere, len(finding.records)) == ("example.com", 1)


def test_a_text_says_how_long_it_is(zones):
    (record,) = found(zones, "dns-version.cluster.local", dns.TXT).records
    assert record.data == b"\x051.1.0"


def test_a_named_port_brings_the_address_along(zones):
    finding = found(zones, "_http._tcp.web.default.svc.cluster.local", dns.SRV)
    assert dns.addresses(finding.additional) == [ONE]


def test_every_address_comes_first_in_turn(zones):
    firsts = {dns.addresses(found(zones, "db.default.svc.cluster.local").records)[0] for _ in range(4)}
    assert firsts == {ONE, TWO}


def test_publishing_replaces_what_one_source_said(zones):
    zones.publish("docker", {"db.default.svc.cluster.local": [ONE]})
    zones.publish("kube", {"new.default.svc.cluster.local": [TWO]})
    assert found(zones, "web.default.svc.cluster.local").code == dns.NO_SUCH_NAME
    assert dns.addresses(found(zones, "db.default.svc.cluster.local").records) == [ONE]
    assert dns.addresses(found(zones, "new.default.svc.cluster.local").records) == [TWO]


def test_changing_touches_only_the_names_given(zones):
    zones.change("kube", {"web.default.svc.cluster.local": [TWO], "db.default.svc.cluster.local": []})
    assert dns.addresses(found(zones, "web.default.svc.cluster.local").records) == [TWO]
    assert found(zones, "db.default.svc.cluster.local").code == dns.NO_SUCH_NAME
    assert found(zones, "www.default.svc.cluster.local").code == dns.NO_ERROR


def test_a_name_that_is_gone_takes_its_empty_parents_along(zones):
    zones.publish("x", {"a.b.c.cluster.local": [ONE]})
    assert found(zones, "b.c.cluster.local").code == dns.NO_ERROR
    zones.publish("x", {})
    assert found(zones, "b.c.cluster.local").code == dns.NO_SUCH_NAME
    assert found(zones, "svc.cluster.local").code == dns.NO_ERROR


def test_a_networks_own_names_are_seen_there_first_and_nowhere_else(zones):
    zones.publish("docker", {"web": [TWO], "web.default.svc.cluster.local": [TWO]}, network="shop")
    assert dns.addresses(found(zones, "web", dns.A, "shop").records) == [TWO]
    assert found(zones, "web", dns.AAAA, "shop").code == dns.NO_ERROR
    assert found(zones, "web", dns.A, "other") is None
    assert dns.addresses(found(zones, "web.default.svc.cluster.local", dns.A, "shop").records) == [TWO]
    assert dns.addresses(found(zones, "web.default.svc.cluster.local").records) == [ONE]


def test_an_address_is_called_as_everybody_calls_it(zones):
    zones.publish("docker", {dns.reverse_name(one): [Pointer("db.shop")] for one in (ONE, TWO)}, network="shop")
    for address, name in ((ONE, "web.default.svc.cluster.local"), (TWO, "db.shop")):
        (record,) = found(zones, dns.reverse_name(address), dns.PTR, "shop").records
        assert record.data == dns.encode_name(name)


def test_what_cannot_be_a_name_is_not_published(zones):
    with pytest.raises(ValueError, match="label"):
        zones.publish("kube", {"a" * 64 + ".cluster.local": [ONE]})
    assert found(zones, "web.default.svc.cluster.local").code == dns.NO_ERROR
