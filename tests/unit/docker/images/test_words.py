"""What clients send about images, read; what they are told, in dockerd's words."""

import base64
import json
import re

import pytest

from coracle.core.errors import CloudError, Forbidden, Invalid, Malformed, Unauthenticated
from coracle.core.object import Meta, Object
from coracle.docker.images import pulling, pushing
from coracle.docker.images.asking import registry_of
from coracle.docker.images.downloads import check_source
from coracle.docker.images.logins import decode_login
from coracle.docker.images.naming import target_name
from coracle.docker.images.platforms import asked_platform, parse
from coracle.docker.images.progress import telling
from coracle.image import steps
from coracle.image.push import MOUNTED, THERE
from coracle.image.references import parse_reference
from coracle.image.terms import NOBODY, Login
from coracle.testing.autojump import run
from coracle.web.messages import Request

DIGEST = "sha256:" + "0123456789ab" + "0" * 52


def encoded(doc):
    return base64.urlsafe_b64encode(json.dumps(doc).encode()).decode()


@pytest.mark.parametrize(
    ("header", "login"),
    [
        ("", NOBODY),
        ("e30=", NOBODY),
        ("e30", NOBODY),
        ("%%%", NOBODY),
        (encoded([1]), NOBODY),
        (encoded({"username": 5}), NOBODY),
        (encoded({"username": "me", "password": "ü?>"}), Login("me", "ü?>")),
        (encoded({"auth": base64.b64encode(b"me:a:b").decode()}), Login("me", "a:b")),
        (encoded({"identitytoken": "t"}), Login(identity="t")),
        (encoded({"registrytoken": "t"}), Login(bearer="t")),
    ],
)
def test_who_a_client_says_it_is(header, login):
    assert decode_login(header) == login


@pytest.mark.parametrize(
    ("text", "platform"),
    [
        ("linux/amd64", "linux/amd64"),
        ("arm64", "linux/arm64"),
        ("linux/arm64/v8", "linux/arm64"),
        ("linux/x86_64", "linux/amd64"),
        ("LINUX/ARM/v7", "linux/arm/v7"),
        ("armhf", "linux/arm/v7"),
        ("linux", "linux/amd64"),
        ("plan9/wat", "plan9/wat"),
    ],
)
def test_platforms(text, platform):
    assert str(parse(text)) == platform


def test_a_platform_as_json():
    def asked(text):
        return asked_platform(Request("GET", f"/x?platform={text}"))

    assert str(asked('{"os":"linux","architecture":"arm","variant":"v7"}')) == "linux/arm/v7"
    assert asked("") is None
    for text in ("{", '{"os":"linux"}', '{"os":5,"architecture":"arm"}'):
        with pytest.raises(Malformed):
            asked(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("foo", '"foo": unknown operating system or architecture: invalid argument'),
        ("a/b/c/d", '"a/b/c/d": cannot parse platform specifier: invalid argument'),
        ("linux/", '"" is an invalid component of "linux/": platform specifier component must match'),
        ("l nux/amd64", '"l nux" is an invalid component of "l nux/amd64": platform specifier component must match'),
    ],
)
def test_what_is_no_platform(text, said):
    with pytest.raises(Malformed, match=re.escape(said)):
        parse(text)


def test_the_name_that_a_tag_is_given():
    assert target_name("web", "1") == target_name("web:1", "") == "docker.io/library/web:1"
    assert target_name("web:1", "2") == "docker.io/library/web:2"
    for repository, tag in (("", "1"), ("Web", ""), ("web", "a b"), (f"web@{DIGEST}", "1")):
        with pytest.raises(Malformed):
            target_name(repository, tag)


@pytest.mark.parametrize(
    ("address", "registry"),
    [
        ("https://index.docker.io/v1/", "docker.io"),
        ("", "docker.io"),
        ("127.0.0.1:5000", "127.0.0.1:5000"),
        ("https://quay.io/v2/", "quay.io"),
        ("localhost", "localhost"),
        ("registry", "registry"),
        ("https://[::1]:5000/v2/", "[::1]:5000"),
    ],
)
def test_what_is_logged_in_to(address, registry):
    assert registry_of(address) == registry


@pytest.mark.parametrize("address", ["..", "a\0b", "[", "//[", "a b", "x" * 300, "x:99999", "user@host", "é"])
def test_what_nobody_can_log_in_to(address):
    with pytest.raises(Malformed, match="invalid registry address"):
        registry_of(address)


@pytest.mark.parametrize("source", ["", "ftp://x/y", "file:///etc/passwd", "http://", "http://x:99999/"])
def test_what_nothing_is_imported_from(source):
    with pytest.raises(Malformed):
        check_source(source)


def image(digest="", labels=None):
    spec = {"digests": [f"web@{digest}"] if digest else [], "config": {"labels": labels or {}}}
    return Object("Image", Meta(name="x"), {"spec": spec})


def pulled(*told, is_new=True, digest=DIGEST):
    said = []
    report = pulling.Report(parse_reference("web:1"), said.append)
    for step in told:
        report.step(*step)
    report.end(image(digest), is_new=is_new)
    return [(line.get("id", ""), line["status"]) for line in said]


def test_a_pull_from_a_registry():
    layer, unpack = steps.layer(DIGEST), steps.unpack(DIGEST)
    told = [(layer, 0, 9 << 20), (layer, 1, 9 << 20), (layer, 3 << 20, 9 << 20), (layer, 9 << 20, 9 << 20),
            (layer, 9 << 20, 9 << 20), (unpack, 0, 9), (unpack, 9, 9)]  # fmt: skip
    assert pulled(*told) == [
        ("1", "Pulling from library/web"),
        ("0123456789ab", "Pulling fs layer"),
        ("0123456789ab", "Downloading"),
        ("0123456789ab", "Verifying Checksum"),
        ("0123456789ab", "Download complete"),
        ("0123456789ab", "Extracting"),
        ("0123456789ab", "Pull complete"),
        ("", f"Digest: {DIGEST}"),
        ("", "Status: Downloaded newer image for web:1"),
    ]


def test_a_pull_of_what_is_here():
    layer, unpack = steps.layer(DIGEST), steps.unpack(DIGEST)
    assert pulled((layer, 9, 9), (unpack, 0, 9), (unpack, 9, 9), is_new=False, digest="") == [
        ("1", "Pulling from library/web"),
        ("0123456789ab", "Already exists"),
        ("", "Status: Image is up to date for web:1"),
    ]


def test_a_build_of_the_catalogue_is_told_as_it_goes():
    assert pulled(("web: downloading", 10, 100), ("web: downloading", 20, 100), ("storing", 0, 1), digest="")[1:-1] == [
        ("web", "Downloading"), ("web", "Downloading"), ("web", "Downloading"), ("web", "Storing")
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("told", "statuses"),
    [
        ([(0, 9), (9, THERE)], ["Preparing", "Layer already exists"]),
        ([(0, 9), (9, MOUNTED)], ["Preparing", "Mounted from b/c"]),
        ([(0, 9), (9, 9), (9, 9)], ["Preparing", "Pushed"]),
        ([(0, 3 << 20), (1 << 20, 3 << 20), (3 << 20, 3 << 20)], ["Preparing", "Pushing", "Pushed"]),
    ],
)
def test_a_push(told, statuses):
    said = []
    report = pushing.Report({DIGEST: ["b/c"]}, said.append)
    for done, total in told:
        report.step(steps.push(DIGEST), done, total)
    assert [line["status"] for line in said] == statuses


def test_where_a_registry_has_layers_already():
    spec = {
        "blobs": ["l"],
        "digests": [f"{place}@{DIGEST}" for place in ("reg:5/a", "reg:5/b", "other:5/c", "reg:5/b")],
    }
    seen = Object("Image", Meta(name="x"), {"spec": spec})
    assert pushing.known_places([seen], parse_reference("reg:5/a:1")) == {"l": ["b"]}
    assert pushing.known_places([seen], parse_reference("elsewhere:5/a:1")) == {}


def told_by(work):
    async def main():
        stream = await telling(work)
        return [json.loads(line) async for line in stream.chunks]

    return run(main())


def test_a_failure_before_the_first_word_is_the_answer_and_later_the_last_line():
    async def fails_late(say):
        say({"status": "x"})
        raise Invalid(message="no good")

    assert told_by(fails_late) == [{"status": "x"}, {"errorDetail": {"message": "no good"}, "error": "no good"}]

    def failing(error):
        async def work(_say):
            raise error

        return work

    with pytest.raises(CloudError, match="no good"):
        told_by(failing(Invalid(message="no good")))
    with pytest.raises(Forbidden):  # 401 would make clients ask for a password to us
        told_by(failing(Unauthenticated("no")))

    async def silent(_say):
        return

    assert told_by(silent) == []
