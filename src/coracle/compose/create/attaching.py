"""How a service's container is reached and reaches others: networks, ports, links."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from coracle.compose.create.bodies import without_empty

_IFNAME = "com.docker.network.endpoint.ifname"


class Other(NamedTuple):
    """A container of another service, which this one's names."""

    id: str
    name: str


Others = Mapping[str, Sequence[Other]]
"""Service -> its containers, by number."""


def mode(value: str | None, others: Others) -> str:
    """`service:db` as Docker knows it: `container:<id>`.  KeyError, IndexError: that one has no container."""
    if value and value.startswith("service:"):
        return f"container:{others[value.removeprefix('service:')][0].id}"
    return value or ""


def joined_services(service: Mapping[str, Any]) -> set[str]:
    """Those whose containers this one's is made of: when they are made anew, it has to be too."""
    modes = (str(service.get(field) or "") for field in ("network_mode", "ipc", "pid", "uts", "cgroup"))
    found = {value.removeprefix("service:") for value in modes if value.startswith("service:")}
    sources = [str(source) for source in service.get("volumes_from") or ()]
    return found | {source.partition(":")[0] for source in sources if not source.startswith("container:")}


def by_priority(service: Mapping[str, Any]) -> list[str]:
    """The service's networks, the main one first."""
    given = service.get("networks") or {}
    return sorted(given, key=lambda key: (-((given[key] or {}).get("priority") or 0), key))


def network_mode(model: Mapping[str, Any], service: Mapping[str, Any], others: Others) -> str:
    if service.get("network_mode"):
        return mode(service["network_mode"], others)
    main = by_priority(service)
    return str(model["networks"][main[0]]["name"]) if main else "none"


def endpoints(
    model: Mapping[str, Any], service: Mapping[str, Any], names: Sequence[str], links: Sequence[str], *, aliases: bool
) -> dict[str, Any]:
    """EndpointsConfig: the service's networks by their own names.

    It has `names` in all of them, and where `aliases` is true those that the file gives it in each.
    """
    keys = by_priority(service)
    found = {}
    for key in keys:
        given = service["networks"][key] or {}
        known = [*names, *((given.get("aliases") or ()) if aliases else ())]
        found[model["networks"][key]["name"]] = {**_endpoint(given, links), "Aliases": list(dict.fromkeys(known))}
    if keys and service.get("mac_address"):
        found[model["networks"][keys[0]]["name"]].setdefault("MacAddress", service["mac_address"])
    return found


def _endpoint(given: Mapping[str, Any], links: Sequence[str]) -> dict[str, Any]:
    options = dict(given.get("driver_opts") or {})
    if given.get("interface_name"):
        options[_IFNAME] = given["interface_name"]
    addresses = {
        "IPv4Address": given.get("ipv4_address"),
        "IPv6Address": given.get("ipv6_address"),
        "LinkLocalIPs": given.get("link_local_ips"),
    }
    return without_empty(
        {
            "IPAMConfig": without_empty(addresses),
            "Links": list(links),
            "MacAddress": given.get("mac_address"),
            "DriverOpts": options,
            "GwPriority": given.get("gw_priority"),
        }
    )


def links(project: str, service: Mapping[str, Any], number: int, others: Others) -> list[str]:
    """`container:name` for each name by which a linked container is to be known."""
    found = []
    for text in service.get("links") or ():
        linked, _, alias = text.partition(":")
        for other in others.get(linked, ()):
            names = (alias or linked, f"{linked}-{number}", f"{project}-{linked}-{number}")
            found += [f"{other.name}:{name}" for name in names]
    for text in service.get("external_links") or ():
        name, _, alias = text.partition(":")
        found.append(f"{name}:{alias or name}")
    return found


def volumes_from(service: Mapping[str, Any], others: Others) -> list[str]:
    """Containers whose volumes this one has too, with `:ro` where it is said."""
    found = []
    for source in service.get("volumes_from") or ():
        if source.startswith("container:"):
            found.append(source.removeprefix("container:"))
            continue
        name, colon, how = source.partition(":")
        found.append(f"{others[name][0].id}{colon}{how}")
    return found


def exposed(service: Mapping[str, Any]) -> dict[str, Any]:
    """ExposedPorts."""
    published = (f"{port['target']}/{port['protocol']}" for port in service.get("ports") or ())
    return {port: {} for port in (*(one for text in service.get("expose") or () for one in _each(text)), *published)}


def _each(text: str) -> Iterator[str]:
    """`80`, `53/udp`, `5-7`: every port by itself."""
    ports, _, protocol = text.partition("/")
    low, _, high = ports.partition("-")
    if not low.isdecimal() or not (high or low).isdecimal() or not int(low) <= int(high or low) <= 65535:
        yield text
        return
    for port in range(int(low), int(high or low) + 1):
        yield f"{port}/{protocol or 'tcp'}"


def bindings(service: Mapping[str, Any]) -> dict[str, Any]:
    """PortBindings."""
    found: dict[str, Any] = {}
    for port in service.get("ports") or ():
        place = {"HostIp": port.get("host_ip") or "", "HostPort": port.get("published") or ""}
        found.setdefault(f"{port['target']}/{port['protocol']}", []).append(place)
    return found
