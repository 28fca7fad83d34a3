"""Where images come from, as engine.images asks: what a source is, and the catalogue of images made of packages."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from coracle.core.errors import NotFound
from coracle.core.tasks import offload
from coracle.engine.works import Progress
from coracle.image.blobs import BlobStore
from coracle.image.catalogue import Recipe, package_recipe
from coracle.image.debian import PackageImages
from coracle.image.manifest import host_platform
from coracle.image.references import DEFAULT_REGISTRY, Reference
from coracle.image.terms import PLAIN, Terms


class Source(Protocol):
    """Somewhere that images come from.  `remote`: it asks elsewhere, so that its answer may change."""

    name: str
    remote: bool

    async def fetch(self, reference: Reference, progress: Progress, terms: Terms = PLAIN) -> str | None:
        """Bring the image's blobs into the blob store.

        Returns the digest of its manifest; None where this source does not know the name.
        Raises: Unavailable (it could not be asked), Forbidden, Invalid (what it gave is damaged), Exhausted.
        """
        ...

    async def tags(self, reference: Reference, terms: Terms = PLAIN) -> Sequence[str]:
        """The tags of that repository; none where this source does not know it.  Raises as fetch."""
        ...


class Builder(Protocol):
    """Makes images of the distribution's packages."""

    async def build(self, reference: Reference, packages: Sequence[str], progress: Progress) -> str:
        """As Source.fetch.  Raises Invalid (no such package, in apt's words)."""
        ...


class CatalogueSource:
    """A Source and a Builder: images built on this machine, on first use, from its distribution's packages.

    Builds take turns here, before they take a thread: in the cache's directory they would anyway, holding one.
    """

    name = "catalogue"
    remote = False

    def __init__(self, packages: PackageImages, blobs: BlobStore) -> None:
        self._packages, self._blobs = packages, blobs
        self._turn = asyncio.Lock()

    async def fetch(self, reference: Reference, progress: Progress, terms: Terms = PLAIN) -> str | None:
        """As Source.fetch.  Raises Unsupported: this machine's distribution is not known."""
        recipe = await offload(self._packages.recipe_for, reference)
        if recipe is not None and terms.platform is not None and not terms.platform.fits(host_platform()):
            said = f"no matching manifest for {terms.platform} in the manifest list entries: it is built here"
            raise NotFound(f"{said} for {host_platform()}", kind="Image", name=reference.familiar)
        return await self._make(recipe, progress) if recipe is not None else None

    async def tags(self, reference: Reference, terms: Terms = PLAIN) -> Sequence[str]:
        """As Source.tags."""
        return await offload(self._tags, reference)

    async def build(self, reference: Reference, packages: Sequence[str], progress: Progress) -> str:
        """As Builder.build."""
        return await self._make(package_recipe(str(reference), packages), progress)

    def _tags(self, reference: Reference) -> Sequence[str]:
        recipe = self._packages.catalogue.named(reference.familiar_name)
        is_ours = recipe is not None and reference.registry == DEFAULT_REGISTRY
        return self._packages.tags_of(recipe) if recipe is not None and is_ours else ()

    async def _make(self, recipe: Recipe, progress: Progress) -> str:
        if await offload(self._packages.find, recipe) is not None:
            return (await offload(self._packages.build, recipe, self._blobs, progress)).digest
        async with self._turn:
            return (await offload(self._packages.build, recipe, self._blobs, progress)).digest
