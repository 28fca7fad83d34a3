"""Images from Debian packages: build what the catalogue declares, once per machine, and hand it to any cloud.

What is built lies in a cache directory that several clouds share:

    images/         an OCI layout; an image's name in it is a hash of its recipe, its bases' and the distribution
    unpacked/       the layers that others stand on, unpacked
    apt/            package lists and .deb files, so that building again is quick
    work/           the build under way; swept by the next one

One build at a time per cache: the second one waits, and mostly finds its image made.  A build that fails leaves
nothing.  `mmdebstrap` makes the base; everything else is installed over it by the machine's apt, from outside (so that
proxies and certificates of the machine serve), in an overlay that is thrown away.  Layers are plain tars: digest and
diff id agree.

Blocks for seconds: call from a thread.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from coracle.core.clock import Clock
from coracle.image import apt
from coracle.image.apt import Distribution
from coracle.image.blobs import BlobStore
from coracle.image.builds import Build, Progress
from coracle.image.catalogue import Catalogue, Recipe, tags_of
from coracle.image.digests import chain_ids
from coracle.image.layout import Layout, copy_image, read_config
from coracle.image.manifest import Descriptor
from coracle.image.references import Reference
from coracle.image.snapshots.api import Limits
from coracle.image.snapshots.layers import Layers

FORMAT = 1  # raise when the same recipe should be built anew


class PackageImages:
    """Builds recipes of one catalogue for one machine."""

    def __init__(self, cache: Path, catalogue: Catalogue, clock: Clock) -> None:
        """`cache` is made where it is missing; nothing else happens before the first build."""
        self.catalogue = catalogue
        self._cache, self._clock = cache, clock
        self._known: Distribution | None = None
        self._versions: dict[str, tuple[str, str]] = {}  # of packages: major, minor

    @property
    def distribution(self) -> Distribution:
        """What images are built from.  Raises Unsupported."""
        if self._known is None:
            self._known = apt.read_distribution()
        return self._known

    def recipe_for(self, reference: Reference) -> Recipe | None:
        """Who answers to that name and tag.  Raises Unsupported."""
        recipe = self.catalogue.named(reference.familiar_name)
        if recipe is None:
            return None  # without asking what distribution this is
        found = self.catalogue.find(reference, self.distribution.names)
        return found or self.catalogue.find(reference, self._names(recipe))

    def tags_of(self, recipe: Recipe) -> tuple[str, ...]:
        """All tags that are answered.  Raises Unsupported."""
        return tags_of(recipe, self._names(recipe))

    def _names(self, recipe: Recipe) -> dict[str, str]:
        """What the recipe's tags may say in braces."""
        package, names = recipe.version_from, self.distribution.names
        if not package:
            return names
        if package not in self._versions:
            found = apt.read_version(package)
            if not found:
                return names
            self._versions[package] = found
        major, minor = self._versions[package]
        return {**names, "major": major, "minor": minor}

    def find(self, recipe: Recipe) -> Descriptor | None:
        """The image in the cache, if it was built before."""
        return self._layout().find(self._key(recipe))

    def build(self, recipe: Recipe, blobs: BlobStore, progress: Progress, *, again: bool = False) -> Descriptor:
        """Put the recipe's image, all its blobs, into `blobs`; the manifest's descriptor.

        Built only where the cache does not have it, or `again`.
        Raises: Invalid (a package that does not exist, in apt's words), Unavailable (the network), Exhausted (disk),
                Unsupported (this machine), NotFound (the base), Broken.  Then nothing is left behind.
        """
        layout = self._layout()
        image = None if again else layout.find(self._key(recipe))
        if image is None:
            progress("waiting for other builds", 0, 1)
            with layout.locked("build"):
                image = self._ensure(layout, recipe, progress, again=again)
                if again:
                    self._tidy(layout)
        progress("storing", 0, 1)
        copy_image(layout.blobs, blobs, image)
        progress("storing", 1, 1)
        return image

    def _layout(self) -> Layout:
        self._cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        return Layout(self._cache / "images")

    def _tidy(self, layout: Layout) -> None:
        """Remove what the images that were built anew have left behind; with the build lock held."""
        layout.collect()
        used = {
            one for image in layout.index().manifests for one in chain_ids(read_config(layout.blobs, image).diff_ids)
        }
        Layers(self._cache / "unpacked", Limits()).collect(used)

    def _key(self, recipe: Recipe) -> str:
        """The image's name in the cache."""
        words = [str(FORMAT), self.distribution.key]
        at: Recipe | None = recipe
        while at is not None:
            words.append(at.key_text())
            at = self.catalogue.base_of(at)
        return hashlib.sha256("\n".join(words).encode()).hexdigest()

    def _ensure(self, layout: Layout, recipe: Recipe, progress: Progress, *, again: bool = False) -> Descriptor:
        """The image, from the cache or made; with the build lock held."""
        key = self._key(recipe)
        found = None if again else layout.find(key)
        if found is not None:
            return found
        base = self.catalogue.base_of(recipe)
        below = self._ensure(layout, base, progress) if base else None
        made = Build(self._cache, layout, recipe, self.distribution, self._clock, progress).run(below)
        return layout.set(key, made)
