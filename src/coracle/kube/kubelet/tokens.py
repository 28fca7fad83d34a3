"""The tokens in pods' files: given out once, and again when four fifths of their time have passed.

Source: Kubernetes documentation, "Projected Volumes: serviceAccountToken"; the kubelet's token manager.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from coracle.core.clock import Clock
from coracle.core.errors import NotFound, Unsupported
from coracle.core.informer import Informer
from coracle.core.kind import Reader
from coracle.core.loop import Again
from coracle.core.object import Key, Object
from coracle.core.store import Event
from coracle.kube.kinds import pod as pods
from coracle.kube.kinds.accounttokens import ACCOUNT, NODE, Issuer, Wish
from coracle.kube.kinds.recorder import EventRecorder

POD = pods.KIND.type
USUAL_S, LONGEST_USE_S, FRESH = 3600, 24 * 3600.0, 0.8


class TokenSource(Protocol):
    """Where files get tokens from."""

    def token(self, pod: Object, given: Mapping[str, Any]) -> str:
        """For a ServiceAccountTokenProjection of a pod.  Raises NotFound, Unsupported."""
        ...


class NoTokens:
    """Of a node that nobody has given the means."""

    def token(self, pod: Object, given: Mapping[str, Any]) -> str:
        raise Unsupported("this node has no service account tokens to give out", status=501)


class _Wanted(NamedTuple):
    audience: str
    seconds_s: int


@dataclass(frozen=True, slots=True)
class _Given:
    token: str
    renew_at_s: float


class PodTokens:
    """The TokenSource of a node: remembers what each pod was given, so that its files change only when they must."""

    def __init__(self, issuer: Issuer, reader: Reader, clock: Clock) -> None:
        self._issuer, self._reader, self._clock = issuer, reader, clock
        self._given: dict[Key, tuple[str, dict[_Wanted, _Given]]] = {}

    def token(self, pod: Object, given: Mapping[str, Any]) -> str:
        uid, tokens = self._given.get(pod.key, ("", {}))
        if uid != pod.meta.uid:
            tokens = {}
            self._given[pod.key] = (pod.meta.uid, tokens)
        wanted = _Wanted(given.get("audience") or "", given.get("expirationSeconds") or USUAL_S)
        kept = tokens.get(wanted)
        if kept is None or self._clock.now_s() >= kept.renew_at_s:
            kept = tokens[wanted] = self._issue(pod, wanted)
        return kept.token

    def renew_in_s(self, pod: Object) -> float:
        """How long the pod's tokens are fresh; 0 where it was given none yet."""
        uid, tokens = self._given.get(pod.key, ("", {}))
        if uid != pod.meta.uid or not tokens:
            return 0.0
        return max(0.0, min(one.renew_at_s for one in tokens.values()) - self._clock.now_s())

    def forget(self, key: Key) -> None:
        self._given.pop(key, None)

    def _issue(self, pod: Object, wanted: _Wanted) -> _Given:
        name = pod.spec.get("serviceAccountName") or "default"
        entry = self._reader.find(ACCOUNT, Key(pod.meta.namespace, name))
        if entry is None:
            raise NotFound(f'failed to fetch token: serviceaccounts "{name}" not found', kind=ACCOUNT, name=name)
        node = self._reader.find(NODE, Key("", pod.spec.get("nodeName") or ""))
        audiences = (wanted.audience,) if wanted.audience else ()
        wish = Wish(wanted.seconds_s, audiences, pod, node.object() if node is not None else None)
        token, _ = self._issuer.issue(entry.object(), wish)
        return _Given(token, self._clock.now_s() + min(wanted.seconds_s * FRESH, LONGEST_USE_S))


class _Files(Protocol):
    async def refresh(self, pod: Object) -> list[str]: ...


def _with_token(event: Event) -> Iterable[Key]:
    return (event.entry.key,) if b'"serviceAccountToken"' in event.entry.raw else ()


class TokenRotation:
    """The loop over pods with tokens: writes fresh ones when it is time."""

    name = "kubelet-tokens"
    watches: Mapping[str, Any] = {POD: _with_token}

    def __init__(
        self, caches: Mapping[str, Informer], node: str, tokens: PodTokens, files: _Files, recorder: EventRecorder
    ) -> None:
        self._pods, self._node = caches[POD], node
        self._tokens, self._files, self._recorder = tokens, files, recorder

    async def reconcile(self, key: Key) -> Again | None:
        pod = self._pods.find(key)
        if pod is None or pods.ended(pod):
            self._tokens.forget(key)
            return None
        if pod.spec.get("nodeName") != self._node or pod.status.get("phase") != "Running":
            return None  # it gets its first ones with its volumes
        if not self._tokens.renew_in_s(pod):
            for said in await self._files.refresh(pod):
                self._recorder.emit(pod, "Warning", "FailedMount", said)
        wait_s = self._tokens.renew_in_s(pod)
        return Again(wait_s or USUAL_S / 60)
