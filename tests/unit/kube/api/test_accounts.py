"""Tokens at the API's edge: asked for, shown, reviewed; and what is refused."""

import pytest

from coracle.core.object import Meta, Object

PATH = "/api/v1/namespaces/default/serviceaccounts/robot/token"
REVIEW = "/apis/authentication.k8s.io/v1/tokenreviews"
WHO = "/apis/authentication.k8s.io/v1/selfsubjectreviews"


async def begin(api):
    await api.collections["ServiceAccount"].create(Object("ServiceAccount", Meta("robot", "default")))
    body = {"spec": {"serviceAccountName": "robot", "containers": [{"name": "a", "image": "b"}]}}
    return await api.collections["Pod"].create(Object("Pod", Meta("web", "default"), body))


async def token(api, **spec):
    answer = await api.ask("POST", PATH, {"spec": spec})
    assert answer.status == 201, answer.doc
    return answer.doc


async def as_robot(api, method, path, shown, body=None):
    return await api.ask(method, path, body, identity=None, authorization=f"Bearer {shown}")


def test_a_token_is_shown_and_believed(play):
    async def scene(api):
        await begin(api)
        doc = await token(api)
        assert doc["spec"] == {"expirationSeconds": 3600, "audiences": ["https://kubernetes.default.svc"]}
        assert doc["status"]["expirationTimestamp"] == "2023-11-14T23:13:20Z"
        found = await as_robot(api, "POST", WHO, doc["status"]["token"], {})
        info = found.doc["status"]["userInfo"]
        assert info["username"] == "system:serviceaccount:default:robot"
        assert info["groups"] == ["system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated"]
        assert info["uid"]

    play(scene)


def test_what_an_account_may_is_little(play):
    async def scene(api):
        await begin(api)
        shown = (await token(api))["status"]["token"]
        assert (await as_robot(api, "GET", "/apis", shown)).status == 200
        assert (await as_robot(api, "GET", "/openid/v1/jwks", shown)).status == 200
        refused = await as_robot(api, "GET", "/api/v1/namespaces/default/pods", shown)
        assert refused.said[:2] == (403, "Forbidden")
        assert 'User "system:serviceaccount:default:robot" cannot list resource "pods"' in refused.said[2]
        assert refused.doc["details"] == {"kind": "pods"}

    play(scene)


@pytest.mark.parametrize("shown", ["", "x", "a.b.c"])
def test_who_shows_no_token_of_ours_is_nobody(play, shown):
    async def scene(api):
        assert (await as_robot(api, "GET", "/api", shown)).said == (401, "Unauthorized", "Unauthorized")

    play(scene)


def test_reviews(play):
    async def scene(api):
        await begin(api)
        shown = (await token(api, audiences=["vault"]))["status"]["token"]
        right = await api.ask("POST", REVIEW, {"spec": {"token": shown, "audiences": ["vault", "x"]}})
        status = right.doc["status"]
        assert status["authenticated"] is True
        assert status["audiences"] == ["vault"]
        assert status["user"]["username"] == "system:serviceaccount:default:robot"
        wrong = await api.ask("POST", REVIEW, {"spec": {"token": shown}})
        assert wrong.status == 201
        assert "authenticated" not in wrong.doc["status"]
        assert wrong.doc["status"]["error"].startswith("[invalid bearer token, token audiences")

    play(scene)


@pytest.mark.parametrize(
    ("spec", "code", "said"),
    [
        ({"expirationSeconds": 599}, 422, "may not specify a duration less than 10 minutes"),
        ({"expirationSeconds": 2**32 + 1}, 422, "may not specify a duration larger than 2^32 seconds"),
        ({"expirationSeconds": "x"}, 400, "cannot be handled as a TokenRequest"),
        ({"boundObjectRef": {"kind": "Service", "apiVersion": "v1", "name": "x"}}, 400, 'to a type of "Service"'),
        ({"boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": "none"}}, 404, 'pods "none" not found'),
        ({"boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": "web", "uid": "x"}}, 409, "does not match"),
        (
            {"boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": "other"}},
            400,
            "different serviceaccount name",
        ),
    ],
    ids=lambda value: "" if isinstance(value, int | dict) else value,
)
def test_what_is_refused(play, spec, code, said):
    async def scene(api):
        await begin(api)
        body = {"spec": {"containers": [{"name": "a", "image": "b"}]}}
        await api.collections["Pod"].create(Object("Pod", Meta("other", "default"), body))
        refused = await api.ask("POST", PATH, {"spec": spec})
        assert refused.status == code
        assert said in refused.doc["message"]

    play(scene)


def test_a_token_that_is_bound_ends_with_its_pod(play):
    async def scene(api):
        pod = await begin(api)
        shown = (await token(api, boundObjectRef={"kind": "Pod", "apiVersion": "v1", "name": "web"}))["status"]["token"]
        assert (await as_robot(api, "GET", "/api", shown)).status == 200
        await api.collections["Pod"].delete(pod.key)
        assert (await as_robot(api, "GET", "/api", shown)).status == 401

    play(scene)


def test_others_can_check_our_tokens(play):
    async def scene(api):
        found = await api.get("/.well-known/openid-configuration")
        assert found.doc["jwks_uri"] == "https://kubernetes.default.svc/openid/v1/jwks"
        assert (await api.get("/openid/v1/jwks")).raw.startswith(b'{"keys":[{')

    play(scene)
