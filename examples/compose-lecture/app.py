"""Counts its visits in redis, and writes each down in /var/log/visits.log."""

import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from redis import Redis

PORT = 5000
counter = Redis(host="redis")


class Visits(BaseHTTPRequestHandler):
    def do_GET(self):
        visits = counter.incr("visits")
        with open("/var/log/visits.log", "a") as log:
            log.write(f"{self.client_address[0]} {visits}\n")
        self.send_response(200)
        self.end_headers()
        self.wfile.write(f"Hello! This page has been seen {visits} times.\n".encode())


signal.signal(signal.SIGTERM, lambda *_: sys.exit())
server = ThreadingHTTPServer(("0.0.0.0", PORT), Visits)
print(f" * Running on http://0.0.0.0:{PORT}/", flush=True)
server.serve_forever()
