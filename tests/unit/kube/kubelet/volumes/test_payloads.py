"""The files of volumes that are made of configuration."""

import asyncio
import base64

import pytest

from coracle.core.object import Meta, Object
from coracle.core.store import MemoryStore, Put
from coracle.kube.kubelet.environment import Surroundings
from coracle.kube.kubelet.volumes.payloads import File, payload, sources, speaks_of_pod
from suites.attempts import a_pod

CONFIG = Object(
    "ConfigMap",
    Meta(name="settings", namespace="default"),
    {"data": {"mode": "fast", "LEVEL": "3"}, "binaryData": {"raw": "AAE="}},
)
SECRET = Object("Secret", Meta(name="keys", namespace="default"), {"data": {"key": base64.b64encode(b"s3").decode()}})
POD = a_pod(meta={"labels": {"b": "2", "a": 'x"y'}, "annotations": {"note": "one\ntwo"}})


def of(volume):
    store = MemoryStore()
    for obj in (CONFIG, SECRET):
        asyncio.run(store.commit(Put(obj)))
    around = Surroundings(store, "node", "192.0.2.2", "192.0.2.2", {"cpu": "4", "memory": "8Gi"})
    return payload(POD, {"name": "v", **volume}, around)


def field(path, what, **more):
    return {"path": path, "fieldRef": {"fieldPath": what}, **more}


@pytest.mark.parametrize(
    ("volume", "expected"),
    [
        pytest.param({"configMap": {"name": "settings"}}, {"mode": File(b"fast", 0o644), "LEVEL": File(b"3", 0o644), "raw": File(b"\0\1", 0o644)}, id="all keys of a config map"),
        pytest.param({"configMap": {"name": "settings", "defaultMode": 0o400, "items": [{"key": "mode", "path": "a/b"}, {"key": "LEVEL", "path": "c", "mode": 0o755}]}}, {"a/b": File(b"fast", 0o400), "c": File(b"3", 0o755)}, id="chosen keys with modes"),
        pytest.param({"configMap": {"name": "settings", "defaultMode": 0, "items": [{"key": "mode", "path": "m"}]}}, {"m": File(b"fast", 0)}, id="no permissions are permissions"),
        pytest.param({"secret": {"secretName": "keys"}}, {"key": File(b"s3", 0o644)}, id="a secret"),
        pytest.param({"configMap": {"name": "none", "optional": True}}, {}, id="an optional map that is not there"),
        pytest.param({"secret": {"secretName": "keys", "optional": True, "items": [{"key": "none", "path": "a"}]}}, {}, id="an optional key that is not there"),
        pytest.param({"downwardAPI": {"items": [field("l", "metadata.labels"), field("n", "metadata.annotations"), field("b", "metadata.labels['b']"), field("u", "metadata.uid", mode=0o600)]}}, {"l": File(b'a="x\\"y"\nb="2"', 0o644), "n": File(b'note="one\\ntwo"', 0o644), "b": File(b"2", 0o644), "u": File(b"u", 0o600)}, id="fields of the pod"),
        pytest.param({"downwardAPI": {"items": [{"path": "c", "resourceFieldRef": {"containerName": "web", "resource": "limits.cpu"}}]}}, {"c": File(b"4", 0o644)}, id="amounts of a container"),
        pytest.param({"projected": {"defaultMode": 0o440, "sources": [{"configMap": {"name": "settings"}}, {"secret": {"name": "keys", "items": [{"key": "key", "path": "mode"}]}}]}}, {"mode": File(b"s3", 0o440), "LEVEL": File(b"3", 0o440), "raw": File(b"\0\1", 0o440)}, id="several sources, the last one counts"),
    ],
)  # fmt: skip
def test_the_files_of_a_volume(volume, expected):
    assert of(volume) == expected


@pytest.mark.parametrize(
    ("volume", "said"),
    [
        ({"configMap": {"name": "none"}}, 'configmap "none" not found'),
        ({"secret": {"secretName": "none"}}, 'secret "none" not found'),
        ({"configMap": {"name": "settings", "items": [{"key": "x", "path": "x"}]}}, "configmap references non-existent config key: x"),
        ({"secret": {"secretName": "keys", "items": [{"key": "x", "path": "x"}]}}, "references non-existent secret key: x"),
        ({"projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}}, "this node has no service account tokens"),
        ({"projected": {"sources": [{"clusterTrustBundle": {"path": "t"}}]}}, "cluster trust bundles are not supported yet"),
    ],
)  # fmt: skip
def test_what_is_missing_is_named(volume, said):
    with pytest.raises(Exception, match=said):
        of(volume)


def test_what_a_pod_is_made_of():
    env = [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "two", "key": "k"}}}]
    pod = a_pod(
        containers=[{"name": "web", "env": env, "envFrom": [{"configMapRef": {"name": "three"}}]}],
        volumes=[
            {"name": "v", "projected": {"sources": [{"configMap": {"name": "one"}}]}},
            {"name": "e", "emptyDir": {}},
        ],
    )
    assert set(sources(pod)) == {"ConfigMap/default/one", "Secret/default/two", "ConfigMap/default/three"}
    assert not speaks_of_pod(pod)
    assert speaks_of_pod(a_pod(volumes=[{"name": "v", "downwardAPI": {"items": []}}]))


class Tokens:
    def token(self, pod, given):
        return "t0"


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        pytest.param({}, File(b"t0", 0o644), id="everybody reads it"),
        pytest.param({"securityContext": {"runAsUser": 1000}}, File(b"t0", 0o600, 1000), id="the pod's user alone"),
        pytest.param({"securityContext": {"runAsUser": 0}}, File(b"t0", 0o600, 0), id="root is a user"),
        pytest.param({"securityContext": {"fsGroup": 2000}}, File(b"t0", 0o600), id="the group, which is given it later"),
        pytest.param({"securityContext": {"fsGroup": 2000, "runAsUser": 1000}}, File(b"t0", 0o600, 1000), id="user and group"),
        pytest.param({"containers": [{"name": "a", "securityContext": {"runAsUser": 7}}, {"name": "b", "securityContext": {"runAsUser": 7}}]}, File(b"t0", 0o600, 7), id="one user in every container"),
        pytest.param({"containers": [{"name": "a", "securityContext": {"runAsUser": 7}}, {"name": "b"}]}, File(b"t0", 0o644), id="one container says no user"),
        pytest.param({"securityContext": {"runAsUser": 7}, "initContainers": [{"name": "i", "securityContext": {"runAsUser": 8}}]}, File(b"t0", 0o644), id="an init container is another user"),
    ],
)  # fmt: skip
def test_who_may_read_a_token(spec, expected):
    around = Surroundings(MemoryStore(), "node", "192.0.2.2", "192.0.2.2", {}, tokens=Tokens())
    volume = {"name": "v", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}}
    assert payload(a_pod(**spec), volume, around) == {"token": expected}
