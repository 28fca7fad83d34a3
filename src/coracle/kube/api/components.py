"""componentstatuses: how the parts of the control plane are, for those who still ask (`kubectl get cs`).

The parts live in one process with this API: whoever is answered knows that the loops run.  `etcd-0` is the store.

Source: Kubernetes v1 API, ComponentStatus (deprecated since 1.19).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from coracle.core.clock import Clock
from coracle.core.errors import NotFound, Unsupported
from coracle.core.kind import Kind
from coracle.core.object import Meta, Object
from coracle.core.store import Store, to_entry
from coracle.kube.api.lists import read_selection
from coracle.kube.api.served import Place
from coracle.kube.api.tables import read_view
from coracle.kube.kinds import printing
from coracle.kube.kinds.definitions import schema
from coracle.web.messages import Request, Response


def _said(name: str) -> Callable[[Object], str]:
    return lambda component: str(component.body["conditions"][0].get(name) or "")


KIND = Kind(
    name="ComponentStatus",
    plural="componentstatuses",
    singular="componentstatus",
    short=("cs",),
    namespaced=False,
    schema=schema("v1", "ComponentStatus"),
    columns=(
        printing.NAME,
        printing.text("Status", lambda one: "Healthy" if _said("status")(one) == "True" else "Unhealthy"),
        printing.text("Message", _said("message")),
        printing.text("Error", _said("error")),
    ),
)
KINDS = (KIND,)


def find(place: Place) -> Kind | None:
    return KIND if (place.api, place.resource) == (KIND.api, KIND.plural) else None


class Components:
    def __init__(self, store: Store, clock: Clock) -> None:
        self._store, self._clock = store, clock

    async def handle(self, request: Request, kind: Kind, place: Place) -> Response:
        """GET .../componentstatuses[/{name}] -> 200.  Raises NotFound, Unsupported (405), Malformed."""
        if place.subresource or place.namespace is not None:
            raise NotFound
        if request.method not in ("GET", "HEAD") or request.query.get("watch").lower() in ("true", "1"):
            raise Unsupported("the server does not allow this method on the requested resource")
        view = read_view(request, kind, self._clock)
        selection = read_selection(request, kind, None, place.name)
        found = [entry for one in self._present() if selection.accepts(entry := to_entry(one))]
        if not place.name:
            return Response(200, view.many(found, {}))
        if not found:
            raise NotFound(kind=kind.plural, name=place.name)
        return Response(200, view.one(found[0]))

    def _present(self) -> Iterable[Object]:
        faults = {"controller-manager": "", "etcd-0": self._store.failure, "scheduler": ""}
        return [_component(name, fault) for name, fault in faults.items()]


def _component(name: str, fault: str) -> Object:
    told = {"status": "False", "error": fault} if fault else {"status": "True", "message": "ok"}
    return Object(KIND.name, Meta(name=name), {"conditions": [{"type": "Healthy", **told}]}, KIND.api)
