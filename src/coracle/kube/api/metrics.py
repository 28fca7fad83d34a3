"""metrics.k8s.io: what nodes and pods use now, for `kubectl top`.

Source: Kubernetes documentation, "Resource metrics pipeline"; kubernetes-sigs/metrics-server (what it leaves out).
"""

from __future__ import annotations

from coracle.core.clock import Clock
from coracle.core.errors import NotFound, Unsupported
from coracle.core.kind import Kind
from coracle.core.object import Object
from coracle.core.store import Store, to_entry
from coracle.kube.api.lists import read_selection
from coracle.kube.api.served import Place
from coracle.kube.api.tables import read_view
from coracle.kube.kinds import metrics, node, pod
from coracle.kube.kinds.metrics import Meter
from coracle.web.messages import Request, Response

KINDS: tuple[Kind, ...] = (metrics.NODES, metrics.PODS)
VERBS = ("get", "list")
_BY_PLACE = {(kind.api, kind.plural): kind for kind in KINDS}


def find(place: Place) -> Kind | None:
    return _BY_PLACE.get((place.api, place.resource))


class Measured:
    """Handlers over the pods and nodes in `store`."""

    def __init__(self, store: Store, meter: Meter, clock: Clock) -> None:
        self._store, self._meter, self._clock = store, meter, clock

    async def handle(self, request: Request, kind: Kind, place: Place) -> Response:
        """GET .../{plural}[/{name}] -> 200.  Raises NotFound, Unsupported (405), Malformed."""
        if place.subresource or (place.namespace is not None) > kind.namespaced:
            raise NotFound
        if request.method not in ("GET", "HEAD") or request.query.get("watch").lower() in ("true", "1"):
            raise Unsupported("the server does not allow this method on the requested resource")
        view = read_view(request, kind, self._clock)
        of = pod.KIND if kind is metrics.PODS else node.KIND
        selection = read_selection(request, of, place.namespace, place.name)
        entries = [entry for entry in self._store.entries(of.type, place.namespace) if selection.accepts(entry)]
        found = await self._measure(kind, [entry.object() for entry in entries])
        if not place.name:
            return Response(200, view.many([to_entry(one) for one in found], {}))
        if not found:
            name = f"{place.namespace}/{place.name}" if kind.namespaced else place.name
            raise NotFound(f'{kind.name.lower()}.{kind.group} "{name}" not found', name=name)
        return Response(200, view.one(to_entry(found[0])))

    async def _measure(self, kind: Kind, asked: list[Object]) -> list[Object]:
        """Those that run, as metrics."""
        if kind is metrics.NODES:
            found = await self._meter.node() if asked else None
            return [metrics.node_metrics(one, found) for one in asked] if found else []
        measured = await self._meter.pods(asked)
        return [metrics.pod_metrics(one, measured[one.meta.uid]) for one in asked if one.meta.uid in measured]
