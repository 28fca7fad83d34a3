"""Docker's API without a client in between: for what clients never send, and for old versions."""

from __future__ import annotations

import http.client
import json
import socket


class _Connection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("docker", timeout=120)
        self._path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Api:
    """`api("GET", "/v1.41/images/json")` -> (200, [...]); a stream of objects comes as a list of them."""

    def __init__(self, socket_path):
        self._path = socket_path

    def __call__(self, method, target, body=None, headers=None):
        connection = _Connection(self._path)
        try:
            connection.request(method, target, body=body, headers=headers or {})
            answer = connection.getresponse()
            raw = answer.read()
        finally:
            connection.close()
        end = b"\n" if raw.startswith(b"{") else b"\r\n"  # what is no JSON stays as it is
        lines = [line for line in raw.split(end) if line.strip()]
        if len(lines) > 1 or raw.endswith(b"\r\n"):
            return answer.status, [json.loads(line) for line in lines]
        return answer.status, json.loads(raw) if raw[:1] in b'{["' and raw else raw
