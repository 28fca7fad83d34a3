"""Creating, changing, deleting; and everything that is refused, in Kubernetes' words."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from unit.kube.api.conftest import ADMIN, Identity

MAPS = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"
JSON, MERGE = "application/json-patch+json", "application/merge-patch+json"
UNREAD = "the object provided is unrecognized (must be of type ConfigMap): "
STRATEGIC = "application/strategic-merge-patch+json"


def a_pod(name="web", **spec):
    return {"metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": "nginx"}], **spec}}


@pytest.mark.parametrize(
    ("method", "target", "body", "code", "reason", "message"),
    [
        ("GET", MAPS + "/x", None, 404, "NotFound", 'configmaps "x" not found'),
        ("GET", "/apis/apps/v9/things", None, 404, "NotFound", "the server could not find the requested resource"),
        ("GET", "/nothing", None, 404, "NotFound", "there is nothing at /nothing"),
        ("GET", PODS + "/x/nothing", None, 404, "NotFound", "the server could not find the requested resource"),
        ("PUT", MAPS, {}, 405, "MethodNotAllowed", "the server does not allow this method on the requested resource"),
        ("POST", "/api/v1/pods", {}, 405, "MethodNotAllowed",
         "the server does not allow this method on the requested resource"),
        ("POST", MAPS, b"{", 400, "BadRequest", UNREAD + "couldn't get version/kind; json parse error: "),
        ("POST", MAPS, b"", 400, "BadRequest",
         UNREAD + "couldn't get version/kind; json parse error: unexpected end of JSON input (<empty>)"),
        ("POST", MAPS, b"apiVersion: v1\nkind: ConfigMap\n", 400, "BadRequest",
         UNREAD + "couldn't get version/kind; json parse error: "),
        ("POST", MAPS, [], 400, "BadRequest", "the object provided is unrecognized (must be of type ConfigMap)"),
        ("POST", MAPS, {"apiVersion": "v2"}, 400, "BadRequest",
         "the API version in the data (v2) does not match the expected API version (v1)"),
        ("POST", MAPS, {"kind": "Pod"}, 400, "BadRequest", 'Pod in version "v1" cannot be handled as a ConfigMap'),
        ("POST", MAPS, {"metadata": {"name": "a", "namespace": "b"}}, 400, "BadRequest",
         "the namespace of the provided object does not match the namespace sent on the request"),
        ("POST", MAPS, {"metadata": {"name": "a", "resourceVersion": "5"}}, 400, "BadRequest",
         "resourceVersion should not be set on objects to be created"),
        ("POST", MAPS, {"metadata": {"name": "a", "resourceVersion": "x"}}, 422, "Invalid",
         'ConfigMap "a" is invalid: metadata.resourceVersion: Invalid value: "x"'),
        ("POST", MAPS, {"metadata": {"name": "a", "ownerReferences": [{"kind": "Pod", "name": "p"}]}}, 422, "Invalid",
         'ConfigMap "a" is invalid: [metadata.ownerReferences.apiVersion: Invalid value: "": version must not be '
         'empty, metadata.ownerReferences.uid: Invalid value: "": must not be empty]'),
        ("POST", MAPS, {"metadata": {}}, 422, "Invalid",
         'ConfigMap "" is invalid: metadata.name: Required value: name or generateName is required'),
        ("POST", MAPS + "?dryRun=Some", {}, 422, "Invalid", 'CreateOptions.meta.k8s.io "" is invalid: dryRun'),
        ("POST", MAPS + "?fieldValidation=Very", {}, 422, "Invalid",
         'CreateOptions.meta.k8s.io "" is invalid: fieldValidation: Unsupported value: "Very"'),
        ("PUT", MAPS + "/a", {"metadata": {"name": "b"}}, 400, "BadRequest",
         "the name of the object (b) does not match the name on the URL (a)"),
        ("PUT", MAPS + "/a", {"metadata": {"name": "a"}}, 404, "NotFound", 'configmaps "a" not found'),
        ("DELETE", MAPS + "/a", None, 404, "NotFound", 'configmaps "a" not found'),
        ("DELETE", MAPS + "/a", {"propagationPolicy": "Maybe"}, 422, "Invalid",
         'DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Unsupported value: "Maybe"'),
        ("POST", "/api/v1/namespaces/none/configmaps", {"metadata": {"name": "a"}}, 404, "NotFound",
         'namespaces "none" not found'),
        ("GET", PODS + "/web/../x", None, 400, "BadRequest", "the path has a segment that is not allowed"),
    ],
)  # fmt: skip
def test_what_is_refused(play, method, target, body, code, reason, message):
    async def scene(api):
        return (await api.ask(method, target, body)).said

    said = play(scene)
    assert said[:2] == (code, reason)
    assert said[2].startswith(message)


def test_a_status_names_field_reason_and_kind(play):
    async def scene(api):
        return (await api.ask("POST", PODS, a_pod(containers=[{"name": "c"}]))).doc

    status = play(scene)
    assert status["message"] == 'Pod "web" is invalid: spec.containers[0].image: Required value'
    assert status["details"] == {
        "name": "web",
        "kind": "Pod",
        "causes": [{"reason": "FieldValueRequired", "message": "Required value", "field": "spec.containers[0].image"}],
    }


def test_created_is_what_is_stored(play):
    async def scene(api):
        made = await api.ask("POST", MAPS, {"metadata": {"name": "a"}, "data": {"k": "v"}})
        return made, await api.get(MAPS + "/a")

    made, got = play(scene)
    assert (made.status, made.doc) == (201, got.doc)
    assert (got.doc["kind"], got.doc["apiVersion"], got.doc["data"]) == ("ConfigMap", "v1", {"k": "v"})


def test_yaml_bodies(play):
    async def scene(api):
        made = await api.ask("POST", MAPS, b"metadata: {name: a}\ndata: {k: v}", content_type="application/yaml")
        text = "a: &a [x, x]\n" + "".join(f"{c}: [*a, *a, *a]\n" for c in "bcdef")
        bomb = await api.ask("POST", MAPS, text.encode(), content_type="application/yaml")
        return made.status, bomb.status, (await api.ask("POST", MAPS, b"", content_type="application/cbor")).status

    assert play(scene) == (201, 400, 415)


def test_a_pod_that_is_hardly_meant_so_is_warned_of(play):
    doubled = [{"name": "c", "image": "nginx", "env": [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]}]

    async def scene(api):
        made = await api.ask("POST", PODS, a_pod(containers=doubled))
        labelled = await api.ask("PATCH", PODS + "/web", {"metadata": {"labels": {"a": "b"}}})
        return made.status, made.headers.get("Warning", ""), labelled.status, labelled.headers

    code, warned, *labelled = play(scene)
    assert code == 201
    assert 'spec.containers[0].env[1]: hides previous definition of \\"A\\"' in warned
    assert labelled == [200, {}]


def test_unknown_fields_by_the_clients_wish(play):
    doc = {"metadata": {"name": "a", "colour": "red"}, "data": {"k": "v"}}

    async def scene(api):
        strict = await api.ask("POST", MAPS + "?fieldValidation=Strict", doc)
        warned = await api.ask("POST", MAPS, doc)
        ignored = await api.ask("PUT", MAPS + "/a?fieldValidation=Ignore", doc)
        return strict.said[2], warned.headers, warned.doc["metadata"].get("colour"), ignored.headers

    strict, warned, colour, ignored = play(scene)
    assert strict.endswith('strict decoding error: unknown field "metadata.colour"')
    assert warned == {"Warning": '299 - "unknown field \\"metadata.colour\\""'}
    assert (colour, ignored) == (None, {})


@pytest.mark.parametrize(
    "raw",
    [
        b'{"metadata":{"name":"a"},"data":{"k":"1","k":"2"}}',
        b'{"metadata":{"name":"a"},"data":{"k" : "1", "k" :"2"}}',
        b'{"metadata":{"name":"a"},"data":{"k":"a\\":b","k":"2"}}',
        b'{"metadata":{"name":"a"},"data":{"k":"1"},"data":{"k":"2"}}',
    ],
)
def test_a_field_that_is_there_twice(play, raw):
    async def scene(api):
        return (await api.ask("POST", MAPS + "?fieldValidation=Strict", raw)).said[2]

    assert "strict decoding error: duplicate field" in play(scene)


def test_text_that_looks_like_keys_is_no_duplicate(play):
    raw = b'{"metadata":{"name":"a"},"data":{"k":"\\"x\\":1,\\"x\\":2","l": "{\\"k\\" : 1}"}}'

    async def scene(api):
        return (await api.ask("POST", MAPS + "?fieldValidation=Strict", raw)).status

    assert play(scene) == 201


def test_a_stale_revision_conflicts(play):
    async def scene(api):
        old = await api.config_map("a")
        await api.ask("PATCH", MAPS + "/a", {"data": {"x": "1"}})
        put = await api.ask("PUT", MAPS + "/a", old)
        patch = await api.ask("PATCH", MAPS + "/a", {"metadata": {"resourceVersion": "1"}, "data": {"x": "2"}})
        return put.said, patch.said

    put, patch = play(scene)
    assert (
        put
        == patch
        == (
            409,
            "Conflict",
            'Operation cannot be fulfilled on configmaps "a": the object has been modified; please apply your changes '
            "to the latest version and try again",
        )
    )


@pytest.mark.parametrize(
    ("media", "patch", "code", "message"),
    [
        (JSON, {"op": "add"}, 400, "error decoding patch"),
        (JSON, [{"op": "test", "path": "/data", "value": 1}], 422, "testing value /data failed"),
        (MERGE, b"{", 400, "error decoding patch"),
        (MERGE, [], 400, "error decoding patch"),
        (MERGE, {"data": {"k": 1}}, 422,
         ' "" is invalid: patch: Invalid value: "{\\"data\\":{\\"k\\":1}}": json: cannot unmarshal number into '
         "Go struct field ConfigMap.data of type string"),
        (STRATEGIC, {"metadata": {"labels": "x"}}, 422,
         ' "" is invalid: patch: Invalid value: "map[metadata:map[labels:x]]": cannot restore map from string'),
        (MERGE, {"metadata": {"name": "b"}}, 400, "the name of the object (b) does not match the name on the URL (a)"),
        (MERGE, {"metadata": {"uid": "b"}}, 409, "Operation cannot be fulfilled on configmaps"),
        (MERGE, {"metadata": None, "kind": "Pod"}, 400, "Pod in version"),
        ("application/apply-patch+yaml", {}, 415, "application/apply-patch+yaml: server-side apply is not"),
        ("text/plain", {}, 415, "the body of the request was in an unknown format - accepted media types include:"),
    ],
)  # fmt: skip
def test_patches_that_are_refused(play, media, patch, code, message):
    async def scene(api):
        before = await api.config_map("a", k="v")
        answer = await api.ask("PATCH", MAPS + "/a", patch, content_type=media)
        assert (await api.get(MAPS + "/a")).doc == before
        return answer.said

    said = play(scene)
    assert said[0] == code
    assert said[2].startswith(message)


def test_a_strict_patch_shows_itself_as_go_prints_maps(play):
    async def scene(api):
        await api.config_map("a")
        return (await api.ask("PATCH", MAPS + "/a?fieldValidation=Strict", {"spec": {"b": [1], "a": True}})).said[2]

    assert play(scene) == (
        ' "" is invalid: patch: Invalid value: "map[spec:map[a:true b:[1]]]": '
        'strict decoding error: unknown field "spec"'
    )


def test_deletion_says_what_went(play):
    async def scene(api):
        made = await api.config_map("a")
        return made, await api.ask("DELETE", MAPS + "/a")

    made, gone = play(scene)
    assert (gone.status, gone.doc["status"]) == (200, "Success")
    assert gone.doc["details"] == {"name": "a", "kind": "configmaps", "uid": made["metadata"]["uid"]}


def test_deletion_under_conditions(play):
    async def scene(api):
        await api.config_map("a")
        return (await api.ask("DELETE", MAPS + "/a", {"preconditions": {"uid": "other"}})).said

    code, _, message = play(scene)
    assert code == 409
    assert "Precondition failed: UID in precondition: other" in message


JOBS = "/apis/batch/v1/namespaces/default/jobs"


def a_job(name):
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "busybox"}]}}
    return {"metadata": {"name": name}, "spec": {"template": template}}


@pytest.mark.parametrize(
    ("part", "spec", "finalizers"),
    [
        ("", {}, ["kubernetes"]),
        ("/finalize", {}, []),
        ("/finalize", {"finalizers": []}, []),
        ("/finalize", {"finalizers": ["kubernetes", "example.com/mine"]}, ["kubernetes", "example.com/mine"]),
    ],
)
def test_who_holds_a_namespace_is_said_through_finalize(play, part, spec, finalizers):
    async def scene(api):
        await api.ask("POST", "/api/v1/namespaces", {"metadata": {"name": "held"}})
        return await api.ask("PUT", f"/api/v1/namespaces/held{part}", {"metadata": {"name": "held"}, "spec": spec})

    assert play(scene).doc["spec"]["finalizers"] == finalizers


def test_the_pods_of_a_job_stay_unless_the_client_says_otherwise(play):
    async def scene(api):
        for name in ("stays", "goes"):
            await api.ask("POST", JOBS, a_job(name))
        return await api.ask("DELETE", JOBS + "/stays"), await api.ask(
            "DELETE", JOBS + "/goes?propagationPolicy=Background"
        )

    stays, goes = play(scene)
    assert stays.doc["metadata"]["finalizers"] == ["orphan"]
    assert "child pods are preserved by default when jobs are deleted" in stays.headers["Warning"]
    assert (goes.doc["status"], goes.headers) == ("Success", {})


def test_the_pods_of_a_replication_controller_stay_too_and_nobody_is_warned(play):
    async def scene(api):
        rcs = "/api/v1/namespaces/default/replicationcontrollers"
        template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "busybox"}]}}
        await api.ask("POST", rcs, {"metadata": {"name": "stays"}, "spec": {"template": template}})
        return await api.ask("DELETE", rcs + "/stays")

    stays = play(scene)
    assert stays.doc["metadata"]["finalizers"] == ["orphan"]
    assert stays.headers == {}


def test_a_condition_has_a_type_and_a_status(play):
    async def scene(api):
        await api.ask("POST", JOBS, a_job("a"))
        patch = {"status": {"conditions": [{}, {"type": "Mine", "status": "True"}]}}
        return await api.ask("PATCH", JOBS + "/a/status", patch, content_type="application/merge-patch+json")

    given = play(scene).doc["status"]["conditions"]
    assert given == [{"type": "", "status": ""}, {"type": "Mine", "status": "True"}]


def test_a_collection_is_deleted_by_selector(play):
    async def scene(api):
        await api.config_map("a", {"x": "1"})
        await api.config_map("b")
        gone = await api.ask("DELETE", MAPS + "?labelSelector=x")
        return gone.doc["kind"], [i["metadata"]["name"] for i in (await api.get(MAPS)).doc["items"]]

    assert play(scene) == ("ConfigMapList", ["b"])


def test_dry_run_changes_nothing(play):
    async def scene(api):
        await api.config_map("a")
        revision = api.store.revision
        answers = [
            await api.ask("POST", MAPS + "?dryRun=All", {"metadata": {"name": "b"}}),
            await api.ask("PUT", MAPS + "/a?dryRun=All", {"metadata": {"name": "a"}, "data": {"x": "1"}}),
            await api.ask("PATCH", MAPS + "/a?dryRun=All", {"data": {"x": "1"}}),
            await api.ask("DELETE", MAPS + "/a?dryRun=All"),
        ]
        return [a.status for a in answers], api.store.revision - revision, answers[2].doc["data"]

    assert play(scene) == ([201, 200, 200, 200], 0, {"x": "1"})


def test_status_and_spec_keep_out_of_each_others_way(play):
    async def scene(api):
        await api.ask("POST", PODS, {**a_pod(), "status": {"phase": "Running"}})
        url = PODS + "/web/status"
        changed = {"spec": {"nodeName": "n"}, "status": {"phase": "Failed"}}
        patched = (await api.ask("PATCH", url, changed, content_type=MERGE)).doc
        main = {"status": {"phase": "Succeeded"}, "metadata": {"labels": {"a": "b"}}}
        return patched, (await api.ask("PATCH", PODS + "/web", main, content_type=MERGE)).doc

    patched, after = play(scene)
    assert (patched["status"]["phase"], "nodeName" in patched["spec"]) == ("Failed", False)
    assert (after["status"]["phase"], after["metadata"]["labels"]) == ("Failed", {"a": "b"})


def test_scale(play):
    rcs = "/api/v1/namespaces/default/replicationcontrollers"
    template = {"metadata": {"labels": {"app": "x"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}

    async def scene(api):
        await api.ask("POST", rcs, {"metadata": {"name": "rc"}, "spec": {"replicas": 2, "template": template}})
        scale = (await api.get(rcs + "/rc/scale")).doc
        put = await api.ask("PUT", rcs + "/rc/scale", {**scale, "spec": {"replicas": 5}})
        stale = await api.ask("PUT", rcs + "/rc/scale", {**scale, "spec": {"replicas": 6}})
        patch = await api.ask("PATCH", rcs + "/rc/scale", {"spec": {"replicas": 3}}, content_type=MERGE)
        negative = await api.ask("PATCH", rcs + "/rc/scale", {"spec": {"replicas": -1}}, content_type=MERGE)
        return scale, put.doc["spec"], stale.said[0], patch.doc["spec"], negative.said

    scale, put, stale, patch, negative = play(scene)
    assert (scale["kind"], scale["apiVersion"], scale["status"]["selector"]) == ("Scale", "autoscaling/v1", "app=x")
    assert (put, stale, patch) == ({"replicas": 5}, 409, {"replicas": 3})
    assert negative[2].endswith("spec.replicas: Invalid value: -1: must be greater than or equal to 0")


def test_binding_once(play):
    async def scene(api):
        await api.ask("POST", PODS, a_pod())
        doc = {"target": {"kind": "Node", "name": "n1"}}
        first = await api.ask("POST", PODS + "/web/binding", doc)
        return (
            first.status,
            (await api.ask("POST", PODS + "/web/binding", doc)).said,
            (await api.get(PODS + "/web")).doc,
        )

    status, again, pod = play(scene)
    assert (status, pod["spec"]["nodeName"]) == (201, "n1")
    assert again[2] == 'Operation cannot be fulfilled on pods "web": pod web is already assigned to node "n1"'


def test_an_evicted_pod_says_why_it_goes(play):
    async def scene(api):
        await api.ask("POST", PODS, a_pod(nodeName="n1"))
        doc = {"kind": "Eviction", "apiVersion": "policy/v1", "metadata": {"name": "web"}}
        tried = await api.ask("POST", PODS + "/web/eviction", {**doc, "deleteOptions": {"dryRun": ["All"]}})
        other = await api.ask(
            "POST", PODS + "/web/eviction", {**doc, "deleteOptions": {"preconditions": {"uid": "other"}}}
        )
        before = (await api.get(PODS + "/web")).doc
        done = await api.ask("POST", PODS + "/web/eviction", doc)
        return tried.status, other.status, before, done.status, (await api.get(PODS + "/web")).doc

    tried, other, before, done, after = play(scene)
    assert (tried, other, done) == (201, 409, 201)
    assert "conditions" not in before["status"]
    assert "deletionTimestamp" in after["metadata"]
    (told,) = after["status"]["conditions"]
    assert (told["type"], told["status"], told["reason"]) == ("DisruptionTarget", "True", "EvictionByEvictionAPI")


def test_log_parameters(play):
    async def scene(api):
        await api.ask("POST", PODS, a_pod(nodeName="n1"))
        stream = await api.get(PODS + "/web/log?tailLines=5&sinceTime=1970-01-01T00:01:00Z")
        chunks = [chunk async for chunk in stream.chunks]
        refused = [
            (await api.get(f"{PODS}/web/log?{query}")).said
            for query in (
                "tailLines=-1",
                "limitBytes=0",
                "sinceSeconds=1&sinceTime=1970-01-01T00:01:00Z",
                "sinceTime=x",
            )
        ]
        return b"".join(chunks), refused

    text, refused = play(scene)
    assert text == b"c 5 60.0\n"
    assert [code for code, _, _ in refused] == [422, 422, 422, 400]


def test_exec_needs_an_upgrade_and_a_command(play):
    async def scene(api):
        await api.ask("POST", PODS, a_pod(nodeName="n1"))
        url = PODS + "/web/exec?stdout=true"
        return [(await api.get(target)).said for target in (url, url + "&command=ls", url + "&command=ls&container=x")]

    no_command, no_socket, no_container = play(scene)
    assert no_command[0] == 400
    assert no_socket[0] == 400
    assert no_container[2] == "container x is not valid for pod web"


def test_who_may_what(play):
    someone = Identity("jane", ("dev",))

    async def scene(api):
        nobody = await api.ask("GET", MAPS, identity=None)
        health = await api.ask("GET", "/healthz/ping", identity=None)
        forbidden = await api.ask("GET", MAPS, identity=someone)
        named = await api.ask("DELETE", MAPS + "/a", identity=someone)
        looking = await api.ask("GET", "/api/v1", identity=someone)
        who = await api.ask("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", {}, identity=someone)
        ask = {"spec": {"resourceAttributes": {"verb": "get", "resource": "pods"}}}
        can = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        answers = [(await api.ask("POST", can, ask, identity=i)).doc["status"]["allowed"] for i in (someone, ADMIN)]
        return nobody.said, health.raw, forbidden.said, named.said[2], looking.status, who.doc["status"], answers

    nobody, health, forbidden, named, looking, who, answers = play(scene)
    assert nobody == (401, "Unauthorized", "Unauthorized")
    assert health == b"ok"
    assert forbidden == (
        403,
        "Forbidden",
        'configmaps is forbidden: User "jane" cannot list resource "configmaps" in API group "" '
        'in the namespace "default"',
    )
    assert named.startswith('configmaps "a" is forbidden: User "jane" cannot delete resource')
    assert looking == 200
    assert who == {"userInfo": {"username": "jane", "groups": ["dev", "system:authenticated"]}}
    assert answers == [False, True]


LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
NAMES = st.sampled_from(
    ["metadata", "name", "spec", "containers", "image", "ports", "labels", "ownerReferences", "x", "status"]
)
DOCS = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=5), max_leaves=20
)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(doc=DOCS, media=st.sampled_from(["application/json", JSON, MERGE, "application/strategic-merge-patch+json"]))
def test_nothing_that_is_sent_is_our_fault(play, doc, media):
    async def scene(api):
        await api.ask("POST", PODS, a_pod())
        method, target = ("POST", PODS) if media == "application/json" else ("PATCH", PODS + "/web")
        return (await api.ask(method, target, doc, content_type=media)).status

    assert play(scene) < 500


def test_depth_is_bounded(play):
    deep = b'{"metadata":{"name":"a"},"data":' + b'{"x":' * 900 + b"1" + b"}" * 901

    async def scene(api):
        await api.ask("POST", PODS, a_pod())
        post = await api.ask("POST", MAPS, deep)
        return post.said, (await api.ask("PATCH", PODS + "/web", deep, content_type=MERGE)).status

    post, patch = play(scene)
    deep_said = 'the document is nested more than 200 levels deep ({"metadata":{"name":"a"},"data ...)'
    assert post == (400, "BadRequest", UNREAD + deep_said)
    assert patch == 400
