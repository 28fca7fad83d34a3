"""/healthz, /livez, /readyz: whether the API lives and serves, whole or check by check.

    /readyz                   ok
    /readyz?verbose           [+]ping ok ... readyz check passed
    /livez/etcd               one check alone; `exclude=etcd` leaves one out

The checks have the names that kube-apiserver gives to the same things; `etcd` is the store, whichever it is.

Source: Kubernetes documentation, "Kubernetes API health endpoints"; apiserver's healthz for the texts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from coracle.core.errors import NotFound
from coracle.core.object import Key
from coracle.core.store import Store
from coracle.web.messages import Answer, Request, Response

Check = Callable[[], bool]
PATHS = ("/healthz", "/livez", "/readyz")
_TEXT = "text/plain; charset=utf-8"
_HOOK = "poststarthook/"
_NAMESPACES = ("default", "kube-public", "kube-system")
_CLASSES = ("system-cluster-critical", "system-node-critical")


class Health:
    """`ready` says whether everything that serves has begun to; it has where doors open last."""

    def __init__(self, store: Store, ready: Check = lambda: True) -> None:
        def there(type: str, names: tuple[str, ...]) -> Check:
            return _Once(lambda: all(store.find(type, Key("", name)) is not None for name in names))

        alive: dict[str, Check] = {
            "ping": lambda: True,
            "log": lambda: True,
            "etcd": lambda: not store.failure,
            f"{_HOOK}start-system-namespaces-controller": there("Namespace", _NAMESPACES),
            f"{_HOOK}scheduling/bootstrap-system-priority-classes": there("PriorityClass.scheduling.k8s.io", _CLASSES),
        }
        more: dict[str, Check] = {"etcd-readiness": alive["etcd"], "informer-sync": ready, "shutdown": lambda: True}
        self._checks: dict[str, Mapping[str, Check]] = {"healthz": alive, "livez": alive, "readyz": {**alive, **more}}

    async def handle(self, request: Request) -> Answer:
        """GET /readyz[/{check}][?verbose][&exclude=] -> 200, 500 where something fails.  Raises NotFound."""
        page, _, name = request.path.strip("/").partition("/")
        checks = self._checks[page]
        if not name:
            return _whole(page, checks, "verbose" in request.query, request.query.all("exclude"))
        if name not in checks:
            raise NotFound
        passed = checks[name]()
        said = "ok" if passed else "internal server error: reason withheld\n"
        return Response(200 if passed else 500, said.encode(), content_type=_TEXT)


class _Once:
    """Of something done at the start: true ever after, whatever people do to it later."""

    def __init__(self, check: Check) -> None:
        self._check, self._passed = check, False

    def __call__(self) -> bool:
        self._passed = self._passed or self._check()
        return self._passed


def _whole(page: str, checks: Mapping[str, Check], verbose: bool, excluded: list[str]) -> Response:
    found = {name: check() for name, check in checks.items() if name not in excluded}
    lines = [_line(name, found.get(name)) for name in checks]
    strangers = [name for name in excluded if name and name not in checks]
    if strangers:
        named = ",".join(f'"{name}"' for name in strangers)
        lines.append(f"warn: some health checks cannot be excluded: no matches for {named}")
    if not all(found.values()):
        return Response(500, "\n".join([*lines, f"{page} check failed", ""]).encode(), content_type=_TEXT)
    text = "\n".join([*lines, f"{page} check passed", ""]) if verbose else "ok"
    return Response(200, text.encode(), content_type=_TEXT)


def _line(name: str, passed: bool | None) -> str:
    """`passed` None: it was left out."""
    if passed is None:
        return f"[+]{name} excluded: ok"
    return f"[+]{name} ok" if passed else f"[-]{name} failed: reason withheld"
