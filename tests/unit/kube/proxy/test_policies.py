"""NetworkPolicies: whom they isolate, and what is allowed all the same."""

import pytest

from coracle.core.object import Key, Meta, Object
from coracle.kube.kinds import networkpolicy
from coracle.kube.proxy.policies import Plugged, Policies, isolations, plugged
from coracle.net.policing import Allowance, Isolation, Span
from coracle.testing.autojump import run
from coracle.testing.kube import Stage, a_pod, place

ROOMS = {"shop": {"team": "a"}, "other": {"team": "b"}}


def a_plug(number, namespace="shop", **labels):
    ports = {("TCP", "http"): 8000 + number}
    return Plugged(namespace, labels, f"10.32.0.{number}", ports)


WEB, DB, FAR = a_plug(1, app="web"), a_plug(2, app="db"), a_plug(3, "other", app="web")
PODS = [WEB, DB, FAR]


def a_policy(selector=None, name="one", namespace="shop", **spec):
    body = {"spec": {"podSelector": selector or {}, **spec}}
    return networkpolicy.default(Object("NetworkPolicy", Meta(name=name, namespace=namespace), body, networkpolicy.API))


def nets(*numbers):
    return tuple(f"10.32.0.{number}" for number in numbers)


def of(*pods):
    return {"podSelector": {"matchLabels": {"app": pods[0]}}} if pods else {}


def told(*policies):
    return {int(one.address.rpartition(".")[2]): (one.ingress, one.egress) for one in isolations(policies, PODS, ROOMS)}


ONLY_WEB = {"matchLabels": {"app": "web"}}
EVERYBODY = Allowance()
TCP_80 = (Span("TCP", 80, 80),)


@pytest.mark.parametrize(
    ("policies", "expected"),
    [
        pytest.param([], {}, id="no policy"),
        pytest.param([a_policy()], {1: ((), None), 2: ((), None)}, id="nothing may come into a namespace"),
        pytest.param([a_policy(policyTypes=["Egress"])], {1: (None, ()), 2: (None, ())}, id="nothing may go out"),
        pytest.param([a_policy(ONLY_WEB, ingress=[{}])], {1: ((EVERYBODY,), None)}, id="everything may come"),
        pytest.param(
            [a_policy(ONLY_WEB, ingress=[{"from": [of("db")]}])], {1: ((Allowance(nets(2)),), None)}, id="from pods"
        ),
        pytest.param(
            [a_policy(ONLY_WEB, ingress=[{"from": [of("nobody")]}])], {1: ((), None)}, id="from pods there are none of"
        ),
        pytest.param(
            [a_policy(ONLY_WEB, ingress=[{"from": [{"namespaceSelector": {"matchLabels": {"team": "b"}}}]}])],
            {1: ((Allowance(nets(3)),), None)},
            id="from a namespace",
        ),
        pytest.param(
            [a_policy(ONLY_WEB, ingress=[{"from": [{"namespaceSelector": {}, **of("web")}]}])],
            {1: ((Allowance(nets(1, 3)),), None)},
            id="from pods of every namespace",
        ),
        pytest.param(
            [a_policy(ONLY_WEB, ingress=[{"from": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}}]}])],
            {1: ((Allowance(("10.0.0.0/8",), ("10.1.0.0/16",)),), None)},
            id="from addresses",
        ),
        pytest.param(
            [a_policy(ONLY_WEB, ingress=[{"from": [{"ipBlock": {"cidr": "2001:db8::/32"}}]}])],
            {1: ((Allowance(()),), None)},
            id="from addresses of the other family",
        ),
        pytest.param(
            [a_policy(ONLY_WEB, ingress=[{"ports": [{"port": 80}, {"protocol": "UDP"}]}])],
            {1: ((Allowance(None, (), (*TCP_80, Span("UDP"))),), None)},
            id="at ports",
        ),
        pytest.param(
            [a_policy(ingress=[{"ports": [{"port": "http"}]}])],
            {
                1: ((Allowance(None, (), (Span("TCP", 8001, 8001),)),), None),
                2: ((Allowance(None, (), (Span("TCP", 8002, 8002),)),), None),
            },
            id="at each pod's own port of that name",
        ),
        pytest.param([a_policy(ONLY_WEB, ingress=[{"ports": [{"port": "no"}]}])], {1: ((), None)}, id="at no port"),
        pytest.param(
            [a_policy(ONLY_WEB, policyTypes=["Egress"], egress=[{"to": [of("db")], "ports": [{"port": "http"}]}])],
            {1: (None, (Allowance(nets(2), (), (Span("TCP", 8002, 8002),)),))},
            id="to each peer's own port of that name",
        ),
        pytest.param(
            [a_policy(ONLY_WEB, policyTypes=["Egress"], egress=[{"ports": [{"port": 90, "endPort": 99}]}])],
            {1: (None, (Allowance(None, (), (Span("TCP", 90, 99),)),))},
            id="to a range of ports",
        ),
        pytest.param(
            [a_policy(), a_policy(ONLY_WEB, "two", ingress=[{"from": [of("db")]}]), a_policy(ONLY_WEB, "three", ingress=[{}])],
            {1: ((Allowance(nets(2)), EVERYBODY), None), 2: ((), None)},
            id="what several allow adds up",
        ),
    ],
)  # fmt: skip
def test_who_is_isolated(policies, expected):
    assert told(*policies) == expected


@pytest.mark.parametrize(
    ("status", "spec", "there"),
    [
        ({"podIP": "10.32.0.9", "phase": "Running"}, {}, True),
        ({}, {}, False),
        ({"podIP": "10.32.0.9", "phase": "Succeeded"}, {}, False),
        ({"podIP": "192.0.2.1", "phase": "Running"}, {"hostNetwork": True}, False),
    ],
)
def test_who_has_an_address_of_its_own(status, spec, there):
    assert (plugged(a_pod("web", **spec).with_body(status=status)) is not None) == there


class FakePolicing:
    def __init__(self):
        self.told = []

    async def isolate(self, isolations):
        self.told.append(list(isolations))


def test_the_kernel_is_told_what_changes_and_nothing_else():
    async def main():
        stage, net = Stage(), FakePolicing()
        stage.run(Policies(stage.caches, net))
        await stage.rooms()
        await stage["Pod"].create(a_pod("web"))
        await place(stage, Key("default", "web"), ip="10.32.0.1")
        await stage.settle(1)
        assert net.told == [[]]  # once: what a former daemon left
        policy = a_policy(namespace="default")
        await stage["NetworkPolicy"].create(policy)
        await stage.settle(1)
        isolated = [Isolation("10.32.0.1", ())]
        assert net.told[1:] == [isolated]
        change = stage["Pod"].change
        await change(Key("default", "web"), lambda pod: pod.with_meta(annotations={"a": "b"}))
        await stage.settle(1)
        assert net.told[1:] == [isolated]
        await stage["Pod"].create(a_pod("two"))
        await place(stage, Key("default", "two"), ip="10.32.0.2")
        await stage.settle(1)
        assert [len(one) for one in net.told] == [0, 1, 2]
        await stage["NetworkPolicy"].delete(policy.key)
        await stage.settle(1)
        assert net.told[-1] == []

    run(main())
