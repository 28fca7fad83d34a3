"""The two ends of a connection's bytes: what a Connection writes to, and what plain TCP, a unix socket or TLS feed.

`Pipe` is the part of asyncio.Transport that a Connection uses; `tls` has another implementation, because asyncio's own
TLS closes both directions when one ends and keeps 256 KiB per connection.
"""

from __future__ import annotations

from typing import Protocol


class Pipe(Protocol):
    def write(self, data: bytes | memoryview) -> None: ...
    def write_eof(self) -> None: ...
    def close(self) -> None:
        """Close once what was written is sent."""
        ...

    def abort(self) -> None:
        """Close now."""
        ...

    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...


class Sink(Protocol):
    """What is fed: the order is `opened`, then `take`s and at most one `ended`, then `lost`."""

    def opened(self, pipe: Pipe) -> None: ...
    def take(self, data: memoryview) -> None:
        """Input.  `data` is only valid during the call."""
        ...

    def ended(self) -> None:
        """The peer has closed its sending side; writing still works."""
        ...

    def lost(self) -> None: ...
    def choked(self) -> None:
        """More is written than the peer takes: stop writing until `freed`."""
        ...

    def freed(self) -> None: ...
