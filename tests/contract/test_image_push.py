"""Pushing to a registry that misbehaves: uploads that break off, rights that are missing, answers that lie."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from coracle.core.clock import SystemClock
from coracle.core.errors import Forbidden, Invalid, NotFound, Unauthenticated, Unavailable
from coracle.image import steps
from coracle.image.blobs import BlobStore
from coracle.image.config import Settings
from coracle.image.digests import digest_of
from coracle.image.push import MOUNTED, THERE
from coracle.image.references import Reference
from coracle.image.registry import Mirrors, Registries
from coracle.image.terms import NOBODY, Login
from coracle.testing.engine import put_image


class NoWaiting(SystemClock):
    async def sleep(self, delay_s):
        pass


class Upload:
    """The little of a registry that pushing needs.  `break_at`: how many bytes it takes before it hangs up, each time
    once; `guard`: it wants tokens of its own realm, for the rights in `scopes`."""

    def __init__(self, *, guard=False):
        self.blobs, self.manifests, self.asked, self.scopes = {}, {}, [], []
        self.break_at, self.elsewhere, self.digest_said = [], {}, ""
        self.guard, self.password = guard, ""
        self._uploads, outer = {}, self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self):
                super().setup()
                self.owner = outer

            def handle_one(self):
                outer.asked.append((self.command, self.path, dict(self.headers)))
                outer.answer(self)

            do_GET = do_HEAD = do_POST = do_PATCH = do_PUT = handle_one

            def say(self, status, body=b"", **headers):
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name.replace("_", "-"), value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            def body(self, limit=None):
                length = int(self.headers.get("Content-Length") or 0)
                return self.rfile.read(length if limit is None else min(limit, length))

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, request):
        parts = urlsplit(request.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if parts.path == "/token":
            return self._token(request, parse_qs(parts.query))
        if self.guard and request.headers.get("Authorization") != "Bearer good":
            request.body()
            realm = f'Bearer realm="http://{self.host}/token",service="s",scope="repository:x:pull"'
            return request.say(401, WWW_Authenticate=realm)
        if parts.path == "/v2/":
            return request.say(200)
        if found := re.fullmatch(r"/v2/x/blobs/(sha256:\w+)", parts.path):
            return request.say(200 if found[1] in self.blobs else 404)
        if parts.path == "/v2/x/blobs/uploads/":
            return self._begin(request, query)
        if parts.path.startswith("/upload/"):
            return self._go_on(request, parts.path.rpartition("/")[2], query)
        if found := re.fullmatch(r"/v2/x/manifests/(\S+)", parts.path):
            raw = request.body()
            self.manifests[found[1]] = raw
            return request.say(201, Docker_Content_Digest=self.digest_said or digest_of(raw))
        return request.say(404)

    def _token(self, request, query):
        self.scopes.append(query.get("scope", []))
        sent = request.headers.get("Authorization", "")
        if self.password and base64.b64decode(sent.removeprefix("Basic ")).decode() != self.password:
            return request.say(401)
        return request.say(200, b'{"token": "good"}')

    def _begin(self, request, query):
        if query.get("mount") in self.elsewhere.get(query.get("from"), {}):
            self.blobs[query["mount"]] = b""
            return request.say(201)
        name = str(len(self._uploads))
        self._uploads[name] = bytearray()
        return request.say(202, Location=f"/upload/{name}", Range="0-0")

    def _go_on(self, request, name, query):
        data = self._uploads[name]
        place = {"Location": f"/upload/{name}?state={len(data)}", "Range": f"0-{max(len(data) - 1, 0)}"}
        if request.command == "GET":
            return request.say(204, **place)
        if request.command == "PATCH":
            start = int(request.headers["Content-Range"].partition("-")[0])
            if start != len(data):
                request.body()
                return request.say(416, **place)
            if self.break_at:
                data += request.body(self.break_at.pop(0))
                request.close_connection = True
                return None
            data += request.body()
            return request.say(202, Location=f"/upload/{name}?state={len(data)}")
        request.body()
        if digest_of(bytes(data)) != query["digest"]:
            return request.say(400, b'{"errors": [{"code": "DIGEST_INVALID", "message": "no"}]}')
        self.blobs[query["digest"]] = bytes(data)
        return request.say(201)


@pytest.fixture
def registry():
    with contextlib.closing(Upload()) as made:
        yield made


class Pusher:
    def __init__(self, root, registry):
        self.blobs, self.steps, self._registry = BlobStore(root), [], registry
        self.digest = put_image(self.blobs, Settings(cmd=("x",)), {"f": "a" * 300_000}, {"g": "b"})

    def push(self, known=None, login=NOBODY):
        registries = Registries(self.blobs, NoWaiting(), Mirrors())
        reference = Reference(self._registry.host, "x", "1")
        work = registries.push(reference, self.digest, known or {}, lambda *step: self.steps.append(step), login)
        return asyncio.run(work)

    def told(self):
        return {(name, total) for name, _, total in self.steps if total < 0}


@pytest.fixture
def pusher(tmp_path, registry):
    return Pusher(tmp_path, registry)


def layers_of(pusher):
    return [layer["digest"] for layer in json.loads(pusher.blobs.read(pusher.digest))["layers"]]


def test_everything_arrives_and_is_not_sent_twice(registry, pusher):
    sent = pusher.push()
    assert (sent.digest, registry.manifests) == (pusher.digest, {"1": pusher.blobs.read(pusher.digest)})
    assert set(registry.blobs) == {blob.digest for blob in pusher.blobs.list()} - {pusher.digest}
    asked = len(registry.asked)
    pusher.push()
    assert {command for command, *_ in registry.asked[asked:]} == {"GET", "HEAD", "PUT"}
    assert pusher.told() == {(steps.push(layer), THERE) for layer in layers_of(pusher)}


def test_an_upload_that_breaks_off_goes_on(registry, pusher):
    registry.break_at = [100_000, 50_000]
    pusher.push()
    assert set(layers_of(pusher)) <= set(registry.blobs)
    starts = [headers["Content-Range"] for command, _, headers in registry.asked if command == "PATCH"]
    assert any(not start.startswith("0-") for start in starts)


def test_an_upload_that_never_ends_is_given_up(registry, pusher):
    registry.break_at = [1] * 1000
    with pytest.raises(Unavailable, match="broke off"):
        pusher.push()
    assert registry.manifests == {}


def test_layers_are_taken_over_where_they_are_known_to_be(registry, pusher):
    one, two = layers_of(pusher)
    registry.elsewhere = {"other": {one: b""}}
    pusher.push({one: ["other"], two: ["gone"]})
    assert pusher.told() == {(steps.push(one), MOUNTED)}
    assert two in registry.blobs


def test_rights_are_asked_for_with_the_token(tmp_path):
    with contextlib.closing(Upload(guard=True)) as registry:
        registry.password = "me:secret"
        pusher = Pusher(tmp_path, registry)
        one, _ = layers_of(pusher)
        pusher.push({one: ["other"]}, Login("me", "secret"))
        assert registry.scopes[0] == ["repository:x:pull,push"]
        assert ["repository:x:pull,push", "repository:other:pull"] in registry.scopes
        with pytest.raises(Unauthenticated):
            pusher.push(login=Login("me", "wrong"))
        with pytest.raises(Forbidden):
            pusher.push()


def test_a_registry_that_took_something_else_is_not_believed(registry, pusher):
    registry.digest_said = digest_of(b"else")
    with pytest.raises(Invalid, match="took manifest"):
        pusher.push()


def test_what_is_not_here_is_not_pushed(registry, pusher):
    pusher.blobs.delete(layers_of(pusher)[0])
    with pytest.raises(NotFound):
        pusher.push()
    assert registry.manifests == {}
