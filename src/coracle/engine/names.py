"""The files that tell a program its names: /etc/hosts, /etc/hostname, /etc/resolv.conf; pure but for the host's own.

Source: hosts(5), hostname(5), resolv.conf(5); the kubelet's managed hosts file.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from coracle.core.object import Object
from coracle.engine.endpoints import present
from coracle.engine.kinds.sandbox import DnsConfig

_HOSTS = """\
127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::0\tip6-localnet
ff00::0\tip6-mcastprefix
ff02::1\tip6-allnodes
ff02::2\tip6-allrouters
"""
_MANAGED_HOSTS = """\
127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::0\tip6-localnet
fe00::0\tip6-mcastprefix
fe00::1\tip6-allnodes
fe00::2\tip6-allrouters
"""
_HOST_FILE_BYTES = 1 << 20


def render_files(sandbox: Object) -> dict[str, str]:
    """The files of a sandbox, by name."""
    spec = sandbox.spec
    said = spec["dns"]
    servers, searches, options = (tuple(said[name]) for name in ("servers", "searches", "options"))
    dns = DnsConfig(servers=servers, searches=searches, options=options, embedded=said["embedded"])
    there = present(sandbox)
    own = [address for one in there for address in (one["address"], one["address6"]) if address]
    whole = f"{spec['hostname']}.{spec['domain']}" if spec["domain"] else str(spec["hostname"])
    names = (whole, whole.partition(".")[0]) if "." in whole else (whole,)
    gateway = next((one["gateway"] for one in there if one["network"] == sandbox.status["primary"]), "")
    return {
        "hosts": _hosts_file(spec, [(address, *names) for address in own]),
        "hostname": render_hostname(spec["hostname"]),
        "resolv.conf": render_resolv_conf(dns, gateway),
    }


def _hosts_file(spec: Mapping[str, Any], own: Sequence[Sequence[str]]) -> str:
    """With tabs between names, and other IPv6 addresses, where somebody manages it, as the kubelet writes it."""
    title = f"\n# {spec['hosts_title']}\n" if spec["hosts_title"] and spec["hosts"] else ""
    first, gap = (f"# {spec['managed_by']}\n", "\t") if spec["managed_by"] else ("", " ")
    known = _MANAGED_HOSTS if spec["managed_by"] else _HOSTS
    known = read_host_file("/etc/hosts", known) if spec["host_network"] else known
    return first + known + _lines(own, gap) + title + _lines(spec["hosts"], gap)


def _lines(lines: Iterable[Sequence[str]], gap: str = " ") -> str:
    return "".join("\t".join((line[0], gap.join(line[1:]))) + "\n" for line in lines)


def render_hostname(hostname: str) -> str:
    return (hostname or socket.gethostname()) + "\n"


def render_resolv_conf(dns: DnsConfig, gateway: str = "") -> str:
    """What `dns` says; where it has no servers, and is not embedded at a `gateway`, the host's own file."""
    embedded = dns.embedded and bool(gateway)
    if not embedded and not dns.servers:
        return read_host_file("/etc/resolv.conf", "")
    servers = (gateway,) if embedded else dns.servers
    searches = dns.searches or (host_searches() if dns.embedded else ())
    options = dns.options
    if embedded and not any(option.startswith("ndots:") for option in options):
        options = (*options, "ndots:0")
    lines = [f"nameserver {server}" for server in servers]
    lines += [f"search {' '.join(searches)}"] if searches and searches != (".",) else []
    lines += [f"options {' '.join(options)}"] if options else []
    return "\n".join(lines) + "\n"


def host_searches() -> tuple[str, ...]:
    """The domains that the host searches; the last line that tells of any counts (resolv.conf(5))."""
    found: tuple[str, ...] = ()
    for line in read_host_file("/etc/resolv.conf", "").splitlines():
        words = line.split()
        if len(words) > 1 and words[0] in ("search", "domain"):
            found = tuple(words[1:])
    return found


def read_host_file(path: str, otherwise: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(_HOST_FILE_BYTES)
    except FileNotFoundError:
        return otherwise
