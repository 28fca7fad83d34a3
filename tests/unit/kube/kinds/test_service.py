"""Services: addresses and ports that nobody else has, kept as long as they are needed."""

from __future__ import annotations

import ipaddress

import pytest

from coracle.core.clock import LoopClock
from coracle.core.collection import Collection
from coracle.core.errors import Exhausted, Invalid
from coracle.core.object import Key
from coracle.core.store import MemoryStore
from coracle.kube.kinds import service
from coracle.testing.autojump import run
from coracle.testing.kube import a_service

WEB = Key("default", "web")


def a_collection(addresses="100.64.0.0/16", node_ports=(30000, 32767)):
    return Collection(service.kind(addresses, node_ports), MemoryStore(), LoopClock())


def test_what_a_service_says_where_the_user_said_nothing():
    async def main():
        spec = (await a_collection().create(a_service())).spec
        address = spec["clusterIP"]
        assert ipaddress.ip_address(address) in ipaddress.ip_network("100.64.0.0/16")
        assert spec == {
            "type": "ClusterIP", "sessionAffinity": "None", "selector": {"app": "web"},
            "ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}], "internalTrafficPolicy": "Cluster",
            "clusterIP": address, "clusterIPs": [address], "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack",
        }  # fmt: skip

    run(main())


def test_a_node_port_is_given_kept_and_taken_back():
    async def main():
        services = a_collection()
        made = await services.create(a_service(type="NodePort"))
        number = made.spec["ports"][0]["nodePort"]
        assert 30000 <= number <= 32767
        assert made.spec["externalTrafficPolicy"] == "Cluster"
        again = a_service(type="NodePort", ports=[{"port": 80}, {"port": 81, "name": "b"}])
        again = again.with_spec(ports=[{"port": 80, "name": "a"}, {"port": 81, "name": "b"}])
        kept = await services.update(again)
        assert kept.spec["ports"][0]["nodePort"] == number
        assert kept.spec["ports"][1]["nodePort"] != number
        assert kept.spec["clusterIP"] == made.spec["clusterIP"]
        plain = await services.change(WEB, lambda web: web.with_spec(type="ClusterIP"))
        assert "nodePort" not in plain.spec["ports"][0]
        assert "externalTrafficPolicy" not in plain.spec
        other = a_service("other", type="NodePort", ports=[{"port": 1, "nodePort": number}])
        assert (await services.create(other)).spec["ports"][0]["nodePort"] == number

    run(main())


def test_a_port_that_is_taken_or_out_of_range_is_refused_by_its_field():
    async def main():
        services = a_collection()
        await services.create(a_service(type="NodePort", ports=[{"port": 80, "nodePort": 30080}]))
        for number, said in (
            (30080, "Invalid value: 30080: provided port is already allocated"),
            (80, "Invalid value: 80: provided port is not in the valid range. The range of valid ports is 30000-32767"),
        ):
            with pytest.raises(Invalid) as caught:
                await services.create(a_service("two", type="NodePort", ports=[{"port": 80, "nodePort": number}]))
            assert [(p.field, p.text) for p in caught.value.problems] == [("spec.ports[0].nodePort", said)]
        udp = a_service("three", type="NodePort", ports=[{"port": 80, "nodePort": 30080, "protocol": "UDP"}])
        await services.create(udp)

    run(main())


def test_node_ports_are_given_once_until_none_is_left():
    async def main():
        services = a_collection(node_ports=(30000, 30001))
        for name in ("one", "two"):
            await services.create(a_service(name, type="NodePort"))
        given = [made.spec["ports"][0]["nodePort"] for made in services.list()]
        assert sorted(given) == [30000, 30001]
        with pytest.raises(Exhausted):
            await services.create(a_service("three", type="NodePort"))

    run(main())


def test_an_address_that_is_taken_or_out_of_range_is_refused():
    async def main():
        services = a_collection()
        await services.create(a_service(clusterIP="100.64.0.10"))
        for address, said in (
            ("100.64.0.10", "provided IP is already allocated"),
            ("10.1.2.3", "the provided network does not match the current range"),
            ("100.64.255.255", "the provided network does not match the current range"),
        ):
            with pytest.raises(Invalid) as caught:
                await services.create(a_service("two", clusterIP=address))
            (problem,) = caught.value.problems
            assert (problem.field, caught.value.name) == ("spec.clusterIPs", "two")
            assert problem.text == f'Invalid value: ["{address}"]: failed to allocate IP {address}: {said}'
        with pytest.raises(Invalid, match="may not change once set"):
            await services.change(WEB, lambda web: web.with_spec(clusterIP="100.64.0.11", clusterIPs=["100.64.0.11"]))

    run(main())


def test_an_external_address_is_not_anothers_cluster_ip():
    async def main():
        services = a_collection()
        await services.create(a_service(clusterIP="100.64.0.10"))
        with pytest.raises(
            Invalid, match=r"spec.externalIPs\[1\]: Invalid value: .100.64.0.10.: provided IP is already"
        ):
            await services.create(a_service("thief", externalIPs=["192.0.2.80", "100.64.0.10"]))
        await services.change(WEB, lambda web: web.with_spec(externalIPs=["100.64.0.10", "100.64.0.11"]))
        with pytest.raises(Invalid, match="already allocated"):
            await services.create(a_service("late", clusterIP="100.64.0.11"))

    run(main())


def test_all_addresses_are_given_out_and_come_back():
    async def main():
        services = a_collection("10.0.0.0/29")
        made = [(await services.create(a_service(f"s{number}"))).spec["clusterIP"] for number in range(5)]
        assert sorted(made) == [f"10.0.0.{number}" for number in range(2, 7)]
        with pytest.raises(Exhausted):
            await services.create(a_service("full"))
        await services.delete(Key("default", "s3"))
        assert (await services.create(a_service("next"))).spec["clusterIP"] == made[3]

    run(main())


def test_headless_and_named_services_have_no_address():
    async def main():
        services = a_collection()
        headless = await services.create(a_service(clusterIP="None"))
        assert (headless.spec["clusterIP"], headless.spec["clusterIPs"]) == ("None", ["None"])
        named = await services.create(a_service("named", type="ExternalName", externalName="example.com", ports=[]))
        assert "clusterIP" not in named.spec

    run(main())


def test_becoming_a_name_gives_the_address_back():
    async def main():
        services = a_collection()
        await services.create(a_service(clusterIP="100.64.0.10"))
        named = await services.change(WEB, lambda web: web.with_spec(type="ExternalName", externalName="example.com"))
        assert "clusterIP" not in named.spec
        await services.create(a_service("next", clusterIP="100.64.0.10"))

    run(main())


TWO = [{"port": 80, "name": "a"}, {"port": 80, "name": "b"}]


@pytest.mark.parametrize(
    ("spec", "field", "text"),
    [
        ({"ports": []}, "spec.ports", "Required value"),
        ({"type": "X"}, "spec.type", 'Unsupported value: "X": supported values: "ClusterIP", "ExternalName", "LoadBalancer", "NodePort"'),
        ({"ports": [{"port": 0}]}, "spec.ports[0].port", "Invalid value: 0: must be between 1 and 65535, inclusive"),
        ({"ports": [{"port": 80}, {"port": 81}]}, "spec.ports[1].name", "Required value"),
        ({"ports": TWO}, "spec.ports[1]", 'Duplicate value: {"port":80,"protocol":"TCP"}'),
        ({"ports": [{"port": 80, "name": "a"}, {"port": 81, "name": "a"}]}, "spec.ports[1].name", 'Duplicate value: "a"'),
        ({"ports": [{"port": 80, "protocol": "X"}]}, "spec.ports[0].protocol", 'Unsupported value: "X": supported values: "SCTP", "TCP", "UDP"'),
        ({"ports": [{"port": 80, "nodePort": 30000}]}, "spec.ports[0].nodePort", "Forbidden: may not be used when `type` is 'ClusterIP'"),
        ({"ports": [{"port": 80, "targetPort": "A b"}]}, "spec.ports[0].targetPort", 'Invalid value: "A b": must contain only'),
        ({"clusterIP": "x"}, "spec.clusterIPs[0]", 'Invalid value: ["x"]: must be a valid IP address'),
        ({"type": "NodePort", "clusterIP": "None"}, "spec.clusterIPs[0]", "Invalid value: \"None\": may not be set to 'None' for NodePort services"),
        ({"type": "ExternalName"}, "spec.externalName", "Required value"),
        ({"sessionAffinity": "X"}, "spec.sessionAffinity", 'Unsupported value: "X"'),
        ({"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 0}}}, "spec.sessionAffinityConfig.clientIP.timeoutSeconds", "Invalid value: 0: must be greater than 0 and less than 86400"),
        ({"selector": {"a": "b c"}}, "spec.selector", 'Invalid value: "b c": a valid label must be'),
        ({"externalIPs": ["x"]}, "spec.externalIPs[0]", 'Invalid value: "x": must be a valid IP address'),
        ({"externalIPs": ["127.0.0.1"]}, "spec.externalIPs[0]", 'Invalid value: "127.0.0.1": may not be in the loopback range (127.0.0.0/8)'),
        ({"externalTrafficPolicy": "Local"}, "spec.externalTrafficPolicy", 'Invalid value: "Local": may only be set for externally-accessible services'),
        ({"internalTrafficPolicy": "X"}, "spec.internalTrafficPolicy", 'Unsupported value: "X": supported values: "Cluster", "Local"'),
        ({"ipFamilyPolicy": "RequireDualStack"}, "spec.ipFamilyPolicy", 'Invalid value: "RequireDualStack": this cluster is not configured for dual-stack services'),
        ({"ipFamilies": ["IPv6"]}, "spec.ipFamilies[0]", 'Invalid value: "IPv6": not configured on this cluster'),
        ({"trafficDistribution": "X"}, "spec.trafficDistribution", 'Unsupported value: "X": supported values: "PreferClose"'),
        ({"loadBalancerClass": "a/b"}, "spec.loadBalancerClass", "Forbidden: may only be used when `type` is 'LoadBalancer'"),
        ({"loadBalancerSourceRanges": ["10.0.0.0/8"]}, "spec.loadBalancerSourceRanges", "Forbidden: may only be used when"),
        ({"type": "LoadBalancer", "loadBalancerSourceRanges": ["x"]}, "spec.loadBalancerSourceRanges[0]", 'Invalid value: "x": must be a valid CIDR'),
        ({"type": "LoadBalancer", "clusterIP": "None"}, "spec.clusterIPs[0]", "Invalid value: \"None\": may not be set to 'None' for LoadBalancer"),
        ({"type": "NodePort", "healthCheckNodePort": 30001}, "spec.healthCheckNodePort", "Invalid value: 30001: may only be set when `type` is 'LoadBalancer' and"),
        ({"ports": [{"port": 80, "appProtocol": "a b"}]}, "spec.ports[0].appProtocol", 'Invalid value: "a b"'),
    ],
)  # fmt: skip
def test_what_is_refused(spec, field, text):
    async def main():
        with pytest.raises(Invalid) as caught:
            await a_collection().create(a_service(**spec))
        problems = caught.value.problems
        assert [problem for problem in problems if problem.field == field and problem.text.startswith(text)], problems

    run(main())


BALANCER = {"type": "LoadBalancer", "externalTrafficPolicy": "Local", "loadBalancerClass": "example.org/x"}


@pytest.mark.parametrize(
    ("before", "change", "has", "has_not"),
    [
        pytest.param(
            {}, {"type": "NodePort"}, ("nodePort", "externalTrafficPolicy", "clusterIP"), (), id="to NodePort"
        ),
        pytest.param(
            {"type": "NodePort"},
            {"type": "ClusterIP"},
            ("clusterIP",),
            ("nodePort", "externalTrafficPolicy"),
            id="back",
        ),
        pytest.param(
            {"type": "NodePort"},
            {"type": "ExternalName", "externalName": "example.org"},
            ("externalName",),
            ("nodePort", "clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy"),
            id="to a name",
        ),
        pytest.param(
            {"type": "ExternalName", "externalName": "example.org"},
            {"type": "NodePort", "externalName": None},
            ("nodePort", "clusterIP", "clusterIPs", "ipFamilies", "internalTrafficPolicy"),
            ("externalName",),
            id="from a name",
        ),
        pytest.param(
            BALANCER,
            {"type": "ClusterIP"},
            ("clusterIP",),
            ("nodePort", "healthCheckNodePort", "loadBalancerClass", "allocateLoadBalancerNodePorts"),
            id="from a balancer",
        ),
        pytest.param(
            BALANCER, {"externalTrafficPolicy": "Cluster"}, ("nodePort",), ("healthCheckNodePort",), id="policy changed"
        ),
        pytest.param(
            BALANCER, {"allocateLoadBalancerNodePorts": False}, ("nodePort",), (), id="node ports stay once they are"
        ),
        pytest.param(
            {**BALANCER, "allocateLoadBalancerNodePorts": False}, {}, ("healthCheckNodePort",), ("nodePort",), id="none"
        ),
    ],
)
def test_types_may_change(before, change, has, has_not):
    async def main():
        services = a_collection()
        await services.create(a_service(**before))
        changed = await services.change(WEB, lambda web: web.with_spec(**change))
        found = {name for name, value in changed.spec.items() if value is not None} | {*changed.spec["ports"][0]}
        assert (found & {*has}, found & {*has_not}) == ({*has}, set())
        others = await services.create(a_service("other", **before))  # what was let go of is free
        assert others.spec.get("clusterIP", "") != changed.spec.get("clusterIP")

    run(main())


def test_a_balancers_class_and_health_port_stay():
    async def main():
        services = a_collection()
        made = await services.create(a_service(**BALANCER))
        port = made.spec["healthCheckNodePort"]
        assert 30000 <= port <= 32767
        for change, said in (
            ({"loadBalancerClass": "example.org/y"}, "may not change once set"),
            ({"healthCheckNodePort": port - 1 if port > 30000 else port + 1}, "field is immutable"),
        ):
            with pytest.raises(Invalid, match=said):
                await services.change(WEB, lambda web, change=change: web.with_spec(**change))
        with pytest.raises(Invalid, match="already allocated"):
            await services.create(a_service("two", **{**BALANCER, "healthCheckNodePort": port}))

    run(main())


def test_one_port_of_two_protocols_has_one_node_port():
    async def main():
        both = [{"name": p.lower(), "port": 53, "protocol": p} for p in ("TCP", "UDP")]
        made = await a_collection().create(a_service(type="NodePort", ports=both))
        one, two = (port["nodePort"] for port in made.spec["ports"])
        assert one == two

    run(main())


def test_a_headless_service_of_nobodys_pods_may_have_both_families():
    async def main():
        made = await a_collection().create(a_service(clusterIP="None", selector={}))
        assert (made.spec["ipFamilies"], made.spec["ipFamilyPolicy"]) == (["IPv4", "IPv6"], "RequireDualStack")
        prefer = await a_collection().create(a_service(ipFamilyPolicy="PreferDualStack"))
        assert (prefer.spec["ipFamilies"], prefer.spec["ipFamilyPolicy"]) == (["IPv4"], "PreferDualStack")

    run(main())


@pytest.mark.parametrize(
    ("kind", "ingress", "said"),
    [
        ("ClusterIP", {"ip": "192.0.2.1"}, 'may only be used when `spec.type` is "LoadBalancer"'),
        ("LoadBalancer", {"ip": "x"}, "must be a valid IP address"),
        (
            "LoadBalancer",
            {"ip": "192.0.2.1", "ipMode": "X"},
            'Unsupported value: "X": supported values: "Proxy", "VIP"',
        ),
        ("LoadBalancer", {"hostname": "a.b", "ipMode": "VIP"}, "may not be specified when `ip` is not set"),
    ],
)
def test_a_balancers_addresses(kind, ingress, said):
    async def main():
        services = a_collection()
        await services.create(a_service(type=kind))
        with pytest.raises(Invalid, match=said):
            await services.change(WEB, lambda web: web.with_status(loadBalancer={"ingress": [ingress]}), part="status")

    run(main())


def test_a_balancers_address_out_of_the_range_is_its_own_until_it_is_none():
    async def main():
        services = a_collection()
        await services.create(a_service(type="LoadBalancer"))
        ingress = {"loadBalancer": {"ingress": [{"ip": "100.64.255.254", "ipMode": "VIP"}]}}
        await services.change(WEB, lambda web: web.with_status(**ingress), part="status")
        with pytest.raises(Invalid, match="already allocated"):
            await services.create(a_service("two", clusterIP="100.64.255.254"))
        plain = await services.change(WEB, lambda web: web.with_spec(type="ClusterIP"))
        assert plain.status == {"loadBalancer": {}}
        await services.create(a_service("two", clusterIP="100.64.255.254"))

    run(main())


def test_client_affinity_lasts_three_hours():
    spec = service.default(a_service(sessionAffinity="ClientIP")).spec
    assert spec["sessionAffinityConfig"] == {"clientIP": {"timeoutSeconds": 10800}}


@pytest.mark.parametrize(
    ("spec", "cells"),
    [
        ({"type": "ClusterIP", "clusterIP": "1.1.1.1", "ports": [{"port": 80, "protocol": "TCP"}]}, ["ClusterIP", "1.1.1.1", "<none>", "80/TCP"]),
        ({"type": "NodePort", "clusterIP": "1.1.1.1", "ports": [{"port": 80, "nodePort": 30805, "protocol": "TCP"}, {"port": 81, "protocol": "UDP"}]}, ["NodePort", "1.1.1.1", "<none>", "80:30805/TCP,81/UDP"]),
        ({"type": "LoadBalancer", "clusterIP": "1.1.1.1", "ports": []}, ["LoadBalancer", "1.1.1.1", "<pending>", "<none>"]),
        ({"type": "ExternalName", "externalName": "example.com", "ports": []}, ["ExternalName", "<none>", "example.com", "<none>"]),
    ],
)  # fmt: skip
def test_columns(spec, cells):
    shown = a_service(**spec)
    assert [column.cell(shown, 0) for column in service.KIND.columns[1:5]] == cells


def test_a_balancers_address_is_one_whose_packets_come_as_they_were_sent():
    async def main():
        services = a_collection()
        await services.create(a_service(type="LoadBalancer"))
        ingress = [{"ip": "192.0.2.1"}, {"ip": "192.0.2.2", "ipMode": "Proxy"}, {"hostname": "a.example"}]
        told = await services.change(WEB, lambda web: web.with_status(loadBalancer={"ingress": ingress}), part="status")
        return [one.get("ipMode") for one in told.status["loadBalancer"]["ingress"]]

    assert run(main()) == ["VIP", "Proxy", None]
