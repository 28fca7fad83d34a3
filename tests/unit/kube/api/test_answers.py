"""Forms of answers and older paths: YAML, component statuses, bindings, the list of paths."""

from __future__ import annotations

import pytest
import yaml

from unit.kube.api.conftest import TABLE

POD = {"metadata": {"name": "web"}, "spec": {"containers": [{"name": "a", "image": "b"}]}}
PODS = "/api/v1/namespaces/default/pods"


@pytest.mark.parametrize(
    ("accept", "type"),
    [
        ("application/yaml", "application/yaml"),
        ("application/yaml, application/json", "application/yaml"),
        ("application/json, application/yaml", "application/json"),
        ("application/yaml;q=0.5, */*", "application/json"),
    ],
)
def test_yaml_is_for_those_who_prefer_it(play, accept, type):
    async def scene(api):
        await api.config_map("a", text="yes")
        return await api.get("/api/v1/namespaces/default/configmaps/a", accept=accept)

    answer = play(scene)
    assert (answer.status, answer.type) == (200, type)
    assert yaml.safe_load(answer.raw)["data"] == {"text": "yes"}


def test_a_watch_is_not_to_be_had_in_yaml(play):
    async def scene(api):
        return await api.get("/api/v1/namespaces/default/configmaps?watch=1", accept="application/yaml")

    assert play(scene).status == 406


@pytest.mark.parametrize(
    ("target", "agent", "lines"),
    [
        ("a", "curl/8.0", True),
        ("a", "Mozilla/5.0 (X11)", True),
        ("a", "kubectl/v1.36.0", False),
        ("a", "", False),
        ("a?pretty=true", "kubectl/v1.36.0", True),
        ("a?pretty=false", "curl/8.0", False),
        ("nobody", "Wget/1.21", True),
    ],
)
def test_people_get_lines(play, target, agent, lines):
    async def scene(api):
        await api.config_map("a", text="yes")
        return await api.get(f"/api/v1/namespaces/default/configmaps/{target}", user_agent=agent)

    answer = play(scene)
    assert answer.doc["metadata"] is not None
    assert answer.raw.startswith(b'{\n  "') == lines


def test_a_table_of_a_version_that_there_is_not_is_passed_over(play):
    async def scene(api):
        form = "application/json;as=Table;v=v9;g=meta.k8s.io,application/json"
        return await api.get("/api/v1/namespaces/default/configmaps", accept=form)

    assert play(scene).doc["kind"] == "ConfigMapList"


def test_how_the_parts_of_the_control_plane_are(play):
    async def scene(api):
        listed = await api.get("/api/v1/componentstatuses")
        one = await api.get("/api/v1/componentstatuses/etcd-0")
        none = await api.get("/api/v1/componentstatuses/moon")
        return listed, one, none

    listed, one, none = play(scene)
    assert [item["metadata"]["name"] for item in listed.doc["items"]] == ["controller-manager", "etcd-0", "scheduler"]
    assert one.doc["conditions"] == [{"type": "Healthy", "status": "True", "message": "ok"}]
    assert "deprecated" in one.headers["Warning"]
    assert none.said == (404, "NotFound", 'componentstatuses "moon" not found')


def test_a_pod_is_bound_by_the_older_path_too(play):
    async def scene(api):
        await api.ask("POST", PODS, POD)
        doc = {"metadata": {"name": "web"}, "target": {"kind": "Node", "name": "n1"}}
        bound = await api.ask("POST", "/api/v1/namespaces/default/bindings", doc)
        lost = await api.ask("POST", "/api/v1/namespaces/default/bindings", {**doc, "metadata": {"name": "db"}})
        return bound.status, (await api.get(f"{PODS}/web")).doc["spec"]["nodeName"], lost.status

    assert play(scene) == (201, "n1", 404)


def test_the_paths_there_are(play):
    async def scene(api):
        return (await api.get("/")).doc["paths"]

    assert {"/api/v1", "/apis/apps/v1", "/apis/events.k8s.io", "/readyz"} <= set(play(scene))


def test_finalizers_are_named_with_a_domain(play):
    async def scene(api):
        target = "/api/v1/namespaces/default/configmaps"
        bad = await api.ask("POST", target, {"metadata": {"name": "a", "finalizers": ["mine"]}})
        good = await api.ask("POST", target, {"metadata": {"name": "b", "finalizers": ["example.com/mine", "orphan"]}})
        return bad.said, good.status

    (code, _, message), good = play(scene)
    assert (code, good) == (422, 201)
    assert 'metadata.finalizers[0]: Invalid value: "mine": name is neither a standard finalizer name' in message


@pytest.mark.parametrize(
    ("timeout", "status"), [("invalid", 400), ("10", 400), ("3m", 200), ("0s", 200), ("1h2.5s", 200)]
)
def test_for_how_long_a_client_means_to_wait(play, timeout, status):
    async def scene(api):
        return await api.get(f"/version?timeout={timeout}")

    answer = play(scene)
    assert answer.status == status
    assert status == 200 or "invalid timeout specified in the request URL" in answer.doc["message"]


def test_namespaces_are_deleted_one_by_one(play):
    async def scene(api):
        listed = (await api.get("/api/v1")).doc["resources"]
        verbs = next(one["verbs"] for one in listed if one["name"] == "namespaces")
        return (await api.ask("DELETE", "/api/v1/namespaces?labelSelector=a=b")).status, "deletecollection" in verbs

    assert play(scene) == (405, False)


def test_a_namespace_that_is_deleted_says_at_once_that_it_goes(play):
    async def scene(api):
        await api.ask("POST", "/api/v1/namespaces", {"metadata": {"name": "shop"}})
        return (await api.ask("DELETE", "/api/v1/namespaces/shop")).doc

    going = play(scene)
    assert (going["kind"], going["status"]["phase"]) == ("Namespace", "Terminating")


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_who_asks_for_what_goes_out_of_use_is_told(play, method):
    async def scene(api):
        body = {"metadata": {"name": "e"}, "colour": "red"} if method == "POST" else None
        return (await api.ask(method, "/api/v1/namespaces/default/endpoints", body)).headers["Warning"]

    said = '299 - "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"'
    more = ', 299 - "unknown field \\"colour\\""' if method == "POST" else ""
    assert play(scene) == said + more


def test_a_scale_is_printed_as_one(play):
    async def scene(api):
        template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
        rcs = "/api/v1/namespaces/default/replicationcontrollers"
        await api.ask("POST", rcs, {"metadata": {"name": "rc"}, "spec": {"replicas": 2, "template": template}})
        return (await api.get(f"{rcs}/rc/scale", accept=TABLE)).doc

    table = play(scene)
    assert [column["name"] for column in table["columnDefinitions"]] == ["Name", "Desired", "Available", "Age"]
    assert table["rows"][0]["cells"][:3] == ["rc", 2, 0]
