"""The area of images: every route under /images, and what is asked about registries."""

from __future__ import annotations

from collections.abc import Iterable

from coracle.core.clock import Clock
from coracle.core.store import Store
from coracle.docker.door import Route
from coracle.docker.events import Events
from coracle.docker.images.archives import Archives
from coracle.docker.images.asking import Asking
from coracle.docker.images.listing import Listing
from coracle.docker.images.naming import Naming
from coracle.docker.images.pulling import Pulling
from coracle.docker.images.pushing import Pushing
from coracle.engine.images import Images
from coracle.engine.shipping import Shipping
from coracle.image.catalogue import Catalogue
from coracle.image.registry import Registries


class ImageArea:
    """`listing` and `naming` serve others as well: `docker system df`, `docker system prune`."""

    def __init__(
        self,
        *,
        images: Images,
        shipping: Shipping,
        registries: Registries,
        catalogue: Catalogue,
        store: Store,
        clock: Clock,
        events: Events,
    ) -> None:
        self.listing = Listing(images, store, clock)
        self.naming = Naming(images, clock, events)
        self._archives = Archives(images, shipping, events)
        self._pulling = Pulling(images, events, self._archives.import_image)
        self._pushing = Pushing(images, registries, events)
        self._asking = Asking(registries, catalogue)

    def routes(self) -> Iterable[Route]:
        for part in (self.listing, self.naming, self._archives, self._pulling, self._pushing, self._asking):
            yield from part.routes()
