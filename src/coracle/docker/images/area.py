"""The area of images: every route under /images."""

from __future__ import annotations

from collections.abc import Iterable

from coracle.core.clock import Clock
from coracle.core.store import Store
from coracle.docker.door import Route
from coracle.docker.events import Events
from coracle.docker.images.listing import Listing
from coracle.docker.images.naming import Naming
from coracle.docker.images.pulling import Pulling
from coracle.engine.images import Images


class ImageArea:
    """`listing` and `naming` serve others as well: `docker system df`, `docker system prune`."""

    def __init__(self, images: Images, store: Store, clock: Clock, events: Events) -> None:
        self.listing = Listing(images, store, clock)
        self.naming = Naming(images, clock, events)
        self._pulling = Pulling(images, events)

    def routes(self) -> Iterable[Route]:
        for part in (self.listing, self.naming, self._pulling):
            yield from part.routes()
