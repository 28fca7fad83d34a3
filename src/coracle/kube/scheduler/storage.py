"""What a pod's claims say about where it can run, and what they wait for.

    unbound, to be bound at once     the pod waits for the binder
    unbound, waiting for a consumer  a node is chosen first and said in the claim; the pod waits for the volume there
    bound                            the pod runs where its volume can be had

Source: Kubernetes documentation, "Storage Classes: Volume Binding Mode"; the words of the plugin VolumeBinding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from coracle.core.collection import Collection
from coracle.core.errors import NotFound
from coracle.core.informer import Index, Informer
from coracle.core.object import Json, Key, Object
from coracle.core.store import Event
from coracle.kube.kinds import persistentvolume as volumes
from coracle.kube.kinds import persistentvolumeclaim as claims
from coracle.kube.kinds import pod as pods
from coracle.kube.kinds import storageclass as classes
from coracle.kube.kinds.nodeterms import Place
from coracle.kube.kinds.storagematching import best, for_whom, node_fits
from coracle.kube.kinds.storagerules import NO_PROVISIONER, SELECTED_NODE, claims_of, class_of

CLAIM, VOLUME, CLASS = (module.KIND.type for module in (claims, volumes, classes))
ELSEWHERE = "node(s) didn't match PersistentVolume's node affinity"
NOTHING_FREE = "node(s) didn't find available persistent volumes to bind"
UNBOUND = "pod has unbound immediate PersistentVolumeClaims"
IN_USE = "node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode"


def _claims(pod: Object) -> Iterable[str]:
    return () if pods.ended(pod) else (f"{pod.meta.namespace}/{name}" for name in claims_of(pod).values())


INDEXES: Mapping[str, Mapping[str, Index]] = {
    pods.KIND.type: {"used-claims": _claims},
    VOLUME: {"for": for_whom},
}


@dataclass(frozen=True, slots=True)
class Needs:
    """Of one pod.

    refusal  why no node will do
    bound    the volumes that it has
    open     the claims that wait for a node, each with the volumes that are free for it; None: one can be made
    places   of the classes of those: where volumes may be made, as topology selector terms
    alone    the claims that are for one pod only, by `namespace/name`
    taken    the nodes on which other pods have one of those
    """

    refusal: str = ""
    alone: frozenset[str] = frozenset()
    taken: frozenset[str] = frozenset()
    bound: tuple[Object, ...] = ()
    open: tuple[tuple[Object, tuple[Object, ...] | None], ...] = ()
    places: tuple[Sequence[Json], ...] = ()

    def repels(self, node: Place) -> str:
        """Why that node will not do; "": it will."""
        if self.taken - {node.name}:  # those of this node may have to go, and are known to the filters
            return IN_USE
        if any(not node_fits(volume, node) for volume in self.bound):
            return ELSEWHERE
        if not all(any(_is_in(term, node) for term in terms) for terms in self.places):
            return NOTHING_FREE
        for claim, free in self.open:
            chosen = claim.meta.annotations.get(SELECTED_NODE)
            if (chosen and chosen != node.name) or (free is not None and best(claim, free, node) is None):
                return NOTHING_FREE
        return ""


def _is_in(term: Json, node: Place) -> bool:
    """A topology selector term: every label with one of its values."""
    return all(node.labels.get(need["key"]) in need["values"] for need in term.get("matchLabelExpressions") or ())


class Storage:
    """Looks up the claims of pods, and says in them which node was chosen."""

    def __init__(self, caches: Mapping[str, Informer], writer: Collection) -> None:
        self._pods, self._claims = caches[pods.KIND.type], caches[CLAIM]
        self._volumes, self._classes = caches[VOLUME], caches[CLASS]
        self._writer = writer
        self.watches = {CLAIM: self._waiting, VOLUME: self._all_waiting}

    def needs(self, pod: Object) -> Needs:
        bound, waiting, places = [], [], []
        alone, taken = set[str](), set[str]()
        for volume, name in claims_of(pod).items():
            claim = self._claims.find(Key(pod.meta.namespace, name))
            if claim is None:
                return Needs(refusal=_missing(pod, volume, name))
            if "ReadWriteOncePod" in (claim.spec.get("accessModes") or ()):
                alone.add(str(claim.key))
                taken |= self._users(claim, pod)
            if claim.meta.deleting:
                return Needs(refusal=f'persistentvolumeclaim "{name}" is being deleted')
            if claim.status.get("phase") == "Lost":
                lost = claim.spec.get("volumeName")
                return Needs(refusal=f'persistentvolumeclaim "{name}" bound to non-existent persistentvolume "{lost}"')
            if claims.is_bound(claim):
                bound += [found for found in (self._volumes.find(Key("", claim.spec["volumeName"])),) if found]
                continue
            cls = self._classes.find(Key("", class_of(claim)))
            if cls is None or cls.body.get("volumeBindingMode") != "WaitForFirstConsumer" or _asks(claim):
                return Needs(refusal=UNBOUND)
            free, within = self._free(claim, cls), cls.body.get("allowedTopologies")
            waiting.append((claim, free))
            places += [within] if within and free is None else []
        return Needs(
            bound=tuple(bound),
            open=tuple(waiting),
            places=tuple(places),
            alone=frozenset(alone),
            taken=frozenset(taken),
        )

    async def choose(self, needs: Needs, node: str) -> None:
        """Say in the open claims that their pod is to run on `node`."""
        for claim, _ in needs.open:
            told = {**claim.meta.annotations, SELECTED_NODE: node}
            try:
                await self._writer.change(claim.key, _annotate(claim, told))
            except NotFound:
                continue

    def _users(self, claim: Object, pod: Object) -> set[str]:
        """The nodes of other pods that have the claim."""
        users = self._pods.by("used-claims", str(claim.key))
        return {user.spec["nodeName"] for user in users if user.spec.get("nodeName") and user.meta.uid != pod.meta.uid}

    def _free(self, claim: Object, cls: Object) -> tuple[Object, ...] | None:
        if cls.body.get("provisioner") != NO_PROVISIONER:
            return None
        return tuple(self._volumes.by("for", f"/{class_of(claim)}")) + tuple(self._volumes.by("for", str(claim.key)))

    def _waiting(self, event: Event) -> Iterable[Key]:
        return self._pods.keys_by("used-claims", str(event.entry.key))

    def _all_waiting(self, event: Event) -> Iterable[Key]:
        """A volume has come, or is free: whoever waits with claims may have use for it."""
        return [key for key in self._pods.keys_by("unscheduled", "waiting") if claims_of(self._pods.get(key))]


def _missing(pod: Object, volume: str, name: str) -> str:
    own = any(one["name"] == volume and one.get("ephemeral") for one in pod.spec.get("volumes") or ())
    if own:
        return f'waiting for ephemeral volume controller to create the persistentvolumeclaim "{name}"'
    return f'persistentvolumeclaim "{name}" not found'


def _asks(claim: Object) -> bool:
    """For a volume by name: then it is bound at once."""
    return bool(claim.spec.get("volumeName"))


def _annotate(claim: Object, told: Mapping[str, str]) -> Callable[[Object], Object]:
    def how(now: Object) -> Object:
        return now.with_meta(annotations=told) if now.meta.uid == claim.meta.uid else now

    return how
