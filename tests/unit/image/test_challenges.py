import pytest

from coracle.core.errors import Forbidden, Invalid
from coracle.image.challenges import (
    Challenge,
    check_redirect,
    check_url,
    is_same_server,
    may_know_password,
    parse_challenge,
)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ('Bearer realm="https://a/t",service="s",scope="repository:x:pull,push"',
         Challenge("bearer", "https://a/t", "s", "repository:x:pull,push")),
        ("bearer realm=https://a/t , service=s", Challenge("bearer", "https://a/t", "s")),
        ('Basic realm="x"', Challenge("basic", "x")),
    ],
)  # fmt: skip
def test_challenges_are_read(header, expected):
    assert parse_challenge(header) == expected


@pytest.mark.parametrize("header", ["", "Negotiate", "Digest realm=x", "%"])
def test_what_we_cannot_give_is_said(header):
    with pytest.raises(Forbidden):
        parse_challenge(header)


@pytest.mark.parametrize(
    "url", ["https://quay.io", "http://127.0.0.1:5000", "http://localhost:5000/x", "http://[::1]:1"]
)
def test_addresses_that_may_be_asked(url):
    assert check_url(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "http://quay.io",
        "ftp://x",
        "file:///etc/passwd",
        "https://",
        "x",
        "https://u:p@x",
        "http://x:99999",
        "http://127.0.0.1.x",
    ],
)
def test_addresses_that_may_not(url):
    with pytest.raises(Invalid):
        check_url(url)


def test_the_outside_does_not_lead_inside():
    check_redirect("https://quay.io/v2/", "https://cdn.example/x")
    check_redirect("http://127.0.0.1:5000/", "http://127.0.0.1:6000/")
    for target in ("http://127.0.0.1/x", "https://localhost/x", "https://127.0.0.2/x", "http://cdn.example/x"):
        with pytest.raises(Invalid):
            check_redirect("https://quay.io/v2/", target)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("https://a/x", "https://a:443/y", True),
        ("https://a/x", "https://b/x", False),
        ("https://a/x", "http://a/x", False),
        ("http://a:1/x", "http://a:2/x", False),
    ],
)
def test_a_token_goes_to_one_server(one, other, same):
    assert is_same_server(one, other) is same


@pytest.mark.parametrize(
    ("registry", "realm", "may"),
    [
        ("https://registry-1.docker.io", "https://auth.docker.io/token", True),
        ("https://quay.io", "https://quay.io/v2/auth", True),
        ("http://localhost:5000", "http://localhost:5000/token", True),
        ("http://localhost:5000", "http://localhost:6000/token", False),
        ("https://quay.io", "https://evil.io/token", False),
        ("https://quay.io", "http://quay.io/token", False),
        ("https://127.0.0.1", "https://6.0.0.1/token", False),
        ("https://registry", "https://other/token", False),
    ],
)
def test_a_password_goes_to_its_own_domain(registry, realm, may):
    assert may_know_password(registry, realm) is may
