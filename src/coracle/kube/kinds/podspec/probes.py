"""The rules for the probes and hooks of a container.

Source: Kubernetes v1 API, Probe, Lifecycle, LifecycleHandler.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from coracle.core.errors import Problem, forbidden, invalid, required
from coracle.core.object import Json
from coracle.kube.kinds.rules import not_negative, one_of, port, port_number

_HEADER = "[-A-Za-z0-9]+"
_NO_HEADER = (
    "a valid HTTP header must consist of alphanumeric characters or '-' "
    f"(e.g. 'X-Header-Name', regex used for validation is '{_HEADER}')"
)
_NUMBERS = ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold")


def health(at: str, container: Json) -> list[Problem]:
    """The probes and hooks, which ordinary containers and sidecars may have."""
    found: list[Problem] = []
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        if container.get(name) is not None:
            found += _probe(f"{at}.{name}", container[name], once=name != "readinessProbe")
    if (container.get("readinessProbe") or {}).get("terminationGracePeriodSeconds") is not None:
        grace_s = container["readinessProbe"]["terminationGracePeriodSeconds"]
        said = "must not be set for readinessProbes"
        found.append(invalid(f"{at}.readinessProbe.terminationGracePeriodSeconds", grace_s, said))
    for name in ("postStart", "preStop"):
        hook = (container.get("lifecycle") or {}).get(name)
        if hook is not None:
            found += _handler(f"{at}.lifecycle.{name}", hook, ("exec", "httpGet", "tcpSocket", "sleep"))
    return found


def hooks(at: str, container: Json, grace_s: int, os: str) -> list[Problem]:
    """What of the hooks depends on the pod: a sleep must fit into its grace, a signal needs its system's name."""
    lifecycle, found = container.get("lifecycle") or {}, list[Problem]()
    for name in ("postStart", "preStop"):
        seconds = ((lifecycle.get(name) or {}).get("sleep") or {}).get("seconds", 0)
        if not 0 <= seconds <= grace_s:
            said = f"must be non-negative and less than terminationGracePeriodSeconds ({grace_s})"
            found.append(invalid(f"{at}.lifecycle.{name}.sleep", seconds, said))
    if lifecycle.get("stopSignal") and not os:
        said = "may not be set for containers with empty `spec.os.name`"
        found.append(forbidden(f"{at}.lifecycle.stopSignal", said))
    return found


def _probe(at: str, probe: Json, *, once: bool) -> list[Problem]:
    found = _handler(at, probe, ("exec", "httpGet", "tcpSocket", "grpc"))
    for name in _NUMBERS:
        found += not_negative(f"{at}.{name}", probe.get(name))
    if once and probe.get("successThreshold") != 1:
        found.append(invalid(f"{at}.successThreshold", probe.get("successThreshold"), "must be 1"))
    grace_s = probe.get("terminationGracePeriodSeconds")
    if grace_s is not None and grace_s <= 0:
        found.append(invalid(f"{at}.terminationGracePeriodSeconds", grace_s, "must be greater than 0"))
    return found


def _handler(at: str, given: Json, kinds: Sequence[str]) -> list[Problem]:
    chosen = [kind for kind in kinds if given.get(kind) is not None]
    if not chosen:
        return [required(at, "must specify a handler type")]
    found = _action(f"{at}.{chosen[0]}", chosen[0], given[chosen[0]])
    return found + [forbidden(f"{at}.{kind}", "may not specify more than 1 handler type") for kind in chosen[1:]]


def _action(at: str, kind: str, action: Json) -> list[Problem]:
    match kind:
        case "exec":
            return [] if action.get("command") else [required(f"{at}.command")]
        case "httpGet":
            found = [] if action.get("path") else [required(f"{at}.path")]
            found += port(f"{at}.port", action.get("port"))
            found += one_of(f"{at}.scheme", action.get("scheme"), ("HTTP", "HTTPS"))
            names = [str(header.get("name") or "") for header in action.get("httpHeaders") or ()]
            wrong = (name for name in names if re.fullmatch(_HEADER, name) is None)
            return found + [invalid(f"{at}.httpHeaders", name, _NO_HEADER) for name in wrong]
        case "tcpSocket":
            return port(f"{at}.port", action.get("port"))
        case "grpc":
            return port_number(f"{at}.port", action.get("port") or 0)
    return []
