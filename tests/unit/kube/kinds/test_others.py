"""The smaller kinds, and what holds for all of them."""

from __future__ import annotations

import importlib

import pytest

from coracle.core.errors import Forbidden, Invalid, NotFound
from coracle.core.object import Key, Meta, Object
from coracle.kube.kinds import configmap, endpoints, endpointslice, event, node, replicationcontroller, secret
from coracle.kube.kinds.catalogue import kinds
from coracle.kube.kinds.guards import RESERVED
from coracle.testing.autojump import run
from coracle.testing.kube import Stage, a_node, a_pod, an_rc

NOW_S = 1_700_000_000.0


@pytest.mark.parametrize("kind", [kind for kind in kinds() if kind.loop], ids=lambda kind: kind.name)
def test_the_loop_that_a_kind_names_is_there(kind):
    module, _, name = kind.loop.partition(":")
    assert hasattr(importlib.import_module(module), name)


def test_names_are_said_once():
    served = kinds()
    assert len({kind.type for kind in served}) == len(served)
    shorts = [name for kind in served for name in (kind.plural, kind.singular, *kind.short) if name]
    assert len(set(shorts)) >= len(shorts) - 1  # endpoints is its own plural


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.name)
def test_filling_in_twice_is_filling_in_once_and_nearly_nothing_can_be_shown(kind):
    bare = kind.default(Object(kind.name, Meta(name="x", namespace="y"), {}, kind.api))
    assert kind.default(bare) == bare
    cells = [column.cell(bare, NOW_S) for column in kind.columns]
    assert cells[-1] is not None


# -- ReplicationController ---------------------------------------------------------------------------------------------


def test_a_controller_takes_its_templates_labels():
    rc = replicationcontroller.default(
        Object("ReplicationController", Meta(name="x"), {"spec": {"template": {"metadata": {"labels": {"a": "b"}}}}})
    )
    assert (rc.spec["replicas"], rc.spec["selector"], rc.meta.labels) == (1, {"a": "b"}, {"a": "b"})
    assert replicationcontroller.default(an_rc(0)).spec["replicas"] == 0


CONTAINERS = {"containers": [{"name": "a", "image": "b"}]}


@pytest.mark.parametrize(
    ("spec", "field", "text"),
    [
        ({"replicas": -1}, "spec.replicas", "Invalid value: -1: must be greater than or equal to 0"),
        ({"minReadySeconds": -1}, "spec.minReadySeconds", "Invalid value: -1: must be greater than or equal to 0"),
        ({"selector": {"app": "db"}}, "spec.template.metadata.labels", 'Invalid value: {"app":"web"}: `selector` does not match template `labels`'),
        ({"template": None}, "spec.template", "Required value"),
        ({"template": {"spec": CONTAINERS}}, "spec.selector", "Required value"),
        ({"template": {"metadata": {"labels": {"app": "web"}}, "spec": {}}}, "spec.template.spec.containers", "Required value"),
        ({"template": {"metadata": {"labels": {"app": "web"}}, "spec": {**CONTAINERS, "restartPolicy": "Never"}}}, "spec.template.spec.restartPolicy", 'Unsupported value: "Never": supported values: "Always"'),
    ],
)  # fmt: skip
def test_what_a_controller_may_not_say(spec, field, text):
    problems = replicationcontroller.validate(replicationcontroller.default(an_rc(**{"replicas": 1, **spec})))
    assert (field, text) in [(problem.field, problem.text) for problem in problems]


def test_a_controllers_columns():
    rc = replicationcontroller.default(an_rc(4)).with_body(status={"replicas": 4, "readyReplicas": 2})
    cells = [column.cell(rc, NOW_S) for column in replicationcontroller.KIND.columns]
    assert cells == ["web", 4, 4, 2, "<unknown>", "www", "nginx", "app=web"]


# -- Node --------------------------------------------------------------------------------------------------------------


def test_a_nodes_columns():
    status = {
        "conditions": [{"type": "Ready", "status": "False"}],
        "addresses": [{"type": "InternalIP", "address": "10.0.0.1"}],
        "nodeInfo": {"kubeletVersion": "v1.36.0", "osImage": "Debian"},
    }
    shown = a_node(labels={"node-role.kubernetes.io/control-plane": ""}, unschedulable=True).with_body(status=status)
    cells = [column.cell(shown, NOW_S) for column in node.KIND.columns]
    assert cells[:3] == ["n1", "NotReady,SchedulingDisabled", "control-plane"]
    assert cells[4:] == ["v1.36.0", "10.0.0.1", "<none>", "Debian", "<unknown>", "<unknown>"]


# -- namespaces and guards ---------------------------------------------------------------------------------------------


def test_things_are_made_in_namespaces_that_exist():
    async def main():
        stage = Stage()
        with pytest.raises(NotFound, match='namespaces "default" not found'):
            await stage["Pod"].create(a_pod("one"))
        await stage["Node"].create(a_node())

    run(main())


@pytest.mark.parametrize("name", RESERVED)
def test_the_clusters_own_namespaces_stay(name):
    async def main():
        stage = Stage()
        await stage["Namespace"].create(Object("Namespace", Meta(name=name)))
        with pytest.raises(Forbidden, match="this namespace may not be deleted"):
            await stage["Namespace"].delete(Key("", name))

    run(main())


def test_a_namespace_is_held_and_labelled():
    async def main():
        stage = Stage()
        room = await stage["Namespace"].create(Object("Namespace", Meta(name="shop")))
        assert room.meta.labels == {"kubernetes.io/metadata.name": "shop"}
        assert room.body == {"spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}}
        with pytest.raises(Invalid, match="lowercase RFC 1123 label"):
            await stage["Namespace"].create(Object("Namespace", Meta(name="a.b")))
        going = await stage["Namespace"].delete(Key("", "shop"))
        assert [column.cell(going, NOW_S) for column in stage["Namespace"].kind.columns[:2]] == ["shop", "Terminating"]

    run(main())


# -- the rest ----------------------------------------------------------------------------------------------------------


def test_endpoints_are_shown_three_at_most():
    addresses = [{"ip": f"10.32.0.{number}"} for number in range(11, 16)]
    shown = Object("Endpoints", Meta(name="web"), {"subsets": [{"addresses": addresses, "ports": [{"port": 80}]}]})
    assert endpoints.KIND.columns[1].cell(shown, 0) == "10.32.0.11:80,10.32.0.12:80,10.32.0.13:80 + 2 more..."


def test_slices_are_shown():
    body = {"addressType": "IPv4", "endpoints": [{"addresses": ["10.0.0.1"]}], "ports": [{"port": 80}, {}]}
    shown = Object("EndpointSlice", Meta(name="web-x"), body, endpointslice.API)
    assert [column.cell(shown, 0) for column in endpointslice.KIND.columns[:4]] == ["web-x", "IPv4", "80,*", "10.0.0.1"]
    empty = Object("EndpointSlice", Meta(name="web-x"), {"addressType": "IPv4"}, endpointslice.API)
    assert endpointslice.KIND.columns[3].cell(empty, 0) == "<unset>"


def test_events_are_shown_and_selected():
    body = {
        "involvedObject": {"kind": "Pod", "name": "web", "namespace": "default", "uid": "u1"},
        "type": "Warning", "reason": "BackOff", "message": "no\n", "count": 3, "source": {"component": "kubelet", "host": "n1"},
        "firstTimestamp": "2023-11-14T22:12:20Z", "lastTimestamp": "2023-11-14T22:13:15Z",
    }  # fmt: skip
    shown = Object("Event", Meta(name="web.1", namespace="default"), body)
    cells = {column.name: column.cell(shown, NOW_S) for column in event.KIND.columns}
    assert cells == {
        "Last Seen": "5s", "Type": "Warning", "Reason": "BackOff", "Object": "pod/web", "Subobject": "",
        "Source": "kubelet, n1", "Message": "no", "First Seen": "60s", "Count": 3, "Name": "web.1",
    }  # fmt: skip
    assert event.KIND.fields["involvedObject.uid"](shown) == "u1"
    assert event.KIND.fields["source"](shown) == "kubelet"
    assert event.validate(shown) == []
    assert event.validate(shown.with_meta(namespace="shop"))[0].field == "involvedObject.namespace"


def test_secrets_fold_their_plain_text():
    made = secret.default(Object("Secret", Meta(name="x"), {"stringData": {"a": "b"}, "data": {"c": "ZA=="}}))
    assert made.body == {"type": "Opaque", "data": {"c": "ZA==", "a": "Yg=="}}
    assert secret.validate(made) == []
    wrong = Object("Secret", Meta(name="x"), {"type": "kubernetes.io/tls", "data": {"a b": "Yg=="}})
    assert [problem.field for problem in secret.validate(wrong)] == ["data[a b]", "data[tls.crt]", "data[tls.key]"]


def test_immutable_config_stays():
    old = Object("ConfigMap", Meta(name="x"), {"immutable": True, "data": {"a": "1"}})
    new = old.with_body(data={"a": "2"})
    assert [problem.text for problem in configmap.validate_change(new, old, "main")] == [
        "Forbidden: field is immutable when `immutable` is set"
    ]
    assert configmap.validate_change(old, old, "main") == []
    assert configmap.validate_change(new, old.with_body(immutable=False), "main") == []
