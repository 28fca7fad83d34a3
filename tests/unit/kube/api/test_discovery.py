"""Discovery and OpenAPI: both forms say the same, and kubectl finds what it looks for."""

from __future__ import annotations

import gzip
import json

import pytest

V2 = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"


def test_the_aggregated_form_and_the_plain_one_agree(play):
    async def scene(api):
        core, groups = await api.get("/api", accept=V2), await api.get("/apis", accept=V2)
        plain = (await api.get("/api/v1")).doc["resources"]
        listed = (await api.get("/apis")).doc["groups"]
        return core, groups, plain, listed

    core, groups, plain, listed = play(scene)
    assert core.type == "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    resources = core.doc["items"][0]["versions"][0]["resources"]
    assert [r["resource"] for r in resources] == [r["name"] for r in plain if "/" not in r["name"]]
    pods = next(r for r in resources if r["resource"] == "pods")
    assert (pods["shortNames"], pods["categories"], pods["scope"]) == (["po"], ["all"], "Namespaced")
    subs = {sub["subresource"] for sub in pods["subresources"]}
    assert subs == {r["name"].partition("/")[2] for r in plain if r["name"].startswith("pods/")}
    assert [g["metadata"]["name"] for g in groups.doc["items"]] == [g["name"] for g in listed]


def test_the_hash_of_the_stored_version_is_kubernetes_own(play):
    async def scene(api):
        pages = [(await api.get(path)).doc["resources"] for path in ("/api/v1", "/apis/autoscaling/v1")]
        pages.append((await api.get("/apis/events.k8s.io/v1")).doc["resources"])
        return {line["name"]: line.get("storageVersionHash") for page in pages for line in page}

    found = play(scene)
    assert (found["pods"], found["horizontalpodautoscalers"], found["events"]) == (
        "xPOwRZ+Yhw8=", "qwQve8ut294=", "r2yiGXH7wu8=",
    )  # fmt: skip
    assert {name for name, tag in found.items() if not tag and "/" not in name} == {"bindings", "componentstatuses"}


def test_discovery_that_is_known_is_not_sent_again(play):
    async def scene(api):
        tag = (await api.get("/apis", accept=V2)).headers["ETag"]
        return (await api.get("/apis", accept=V2, if_none_match=tag)).status

    assert play(scene) == 304


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/apis/discovery.k8s.io", "APIGroup"),
        ("/apis/discovery.k8s.io/v1", "APIResourceList"),
        ("/apis/discovery.k8s.io/v9", "Status"),
        ("/apis/none", "Status"),
        ("/api/v2", "Status"),
    ],
)
def test_plain_pages(play, path, kind):
    async def scene(api):
        return (await api.get(path)).doc["kind"], (await api.get(path + "/")).doc["kind"]

    assert play(scene) == (kind, kind)


def test_openapi_v3(play):
    async def scene(api):
        index = (await api.get("/openapi/v3")).doc["paths"]
        packed = await api.get(index["api/v1"]["serverRelativeURL"], accept_encoding="gzip", accept="x/x")
        return index, packed

    index, packed = play(scene)
    assert {"api/v1", "apis/discovery.k8s.io/v1", "apis/authorization.k8s.io/v1"} <= set(index)
    assert "immutable" in packed.headers["Cache-Control"]
    text = gzip.decompress(packed.raw) if packed.headers.get("Content-Encoding") == "gzip" else packed.raw
    doc = json.loads(text)
    pod = doc["paths"]["/api/v1/namespaces/{namespace}/pods/{name}"]["patch"]
    assert "fieldValidation" in {parameter["name"] for parameter in pod["parameters"]}
    assert pod["x-kubernetes-group-version-kind"] == {"group": "", "version": "v1", "kind": "Pod"}
    containers = doc["components"]["schemas"]["io.k8s.api.core.v1.PodSpec"]["properties"]["containers"]
    assert containers["x-kubernetes-patch-merge-key"] == "name"
    refs = {part.partition(b'"')[0].decode() for part in text.split(b"#/components/schemas/")[1:]}
    assert refs <= set(doc["components"]["schemas"])


def test_openapi_v2(play):
    async def scene(api):
        protobuf = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
        return (
            (await api.get("/openapi/v2")).doc,
            (await api.get("/openapi/v2", accept=protobuf)).status,
            (await api.get("/openapi/v2", accept="text/html")).status,
        )

    doc, protobuf, html = play(scene)
    refs = {part.partition('"')[0] for part in json.dumps(doc).split("#/definitions/")[1:]}
    assert refs <= set(doc["definitions"])
    assert (protobuf, html) == (200, 406)


def test_each_operation_has_a_name_of_its_own_and_says_what_it_answers(play):
    async def scene(api):
        return (await api.get("/openapi/v2")).doc["paths"]

    paths = play(scene)
    named = {
        operation["operationId"]: operation
        for item in paths.values()
        for verb, operation in item.items()
        if verb != "parameters"
    }
    assert len(named) == sum(len(item) - ("parameters" in item) for item in paths.values())
    assert {
        "listCoreV1NamespacedPod", "listCoreV1PodForAllNamespaces", "readCoreV1NodeStatus", "patchAppsV1NamespacedDeployment",
        "deleteNetworkingV1CollectionNamespacedIngress",
    } <= set(named)  # fmt: skip
    listed = named["listCoreV1NamespacedPod"]
    assert listed["responses"]["200"]["schema"]["$ref"] == "#/definitions/io.k8s.api.core.v1.PodList"
    assert all(parameter["description"] for parameter in listed["parameters"])
