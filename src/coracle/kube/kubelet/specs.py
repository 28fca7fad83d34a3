"""A pod in the engine's words: its sandbox and its containers.  Pure.

Source: Kubernetes documentation, "DNS for Services and Pods", "Define a Command and Arguments for a Container".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from coracle.core.object import Object
from coracle.engine.kinds.container import ContainerSpec
from coracle.engine.kinds.image import combine
from coracle.engine.kinds.sandbox import DnsConfig, Endpoint, SandboxSpec
from coracle.kube.kubelet import records, resources, security
from coracle.kube.kubelet.admission import sysctl_name
from coracle.kube.kubelet.config import NodeConfig
from coracle.kube.kubelet.environment import expand_all
from coracle.runtime.api import Device, Mount

_SERVERS, _SEARCHES = 3, 32  # most that are written into resolv.conf
_HOSTNAME = 63


def sandbox_spec(pod: Object, config: NodeConfig) -> SandboxSpec:
    """The pod's identity on the network."""
    spec = pod.spec
    on_host = bool(spec.get("hostNetwork"))
    called, below = _called(pod, config.domain)
    sysctls = (spec.get("securityContext") or {}).get("sysctls") or ()
    return SandboxSpec(
        name=records.sandbox_name(pod.meta.uid),
        hostname=called,
        domain=below,
        endpoints=() if on_host else (Endpoint(network=config.network),),
        host_network=on_host,
        labels=records.pod_labels(pod),
        owner=f"Pod {pod.key}",
        dns=dns(pod, config),
        hosts=tuple((alias["ip"], *(alias.get("hostnames") or ())) for alias in spec.get("hostAliases") or ()),
        hosts_title="Entries added by HostAliases.",
        managed_by=f"Kubernetes-managed hosts file{' (host network)' if on_host else ''}.",
        sysctls={sysctl_name(one["name"]): one["value"] for one in sysctls},
        share_pid=bool(spec.get("shareProcessNamespace")),
        share_ipc=not spec.get("hostIPC"),
        own_users=spec.get("hostUsers") is False,
    )


def hostname(pod: Object) -> str:
    """What the pod calls itself: spec.hostname or its name, cut to what a host name may be."""
    return str(pod.spec.get("hostname") or pod.meta.name)[:_HOSTNAME].rstrip("-.")


def _called(pod: Object, domain: str) -> tuple[str, str]:
    """What the pod's own host name is, and the domain below which /etc/hosts knows it."""
    spec = pod.spec
    if spec.get("hostnameOverride"):
        return str(spec["hostnameOverride"]), ""
    whole = full_name(pod, domain)
    if spec.get("hostNetwork"):
        return hostname(pod), ""
    return (whole, "") if spec.get("setHostnameAsFQDN") else (hostname(pod), whole.partition(".")[2])


def full_name(pod: Object, domain: str) -> str:
    """The pod's name with its subdomain's, where it has one."""
    own, below = hostname(pod), pod.spec.get("subdomain")
    return f"{own}.{below}.{pod.meta.namespace}.svc.{domain}" if below else own


def dns(pod: Object, config: NodeConfig) -> DnsConfig:
    """What the pod's resolv.conf says, by its dnsPolicy and dnsConfig."""
    policy = pod.spec.get("dnsPolicy", "ClusterFirst")
    if policy == "ClusterFirst" and pod.spec.get("hostNetwork"):
        policy = "Default"
    base = config.host_dns
    if policy == "None":
        base = DnsConfig()
    elif policy != "Default" and config.cluster_dns:
        base = _cluster_first(pod, config)
    own = pod.spec.get("dnsConfig") or {}
    return DnsConfig(
        servers=_each_once([*base.servers, *(own.get("nameservers") or ())])[:_SERVERS],
        searches=_each_once([*base.searches, *(own.get("searches") or ())])[:_SEARCHES],
        options=_options(base.options, own.get("options") or ()),
    )


def _cluster_first(pod: Object, config: NodeConfig) -> DnsConfig:
    domain = config.domain
    ours = (f"{pod.meta.namespace}.svc.{domain}", f"svc.{domain}", domain)
    return DnsConfig(servers=(config.cluster_dns,), searches=(*ours, *config.host_dns.searches), options=("ndots:5",))


def _each_once(words: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(words))


def _options(base: Sequence[str], own: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """The pod's own over those of its policy, by name."""
    merged = {option.partition(":")[0]: option for option in base}
    for option in own:
        value = option.get("value")
        merged[option["name"]] = option["name"] if value is None else f"{option['name']}:{value}"
    return tuple(merged.values())


@dataclass(frozen=True, slots=True)
class Ingredients:
    """What a container is made of beside its pod: all of it found out before.  `beside`: the container whose processes
    it shares; "": its pod decides."""

    image: Object
    number: int = 0
    backoff_s: float = 0.0
    environment: Mapping[str, str] = field(default_factory=dict)
    mounts: tuple[Mount, ...] = ()
    devices: tuple[Device, ...] = ()
    beside: str = ""
    round: int = 0
    mended: int = 0


def container_spec(
    pod: Object, container: Mapping[str, Any], ingredients: Ingredients, config: NodeConfig
) -> ContainerSpec:
    """Raises ConfigError (what is asked may not be), Invalid (nothing to run)."""
    image_config, known = ingredients.image.spec["config"], ingredients.environment
    grace_s = pod.spec.get("terminationGracePeriodSeconds", 30)
    labels = {
        **records.pod_labels(pod),
        records.CONTAINER_NAME: container["name"],
        records.ATTEMPT: str(ingredients.number),
        records.BACKOFF: str(int(ingredients.backoff_s)),
        records.GRACE: str(grace_s),
        **({records.ROUND: str(ingredients.round)} if ingredients.round else {}),
        **({records.MENDED: str(ingredients.mended)} if ingredients.mended else {}),
    }
    command, args = (expand_all(container.get(name) or (), known) for name in ("command", "args"))
    return ContainerSpec(
        name=records.container_name(pod, container["name"], ingredients.number),
        sandbox=records.sandbox_name(pod.meta.uid),
        image=container["image"],
        argv=combine(image_config, command, args),
        env=tuple(f"{name}={value}" for name, value in known.items()),
        workdir=container.get("workingDir") or "",
        user=security.user(pod, container, image_config),
        groups=security.groups(pod),
        memberships=security.memberships(pod),
        mounts=ingredients.mounts,
        devices=ingredients.devices,
        resources=resources.limits(pod, container),
        group=resources.group(pod),
        security=security.security(pod, container, seccomp_default=config.seccomp_default),
        tty=bool(container.get("tty")),
        stdin=bool(container.get("stdin")),
        stdin_once=bool(container.get("stdinOnce")),
        stop_signal=str((container.get("lifecycle") or {}).get("stopSignal") or ""),
        labels=labels,
        owner=f"Pod {pod.key}",
        oom_score_adj=resources.oom_score_adj(pod, container, config.memory_bytes),
        pid_mode=_pid_mode(pod, ingredients.beside),
        ipc_mode="host" if pod.spec.get("hostIPC") else "",
    )


def _pid_mode(pod: Object, beside: str) -> str:
    if beside:
        return f"container:{beside}"
    return "host" if pod.spec.get("hostPID") else ""
