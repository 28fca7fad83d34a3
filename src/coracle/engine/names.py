"""The files that tell a program its names: /etc/hosts, /etc/hostname, /etc/resolv.conf; pure but for the host's own.

Source: hosts(5), hostname(5), resolv.conf(5); the kubelet's managed hosts file.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence

from coracle.engine.kinds.sandbox import DnsConfig

_HOSTS = """\
127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::0\tip6-localnet
fe00::0\tip6-mcastprefix
fe00::1\tip6-allnodes
fe00::2\tip6-allrouters
"""
_HOST_FILE_BYTES = 1 << 20


def render_hosts(hostname: str, address: str, more: Sequence[Sequence[str]] = ()) -> str:
    """The sandbox's own name, and `more` lines of (address, name, ...).  No address (the host's network): the host's
    file, and `more`."""
    first = f"{_HOSTS}{address}\t{hostname}\n" if address else read_host_file("/etc/hosts", _HOSTS)
    return first + "".join("\t".join((line[0], " ".join(line[1:]))) + "\n" for line in more)


def render_hostname(hostname: str) -> str:
    return (hostname or socket.gethostname()) + "\n"


def render_resolv_conf(dns: DnsConfig) -> str:
    """What `dns` says; with no servers in it, the host's own file."""
    if not dns.servers:
        return read_host_file("/etc/resolv.conf", "")
    lines = [f"nameserver {server}" for server in dns.servers]
    lines += [f"search {' '.join(dns.searches)}"] if dns.searches else []
    lines += [f"options {' '.join(dns.options)}"] if dns.options else []
    return "\n".join(lines) + "\n"


def read_host_file(path: str, otherwise: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(_HOST_FILE_BYTES)
    except FileNotFoundError:
        return otherwise
