"""The environment of a container: services first, then envFrom, then env, which may refer to what is before it.  Pure.

    $(NAME)    the value of NAME if it is known, else the text itself
    $$(NAME)   the text $(NAME)

Source: Kubernetes documentation, "Define Environment Variables", "Accessing the Service", "Expose Pod Information";
third_party/forked/golang/expansion.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Any

from coracle.core.errors import CloudError
from coracle.core.kind import Reader
from coracle.core.object import Key, Object
from coracle.core.quantity import parse
from coracle.kube.kubelet.records import containers_of, init_containers_of
from coracle.kube.kubelet.resources import asked
from coracle.kube.kubelet.tokens import NoTokens, TokenSource

MASTER_SERVICE = Key("default", "kubernetes")


class ConfigError(CloudError):
    """The pod asks for configuration that is not there or does not fit; `reason` is the event's."""

    def __init__(self, message: str, reason: str = "CreateContainerConfigError") -> None:
        super().__init__(message, kind="Pod")
        self.reason = reason


# The variables in files of the pod's volumes, by volume and path; None: there is no such file.
EnvFiles = Mapping[tuple[str, str], Mapping[str, str] | None]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What variables may refer to beside the pod: `reader` finds ConfigMaps, Secrets and Services, `files` were read
    before; the rest is the node's.  `allocatable`: resource -> quantity text."""

    reader: Reader
    node: str
    host_address: str
    address: str
    allocatable: Mapping[str, str]
    files: EnvFiles = dataclass_field(default_factory=dict)
    tokens: TokenSource = NoTokens()  # noqa: RUF009 - it has no state


def environment(pod: Object, container: Mapping[str, Any], around: Surroundings) -> dict[str, str]:
    """All variables that Kubernetes adds or the pod asks for.  Raises ConfigError."""
    known: dict[str, str] = dict(service_variables(_services(pod, around)))
    for source in container.get("envFrom") or ():
        known.update(_from_source(pod, source, around))
    for variable in container.get("env") or ():
        value = _value(pod, container, variable, known, around)
        if value is not None:
            known[variable["name"]] = value
    return known


# -- references -----------------------------------------------------------------------------------------------------

_REFERENCE = re.compile(r"\$\$|\$\(([^()]*)\)")


def expand(text: str, known: Mapping[str, str]) -> str:
    """`text` with $(NAME) replaced where NAME is known."""

    def put(found: re.Match[str]) -> str:
        if found[0] == "$$":
            return "$"
        return known.get(found[1], found[0])

    return _REFERENCE.sub(put, text)


def expand_strictly(text: str, known: Mapping[str, str]) -> str:
    """As `expand`, where every NAME has to have a value that is not empty.  Raises ConfigError."""
    asked = {found[1] for found in _REFERENCE.finditer(text) if found[0] != "$$"}
    missing = sorted(name for name in asked if not known.get(name))
    if missing:
        raise ConfigError(f"missing value for {', '.join(missing)}")
    return expand(text, known)


def expand_all(texts: Iterable[str], known: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(expand(text, known) for text in texts)


# -- values ---------------------------------------------------------------------------------------------------------


def _value(
    pod: Object,
    container: Mapping[str, Any],
    variable: Mapping[str, Any],
    known: Mapping[str, str],
    around: Surroundings,
) -> str | None:
    """None: an optional reference to what is not there."""
    source = variable.get("valueFrom")
    if not source:
        return expand(variable.get("value") or "", known)
    if "fieldRef" in source:
        return field(pod, source["fieldRef"]["fieldPath"], around)
    if "resourceFieldRef" in source:
        return resource(pod, container, source["resourceFieldRef"], around)
    if "configMapKeyRef" in source:
        return _entry(pod, "ConfigMap", source["configMapKeyRef"], around)
    if "secretKeyRef" in source:
        return _entry(pod, "Secret", source["secretKeyRef"], around)
    if "fileKeyRef" in source:
        return _from_file(source["fileKeyRef"], around)
    raise ConfigError(f"invalid valueFrom of variable {variable['name']}")


_FIELDS: Mapping[str, Callable[[Object, Surroundings], Any]] = {
    "metadata.name": lambda pod, _: pod.meta.name,
    "metadata.namespace": lambda pod, _: pod.meta.namespace,
    "metadata.uid": lambda pod, _: pod.meta.uid,
    "spec.nodeName": lambda _, around: around.node,
    "spec.serviceAccountName": lambda pod, _: pod.spec.get("serviceAccountName", ""),
    "status.hostIP": lambda _, around: around.host_address,
    "status.hostIPs": lambda _, around: around.host_address,
    "status.podIP": lambda _, around: around.address,
    "status.podIPs": lambda _, around: around.address,
}
_KEYED = re.compile(r"^metadata\.(labels|annotations)\['(.*)'\]$")


def field(pod: Object, path: str, around: Surroundings) -> str:
    """The downward API's fieldRef.  Raises ConfigError."""
    if path in _FIELDS:
        return str(_FIELDS[path](pod, around))
    keyed = _KEYED.match(path)
    if keyed is not None:
        return str(getattr(pod.meta, keyed[1]).get(keyed[2], ""))
    raise ConfigError(f"unsupported fieldPath: {path}")


def resource(pod: Object, container: Mapping[str, Any], ref: Mapping[str, Any], around: Surroundings) -> str:
    """The downward API's resourceFieldRef: the amount in units of the divisor, rounded up.  Raises ConfigError."""
    everyone = [*containers_of(pod), *init_containers_of(pod)]
    name = ref.get("containerName") or container["name"]
    owner = next((one for one in everyone if one["name"] == name), None)
    which, _, what = ref["resource"].partition(".")
    if owner is None or which not in ("limits", "requests"):
        raise ConfigError(f"unsupported container resource : {ref['resource']}")
    amount = asked(owner, which).get(what)
    if amount is None:  # without a limit the pod or the node is the limit; without a request nothing is asked
        most = asked(pod.spec, "limits").get(what) or parse(around.allocatable.get(what, "0"))
        amount = most if which == "limits" else parse("0")
    divisor = parse(ref.get("divisor") or "1") or parse("1")
    return str(-(-amount.nano // divisor.nano))


def _from_file(ref: Mapping[str, Any], around: Surroundings) -> str | None:
    known = around.files.get((ref["volumeName"], ref["path"])) or {}
    if ref["key"] in known or ref.get("optional"):
        return known.get(ref["key"])
    raise ConfigError(f'environment variable key "{ref["key"]}" not found in file "{ref["path"]}"')


def _entry(pod: Object, kind: str, ref: Mapping[str, Any], around: Surroundings) -> str | None:
    data = _data(pod, kind, ref, around)
    if data is None:
        return None
    if ref["key"] in data:
        return data[ref["key"]]
    if ref.get("optional"):
        return None
    raise ConfigError(f"couldn't find key {ref['key']} in {kind} {pod.meta.namespace}/{ref['name']}")


def _from_source(pod: Object, source: Mapping[str, Any], around: Surroundings) -> dict[str, str]:
    kind, ref = ("ConfigMap", source["configMapRef"]) if "configMapRef" in source else ("Secret", source["secretRef"])
    data = _data(pod, kind, ref, around) or {}
    prefix = source.get("prefix") or ""
    return {prefix + name: value for name, value in data.items()}


def _data(pod: Object, kind: str, ref: Mapping[str, Any], around: Surroundings) -> dict[str, str] | None:
    entry = around.reader.find(kind, Key(pod.meta.namespace, ref.get("name") or ""))
    if entry is None:
        if ref.get("optional"):
            return None
        raise ConfigError(f'{kind.lower()} "{ref.get("name")}" not found')
    found = entry.object()
    data = found.body.get("data") or {}
    if kind == "ConfigMap":
        return dict(data)
    return {name: base64.b64decode(value).decode("utf-8", "surrogateescape") for name, value in data.items()}


# -- services -------------------------------------------------------------------------------------------------------


def _services(pod: Object, around: Surroundings) -> list[Object]:
    """Those of the pod's namespace, unless it does not want them; `kubernetes` always."""
    found: dict[str, Object] = {}
    master = around.reader.find("Service", MASTER_SERVICE)
    if master is not None:
        found[master.key.name] = master.object()
    if pod.spec.get("enableServiceLinks", True):
        found |= {entry.key.name: entry.object() for entry in around.reader.entries("Service", pod.meta.namespace)}
    return list(found.values())


def service_variables(services: Sequence[Object]) -> dict[str, str]:
    """`REDIS_MASTER_SERVICE_HOST` and its relatives, and those of Docker links."""
    variables: dict[str, str] = {}
    for service in services:
        ip = service.spec.get("clusterIP")
        ports = service.spec.get("ports") or ()
        if not ip or ip == "None" or not ports:
            continue
        prefix = service.meta.name.upper().replace("-", "_")
        variables[f"{prefix}_SERVICE_HOST"] = ip
        variables[f"{prefix}_SERVICE_PORT"] = str(ports[0]["port"])
        for port in ports:
            if port.get("name"):
                variables[f"{prefix}_SERVICE_PORT_{port['name'].upper().replace('-', '_')}"] = str(port["port"])
        variables |= _links(prefix, ip, ports)
    return variables


def _links(prefix: str, ip: str, ports: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    variables: dict[str, str] = {}
    for number, port in enumerate(ports):
        protocol = port.get("protocol", "TCP")
        url = f"{protocol.lower()}://{ip}:{port['port']}"
        if number == 0:
            variables[f"{prefix}_PORT"] = url
        name = f"{prefix}_PORT_{port['port']}_{protocol}"
        variables |= {
            name: url,
            f"{name}_PROTO": protocol.lower(),
            f"{name}_PORT": str(port["port"]),
            f"{name}_ADDR": ip,
        }
    return variables
