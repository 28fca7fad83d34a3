"""The rules for where a pod may run: node selectors, affinity, tolerations, spreading.

Source: Kubernetes v1 API, Affinity, Toleration, TopologySpreadConstraint.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from coracle.core.errors import Problem, forbidden, invalid, required
from coracle.core.names import label_problems, label_value_faults, name_faults, qualified_faults
from coracle.core.object import Json
from coracle.kube.kinds.podspec import labelkeys
from coracle.kube.kinds.podspec.affinities import PREFERRED, REQUIRED
from coracle.kube.kinds.rules import label_selector, unique, unsupported

_EFFECTS = ("NoExecute", "NoSchedule", "PreferNoSchedule")
_UNSATISFIABLE = ("DoNotSchedule", "ScheduleAnyway")
_ANY_KEY = 'operator must be Exists when `key` is empty, which means "match all values and all keys"'


def problems(at: str, spec: Mapping[str, Any]) -> list[Problem]:
    found = label_problems(spec.get("nodeSelector"), f"{at}.nodeSelector")
    found += tolerations(f"{at}.tolerations", spec.get("tolerations") or ())
    found += _gates(f"{at}.schedulingGates", spec)
    affinity = spec.get("affinity") or {}
    found += _node_affinity(f"{at}.affinity.nodeAffinity", affinity.get("nodeAffinity") or {})
    for name in ("podAffinity", "podAntiAffinity"):
        found += _pod_affinity(f"{at}.affinity.{name}", affinity.get(name) or {})
    constraints = spec.get("topologySpreadConstraints") or ()
    for index, constraint in enumerate(constraints):
        found += _spread(f"{at}.topologySpreadConstraints[{index}]", constraint)
    return found + _repeated(f"{at}.topologySpreadConstraints", constraints)


def _repeated(at: str, constraints: Sequence[Json]) -> list[Problem]:
    """One place is spread over in one way."""
    pairs = [(one.get("topologyKey"), one.get("whenUnsatisfiable")) for one in constraints]
    shown = [f"{{{key}, {unsatisfiable}}}" for key, unsatisfiable in pairs]
    field = "{topologyKey, whenUnsatisfiable}"
    return unique(lambda index: f"{at}[{index}].{field}", shown)


def _gates(at: str, spec: Mapping[str, Any]) -> list[Problem]:
    gates = spec.get("schedulingGates") or ()
    found = unique(lambda index: f"{at}[{index}]", (gate.get("name") for gate in gates))
    for index, gate in enumerate(gates):
        name = gate.get("name") or ""
        found += [invalid(f"{at}[{index}]", name, fault) for fault in qualified_faults(name)]
    if gates and spec.get("nodeName"):
        field = at.replace("schedulingGates", "nodeName")
        found.append(forbidden(field, "cannot be set until all schedulingGates have been cleared"))
    return found


def tolerations(at: str, given: Sequence[Json]) -> list[Problem]:
    found: list[Problem] = []
    for index, toleration in enumerate(given):
        found += _toleration(f"{at}[{index}]", toleration)
    return found


def _toleration(at: str, given: Json) -> list[Problem]:
    key, operator, effect = given.get("key") or "", given.get("operator") or "Equal", given.get("effect") or ""
    found = [invalid(f"{at}.key", key, fault) for fault in qualified_faults(key)] if key else []
    if not key and operator != "Exists":
        found.append(invalid(f"{at}.operator", operator, _ANY_KEY))
    if given.get("tolerationSeconds") is not None and effect != "NoExecute":
        found.append(invalid(f"{at}.effect", effect, "effect must be 'NoExecute' when `tolerationSeconds` is set"))
    if operator == "Equal":
        value = given.get("value") or ""
        found += [invalid(f"{at}.operator", value, fault) for fault in label_value_faults(value)]
    elif operator != "Exists":
        found.append(unsupported(f"{at}.operator", operator, ("Equal", "Exists")))
    elif given.get("value"):
        found.append(invalid(f"{at}.operator", given, "value must be empty when `operator` is 'Exists'"))
    return found + ([unsupported(f"{at}.effect", effect, _EFFECTS)] if effect and effect not in _EFFECTS else [])


def _node_affinity(at: str, given: Json) -> list[Problem]:
    found: list[Problem] = []
    needed = given.get(REQUIRED)
    if needed is not None:
        found += node_selector(f"{at}.{REQUIRED}", needed)
    for index, term in enumerate(given.get(PREFERRED) or ()):
        here = f"{at}.{PREFERRED}[{index}]"
        found += _weight(f"{here}.weight", term.get("weight"))
        found += _node_term(f"{here}.preference", term.get("preference") or {})
    return found


def node_selector(at: str, given: Json) -> list[Problem]:
    """A v1.NodeSelector."""
    terms, here = given.get("nodeSelectorTerms") or (), f"{at}.nodeSelectorTerms"
    found = [] if terms else [required(here, "must have at least one node selector term")]
    for index, term in enumerate(terms):
        found += _node_term(f"{here}[{index}]", term)
    return found


def _node_term(at: str, term: Json) -> list[Problem]:
    found: list[Problem] = []
    for index, need in enumerate(term.get("matchExpressions") or ()):
        found += _node_expression(f"{at}.matchExpressions[{index}]", need)
    for index, need in enumerate(term.get("matchFields") or ()):
        found += _node_field(f"{at}.matchFields[{index}]", need)
    return found


def _node_field(at: str, need: Json) -> list[Problem]:
    """Of a node's fields there is one to go by: its name."""
    operator, values, key = need.get("operator"), need.get("values") or (), need.get("key") or ""
    found: list[Problem] = []
    if operator not in ("In", "NotIn"):
        found.append(invalid(f"{at}.operator", operator, "not a valid selector operator"))
    elif len(values) != 1:
        said = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"
        found.append(required(f"{at}.values", said))
    if key != "metadata.name":
        return [*found, invalid(f"{at}.key", key, "not a valid field selector key")]
    for index, value in enumerate(values):
        found += [invalid(f"{at}.values[{index}]", value, fault) for fault in name_faults("subdomain", value)]
    return found


def _node_expression(at: str, need: Json) -> list[Problem]:
    operator, values = need.get("operator"), need.get("values") or ()
    found: list[Problem] = []
    if operator in ("In", "NotIn") and not values:
        found.append(required(f"{at}.values", "must be specified when `operator` is 'In' or 'NotIn'"))
    elif operator in ("Exists", "DoesNotExist") and values:
        found.append(forbidden(f"{at}.values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"))
    elif operator in ("Gt", "Lt") and len(values) != 1:
        found.append(required(f"{at}.values", "must be specified single value when `operator` is 'Lt' or 'Gt'"))
    elif operator not in ("In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"):
        found.append(invalid(f"{at}.operator", operator, "not a valid selector operator"))
    key = need.get("key") or ""
    return found + [invalid(f"{at}.key", key, fault) for fault in qualified_faults(key)]


def _pod_affinity(at: str, given: Json) -> list[Problem]:
    found: list[Problem] = []
    for index, term in enumerate(given.get(REQUIRED) or ()):
        found += _pod_term(f"{at}.{REQUIRED}[{index}]", term)
    for index, weighted in enumerate(given.get(PREFERRED) or ()):
        here = f"{at}.{PREFERRED}[{index}]"
        found += _weight(f"{here}.weight", weighted.get("weight"))
        found += _pod_term(f"{here}.podAffinityTerm", weighted.get("podAffinityTerm") or {})
    return found


def _pod_term(at: str, term: Json) -> list[Problem]:
    found = label_selector(f"{at}.labelSelector", term.get("labelSelector"))
    found += label_selector(f"{at}.namespaceSelector", term.get("namespaceSelector"))
    for name in term.get("namespaces") or ():
        found += [invalid(f"{at}.namespace", name, fault) for fault in name_faults("label", name)]
    return found + labelkeys.term_problems(at, term) + _topology_key(at, term, "can not be empty")


def _topology_key(at: str, given: Json, said: str) -> list[Problem]:
    key = given.get("topologyKey") or ""
    if not key:
        return [required(f"{at}.topologyKey", said)]
    return [invalid(f"{at}.topologyKey", key, fault) for fault in qualified_faults(key)]


def _weight(at: str, weight: int | None) -> list[Problem]:
    return [] if 1 <= (weight or 0) <= 100 else [invalid(at, weight or 0, "must be in the range 1-100")]


def _spread(at: str, given: Json) -> list[Problem]:
    skew, unsatisfiable = given.get("maxSkew") or 0, given.get("whenUnsatisfiable")
    found = [] if skew > 0 else [invalid(f"{at}.maxSkew", skew, "must be greater than zero")]
    found += _topology_key(at, given, "can not be empty")
    if given.get("minDomains") is not None:
        found += _domains(f"{at}.minDomains", given["minDomains"], unsatisfiable)
    for name in ("nodeAffinityPolicy", "nodeTaintsPolicy"):
        if given.get(name) is not None and given[name] not in ("Honor", "Ignore"):
            found.append(unsupported(f"{at}.{name}", given[name], ("Honor", "Ignore")))
    if unsatisfiable not in _UNSATISFIABLE:
        found.append(unsupported(f"{at}.whenUnsatisfiable", unsatisfiable or "", _UNSATISFIABLE))
    found += labelkeys.spread_problems(at, given)
    return found + label_selector(f"{at}.labelSelector", given.get("labelSelector"))


def _domains(at: str, number: int, unsatisfiable: str | None) -> list[Problem]:
    found = [] if number > 0 else [invalid(at, number, "must be greater than zero")]
    if unsatisfiable != "DoNotSchedule":
        said = f"can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {unsatisfiable}"
        found.append(invalid(at, number, said))
    return found
