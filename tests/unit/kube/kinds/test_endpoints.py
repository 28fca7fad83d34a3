"""Endpoints and EndpointSlices: what they may say."""

import pytest

from coracle.core.object import Meta, Object
from coracle.kube.kinds import endpoints, endpointslice

META = Meta(name="web", namespace="default")


def problems(kind, body, api="v1"):
    found = kind.validate(kind.default(Object(kind.name, META, body, api)))
    return {problem.field: problem.text for problem in found}


@pytest.mark.parametrize(
    ("subset", "field", "said"),
    [
        ({}, "subsets[0]", "Required value: must specify `addresses` or `notReadyAddresses`"),
        ({"addresses": [{"ip": "x"}]}, "subsets[0].addresses[0].ip", "must be a valid IP address"),
        ({"addresses": [{"ip": "127.0.0.1"}]}, "subsets[0].addresses[0].ip", "may not be in the loopback range (127.0.0.0/8)"),
        ({"notReadyAddresses": [{"ip": "224.0.0.1"}]}, "subsets[0].notReadyAddresses[0].ip", "multicast range (224.0.0.0/4)"),
        ({"addresses": [{"ip": "0.0.0.0"}]}, "subsets[0].addresses[0].ip", "may not be unspecified (0.0.0.0)"),
        ({"addresses": [{"ip": "169.254.1.1"}]}, "subsets[0].addresses[0].ip", "link-local range (169.254.0.0/16)"),
        ({"addresses": [{"ip": "10.0.0.1", "hostname": "A"}]}, "subsets[0].addresses[0].hostname", "a lowercase RFC 1123 label"),
        ({"addresses": [{"ip": "10.0.0.1"}], "ports": [{"port": 0}]}, "subsets[0].ports[0].port", "between 1 and 65535"),
        ({"addresses": [{"ip": "10.0.0.1"}], "ports": [{"port": 1}, {"port": 2}]}, "subsets[0].ports[1].name", "Required value"),
        ({"addresses": [{"ip": "10.0.0.1"}], "ports": [{"port": 1, "protocol": "X"}]}, "subsets[0].ports[0].protocol", "Unsupported"),
    ],
)  # fmt: skip
def test_what_endpoints_may_not_say(subset, field, said):
    assert said in problems(endpoints.KIND, {"subsets": [subset]})[field]


ONE = {"addresses": ["10.0.0.1"]}


@pytest.mark.parametrize(
    ("body", "field", "said"),
    [
        ({"addressType": "X"}, "addressType", 'Unsupported value: "X": supported values: "FQDN", "IPv4", "IPv6"'),
        ({"endpoints": [{"addresses": []}]}, "endpoints[0].addresses", "Required value: must contain at least 1 item"),
        ({"endpoints": [{"addresses": ["fd00::1"]}]}, "endpoints[0].addresses[0]", "must be an IPv4 address"),
        ({"addressType": "IPv6", "endpoints": [ONE]}, "endpoints[0].addresses[0]", "must be an IPv6 address"),
        ({"addressType": "FQDN", "endpoints": [{"addresses": ["a_b"]}]}, "endpoints[0].addresses[0]", "RFC 1123 subdomain"),
        ({"endpoints": [{"addresses": ["127.0.0.1"]}]}, "endpoints[0].addresses[0]", "loopback range"),
        ({"endpoints": [{**ONE, "hostname": "A"}]}, "endpoints[0].hostname", "a lowercase RFC 1123 label"),
        ({"endpoints": [ONE] * 1001}, "endpoints", "Too many: 1001: must have at most 1000 items"),
        ({"endpoints": [{"addresses": ["10.0.0.1"] * 101}]}, "endpoints[0].addresses", "must have at most 100 items"),
        ({"ports": [{"port": 1}, {"port": 2}]}, "ports[1].name", 'Duplicate value: ""'),
        ({"ports": [{"name": "a", "port": 70000}]}, "ports[0].port", "between 1 and 65535"),
    ],
)  # fmt: skip
def test_what_slices_may_not_say(body, field, said):
    assert said in problems(endpointslice.KIND, {"addressType": "IPv4", **body}, endpointslice.API)[field]


def test_what_is_fine():
    assert problems(endpoints.KIND, {"subsets": [{"addresses": [{"ip": "10.0.0.1"}], "ports": [{"port": 80}]}]}) == {}
    named = {"addressType": "FQDN", "endpoints": [{"addresses": ["db.example.org"]}], "ports": [{"port": 80}]}
    assert problems(endpointslice.KIND, named, endpointslice.API) == {}
