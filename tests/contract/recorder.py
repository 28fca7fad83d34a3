"""A Docker that makes nothing: it answers what Compose v2 asks, and keeps what it is told to make."""

import base64
import http.server
import json
import re
import socketserver
import threading
from urllib.parse import parse_qs, unquote, urlsplit

IMAGE_ID = "sha256:" + "1" * 64
IMAGE_VOLUME = "/image"
ROOT = {"name": "/", "size": 0, "mode": 2147484141, "mtime": "2020-01-01T00:00:00Z", "linkTarget": ""}


class Recorder(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """`with Recorder(path) as docker: ...`; then docker.made: containers, networks, volumes, archives by name.

    Every image is there; of networks and volumes those whose names begin with "ext".
    """

    daemon_threads = True
    request_queue_size = 200

    def __init__(self, path):
        self.made = {"containers": {}, "queries": {}, "networks": {}, "volumes": {}, "archives": {}}
        self.present = {}
        super().__init__(str(path), _Handler)

    def __enter__(self):
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return super().__enter__()

    def __exit__(self, *outcome):
        self.shutdown()
        return super().__exit__(*outcome)

    def create(self, name, body, query):
        id = f"{len(self.present) + 1:064x}"
        self.made["containers"][name], self.made["queries"][name] = body, query
        self.present[id] = {
            "Id": id,
            "Names": ["/" + name],
            "Labels": body["Labels"],
            "State": "created",
            "Image": body["Image"],
            "Mounts": [],
        }
        return {"Id": id, "Warnings": []}

    def container(self, word):
        return self.present.get(word) or next(
            (one for one in self.present.values() if one["Names"] == ["/" + word]), None
        )

    def list(self, query):
        wanted = json.loads(query.get("filters", "{}")).get("label", {})
        return [
            one
            for one in self.present.values()
            if all(
                (one["Labels"].get(name) == value) if sign else name in one["Labels"]
                for name, sign, value in (text.partition("=") for text in wanted)
            )
        ]


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *words):
        pass

    def address_string(self):
        return ""

    def handle_any(self):
        parts = urlsplit(self.path)
        path = re.sub(r"^/v1\.\d+", "", unquote(parts.path))
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        body = self._body()
        for verb, pattern, answer in ANSWERS:
            if self.command == verb and (found := re.fullmatch(pattern, path)):
                status, value, *headers = answer(self.server, query, body, *found.groups())
                return self._answer(status, value, dict(headers))
        return self._answer(404, {"message": f"the recorder does not know {self.command} {path}"}, {})

    do_GET = do_POST = do_PUT = do_HEAD = do_DELETE = handle_any

    def _body(self):
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        pieces = []
        while length := int(self.rfile.readline(), 16):
            pieces.append(self.rfile.read(length))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(pieces)

    def _answer(self, status, value, headers):
        data = json.dumps(value).encode()
        self.send_response(status)
        for name, text in {
            "Content-Type": "application/json",
            "Api-Version": "1.50",
            "OSType": "linux",
            **headers,
        }.items():
            self.send_header(name, text)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)


def _image(docker, query, body, name):
    config = {"Volumes": {IMAGE_VOLUME: {}}}
    return 200, {"Id": IMAGE_ID, "RepoTags": [name], "Os": "linux", "Architecture": "amd64", "Config": config}


def _images(docker, query, body):
    name = next(iter(json.loads(query.get("filters", "{}")).get("reference", {"x": True})))
    return 200, [{"Id": IMAGE_ID, "RepoTags": [name], "Labels": None}]


def _create(docker, query, body):
    return 201, docker.create(query.pop("name"), json.loads(body), query)


def _inspect(docker, query, body, word):
    found = docker.container(word)
    if found is None:
        return 404, {"message": f"No such container: {word}"}
    settings = {"Config": {"Labels": found["Labels"]}, "State": {"Status": "created"}, "HostConfig": {}}
    return 200, {"Id": found["Id"], "Name": found["Names"][0], **settings, "NetworkSettings": {"Networks": {}}}


def _put(docker, query, body, word):
    name = docker.container(word)["Names"][0][1:]
    docker.made["archives"].setdefault(name, []).append((query, body))
    return 200, {}


def _stat(docker, query, body, word):
    return 200, {}, ("X-Docker-Container-Path-Stat", base64.b64encode(json.dumps(ROOT).encode()).decode())


def _network(docker, query, body):
    made = json.loads(body)
    docker.made["networks"][made["Name"]] = made
    return 201, {"Id": "n-" + made["Name"]}


def _networks(docker, query, body):
    names = json.loads(query.get("filters", "{}")).get("name", {})
    return 200, [{"Id": "n-" + name, "Name": name, "Labels": {}} for name in names if name.startswith("ext")]


def _volume(docker, query, body):
    made = json.loads(body)
    docker.made["volumes"][made["Name"]] = made
    return 201, made


def _one_volume(docker, query, body, name):
    return (200, {"Name": name, "Labels": {}}) if name.startswith("ext") else (404, {"message": "no such volume"})


VERSION = {"ApiVersion": "1.50", "MinAPIVersion": "1.24", "Version": "28.2.2", "Os": "linux", "Arch": "amd64"}
ANSWERS = [
    ("HEAD", "/_ping", lambda *_: (200, "OK")),
    ("GET", "/_ping", lambda *_: (200, "OK")),
    ("GET", "/version", lambda *_: (200, VERSION)),
    ("GET", "/info", lambda *_: (200, {"OSType": "linux", "Architecture": "x86_64", "Swarm": {}})),
    ("GET", "/images/json", _images),
    ("GET", "/images/(.+)/json", _image),
    ("GET", "/containers/json", lambda docker, query, body: (200, docker.list(query))),
    ("POST", "/containers/create", _create),
    ("GET", "/containers/([^/]+)/json", _inspect),
    ("PUT", "/containers/([^/]+)/archive", _put),
    ("HEAD", "/containers/([^/]+)/archive", _stat),
    ("POST", "/networks/create", _network),
    ("GET", "/networks", _networks),
    ("GET", "/networks/(.+)", lambda *_: (404, {"message": "network not found"})),
    ("POST", "/volumes/create", _volume),
    ("GET", "/volumes/(.+)", _one_volume),
]
