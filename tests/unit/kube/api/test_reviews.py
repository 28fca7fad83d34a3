"""Questions about access, and acting as somebody else."""

from __future__ import annotations

import json

import pytest

from coracle.web.messages import Identity

SAR = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
OWN = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
LOCAL = "/apis/authorization.k8s.io/v1/namespaces/default/localsubjectaccessreviews"
RULES = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"
WHO = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
TOKEN = "/apis/authentication.k8s.io/v1/tokenreviews"
LIST = {"verb": "list", "resource": "configmaps", "namespace": "default"}
ELSEWHERE = {**LIST, "namespace": "other"}
PATH = {"verb": "get", "path": "/api"}


@pytest.mark.parametrize(
    ("target", "doc", "code", "said"),
    [
        (OWN, {"spec": {}}, 422, "spec.resourceAttributes: Invalid value: null: exactly one of"),
        (OWN, {"spec": {"resourceAttributes": LIST, "nonResourceAttributes": PATH}}, 422, "in combination with"),
        (OWN, {"metadata": {"name": "x"}, "spec": {"resourceAttributes": LIST}}, 422, "must be empty"),
        (SAR, {"spec": {"resourceAttributes": LIST}}, 422, "at least one of user or group must be specified"),
        (LOCAL, {"spec": {"resourceAttributes": ELSEWHERE, "user": "u"}}, 422, "must match metadata.namespace"),
        (LOCAL, {"spec": {"nonResourceAttributes": PATH, "user": "u"}}, 422, "disallowed on this kind of request"),
        (RULES, {"spec": {}}, 400, "no namespace on request"),
        (TOKEN, {"spec": {}}, 400, "token is required for TokenReview in authentication"),
    ],
    ids=lambda value: value if isinstance(value, str) and " " in value else "",
)
def test_questions_that_are_none(play, target, doc, code, said):
    async def scene(api):
        return await api.ask("POST", target, doc)

    answer = play(scene)
    assert answer.status == code
    assert said in answer.doc["message"]


def test_an_answer_to_a_question_is_no_table(play):
    async def scene(api):
        form = "application/json;as=Table;v=v1;g=meta.k8s.io"
        return await api.ask("POST", OWN, {"spec": {"resourceAttributes": LIST}}, accept=form)

    assert play(scene).said[:2] == (406, "NotAcceptable")


@pytest.mark.parametrize(
    ("headers", "name", "groups", "extra"),
    [
        ({"impersonate_user": "jane"}, "jane", ["system:authenticated"], {}),
        ({"impersonate_user": "jane", "impersonate_group": "dev, ops"}, "jane", ["dev", "ops", "system:authenticated"], {}),
        ({"impersonate_user": "system:serviceaccount:default:app"}, "system:serviceaccount:default:app",
         ["system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated"], {}),
        ({"impersonate_user": "jane", "impersonate_extra_a%2fb": "c"}, "jane", ["system:authenticated"], {"a/b": ["c"]}),
    ],
    ids=["a user", "of groups", "an account", "with more"],
)  # fmt: skip
def test_an_administrator_may_act_as_others(play, headers, name, groups, extra):
    async def scene(api):
        who = await api.ask("POST", WHO, {}, **headers)
        listed = await api.get("/api/v1/namespaces/default/configmaps", **headers)
        spec = {"user": name, "groups": groups, "resourceAttributes": LIST}
        reviewed = await api.ask("POST", SAR, {"spec": spec})
        return who.doc["status"]["userInfo"], listed.status, reviewed.doc["status"]["allowed"]

    who, status, allowed = play(scene)
    assert (who["username"], who["groups"], who.get("extra", {})) == (name, groups, extra)
    assert (status, allowed) == (403, False)


def test_others_may_not_and_groups_alone_are_nobody(play):
    jane = Identity("jane", ("dev",))

    async def scene(api):
        refused = await api.ask("POST", WHO, {}, jane, impersonate_user="admin")
        account = await api.ask("POST", WHO, {}, jane, impersonate_user="system:serviceaccount:a:b")
        nobody = await api.ask("POST", WHO, {}, impersonate_group="system:masters")
        return refused.said, account.said, nobody.said

    refused, account, nobody = play(scene)
    said = 'User "jane" cannot impersonate resource'
    assert refused == (
        403,
        "Forbidden",
        f'users "admin" is forbidden: {said} "users" in API group "" at the cluster scope',
    )
    assert f'serviceaccounts "b" is forbidden: {said} "serviceaccounts" in API group "" in the namespace "a"' in account
    assert nobody[0] == 500
    assert "without impersonating a user" in json.dumps(nobody)
