"""What the kubelet is told about its node and its cloud.  Read once, in `node/`, and passed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from coracle.engine.kinds.sandbox import DnsConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeConfig:
    """One node.

    name          the host's name in lower case, unless told otherwise
    address       where the node is reached (InternalIP), and what pods in the host's network have
    cluster_dns   address of the cluster's name server; "": pods get the host's resolv.conf
    domain        the cluster's domain
    host_dns      what the host's /etc/resolv.conf says
    network       the engine's network that pods are plugged into
    capacity      resource -> quantity text, as in Node.status.capacity
    memory_bytes  of the machine
    logs_path     where links to pods' logs are kept for log agents; "": nowhere
    runtime       the one that runs containers, as the handler of a RuntimeClass names it
    seccomp_default   pods that name no seccomp profile have the runtime's, not none
    unsafe_sysctls    those that pods may set beside the safe ones: names, and beginnings of names with a `*` behind
    apparmor      the host has AppArmor
    """

    name: str
    address: str
    cluster_dns: str = ""
    domain: str = "cluster.local"
    host_dns: DnsConfig = field(default_factory=DnsConfig)
    network: str = "pods"
    capacity: Mapping[str, str] = field(default_factory=dict)
    memory_bytes: int = 0
    pod_cidr: str = ""
    kubelet_port: int = 10250
    disk_path: str = "/"
    runtime: str = "crun"
    logs_path: str = ""
    seccomp_default: bool = True
    unsafe_sysctls: tuple[str, ...] = ()
    apparmor: bool = False
