"""Images as pods may have them: what was pulled with a password is for those who know it.

An image that is here under the asked name is used
    by anybody              where it was built or loaded here, pulled by Docker, or pulled without a password
    by who can prove it     where it was pulled with one: a pod whose secrets have such a login
Others have to pull it themselves.  It is remembered who has (kinds.imagepull), as a hash.

Source: Kubernetes documentation, "Images", "Ensure image pull credential verification"; KEP-2535, policy
NeverVerifyPreloadedImages.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

import orjson

from coracle.core.clock import Clock
from coracle.core.collection import Collection
from coracle.core.errors import AlreadyExists, CloudError
from coracle.core.object import Key, Object
from coracle.core.store import Store
from coracle.engine.images import Images, Policy
from coracle.image.references import parse_reference
from coracle.image.terms import NOBODY, Login, Terms
from coracle.kube.kinds import imagepull
from coracle.kube.kubelet.credentials import logins, pull_secrets


class ImageAccess:
    """Finds and pulls images for pods."""

    def __init__(self, images: Images, store: Store, clock: Clock) -> None:
        """`store` has the Secrets, and keeps who has pulled what."""
        self._images, self._secrets = images, store
        self._pulls = Collection(imagepull.KIND, store, clock)
        self._pulling = Counter[Key]()

    def find(self, pod: Object, reference: str) -> Object | None:
        """The image, if it is here and the pod may use it.  Raises Malformed (the name)."""
        image = self._images.find(reference)
        if image is None:
            return None
        record = self._pulls.find(imagepull.key(image.spec["id"]))
        unsure = any(self._pulls.find(imagepull.intent(one)) is not None for one in _names(image))
        if record is None and not unsure:
            return image
        known: Mapping[str, Sequence[str] | None] = record.spec["names"] if record is not None else {}
        asked, names = parse_reference(reference).name, {parse_reference(one).name for one in _names(image)}
        meant = {asked} if asked in names else names  # who asks by its id means it by any of its names
        ways = ((name, known.get(name, None if unsure else [])) for name in meant)
        return image if any(self._may(pod, image, name, proofs) for name, proofs in ways) else None

    def _may(self, pod: Object, image: Object, name: str, proofs: Sequence[str] | None) -> bool:
        """Whether `pod` may have it as what it is called so; [] lets everybody, None nobody."""
        own = (proof(image, login) for login in self._logins(pod, name))
        return proofs is not None and (not proofs or any(one in proofs for one in own))

    def missing_secrets(self, pod: Object) -> list[str]:
        """Those that the pod names for pulls, and that are not there."""
        return pull_secrets(pod, self._secrets)[1]

    async def get(self, pod: Object, reference: str, policy: Policy) -> Object:
        """The image, pulled if need be.  Raises as `pull`."""
        found = self.find(pod, reference) if policy != "Always" else None
        return found if found is not None else await self.pull(pod, reference, policy)

    async def pull(self, pod: Object, reference: str, policy: Policy) -> Object:
        """The image, by the first of the pod's logins that gets it; without one that fits, as the node is known.

        Raises: Malformed (the name), else what the last attempt met.
        """
        wanted: Policy = "Always" if policy == "IfNotPresent" and self._images.find(reference) else policy
        *others, last = self._logins(pod, reference) or (NOBODY,)
        for login in others:
            with contextlib.suppress(CloudError):
                return await self._pull(reference, wanted, login)
        return await self._pull(reference, wanted, last)

    async def sweep(self) -> None:
        """Forget who has pulled images that are not here any more."""
        images = self._images.list()
        there = {imagepull.key(image.spec["id"]) for image in images} | set(+self._pulling)
        there |= {imagepull.intent(one) for image in images for one in _names(image)}
        for record in self._pulls.list():
            if record.key not in there:
                await self._pulls.delete(record.key, missing_ok=True)

    def _logins(self, pod: Object, reference: str) -> tuple[Login, ...]:
        return logins(pull_secrets(pod, self._secrets)[0], parse_reference(reference))

    async def _pull(self, reference: str, policy: Policy, login: Login) -> Object:
        intent = imagepull.intent(reference)
        if not login:
            image = await self._ensure(reference, policy, login)
            await self._forget(intent)
            return image
        try:
            with self._counted(intent):
                with contextlib.suppress(AlreadyExists):
                    await self._pulls.create(imagepull.new(intent))
                image = await self._ensure(reference, policy, login)
        except CloudError:  # else (cancelled) it may be here, and nobody has noted whose it is
            await self._forget(intent)
            raise
        await self._forget(intent)
        return image

    @contextlib.contextmanager
    def _counted(self, intent: Key) -> Iterator[None]:
        self._pulling[intent] += 1
        try:
            yield
        finally:
            self._pulling[intent] -= 1

    async def _forget(self, intent: Key) -> None:
        if not self._pulling[intent] and self._pulls.find(intent) is not None:
            await self._pulls.delete(intent, missing_ok=True)

    async def _ensure(self, reference: str, policy: Policy, login: Login) -> Object:
        image = await self._images.ensure(reference, policy, terms=Terms(login))
        await self._note(image, parse_reference(reference).name, login)
        return image

    async def _note(self, image: Object, name: str, login: Login) -> None:
        key = imagepull.key(image.spec["id"])
        if self._pulls.find(key) is None:
            if not login:
                return  # nobody is kept from it, and nobody was
            with contextlib.suppress(AlreadyExists):
                await self._pulls.create(imagepull.new(key))
        mine = [proof(image, login)] if login else []

        def noted(now: Object) -> Object:
            names = now.spec["names"]
            open_to_all = not mine or names.get(name) == []
            return now.with_spec(
                names={**names, name: [] if open_to_all else _each_once([*names.get(name, ()), *mine])}
            )

        await self._pulls.change(key, noted)


def _names(image: Object) -> Iterable[str]:
    return (*image.spec["references"], *image.spec["digests"])


def proof(image: Object, login: Login) -> str:
    """That somebody knows a login, without telling it."""
    said = orjson.dumps([image.spec["id"], login.username, login.password])
    return hashlib.sha256(said).hexdigest()


def _each_once(words: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(words))
