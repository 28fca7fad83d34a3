import asyncio
import base64

import pytest

from coracle.core.object import Key, Meta, Object
from coracle.core.store import MemoryStore, Put
from coracle.kube.kubelet.environment import ConfigError, Surroundings, environment, expand, service_variables
from suites.attempts import a_pod

CONFIG = Object("ConfigMap", Meta(name="settings", namespace="default"), {"data": {"mode": "fast", "LEVEL": "3"}})
SECRET = Object("Secret", Meta(name="keys", namespace="default"), {"data": {"key": base64.b64encode(b"s3").decode()}})


def a_service(name="web-1", namespace="default", ip="100.64.0.9", **more):
    spec = {"clusterIP": ip, "ports": [{"name": "http", "port": 80, "protocol": "TCP"}], **more}
    return Object("Service", Meta(name=name, namespace=namespace), {"spec": spec})


def around(*objects):
    store = MemoryStore()
    for obj in objects:
        asyncio.run(store.commit(Put(obj)))
    return Surroundings(store, "node", "192.0.2.2", "10.32.0.5", {"cpu": "4", "memory": "8Gi"})


def of(*variables, objects=(), env_from=(), pod=None, **more):
    container = {"name": "web", "env": list(variables), "envFrom": list(env_from), **more}
    pod = pod or a_pod(enableServiceLinks=False, meta={"labels": {"app": "x"}, "annotations": {"a/b": "c"}})
    return environment(pod, container, around(*objects))


def ref(kind, **more):
    return {"name": "V", "valueFrom": {kind: more}}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$(A)-$(B)", "1-2"),
        ("$(C)", "$(C)"),
        ("$$(A)", "$(A)"),
        ("$$$(A)", "$1"),
        ("$A ${A}", "$A ${A}"),
        ("$(A", "$(A"),
        ("", ""),
    ],
)
def test_expand(text, expected):
    assert expand(text, {"A": "1", "B": "2"}) == expected


def test_variables_may_refer_to_those_before_them():
    found = of({"name": "A", "value": "1"}, {"name": "B", "value": "$(A)2"}, {"name": "C", "value": "$(D)"})
    assert found == {"A": "1", "B": "12", "C": "$(D)"}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("metadata.name", "p"),
        ("metadata.namespace", "default"),
        ("metadata.uid", "u"),
        ("metadata.labels['app']", "x"),
        ("metadata.annotations['a/b']", "c"),
        ("spec.nodeName", "node"),
        ("status.podIP", "10.32.0.5"),
        ("status.hostIP", "192.0.2.2"),
    ],
)
def test_fields_of_the_pod(path, expected):
    assert of(ref("fieldRef", fieldPath=path)) == {"V": expected}


@pytest.mark.parametrize(
    ("asked", "divisor", "expected"),
    [
        ("limits.cpu", "1m", "500"),
        ("limits.cpu", None, "1"),
        ("limits.memory", "1Mi", "64"),
        ("requests.cpu", "1m", "250"),
        ("limits.ephemeral-storage", None, "0"),
    ],
)
def test_resources_of_the_container(asked, divisor, expected):
    pod = a_pod(enableServiceLinks=False)
    amounts = {"limits": {"cpu": "500m", "memory": "64Mi"}, "requests": {"cpu": "250m"}}
    pod.spec["containers"][0]["resources"] = amounts
    wanted = ref("resourceFieldRef", resource=asked, **({"divisor": divisor} if divisor else {}))
    assert of(wanted, pod=pod, resources=amounts) == {"V": expected}


def test_without_a_limit_the_node_is_the_limit():
    assert of(ref("resourceFieldRef", resource="limits.cpu")) == {"V": "4"}


@pytest.mark.parametrize(
    ("variable", "expected"),
    [
        (ref("configMapKeyRef", name="settings", key="mode"), {"V": "fast"}),
        (ref("secretKeyRef", name="keys", key="key"), {"V": "s3"}),
        (ref("configMapKeyRef", name="settings", key="none", optional=True), {}),
        (ref("secretKeyRef", name="none", key="key", optional=True), {}),
    ],
)
def test_configuration(variable, expected):
    assert of(variable, objects=(CONFIG, SECRET)) == expected


@pytest.mark.parametrize(
    ("variable", "said"),
    [
        (ref("configMapKeyRef", name="none", key="a"), 'configmap "none" not found'),
        (ref("secretKeyRef", name="none", key="a"), 'secret "none" not found'),
        (ref("configMapKeyRef", name="settings", key="a"), "couldn't find key a in ConfigMap default/settings"),
        (ref("fieldRef", fieldPath="spec.what"), "unsupported fieldPath: spec.what"),
    ],
)
def test_missing_configuration_is_named(variable, said):
    with pytest.raises(ConfigError, match=said):
        of(variable, objects=(CONFIG,))


def test_whole_maps_come_first_and_with_a_prefix():
    sources = [{"configMapRef": {"name": "settings"}, "prefix": "C_"}, {"secretRef": {"name": "n", "optional": True}}]
    found = of({"name": "C_mode", "value": "slow"}, env_from=sources, objects=(CONFIG,))
    assert found == {"C_mode": "slow", "C_LEVEL": "3"}


def test_services_are_variables():
    assert service_variables([a_service(), a_service("none", ip="None")]) == {
        "WEB_1_SERVICE_HOST": "100.64.0.9",
        "WEB_1_SERVICE_PORT": "80",
        "WEB_1_SERVICE_PORT_HTTP": "80",
        "WEB_1_PORT": "tcp://100.64.0.9:80",
        "WEB_1_PORT_80_TCP": "tcp://100.64.0.9:80",
        "WEB_1_PORT_80_TCP_PROTO": "tcp",
        "WEB_1_PORT_80_TCP_PORT": "80",
        "WEB_1_PORT_80_TCP_ADDR": "100.64.0.9",
    }


@pytest.mark.parametrize(("links", "expected"), [(True, {"WEB_1", "KUBERNETES"}), (False, {"KUBERNETES"})])
def test_service_links_are_of_the_namespace_and_kubernetes_always(links, expected):
    services = (a_service(), a_service("other", "elsewhere"), a_service("kubernetes"))
    found = of(objects=services, pod=a_pod(enableServiceLinks=links))
    assert {name.removesuffix("_SERVICE_HOST") for name in found if name.endswith("_SERVICE_HOST")} == expected


def test_the_reader_is_asked_for_the_pods_namespace_only():
    elsewhere = CONFIG.with_meta(namespace="elsewhere")
    assert elsewhere.key == Key("elsewhere", "settings")
    with pytest.raises(ConfigError):
        of(ref("configMapKeyRef", name="settings", key="mode"), objects=(elsewhere,))
