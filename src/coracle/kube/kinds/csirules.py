"""Rules that the kinds of CSI share: names of drivers, and parameters for them.

Source: Kubernetes storage.k8s.io/v1 API; the messages of its validation.
"""

from __future__ import annotations

from collections.abc import Mapping

from coracle.core.errors import Problem, invalid, required, too_long
from coracle.core.names import name_faults, qualified_faults

LONGEST_NAME = 63
_MOST_PARAMETERS, _MOST_PARAMETER_BYTES = 512, 256 * 1024


def driver_name(field: str, name: str) -> list[Problem]:
    """The name of a CSI driver: as a DNS subdomain, capitals allowed."""
    found = [] if name else [required(field)]
    if len(name) > LONGEST_NAME:
        found.append(too_long(field, LONGEST_NAME))
    return found + [invalid(field, name, fault) for fault in name_faults("subdomain", name.lower())]


def provisioner(field: str, name: str) -> list[Problem]:
    """Who makes volumes, or changes them."""
    if not name:
        return [required(field)]
    return [invalid(field, name.lower(), fault) for fault in qualified_faults(name.lower())]


def parameters(field: str, given: Mapping[str, str], *, needed: bool = False) -> list[Problem]:
    """What a class tells its provisioner; `needed`: it must tell something."""
    if len(given) > _MOST_PARAMETERS:
        return [too_long(field, _MOST_PARAMETERS)]
    found = [invalid(field, "", "field can not be empty.")] if "" in given else []
    if sum(len(key.encode()) + len(value.encode()) for key, value in given.items()) > _MOST_PARAMETER_BYTES:
        found.append(too_long(field, _MOST_PARAMETER_BYTES))
    if needed and not given:
        found.append(required(field, "must contain at least one key/value pair"))
    return found
