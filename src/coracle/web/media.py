"""Media types and the Accept header.

Source: RFC 9110, sections 8.3.1 and 12.5.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class MediaType:
    """`application/json;as=Table;v=v1` is type `application/json`, params {"as": "Table", "v": "v1"}, quality 1."""

    type: str
    params: Mapping[str, str] = field(default_factory=dict)
    quality: float = 1.0

    def covers(self, offer: str) -> bool:
        """Whether an answer of type `offer` is one of these; parameters are not compared."""
        if self.type in ("*/*", offer):
            return True
        main, _, sub = self.type.partition("/")
        return sub == "*" and offer.startswith(main + "/")


ANY = MediaType("*/*")


def parse_media(text: str) -> MediaType:
    """One media type or range.  Never raises: a quality that is no number counts as 1, one out of range is cut."""
    type, *rest = text.split(";")
    params: dict[str, str] = {}
    for item in rest:
        name, _, value = item.partition("=")
        params[name.strip().lower()] = value.strip().strip('"')
    return MediaType(type.strip().lower(), params, _quality(params.pop("q", "1")))


def parse_accept(text: str) -> list[MediaType]:
    """The ranges of an Accept header, best first, as written where equal; those of quality 0 are left out."""
    found = [parse_media(part) for part in text.split(",") if part.strip()] or [ANY]
    return sorted((media for media in found if media.quality > 0), key=lambda media: -media.quality)


def _quality(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        return 1.0
    return min(max(value, 0.0), 1.0) if value == value else 1.0  # noqa: PLR0124  NaN is the one that differs from itself
