"""The one HTTP/1.1 server core: every door (Kubernetes over TLS, Docker over a unix socket, ...) is a `server.Server`.

Read in this order: `messages` (what handlers see), `router`, `edge`, `parser` (bytes to requests, no I/O), `render`
(answers to bytes, no I/O), `connection` (one client), `tls`, `listeners`, `server`; `websocket` stands on an Upgrade.
"""
