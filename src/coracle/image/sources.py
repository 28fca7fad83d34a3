"""The catalogue and lists of packages as the engine asks for them (`engine.images.Source` and `Builder`).

Building blocks, and runs in a thread; progress is told from there.
"""

from __future__ import annotations

from collections.abc import Sequence

from coracle.core.tasks import offload
from coracle.image.blobs import BlobStore
from coracle.image.builds import Progress
from coracle.image.catalogue import Recipe, package_recipe
from coracle.image.debian import PackageImages
from coracle.image.references import Reference


class Catalogued:
    """Images of the catalogue, built where they are not in the machine's cache."""

    name = "catalogue"
    remote = False

    def __init__(self, images: PackageImages, blobs: BlobStore) -> None:
        self._images, self._blobs = images, blobs

    async def fetch(self, reference: Reference, progress: Progress) -> str | None:
        """Raises as PackageImages.build."""
        recipe = self.find(reference)
        if recipe is None:
            return None
        return (await offload(self._images.build, recipe, self._blobs, progress)).digest

    def find(self, reference: Reference) -> Recipe | None:
        return self._images.catalogue.find(reference, self._images.distribution.names)


class Packaged:
    """Images of any list of packages."""

    def __init__(self, images: PackageImages, blobs: BlobStore) -> None:
        self._images, self._blobs = images, blobs

    async def build(self, reference: Reference, packages: Sequence[str], progress: Progress) -> str:
        """Raises Malformed, Invalid (the packages), and as PackageImages.build."""
        recipe = package_recipe(str(reference), packages)
        return (await offload(self._images.build, recipe, self._blobs, progress)).digest
