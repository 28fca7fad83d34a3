"""Config maps and secrets: what they may hold."""

from __future__ import annotations

import base64

import pytest

from coracle.core.object import Meta, Object
from coracle.kube.kinds import configmap, secret

MIB = 1024 * 1024


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def a_secret(data, type="Opaque", annotations=None):
    return Object("Secret", Meta(name="x", annotations=annotations or {}), {"type": type, "data": data})


def found(problems):
    return [(problem.field, problem.text) for problem in problems]


@pytest.mark.parametrize(
    ("body", "field", "text"),
    [
        ({"data": {"a b": "1"}}, "data[a b]", "a valid config key must consist of alphanumeric characters"),
        ({"data": {".": "1"}}, "data[.]", "must not be '.'"),
        ({"data": {"..": "1"}}, "data[..]", "must not be '..'"),
        ({"data": {"..a": "1"}}, "data[..a]", "must not start with '..'"),
        ({"data": {"a" * 254: "1"}}, f"data[{'a' * 254}]", "must be no more than 253 characters"),
        ({"data": {"a": "1"}, "binaryData": {"a": "MQ=="}}, "data[a]", "duplicate of key present in binaryData"),
        ({"data": {"a": "x" * (MIB + 1)}}, "", "Too long: may not be more than 1048576 bytes"),
        ({"data": {"a": "x" * MIB}, "binaryData": {"b": b64(b"x")}}, "", "Too long: may not be more than 1048576 bytes"),
    ],
)  # fmt: skip
def test_what_a_config_map_may_not_hold(body, field, text):
    ((where, said),) = found(configmap.validate(Object("ConfigMap", Meta(name="x"), body)))
    assert where == field
    assert text in said


def test_a_mebibyte_is_held():
    assert not configmap.validate(Object("ConfigMap", Meta(name="x"), {"binaryData": {"a": b64(b"x" * MIB)}}))
    assert not secret.validate(a_secret({"a": b64(b"x" * MIB)}))
    assert found(secret.validate(a_secret({"a": b64(b"x" * (MIB + 1))})))


@pytest.mark.parametrize(
    ("type", "data", "missing"),
    [
        ("kubernetes.io/tls", {"tls.crt": ""}, ["data[tls.key]"]),
        ("kubernetes.io/basic-auth", {}, ["data[username]", "data[password]"]),
        ("kubernetes.io/basic-auth", {"password": ""}, []),
        ("kubernetes.io/ssh-auth", {"ssh-privatekey": ""}, ["data[ssh-privatekey]"]),
        ("kubernetes.io/dockercfg", {}, ["data[.dockercfg]"]),
        ("kubernetes.io/dockerconfigjson", {".dockerconfigjson": b64(b"{}")}, []),
        ("kubernetes.io/service-account-token", {}, ["metadata.annotations[kubernetes.io/service-account.name]"]),
        ("example.org/own", {}, []),
    ],
)
def test_what_a_secret_of_a_type_must_hold(type, data, missing):
    assert found(secret.validate(a_secret(data, type))) == [(field, "Required value") for field in missing]


@pytest.mark.parametrize(
    ("text", "said"),
    [(b"{", "unexpected end of JSON input"), (b"oops", "invalid character 'o' looking for beginning of value")],
)
def test_a_registrys_secret_is_json(text, said):
    problems = secret.validate(a_secret({".dockerconfigjson": b64(text)}, "kubernetes.io/dockerconfigjson"))
    expected = f'Invalid value: "<secret contents redacted>": {said}'
    assert found(problems) == [("data[.dockerconfigjson]", expected)]


def test_a_secrets_type_stays():
    new, old = a_secret({}), a_secret({}, "example.org/own")
    assert found(secret.validate_change(new, old, "main")) == [("type", 'Invalid value: "Opaque": field is immutable')]
