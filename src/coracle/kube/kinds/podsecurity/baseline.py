"""The checks of the standard `baseline`: what gives a pod a known way out of its containers.  Pure.

A check is (annotations, spec) -> why it fails and what exactly, or None.

Source: Kubernetes documentation, "Pod Security Standards"; the messages of its Pod Security admission.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from coracle.core.object import Json
from coracle.kube.kinds.podsecurity.words import counted, quoted, setters, which

Annotations = Mapping[str, str]
Finding = tuple[str, str] | None
Check = Callable[[Annotations, Mapping[str, Any]], Finding]

_APPARMOR = "container.apparmor.security.beta.kubernetes.io/"
_CAPABILITIES = frozenset((
    "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "SETFCAP",
    "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
))  # fmt: skip
_SYSCTLS = frozenset((
    "kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.ip_unprivileged_port_start", "net.ipv4.ping_group_range", "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl", "net.ipv4.tcp_keepalive_probes", "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_rmem", "net.ipv4.tcp_syncookies", "net.ipv4.tcp_wmem",
))  # fmt: skip
_SELINUX = ("", "container_t", "container_init_t", "container_kvm_t", "container_engine_t")
_CONFINED = ("RuntimeDefault", "Localhost")


def containers(spec: Mapping[str, Any]) -> Iterator[Json]:
    for group in ("initContainers", "containers", "ephemeralContainers"):
        yield from spec.get(group) or ()


def context(holder: Mapping[str, Any]) -> Json:
    """The securityContext of a container, or of a pod's spec."""
    return holder.get("securityContext") or {}


def own_users(spec: Mapping[str, Any]) -> bool:
    """Whether root in the pod is nobody on the host."""
    return spec.get("hostUsers") is False


def apparmor(annotations: Annotations, spec: Mapping[str, Any]) -> Finding:
    def bad(holder: Mapping[str, Any]) -> str:
        type = (context(holder).get("appArmorProfile") or {}).get("type")
        return str(type) if type is not None and type not in _CONFINED else ""

    pod, those, values = _said(spec, bad)
    notes = [
        f'{key}="{value}"'
        for key, value in annotations.items()
        if key.startswith(_APPARMOR) and value not in ("", "runtime/default") and not value.startswith("localhost/")
    ]
    who = setters(pod, those) + ([counted("annotation", notes)] if notes else [])
    values = sorted({*values, *notes})
    detail = f"{' and '.join(who)} must not set AppArmor profile type to {quoted(values)}"
    return (counted("forbidden AppArmor profile", values), detail) if who else None


def capabilities(_annotations: Annotations, spec: Mapping[str, Any]) -> Finding:
    those, added = adding(spec, _CAPABILITIES)
    detail = f"{which(those)} must not include {quoted(added)} in securityContext.capabilities.add"
    return ("non-default capabilities", detail) if those else None


def adding(spec: Mapping[str, Any], allowed: Iterable[str]) -> tuple[list[str], list[str]]:
    """The containers that are given more than `allowed`, and what."""
    given = {one["name"]: set((context(one).get("capabilities") or {}).get("add") or ()) for one in containers(spec)}
    more = {name: added - set(allowed) for name, added in given.items()}
    return [name for name, added in more.items() if added], sorted(set().union(*more.values()))


def namespaces(_annotations: Annotations, spec: Mapping[str, Any]) -> Finding:
    shared = [f"{name}=true" for name in ("hostNetwork", "hostPID", "hostIPC") if spec.get(name)]
    return ("host namespaces", ", ".join(shared)) if shared else None


def host_paths(_annotations: Annotations, spec: Mapping[str, Any]) -> Finding:
    volumes = [volume["name"] for volume in spec.get("volumes") or () if volume.get("hostPath") is not None]
    return ("hostPath volumes", f"{counted('volume', volumes)} {quoted(volumes)}") if volumes else None


def host_ports(_annotations: Annotations, spec: Mapping[str, Any]) -> Finding:
    ports = {
        one["name"]: [str(port["hostPort"]) for port in one.get("ports") or () if port.get("hostPort")]
        for one in containers(spec)
    }
    those, used = (
        [name for name, found in ports.items() if found],
        sorted({port for all in ports.values() for port in all}),
    )
    uses = "uses" if len(those) == 1 else "use"
    return ("hostPort", f"{which(those)} {uses} {counted('hostPort', used)} {', '.join(used)}") if those else None


def probes(_annotations: Annotations, spec: Mapping[str, Any]) -> Finding:
    hosts = {one["name"]: set(_hosts(one)) for one in containers(spec)}
    those, asked = sorted(name for name, found in hosts.items() if found), sorted(set().union(*hosts.values()))
    uses = "uses" if len(those) == 1 else "use"
    reason = "probe or lifecycle host"
    return (reason, f"{which(those)} {uses} {counted(reason, asked)} {quoted(asked)}") if those else None


def _hosts(container: Json) -> Iterator[str]:
    """Whom the container has asked on its behalf."""
    hooks = container.get("lifecycle") or {}
    asking = [container.get(name) for name in ("livenessProbe", "readinessProbe", "startupProbe")]
    for handler in (*asking, hooks.get("postStart"), hooks.get("preStop")):
        for how in ("httpGet", "tcpSocket"):
            host = ((handler or {}).get(how) or {}).get("host")
            if host:
                yield host


def privileged(_annotations: Annotations, spec: Mapping[str, Any]) -> Finding:
    those = [one["name"] for one in containers(spec) if context(one).get("privileged")]
    return ("privileged", f"{which(those)} must not set securityContext.privileged=true") if those else None


def proc(annotations: Annotations, spec: Mapping[str, Any]) -> Finding:
    return None if own_users(spec) else proc_of_all(annotations, spec)


def proc_of_all(_annotations: Annotations, spec: Mapping[str, Any]) -> Finding:
    given = {one["name"]: context(one).get("procMount") for one in containers(spec)}
    bare = {name: str(how) for name, how in given.items() if how not in (None, "Default")}
    detail = f"{which(bare)} must not set securityContext.procMount to {quoted(sorted(set(bare.values())))}"
    return ("procMount", detail) if bare else None


def seccomp(_annotations: Annotations, spec: Mapping[str, Any]) -> Finding:
    def bad(holder: Mapping[str, Any]) -> str:
        type = (context(holder).get("seccompProfile") or {}).get("type")
        return str(type) if type is not None and type not in _CONFINED else ""

    pod, those, values = _said(spec, bad)
    who = " and ".join(setters(pod, those))
    detail = f"{who} must not set securityContext.seccompProfile.type to {quoted(values)}"
    return ("seccompProfile", detail) if who else None


def selinux(_annotations: Annotations, spec: Mapping[str, Any]) -> Finding:
    given = [(one, context(one).get("seLinuxOptions") or {}) for one in (spec, *containers(spec))]
    bad = [
        (one, options)
        for one, options in given
        if options.get("user") or options.get("role") or (options.get("type") or "") not in _SELINUX
    ]
    types = sorted({options["type"] for _, options in bad if (options.get("type") or "") not in _SELINUX})
    said = [f"{counted('type', types)} {quoted(types)}"] if types else []
    said += [f"{name} may not be set" for name in ("user", "role") if any(options.get(name) for _, options in bad)]
    pod, those = any(one is spec for one, _ in bad), [one["name"] for one, _ in bad if one is not spec]
    who = " and ".join(setters(pod, those))
    return ("seLinuxOptions", f"{who} set forbidden securityContext.seLinuxOptions: {'; '.join(said)}") if bad else None


def sysctls(_annotations: Annotations, spec: Mapping[str, Any]) -> Finding:
    names = [one["name"] for one in context(spec).get("sysctls") or () if one["name"] not in _SYSCTLS]
    return ("forbidden sysctls", ", ".join(names)) if names else None


def windows(_annotations: Annotations, spec: Mapping[str, Any]) -> Finding:
    def bad(holder: Mapping[str, Any]) -> str:
        return "true" if (context(holder).get("windowsOptions") or {}).get("hostProcess") else ""

    pod, those, _ = _said(spec, bad)
    who = " and ".join(setters(pod, those))
    return ("hostProcess", f"{who} must not set securityContext.windowsOptions.hostProcess=true") if who else None


def _said(spec: Mapping[str, Any], bad: Callable[[Mapping[str, Any]], str]) -> tuple[bool, list[str], list[str]]:
    """Whether the pod says something bad, which containers do, and what is said."""
    own = bad(spec)
    theirs = {one["name"]: bad(one) for one in containers(spec)}
    values = sorted({value for value in (own, *theirs.values()) if value})
    return bool(own), [name for name, value in theirs.items() if value], values


# id -> since which minor version, the check
CHECKS: Mapping[str, tuple[int, Check]] = {
    "appArmorProfile": (0, apparmor),
    "capabilities_baseline": (0, capabilities),
    "hostNamespaces": (0, namespaces),
    "hostPathVolumes": (0, host_paths),
    "hostPorts": (0, host_ports),
    "hostProbesAndHostLifecycle": (34, probes),
    "privileged": (0, privileged),
    "procMount": (0, proc),
    "seLinuxOptions": (0, selinux),
    "seccompProfile_baseline": (19, seccomp),
    "sysctls": (0, sysctls),
    "windowsHostProcess": (0, windows),
}
