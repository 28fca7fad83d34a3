"""Ingress, IngressClass, NetworkPolicy, IPAddress, ServiceCIDR: defaults, rules, columns."""

import pytest

from coracle.core.clock import LoopClock
from coracle.core.collection import Collection
from coracle.core.errors import Forbidden, Invalid
from coracle.core.object import Key, Meta, Object
from coracle.core.store import MemoryStore
from coracle.kube.kinds import ingress, ingressclass, ipaddress, networkpolicy, servicecidr
from coracle.kube.kinds.warnings import warnings
from coracle.testing.autojump import run

API = "networking.k8s.io/v1"
BACKEND = {"service": {"name": "web", "port": {"number": 80}}}
SERVICE = "spec.rules[0].http.paths[0].backend"


def an(kind, name="one", annotations=None, **spec):
    meta = Meta(name=name, namespace="default" if kind.namespaced else "", annotations=annotations or {})
    return Object(kind.name, meta, {"spec": spec}, API)


def an_ingress(path="/", sort="Prefix", host="", backend=BACKEND):
    rule = {"http": {"paths": [{"path": path, "pathType": sort, "backend": backend}]}}
    return an(ingress.KIND, rules=[{**({"host": host} if host else {}), **rule}])


def said(kind, obj):
    return [f"{problem.field}: {problem.text}" for problem in kind.validate(kind.default(obj))]


NOT_ADDRESS = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"


@pytest.mark.parametrize(
    ("kind", "obj", "problem"),
    [
        (ingress.KIND, an(ingress.KIND), "spec: Invalid value: []: either `defaultBackend` or `rules` must be specified"),
        (ingress.KIND, an_ingress(host="1.2.3.4"), 'spec.rules[0].host: Invalid value: "1.2.3.4": must be a DNS name, not an IP address'),
        (ingress.KIND, an_ingress(host="*.*.a"), "a wildcard DNS-1123 subdomain must start with '*.'"),
        (ingress.KIND, an_ingress("x"), 'paths[0].path: Invalid value: "x": must be an absolute path'),
        (ingress.KIND, an_ingress("/a//b"), "must not contain '//'"),
        (ingress.KIND, an_ingress("/a/.."), "cannot end with '/..'"),
        (ingress.KIND, an_ingress(sort="Regex"), 'pathType: Unsupported value: "Regex": supported values: "Exact", "ImplementationSpecific", "Prefix"'),
        (ingress.KIND, an_ingress(backend={}), f'{SERVICE}: Invalid value: "": resource or service backend is required'),
        (ingress.KIND, an_ingress(backend={"service": {"name": "web"}}), f"{SERVICE}: Required value: port name or number is required"),
        (ingress.KIND, an_ingress(backend={"service": {"name": "web", "port": {"name": "a", "number": 1}}}), "cannot set both port name & port number"),
        (ingress.KIND, an_ingress(backend={**BACKEND, "resource": {"kind": "X", "name": "y"}}), "cannot set both resource and service backends"),
        (ingressclass.KIND, an(ingressclass.KIND), "spec.controller: Required value"),
        (ingressclass.KIND, an(ingressclass.KIND, controller="nginx"), 'must be a domain-prefixed path (such as "acme.io/foo")'),
        (ingressclass.KIND, an(ingressclass.KIND, controller="a.b/c", parameters={"kind": "K", "name": "n", "scope": "Namespace"}), "spec.parameters.namespace: Required value: `parameters.scope` is set to 'Namespace'"),
        (ingressclass.KIND, an(ingressclass.KIND, controller="a.b/c", parameters={"kind": "K", "name": "n", "namespace": "x"}), "spec.parameters.namespace: Forbidden: `parameters.scope` is set to 'Cluster'"),
        (networkpolicy.KIND, an(networkpolicy.KIND, ingress=[{"from": [{}]}]), "spec.ingress[0].from[0]: Required value: must specify a peer"),
        (networkpolicy.KIND, an(networkpolicy.KIND, egress=[{"to": [{"podSelector": {}, "ipBlock": {"cidr": "10.0.0.0/8"}}]}]), "spec.egress[0].to[0]: Forbidden: may not specify both ipBlock and another peer"),
        (networkpolicy.KIND, an(networkpolicy.KIND, egress=[{"to": [{"ipBlock": {"cidr": "10.0.0.1"}}]}]), NOT_ADDRESS),
        (networkpolicy.KIND, an(networkpolicy.KIND, egress=[{"to": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["11.0.0.0/16"]}}]}]), "spec.egress[0].to[0].ipBlock.except[0]: Invalid value: \"11.0.0.0/16\": must be a strict subset of `cidr`"),
        (networkpolicy.KIND, an(networkpolicy.KIND, ingress=[{"ports": [{"port": 80, "endPort": 79}]}]), "must be greater than or equal to `port`"),
        (networkpolicy.KIND, an(networkpolicy.KIND, ingress=[{"ports": [{"port": "web", "endPort": 79}]}]), "may not be specified when `port` is non-numeric"),
        (networkpolicy.KIND, an(networkpolicy.KIND, ingress=[{"ports": [{"endPort": 79}]}]), "may not be specified when `port` is not specified"),
        (networkpolicy.KIND, an(networkpolicy.KIND, policyTypes=["Both"]), 'spec.policyTypes[0]: Unsupported value: "Both": supported values: "Egress", "Ingress"'),
        (ipaddress.KIND, an(ipaddress.KIND, "10.0.0.1"), "spec.parentRef: Required value"),
        (servicecidr.KIND, an(servicecidr.KIND), "spec.cidrs: Required value: at least one CIDR required"),
        (servicecidr.KIND, an(servicecidr.KIND, cidrs=["10.0.0.1/8"]), 'must be in canonical form ("10.0.0.0/8")'),
        (servicecidr.KIND, an(servicecidr.KIND, cidrs=["10.0.0.0/8", "11.0.0.0/8"]), "may specify no more than one IP for each IP family"),
    ],
)  # fmt: skip
def test_what_breaks_a_rule_is_told_with_its_field(kind, obj, problem):
    assert any(problem in one for one in said(kind, obj)), said(kind, obj)


@pytest.mark.parametrize(
    ("kind", "obj"),
    [
        (ingress.KIND, an_ingress(host="*.example.com")),
        (ingress.KIND, an_ingress("", "ImplementationSpecific")),
        (
            ingress.KIND,
            an(ingress.KIND, defaultBackend={"resource": {"kind": "Bucket", "name": "b", "apiGroup": "a.b"}}),
        ),
        (ingressclass.KIND, an(ingressclass.KIND, controller="k8s.io/ingress-nginx")),
        (networkpolicy.KIND, an(networkpolicy.KIND, ingress=[{}], egress=[{"to": [{"namespaceSelector": {}}]}])),
        (servicecidr.KIND, an(servicecidr.KIND, cidrs=["10.0.0.0/8", "2001:db8::/64"])),
    ],
)
def test_what_keeps_the_rules_is_taken(kind, obj):
    assert said(kind, obj) == []


@pytest.mark.parametrize(
    ("spec", "types"),
    [
        ({}, ["Ingress"]),
        ({"egress": [{}]}, ["Ingress", "Egress"]),
        ({"egress": [{}], "policyTypes": ["Egress"]}, ["Egress"]),
    ],
)
def test_a_policy_without_types_is_about_what_it_has_rules_for(spec, types):
    assert networkpolicy.default(an(networkpolicy.KIND, **spec)).spec["policyTypes"] == types


@pytest.mark.parametrize(
    ("defaults", "annotations", "name", "given"),
    [
        (("a",), {}, None, "a"),
        (("a",), {"kubernetes.io/ingress.class": "x"}, None, None),
        (("a", "b"), {}, "c", "c"),
        ((), {}, None, None),
        (("a", "b"), {}, None, Forbidden),
    ],
    ids=["the default", "one by annotation", "one by name", "none", "two defaults"],
)
def test_an_ingress_without_a_class_has_the_default_one(defaults, annotations, name, given):
    async def main():
        store, clock = MemoryStore(), LoopClock()
        classes, ingresses = (Collection(kind, store, clock) for kind in (ingressclass.KIND, ingress.KIND))
        for one in defaults:
            await classes.create(an(ingressclass.KIND, one, {ingressclass.DEFAULT: "true"}, controller="a.b/c"))
        asked = an(ingress.KIND, "web", annotations, defaultBackend=BACKEND, ingressClassName=name)
        if given is Forbidden:
            with pytest.raises(Forbidden, match="2 default IngressClasses were found, only 1 allowed"):
                await ingresses.create(asked)
        else:
            assert (await ingresses.create(asked)).spec.get("ingressClassName") == given

    run(main())


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("10.0.0.1", ""),
        ("fe80::42:1dff:fe84:f9e2", ""),
        ("10.0.0", "must be a valid IP address"),
        ("2001:DB8::1", 'must be in canonical form ("2001:db8::1")'),
    ],
)
def test_an_address_is_named_after_itself(name, fault):
    async def main():
        addresses = Collection(ipaddress.KIND, MemoryStore(), LoopClock())
        asked = an(ipaddress.KIND, name, parentRef={"resource": "services", "namespace": "default", "name": "web"})
        if fault:
            with pytest.raises(Invalid) as caught:
                await addresses.create(asked)
            assert fault in str(caught.value)
            return
        await addresses.create(asked)
        with pytest.raises(Invalid, match="field is immutable"):
            await addresses.change(Key("", name), lambda old: old.with_spec(parentRef={"resource": "x", "name": "y"}))

    run(main())


HEADLESS = {"clusterIP": "None", "type": "ClusterIP", "sessionAffinity": "None"}


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"type": "ClusterIP", "sessionAffinity": "None"}, []),
        ({**HEADLESS, "sessionAffinity": "ClientIP"}, ["spec.SessionAffinity is ignored for headless services"]),
        ({**HEADLESS, "externalIPs": ["192.0.2.1"]}, ["spec.externalIPs is ignored for headless services"]),
        ({"type": "ClusterIP", "externalName": "x"}, ['spec.externalName is ignored when spec.type is not "ExternalName"']),
        ({"trafficDistribution": "PreferClose"}, ['spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"']),
        ({"externalIPs": ["2001:DB8::1"]}, ['spec.externalIPs[0]: IPv6 address "2001:DB8::1" is not in RFC 5952 canonical format ("2001:db8::1"), which may cause controller apply-loops']),
    ],
)  # fmt: skip
def test_what_is_hardly_meant_is_warned_of(spec, said):
    assert warnings(Object("Service", Meta(name="web"), {"spec": spec})) == said


def test_a_class_by_annotation_is_old_and_may_not_contradict():
    async def main():
        ingresses = Collection(ingress.KIND, MemoryStore(), LoopClock())
        old = {"kubernetes.io/ingress.class": "nginx"}
        made = await ingresses.create(an(ingress.KIND, "web", old, defaultBackend=BACKEND, ingressClassName="nginx"))
        with pytest.raises(Invalid, match="must match `ingressClassName` when both are specified"):
            await ingresses.create(an(ingress.KIND, "two", old, defaultBackend=BACKEND, ingressClassName="other"))
        return warnings(made)

    assert run(main()) == [
        "annotation \"kubernetes.io/ingress.class\" is deprecated, please use 'spec.ingressClassName' instead"
    ]


def test_columns_are_printed_as_kubectl_does():
    def cells(kind, obj):
        return [column.cell(obj, 0.0) for column in kind.columns[:-1]]

    many = an(ingress.KIND, rules=[{"host": f"h{index}"} for index in range(5)], tls=[{}], ingressClassName="nginx")
    many = many.with_body(status={"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}, {"hostname": "a.b"}]}})
    assert cells(ingress.KIND, many) == ["one", "nginx", "h0,h1,h2 + 2 more...", "192.0.2.1,a.b", "80, 443"]
    assert cells(ingress.KIND, an_ingress()) == ["one", "<none>", "*", "", "80"]
    parameters = {"apiGroup": "a.b", "kind": "K", "name": "n"}
    assert cells(ingressclass.KIND, an(ingressclass.KIND, controller="x/y", parameters=parameters))[2] == "K.a.b/n"
    policy = an(networkpolicy.KIND, podSelector={"matchLabels": {"app": "web"}})
    assert cells(networkpolicy.KIND, policy) == ["one", "app=web"]
    address = an(ipaddress.KIND, "10.0.0.1", parentRef={"resource": "services", "namespace": "x", "name": "web"})
    assert cells(ipaddress.KIND, address) == ["10.0.0.1", "services/x/web"]
