"""Pulling from Debian's docker-registry, filled by skopeo, and from a registry that misbehaves; loopback only."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import re
import socket
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from contract.registries import running_registry
from coracle.core.clock import SystemClock
from coracle.core.errors import CloudError, Forbidden, Invalid, NotFound, TooLarge, Unauthenticated, Unavailable
from coracle.image.blobs import BlobStore
from coracle.image.config import ImageConfig, Settings
from coracle.image.digests import digest_of
from coracle.image.doors import Endpoint
from coracle.image.layout import Layout, has_all, read_config
from coracle.image.manifest import (
    DOCKER_MANIFEST,
    OCI_CONFIG,
    OCI_INDEX,
    OCI_LAYER,
    OCI_MANIFEST,
    Descriptor,
    Index,
    Manifest,
    Platform,
)
from coracle.image.references import parse_reference
from coracle.image.registry import Mirrors, Registries
from suites.layers import entry, tar_of


class NoWaiting(SystemClock):
    """Waits are remembered, not waited."""

    def __init__(self):
        self.waits_s = []

    async def sleep(self, delay_s):
        self.waits_s.append(delay_s)


class Image:
    """An image in memory: its blobs by digest, its manifest."""

    def __init__(self, *contents, platform=None):
        tars = [tar_of(entry("f", content)) for content in contents]
        packed = [gzip.compress(tar, mtime=0) for tar in tars]
        platform = platform or Platform()
        config = ImageConfig(platform, Settings(cmd=("x",)), tuple(digest_of(tar) for tar in tars)).encode()
        self.blobs = {digest_of(data): data for data in (config, *packed)}
        layers = tuple(Descriptor(f"{OCI_LAYER}+gzip", digest_of(data), len(data)) for data in packed)
        self.layers = [layer.digest for layer in layers]
        self.raw = Manifest(Descriptor(OCI_CONFIG, digest_of(config), len(config)), layers).encode()
        self.digest = digest_of(self.raw)
        self.descriptor = Descriptor(OCI_MANIFEST, self.digest, len(self.raw), platform=platform)


class Bad:
    """A registry that answers as it is told: `answers` maps a path to what is done with the request."""

    def __init__(self):
        self.answers, self.asked = {}, []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                outer.asked.append((self.path, dict(self.headers)))
                answer = outer.answers.get(self.path.partition("?")[0])
                self.say(404, b"") if answer is None else answer(self)

            def say(self, status, body=b"", **headers):
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name.replace("_", "-"), value)
                if "Content_Length" not in headers:
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def serve(self, image, name="x", tag="latest"):
        for at in (tag, image.digest):
            self.answers[f"/v2/{name}/manifests/{at}"] = lambda r: r.say(200, image.raw, Content_Type=OCI_MANIFEST)
        for digest, data in image.blobs.items():
            self.answers[f"/v2/{name}/blobs/{digest}"] = lambda r, data=data: r.say(200, data)

    def blob(self, image, name="x"):
        """The path of the image's first layer."""
        return f"/v2/{name}/blobs/{image.layers[0]}"

    def close(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def bad():
    made = Bad()
    yield made
    made.close()


class Puller:
    def __init__(self, root):
        self.blobs, self.clock, self.steps = BlobStore(root), NoWaiting(), []

    def pull(self, name, *endpoints, platform=None):
        mirrors = Mirrors({"reg": endpoints}) if endpoints else Mirrors()
        registries = Registries(self.blobs, self.clock, mirrors, platform=platform or Platform())
        reference = parse_reference(name if "/" in name else f"REG/{name}")
        reference = type(reference)("reg", reference.repository, reference.tag, reference.digest)
        return asyncio.run(registries.fetch(reference, lambda *step: self.steps.append(step)))


@pytest.fixture
def puller(tmp_path):
    return Puller(tmp_path / "store")


IMAGE = Image(b"a" * 300_000, b"b")


def test_an_image_is_pulled_whole(bad, puller):
    bad.serve(IMAGE)
    assert puller.pull("x", Endpoint(bad.url)) == IMAGE.digest
    assert has_all(puller.blobs, IMAGE.descriptor)
    assert {step[0] for step in puller.steps} == {f"layer {digest[7:19]}" for digest in IMAGE.layers}
    asked = len(bad.asked)
    assert puller.pull("x", Endpoint(bad.url)) == IMAGE.digest
    assert len(bad.asked) == asked + 1  # blobs that are there are not asked for again


def test_a_name_that_nobody_knows_is_nobodys(bad, puller):
    assert puller.pull("x", Endpoint(bad.url)) is None
    assert asyncio.run(Registries(puller.blobs, puller.clock).fetch(parse_reference("nginx"), lambda *_: None)) is None


def test_the_platform_is_chosen(bad, puller):
    arm = Image(b"arm", platform=Platform("linux", "arm64"))
    raw = Index((IMAGE.descriptor, arm.descriptor)).encode()
    bad.serve(arm)
    bad.serve(IMAGE)
    bad.answers["/v2/x/manifests/latest"] = lambda r: r.say(200, raw, Content_Type=OCI_INDEX)
    assert puller.pull("x", Endpoint(bad.url), platform=Platform("linux", "arm64")) == arm.digest
    with pytest.raises(NotFound, match="no matching manifest for linux/s390x"):
        puller.pull("x", Endpoint(bad.url), platform=Platform("linux", "s390x"))


def test_a_transfer_that_breaks_off_goes_on(bad, puller):
    bad.serve(IMAGE)
    data = IMAGE.blobs[IMAGE.layers[0]]
    ranges = []

    def stumble(request):
        wanted = request.headers.get("Range")
        ranges.append(wanted)
        start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1]) if wanted else 0
        rest = data[start:]
        if len(ranges) < 3:  # promises all, sends some, hangs up
            headers = {"Content_Range": f"bytes {start}-{len(data) - 1}/{len(data)}"} if wanted else {}
            request.say(206 if wanted else 200, rest[: len(rest) // 2], Content_Length=str(len(rest)), **headers)
            request.close_connection = True
        else:
            request.say(206 if wanted else 200, rest, **(
                {"Content_Range": f"bytes {start}-{len(data) - 1}/{len(data)}"} if wanted else {}))  # fmt: skip

    bad.answers[bad.blob(IMAGE)] = stumble
    assert puller.pull("x", Endpoint(bad.url)) == IMAGE.digest
    assert len(ranges) == 3
    assert puller.clock.waits_s == [0.5, 1.0]


def test_what_an_earlier_attempt_left_is_not_asked_for_again(bad, puller):
    bad.serve(IMAGE)
    data = IMAGE.blobs[IMAGE.layers[0]]
    with puller.blobs.writer(IMAGE.layers[0], len(data)) as writer:
        writer.write(data[:100])
    seen = []

    def answer(request):
        seen.append(request.headers.get("Range"))
        request.say(206, data[100:], Content_Range=f"bytes 100-{len(data) - 1}/{len(data)}")

    bad.answers[bad.blob(IMAGE)] = answer
    assert puller.pull("x", Endpoint(bad.url)) == IMAGE.digest
    assert seen == ["bytes=100-"]


def test_a_server_that_cannot_go_on_starts_anew(bad, puller):
    bad.serve(IMAGE)
    with puller.blobs.writer(IMAGE.layers[0], len(IMAGE.blobs[IMAGE.layers[0]])) as writer:
        writer.write(IMAGE.blobs[IMAGE.layers[0]][:100])
    assert puller.pull("x", Endpoint(bad.url)) == IMAGE.digest


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_registry_in_trouble_is_asked_again(bad, puller, status):
    bad.serve(IMAGE)
    good, count = bad.answers["/v2/x/manifests/latest"], []

    def answer(request):
        count.append(1)
        request.say(status) if len(count) < 3 else good(request)

    bad.answers["/v2/x/manifests/latest"] = answer
    assert puller.pull("x", Endpoint(bad.url)) == IMAGE.digest
    bad.answers["/v2/x/manifests/latest"] = lambda request: request.say(status)
    with pytest.raises(Unavailable, match=str(status)):
        puller.pull("x", Endpoint(bad.url))


def manifest_of(**changes):
    doc = {**json.loads(IMAGE.raw), **changes}
    return lambda request: request.say(200, json.dumps(doc).encode(), Content_Type=OCI_MANIFEST)


LAYER = json.loads(IMAGE.raw)["layers"][0]
LIES = {
    "a blob with other content": (lambda bad: bad.answers.__setitem__(
        bad.blob(IMAGE), lambda r: r.say(200, b"x" * len(IMAGE.blobs[IMAGE.layers[0]]))), Invalid),
    "a blob that is too long": (lambda bad: bad.answers.__setitem__(
        bad.blob(IMAGE), lambda r: r.say(200, IMAGE.blobs[IMAGE.layers[0]] + b"x")), TooLarge),
    "a blob that is too short": (lambda bad: bad.answers.__setitem__(
        bad.blob(IMAGE), lambda r: r.say(200, IMAGE.blobs[IMAGE.layers[0]][:-1])), Invalid),
    "a wrong size in the manifest": (lambda bad: bad.answers.__setitem__(
        "/v2/x/manifests/latest", manifest_of(layers=[{**LAYER, "size": 5}])), CloudError),
    "fewer layers than the configuration": (lambda bad: bad.answers.__setitem__(
        "/v2/x/manifests/latest", manifest_of(layers=[LAYER])), Invalid),
    "a digest that is not the manifest's": (lambda bad: bad.answers.__setitem__(
        "/v2/x/manifests/latest",
        lambda r: r.say(200, IMAGE.raw, Content_Type=OCI_MANIFEST, Docker_Content_Digest=digest_of(b""))), Invalid),
    "another type than its own": (lambda bad: bad.answers.__setitem__(
        "/v2/x/manifests/latest", lambda r: r.say(200, IMAGE.raw, Content_Type=DOCKER_MANIFEST)), Invalid),
    "an endless manifest": (lambda bad: bad.answers.__setitem__(
        "/v2/x/manifests/latest", lambda r: r.say(200, b" " * (5 << 20), Content_Type=OCI_MANIFEST)), TooLarge),
    "nonsense": (lambda bad: bad.answers.__setitem__(
        "/v2/x/manifests/latest", lambda r: r.say(200, b"<html>", Content_Type="text/html")), CloudError),
    "an index of itself": (lambda bad: bad.answers.__setitem__(
        "/v2/x/manifests/latest", lambda r: r.say(200, Index((Descriptor(OCI_INDEX, IMAGE.digest, 5),)).encode(),
                                                  Content_Type=OCI_INDEX)), CloudError),
    "a redirect without end": (lambda bad: bad.answers.__setitem__(
        bad.blob(IMAGE), lambda r: r.say(307, Location=r.path)), Invalid),
    "a redirect to plain http elsewhere": (lambda bad: bad.answers.__setitem__(
        bad.blob(IMAGE), lambda r: r.say(307, Location="http://192.0.2.1/x")), Invalid),
    "a redirect to a file": (lambda bad: bad.answers.__setitem__(
        bad.blob(IMAGE), lambda r: r.say(307, Location="file:///etc/passwd")), Invalid),
}  # fmt: skip


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_is_refused_and_nothing_is_admitted(bad, puller, lie):
    bad.serve(IMAGE)
    tell, error = LIES[lie]
    tell(bad)
    with pytest.raises(error):
        puller.pull("x", Endpoint(bad.url))
    assert not puller.blobs.has(IMAGE.digest)
    for blob in puller.blobs.list():
        assert puller.blobs.verify(blob.digest)


def test_a_digest_asked_for_is_the_digest_got(bad, puller):
    other = Image(b"other")
    bad.serve(IMAGE)
    bad.answers[f"/v2/x/manifests/{other.digest}"] = bad.answers["/v2/x/manifests/latest"]
    with pytest.raises(Invalid):
        puller.pull(f"x@{other.digest}", Endpoint(bad.url))


class Guarded(Bad):
    """Wants a token for everything; `tokens` are what its own realm gives."""

    def __init__(self, image, password=None):
        super().__init__()
        self.serve(image)
        self.realm, self.valid, self.password = f"{self.url}/token", {"good"}, password
        self.answers = {path: self._guard(answer) for path, answer in self.answers.items()}
        self.answers["/token"] = self._token

    def _guard(self, answer):
        def guarded(request):
            if request.headers.get("Authorization") in {f"Bearer {token}" for token in self.valid}:
                answer(request)
            else:
                request.say(401, WWW_Authenticate=f'Bearer realm="{self.realm}",service="s",scope="repository:x:pull"')

        return guarded

    def _token(self, request):
        sent = request.headers.get("Authorization")
        if self.password and sent != self.password:
            request.say(401)
        else:
            request.say(200, b'{"token": "good"}')


def test_a_token_is_got_where_asked_for(puller):
    with contextlib.closing(Guarded(IMAGE)) as bad:
        assert puller.pull("x", Endpoint(bad.url)) == IMAGE.digest
        assert "/token?service=s&scope=repository:x:pull" in [path.replace("%3A", ":") for path, _ in bad.asked]


def test_a_password_is_told_to_its_own_realm_only(puller, bad):
    basic = "Basic bWU6c2VjcmV0"
    with contextlib.closing(Guarded(IMAGE, basic)) as guarded:
        assert puller.pull("x", Endpoint(guarded.url, "me", "secret")) == IMAGE.digest
        with pytest.raises(Unauthenticated):
            puller.pull("x", Endpoint(guarded.url, "me", "wrong"))
        guarded.realm = f"{bad.url}/steal"
        bad.answers["/steal"] = lambda r: r.say(200, b'{"token": "bad"}')
        with pytest.raises((Forbidden, Unauthenticated)):
            puller.pull("x", Endpoint(guarded.url, "me", "secret"))
        assert [headers.get("Authorization") for _, headers in bad.asked] == [None]


def test_a_redirect_does_not_carry_the_token(bad, puller):
    with contextlib.closing(Guarded(IMAGE)) as guarded:
        path = guarded.blob(IMAGE)
        guarded.answers[path] = guarded._guard(lambda r: r.say(307, Location=f"{bad.url}/cdn"))
        bad.answers["/cdn"] = lambda r: r.say(200, IMAGE.blobs[IMAGE.layers[0]])
        assert puller.pull("x", Endpoint(guarded.url)) == IMAGE.digest
        assert [headers.get("Authorization") for _, headers in bad.asked] == [None]


def test_a_token_that_grew_old_is_renewed(puller):
    with contextlib.closing(Guarded(IMAGE)) as guarded:
        manifest = guarded.answers["/v2/x/manifests/latest"]

        def grow_old(request):
            manifest(request)
            if request.headers.get("Authorization") == "Bearer good":
                guarded.valid = {"new"}
                guarded.answers["/token"] = lambda r: r.say(200, b'{"access_token": "new"}')

        guarded.answers["/v2/x/manifests/latest"] = grow_old
        assert puller.pull("x", Endpoint(guarded.url)) == IMAGE.digest


def test_the_next_mirror_is_asked(bad, puller):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        gone = f"http://127.0.0.1:{closed.getsockname()[1]}"
    bad.serve(IMAGE)
    assert puller.pull("x", Endpoint(gone), Endpoint(bad.url)) == IMAGE.digest
    with pytest.raises(Unavailable, match="cannot be reached"):
        puller.pull("x", Endpoint(gone))


def test_plain_http_is_for_this_machine():
    with pytest.raises(Invalid):
        Mirrors({"reg": (Endpoint("http://192.0.2.1:5000"),)})


# -- the real thing ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    """The address of a running docker-registry."""
    with running_registry(tmp_path_factory.mktemp("registry")) as address:
        yield address


@pytest.mark.parametrize("kind", ["oci", "v2s2"])
def test_skopeo_pushes_and_we_pull(registry, puller, tmp_path, kind):
    layout = Layout(tmp_path / "layout")
    for data in (*IMAGE.blobs.values(), IMAGE.raw):
        layout.blobs.put(data)
    layout.set("it", IMAGE.descriptor)
    subprocess.run(
        ["skopeo", "copy", "-q", "--insecure-policy", "--dest-tls-verify=false", f"--format={kind}",
         f"oci:{tmp_path}/layout:it", f"docker://{registry}/some/thing:{kind}"],
        check=True,
    )  # fmt: skip
    found = puller.pull(f"REG/some/thing:{kind}", Endpoint(f"http://{registry}"))
    assert (found == IMAGE.digest) == (kind == "oci")
    stored = Descriptor(OCI_MANIFEST if kind == "oci" else DOCKER_MANIFEST, found, 0)
    assert read_config(puller.blobs, stored).settings == Settings(cmd=("x",))
    assert puller.pull("REG/some/thing:no", Endpoint(f"http://{registry}")) is None
    assert puller.pull("REG/no/thing", Endpoint(f"http://{registry}")) is None
