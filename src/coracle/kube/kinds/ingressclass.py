"""IngressClass: which controller an Ingress is for, and what it is set to.

Source: Kubernetes networking.k8s.io/v1 API, IngressClass; printed columns as `kubectl get ingressclasses`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from coracle.core.errors import forbidden, invalid, required, too_long
from coracle.core.kind import Kind, Problems
from coracle.core.names import name_faults
from coracle.core.object import Object
from coracle.kube.kinds import printing
from coracle.kube.kinds.blanks import absent
from coracle.kube.kinds.definitions import schema
from coracle.kube.kinds.rules import named, optional_name, unsupported

API = "networking.k8s.io/v1"
DEFAULT = "ingressclass.kubernetes.io/is-default-class"
LONGEST_CONTROLLER = 250
_SCOPES = ("Cluster", "Namespace")
_PATH = "[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+"


def default(cls: Object) -> Object:
    if not cls.spec.get("parameters"):
        return cls
    return cls.with_spec(parameters=absent(cls.spec["parameters"], scope="Cluster"))


def validate(cls: Object) -> Problems:
    controller = cls.spec.get("controller") or ""
    found = [] if controller else [required("spec.controller")]
    if len(controller) > LONGEST_CONTROLLER:
        found.append(too_long("spec.controller", LONGEST_CONTROLLER))
    if controller:
        found += [invalid("spec.controller", controller, fault) for fault in _path_faults(controller)]
    parameters = cls.spec.get("parameters")
    return found + (_parameters("spec.parameters", parameters) if parameters else [])


def _path_faults(controller: str) -> list[str]:
    """What is wrong with a name such as `example.com/ingress`."""
    host, slash, path = controller.partition("/")
    if not slash or not host or not path:
        return ['must be a domain-prefixed path (such as "acme.io/foo")']
    faults = name_faults("subdomain", host)
    return faults if re.fullmatch(_PATH, path) else [*faults, "Invalid path"]


def reference(at: str, given: Mapping[str, Any]) -> Problems:
    """A reference to an object of some kind."""
    found = optional_name("subdomain", f"{at}.apiGroup", given.get("apiGroup"))
    return found + named("path", f"{at}.kind", given.get("kind")) + named("path", f"{at}.name", given.get("name"))


def _parameters(at: str, given: Mapping[str, Any]) -> Problems:
    found, scope, namespace = reference(at, given), given.get("scope"), given.get("namespace")
    if scope not in _SCOPES:
        found.append(unsupported(f"{at}.scope", scope, _SCOPES))
    elif scope == "Namespace" and namespace is None:
        found.append(required(f"{at}.namespace", "`parameters.scope` is set to 'Namespace'"))
    elif scope == "Namespace":
        found += [invalid(f"{at}.namespace", namespace, fault) for fault in name_faults("label", str(namespace))]
    elif namespace is not None:
        found.append(forbidden(f"{at}.namespace", "`parameters.scope` is set to 'Cluster'"))
    return found


def validate_change(new: Object, old: Object, part: str) -> Problems:
    changed = new.spec.get("controller") != old.spec.get("controller")
    return [invalid("spec.controller", new.spec.get("controller"), "field is immutable")] if changed else []


def _shown(cls: Object) -> str:
    given = cls.spec.get("parameters")
    if not given:
        return printing.NONE
    group = f".{given['apiGroup']}" if given.get("apiGroup") else ""
    return f"{given.get('kind')}{group}/{given.get('name')}"


KIND = Kind(
    name="IngressClass",
    plural="ingressclasses",
    singular="ingressclass",
    api=API,
    namespaced=False,
    schema=schema(API, "IngressClass"),
    default=default,
    validate=validate,
    validate_change=validate_change,
    columns=(
        printing.NAME,
        printing.text("Controller", lambda cls: cls.spec.get("controller") or "", "Who makes such Ingresses true."),
        printing.text("Parameters", _shown, "What the controller is set to."),
        printing.AGE,
    ),
)
