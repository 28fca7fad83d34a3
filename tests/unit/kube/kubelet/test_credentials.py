"""Which of a pod's logins are for the registry of an image."""

import base64
import json

import pytest

from coracle.core.object import Meta, Object
from coracle.image.references import parse_reference
from coracle.image.terms import Login
from coracle.kube.kubelet.credentials import fits, logins


@pytest.mark.parametrize(
    ("key", "image", "expected"),
    [
        ("registry.lan:5000", "registry.lan:5000/shop/web:1", True),
        ("registry.lan", "registry.lan:5000/shop/web:1", False),
        ("registry.lan:5001", "registry.lan:5000/shop/web:1", False),
        ("https://registry.lan:5000/v2/", "registry.lan:5000/shop/web:1", True),
        ("registry.lan:5000/shop", "registry.lan:5000/shop/web:1", True),
        ("registry.lan:5000/other", "registry.lan:5000/shop/web:1", False),
        ("*.lan:5000", "registry.lan:5000/shop/web:1", True),
        ("*.lan:5000", "a.registry.lan:5000/shop/web:1", False),
        ("https://index.docker.io/v1/", "nginx", True),
        ("docker.io", "shop/web", True),
        ("https://index.docker.io/v1/", "registry.lan/nginx", False),
    ],
)
def test_fits(key, image, expected):
    assert fits(key, parse_reference(image)) is expected


def a_secret(file, doc):
    text = doc if isinstance(doc, str) else json.dumps(doc)
    return Object("Secret", Meta(name="s"), {"data": {file: base64.b64encode(text.encode()).decode()}})


HOST, IMAGE = "registry.lan:5000", parse_reference("registry.lan:5000/shop/web:1")
SHOP = {"auth": base64.b64encode(b"shop:a:b").decode()}


@pytest.mark.parametrize(
    ("file", "doc", "expected"),
    [
        (".dockerconfigjson", {"auths": {HOST: {"username": "me", "password": "x"}}}, [Login("me", "x")]),
        (".dockercfg", {HOST: {"username": "me", "password": "x"}}, [Login("me", "x")]),
        (".dockerconfigjson", {"auths": {HOST: SHOP}}, [Login("shop", "a:b")]),
        (".dockerconfigjson", {"auths": {HOST: {"username": "me"}, f"{HOST}/shop": SHOP}}, [Login("shop", "a:b"), Login("me")]),
        (".dockerconfigjson", {"auths": {"elsewhere.lan": SHOP}}, []),
        (".dockerconfigjson", {"auths": []}, []),
        (".dockerconfigjson", {"auths": {HOST: "me"}}, []),
        (".dockerconfigjson", "{", []),
        ("password", "me", []),
    ],
)  # fmt: skip
def test_logins(file, doc, expected):
    assert list(logins([a_secret(file, doc)], IMAGE)) == expected
