"""What a new pod gets from the classes it names: its priority, and what its runtime costs and needs.

Both are a `core.collection.Guard` for pods.

Source: Kubernetes admission plugins Priority and RuntimeClass.
"""

from __future__ import annotations

from typing import Any, Literal

from coracle.core.errors import Forbidden
from coracle.core.kind import Reader
from coracle.core.object import Json, Key, Object
from coracle.core.quantity import parse_all
from coracle.kube.kinds import priorityclass, runtimeclass

PRIORITY, RUNTIME = priorityclass.KIND.type, runtimeclass.KIND.type
Verb = Literal["create", "update", "delete"]
_KEPT = ("priority", "priorityClassName", "preemptionPolicy", "overhead")


def prioritised(verb: Verb, pod: Object, old: Object | None, reader: Reader) -> Object:
    """The pod with its priority.  Raises Forbidden where it claims another, or there is no such class."""
    if verb == "update" and old is not None:
        kept = {name: old.spec[name] for name in _KEPT if name in old.spec and pod.spec.get(name) is None}
        return pod.with_spec(**kept) if kept else pod
    if verb != "create":
        return pod
    name, value, policy = _class_of(pod, reader)
    given, preempts = pod.spec.get("priority"), pod.spec.get("preemptionPolicy")
    computed = "priority admission controller computed"
    if given is not None and given != value:
        said = (
            f"the integer value of priority ({given}) must not be provided in pod spec; "
            f"{computed} {value} from the given PriorityClass name"
        )
        raise _refused(pod, said)
    if preempts is not None and preempts != policy:
        said = (
            f"the string value of PreemptionPolicy ({preempts}) must not be provided in pod spec; "
            f"{computed} {policy} from the given PriorityClass name"
        )
        raise _refused(pod, said)
    named = {"priorityClassName": name} if name else {}
    return pod.with_spec(priority=value, preemptionPolicy=policy, **named)


def _class_of(pod: Object, reader: Reader) -> tuple[str, int, str]:
    """The name, the value and the preemption policy of the pod's class, or of the default for all."""
    name = pod.spec.get("priorityClassName") or ""
    if not name:
        classes = [entry.object() for entry in reader.entries(PRIORITY)]
        chosen = min((one for one in classes if one.body.get("globalDefault")), key=_value, default=None)
        return ("", 0, priorityclass.PREEMPTS) if chosen is None else _facts(chosen)
    entry = reader.find(PRIORITY, Key("", name))
    if entry is not None:
        return _facts(entry.object())
    if name in priorityclass.SYSTEM:
        return name, priorityclass.SYSTEM[name], priorityclass.PREEMPTS
    raise _refused(pod, f"no PriorityClass with name {name} was found")


def _value(cls: Object) -> int:
    return int(cls.body["value"])


def _facts(cls: Object) -> tuple[str, int, str]:
    return cls.meta.name, _value(cls), cls.body["preemptionPolicy"]


def with_runtime(verb: Verb, pod: Object, _old: Object | None, reader: Reader) -> Object:
    """The pod with its runtime's overhead, node selector and tolerations.  Raises Forbidden."""
    if verb != "create":
        return pod
    name, overhead = pod.spec.get("runtimeClassName") or "", pod.spec.get("overhead")
    if not name:
        if overhead:
            raise _refused(pod, "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead")
        return pod
    entry = reader.find(RUNTIME, Key("", name))
    if entry is None:
        raise _refused(pod, f'pod rejected: RuntimeClass "{name}" not found')
    cls = entry.object()
    fixed = (cls.body.get("overhead") or {}).get("podFixed") or {}
    if overhead and not _same(overhead, fixed):
        raise _refused(pod, "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead")
    changes: Json = {"overhead": fixed} if fixed else {}
    return pod.with_spec(**changes, **_places(pod, cls))


def _same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    try:
        return parse_all(one) == parse_all(other)
    except ValueError:
        return False


def _places(pod: Object, cls: Object) -> Json:
    wanted = cls.body.get("scheduling") or {}
    chosen = dict(pod.spec.get("nodeSelector") or {})
    for label, value in (wanted.get("nodeSelector") or {}).items():
        if chosen.setdefault(label, value) != value:
            said = (
                f"conflict: runtimeClass.scheduling.nodeSelector[{label}] = {value}; "
                f"pod.spec.nodeSelector[{label}] = {chosen[label]}"
            )
            raise _refused(pod, said)
    tolerations = list(pod.spec.get("tolerations") or ())
    tolerations += [one for one in wanted.get("tolerations") or () if one not in tolerations]
    selector = {"nodeSelector": chosen} if chosen else {}
    return {**selector, "tolerations": tolerations}


def _refused(pod: Object, said: str) -> Forbidden:
    name = pod.meta.name or pod.meta.generate_name
    return Forbidden(f'pods "{name}" is forbidden: {said}', kind="Pod", name=name)
