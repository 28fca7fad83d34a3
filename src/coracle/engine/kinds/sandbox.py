"""Sandbox: a network identity that containers live in (a pod's, or one container's own).

Status
    state       "making" (journaled, not yet in the kernel), "ready"
    address     "10.32.0.5": that of the primary endpoint; "" with the host's network, or with none
    primary     the network whose gateway leads out and answers names; "" as above
    endpoints   what it is plugged into, in the order of connecting: see Plugged
    netns_path  where its network namespace is pinned; "host"
    ipcns_path, utsns_path   "" where every container gets its own; "host"
    pidns_path, shm_path     what its containers share, with `share_pid` and `share_ipc`; absent or ""
    users_path  where its user namespace is pinned; "" where it has the host's users
    first_id    the host's id that is 0 in there; 0 as above
    mended      how often it was made again, since the kernel had lost it; absent: never
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from ipaddress import ip_address
from typing import Any, Literal, TypedDict

from coracle.core.errors import duplicate, forbidden, invalid
from coracle.core.kind import Kind, Problems
from coracle.core.object import Key, Meta, Object
from coracle.net.addresses import claim_of

TYPE = "Sandbox.engine"
API = "engine/v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class DnsConfig:
    """What /etc/resolv.conf says.

    embedded    ask the gateway of the primary network, which knows the names of the sandbox's networks, and asks
                `servers` (none: the host's) for all others.  The host's searches where none are given (and (".",)
                stands for none at all), `ndots:0` where the options say nothing of it.  As Docker does
    otherwise   `servers` as they are; with none of them, the host's own file
    """

    servers: tuple[str, ...] = ()
    searches: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    embedded: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A wish to be plugged into `network`.

    address, address6   of its subnets; "": the next free ones
    mac                 "02:42:0a:20:00:05"; "": made from the address
    interface           "": the next of eth0, eth1 ...
    priority            of all endpoints, the one with the highest leads out; then those of internal networks come
                        last, and the rest go by the networks' names
    aliases, details    for whoever publishes names, and for the API that asked; opaque here
    """

    network: str
    address: str = ""
    address6: str = ""
    mac: str = ""
    interface: str = ""
    priority: int = 0
    aliases: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)


class Plugged(TypedDict):
    """An endpoint as it is.  `address6` and its fellows "" and 0 where the network has no IPv6.

    state   "ready"; "making" and "leaving" while it is connected to, or disconnected from, a sandbox that was there
    """

    network: str
    address: str
    prefix: int
    gateway: str
    address6: str
    prefix6: int
    gateway6: str
    mac: str
    interface: str
    state: Literal["making", "ready", "leaving"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxSpec:
    """What to make.

    hostname    "" stands for the name's first 12 characters, as Docker does
    domain      of the hostname: "web" in "lan" is web.lan as well
    endpoints   what it is plugged into; none: only the loopback
    owner       who wants it, for messages: "Pod default/web"
    hosts       more lines of /etc/hosts: (address, name, ...), under the comment `hosts_title`
    managed_by  what keeps /etc/hosts, for its first line; "": nobody says
    shm_bytes   size of /dev/shm of each container
    share_pid   the containers see each other's processes
    share_ipc   the containers have IPC and the memory at /dev/shm in common
    own_users   its users are others than the host's, and than those of any other sandbox
    """

    name: str
    hostname: str = ""
    domain: str = ""
    endpoints: tuple[Endpoint, ...] = ()
    host_network: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    owner: str = ""
    dns: DnsConfig = DnsConfig()
    hosts: tuple[tuple[str, ...], ...] = ()
    shm_bytes: int = 64 * 1024 * 1024
    sysctls: Mapping[str, str] = field(default_factory=dict)
    share_pid: bool = False
    share_ipc: bool = False
    own_users: bool = False
    hosts_title: str = ""
    managed_by: str = ""


def to_record(spec: SandboxSpec) -> Object:
    """The record as it is first committed."""
    body = asdict(spec)
    del body["name"], body["labels"]
    body["hostname"] = spec.hostname or spec.name[:12]
    body["endpoints"] = [wish(endpoint) for endpoint in spec.endpoints]
    meta = Meta(name=spec.name, labels=dict(spec.labels))
    return Object(KIND.name, meta, {"spec": body, "status": {"state": "making", "endpoints": []}}, API)


def wish(endpoint: Endpoint) -> dict[str, Any]:
    """An endpoint as spec.endpoints has it."""
    return {**asdict(endpoint), "aliases": list(endpoint.aliases)}


def key(name: str) -> Key:
    return Key("", name)


def users_claim(first_id: int) -> str:
    """The name under which a range of the host's ids is held (core.claims)."""
    return f"user-ids/{first_id}"


def claims(sandbox: Object) -> Iterable[str]:
    first_id = sandbox.status.get("first_id") or 0
    return [*([users_claim(first_id)] if first_id else []), *_addresses(sandbox)]


def _addresses(sandbox: Object) -> Iterable[str]:
    return [
        claim_of(one["network"], ip_address(address))
        for one in sandbox.status["endpoints"]
        for address in (one["address"], one["address6"])
        if address
    ]


def _no_line_breaks(sandbox: Object) -> Problems:
    """Texts that end up as words in files hold no line breaks."""
    spec, dns = sandbox.spec, sandbox.spec["dns"]
    words = {
        "spec.hostname": [spec["hostname"]],
        "spec.domain": [spec["domain"]],
        "spec.dns": [*dns["servers"], *dns["searches"], *dns["options"]],
        "spec.hosts": [word for line in spec["hosts"] for word in line],
    }
    return [
        invalid(field, word, "must not contain line breaks")
        for field, those in words.items()
        for word in those
        if any(sign in word for sign in "\n\r\0")
    ]


# Those that are the namespace's own, network and IPC: any other would be the host's.
_OWN_SYSCTLS = re.compile(
    r"net\..+|fs\.mqueue\..+|kernel\.(msgmax|msgmnb|msgmni|sem|shmall|shmmax|shmmni|shm_rmid_forced)"
)


def _own_sysctls(sandbox: Object) -> Problems:
    spec = sandbox.spec
    return [
        invalid(f"spec.sysctls[{name}]", value, "not a sysctl of the sandbox's own namespaces")
        for name, value in spec["sysctls"].items()
        if not _OWN_SYSCTLS.fullmatch(name)
        or "/" in name
        or ".." in name
        or (spec["host_network"] and name.startswith("net."))
    ]


_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}", re.IGNORECASE)
_INTERFACE = re.compile(r"[^\s/:%]{1,15}")


def _endpoints(sandbox: Object) -> Problems:
    wishes = sandbox.spec["endpoints"]
    problems: Problems = []
    if wishes and sandbox.spec["host_network"]:
        problems.append(forbidden("spec.endpoints", "may not be set together with the host's network"))
    for what in ("network", "interface"):
        told = [one[what] for one in wishes if one[what]]
        problems += [
            duplicate(f"spec.endpoints[].{what}", name) for name in sorted({n for n in told if told.count(n) > 1})
        ]
    for number, one in enumerate(wishes):
        place = f"spec.endpoints[{number}]"
        if one["mac"] and not (_MAC.fullmatch(one["mac"]) and int(one["mac"][:2], 16) % 2 == 0):
            problems.append(invalid(f"{place}.mac", one["mac"], "must be a link address of one station"))
        if one["interface"] and (not _INTERFACE.fullmatch(one["interface"]) or one["interface"] in (".", "..", "lo")):
            problems.append(invalid(f"{place}.interface", one["interface"], "must be a name for a link"))
    return problems


def _validate(sandbox: Object) -> Problems:
    return _no_line_breaks(sandbox) + _own_sysctls(sandbox) + _endpoints(sandbox)


KIND = Kind(
    name="Sandbox",
    plural="sandboxes",
    api=API,
    namespaced=False,
    name_rule="record",
    counts_generations=False,
    validate=_validate,
    claims=claims,
)
