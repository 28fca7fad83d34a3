"""CSIDriver: what a storage driver of this cluster can do, and wants of it.

Source: Kubernetes storage.k8s.io/v1 API, CSIDriverSpec; printed columns as `kubectl get csidrivers`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from coracle.core.errors import Problem, duplicate, forbidden, invalid
from coracle.core.kind import Column, Kind, Problems
from coracle.core.object import Json, Object
from coracle.kube.kinds import printing
from coracle.kube.kinds.blanks import absent
from coracle.kube.kinds.definitions import schema
from coracle.kube.kinds.podspec.volumesources import LONGEST_TOKEN_S, SHORTEST_TOKEN_S
from coracle.kube.kinds.rules import unsupported

API = "storage.k8s.io/v1"
_GROUP_POLICIES = ("File", "None", "ReadWriteOnceWithFSType")
_MODES = ("Ephemeral", "Persistent")
_SHORTEST_UPDATE_S = 10


def default(driver: Object) -> Object:
    spec = absent(
        driver.body.get("spec"),
        attachRequired=True,
        fsGroupPolicy="ReadWriteOnceWithFSType",
        podInfoOnMount=False,
        requiresRepublish=False,
        seLinuxMount=False,
        storageCapacity=False,
    )
    spec["volumeLifecycleModes"] = spec.get("volumeLifecycleModes") or ["Persistent"]
    return driver.with_body(spec=spec)


def validate(driver: Object) -> Problems:
    spec = driver.spec
    found: Problems = []
    if spec["fsGroupPolicy"] not in _GROUP_POLICIES:
        found.append(unsupported("spec.fsGroupPolicy", spec["fsGroupPolicy"], _GROUP_POLICIES))
    found += _token_requests("spec.tokenRequests", spec.get("tokenRequests") or ())
    for mode in spec["volumeLifecycleModes"]:
        if mode not in _MODES:
            found.append(unsupported("spec.volumeLifecycleModes", mode, _MODES))
    period_s = spec.get("nodeAllocatableUpdatePeriodSeconds")
    if period_s is not None and period_s < _SHORTEST_UPDATE_S:
        said = f"must be greater than or equal to {_SHORTEST_UPDATE_S} seconds"
        found.append(invalid("spec.nodeAllocatableUpdatePeriodSeconds", period_s, said))
    if spec.get("serviceAccountTokenInSecrets") is not None and not spec.get("tokenRequests"):
        said = "serviceAccountTokenInSecrets can only be set when tokenRequests is specified"
        found.append(forbidden("spec.serviceAccountTokenInSecrets", said))
    return found


def _token_requests(at: str, given: Sequence[Json]) -> list[Problem]:
    found: list[Problem] = []
    seen: set[str] = set()
    for index, request in enumerate(given):
        audience, seconds = request.get("audience") or "", request.get("expirationSeconds")
        if audience in seen:
            found.append(duplicate(f"{at}[{index}].audience", audience))
            continue
        seen.add(audience)
        here = f"{at}[{index}].expirationSeconds"
        if seconds is not None and seconds < SHORTEST_TOKEN_S:
            found.append(invalid(here, seconds, "may not specify a duration less than 10 minutes"))
        if seconds is not None and seconds > LONGEST_TOKEN_S:
            found.append(invalid(here, seconds, "may not specify a duration larger than 2^32 seconds"))
    return found


def validate_change(new: Object, old: Object, part: str) -> Problems:
    fields = (("attachRequired", "attachedRequired"), ("volumeLifecycleModes", "volumeLifecycleModes"))
    return [
        invalid(f"spec.{said}", new.spec.get(name), "field is immutable")
        for name, said in fields
        if new.spec.get(name) != old.spec.get(name)
    ]


def _audiences(spec: Mapping[str, Any]) -> str:
    asked = spec.get("tokenRequests")
    return printing.UNSET if asked is None else printing.joined(one.get("audience") or "" for one in asked)


def _says(name: str) -> Column:
    column = f"{name[0].upper()}{name[1:]}"
    return printing.truth(column, lambda driver: bool(driver.spec.get(name)))


KIND = Kind(
    name="CSIDriver",
    plural="csidrivers",
    singular="csidriver",
    api=API,
    namespaced=False,
    schema=schema(API, "CSIDriver"),
    default=default,
    validate=validate,
    validate_change=validate_change,
    columns=(
        printing.NAME,
        _says("attachRequired"),
        _says("podInfoOnMount"),
        _says("storageCapacity"),
        printing.text("TokenRequests", lambda driver: _audiences(driver.spec), "For whom pods' tokens are wanted."),
        _says("requiresRepublish"),
        printing.text("Modes", lambda driver: printing.joined(driver.spec.get("volumeLifecycleModes") or ())),
        printing.AGE,
    ),
)
