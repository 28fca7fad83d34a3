"""Which images a list shows: pure.

Source: Docker Engine API 1.50, "ImageList", filters; Go's path.Match, which `reference` is matched by.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from coracle.core.errors import Malformed
from coracle.core.object import Object
from coracle.docker.agos import parse_ago
from coracle.docker.filters import Filters
from coracle.docker.images.shapes import created_s

LIST_FILTERS = ("before", "dangling", "label", "label!", "reference", "since", "until")
PRUNE_FILTERS = ("dangling", "label", "label!", "until")


@dataclass(frozen=True, slots=True)
class Shown:
    """An image to show, and those of its names that were asked for."""

    image: Object
    tags: tuple[str, ...]
    digests: tuple[str, ...]


def select(
    images: Sequence[Object], filters: Filters, get: Callable[[str], Object], now_s: float, *, everything: bool = False
) -> list[Shown]:
    """The images that pass, the newest first.  `get` finds those that `before` and `since` name.

    `everything`: also images without a name that others were made from.
    Raises: Malformed (a value), and what `get` raises.
    """
    dangling = filters.flag("dangling")
    passes: list[Callable[[Object], bool]] = [*_moments(filters, get, now_s), partial(allows_labels, filters)]
    patterns = [pattern_of(text) for text in filters.get("reference")]
    parents = {image.spec["parent"] for image in images}
    shown = []
    for image in images:
        if not all(accepts(image) for accepts in passes):
            continue
        tags = tuple(name for name in image.spec["references"] if _matches(name, patterns))
        digests = tuple(name for name in image.spec["digests"] if _matches(name, patterns))
        if tags:
            if dangling is True:
                continue
        elif not digests:
            hidden = image.spec["id"] in parents and not everything
            if hidden or dangling is False or patterns:
                continue
        if dangling is True and image.spec["id"] in parents:
            continue
        shown.append(Shown(image, tags, digests))
    return sorted(shown, key=lambda one: created_s(one.image), reverse=True)


def allows_labels(filters: Filters, image: Object) -> bool:
    return filters.allows_labels(image.spec["config"].get("labels") or {})


def _moments(filters: Filters, get: Callable[[str], Object], now_s: float) -> Iterable[Callable[[Object], bool]]:
    for name in filters.get("before"):
        limit_s = created_s(get(name))
        yield lambda image, limit_s=limit_s: created_s(image) < limit_s  # type: ignore[misc]
    for name in filters.get("since"):
        limit_s = created_s(get(name))
        yield lambda image, limit_s=limit_s: created_s(image) > limit_s  # type: ignore[misc]
    for text in filters.get("until"):
        until_s = parse_ago(text, now_s)
        yield lambda image, until_s=until_s: created_s(image) < until_s  # type: ignore[misc]


def _matches(name: str, patterns: Sequence[re.Pattern[str]]) -> bool:
    """Whether a name, or its repository, is like one of the patterns."""
    repository = name.partition("@")[0]
    head, colon, tag = repository.rpartition(":")
    repository = head if colon and "/" not in tag else repository
    return not patterns or any(one.fullmatch(name) or one.fullmatch(repository) for one in patterns)


_PART = re.compile(r"\*|\?|\\(.)|\[(\^?)((?:\\.|[^\]\\])+)\]|[^\[\\]", re.DOTALL)


def pattern_of(text: str) -> re.Pattern[str]:
    """A shell pattern in which * and ? do not stand for a slash.  Raises Malformed."""
    found: list[str] = []
    at = 0
    while at < len(text):
        part = _PART.match(text, at)
        if part is None:
            raise Malformed(f"invalid filter 'reference={text[:100]}': syntax error in pattern")
        at = part.end()
        if part[0] == "*":
            if not found or found[-1] != "[^/]*":  # two mean what one means, and take for ever
                found.append("[^/]*")
        elif part[0] == "?":
            found.append("[^/]")
        elif part[3]:
            found.append(f"[{'^' if part[2] else ''}{part[3].replace('[', chr(92) + '[')}]")
        else:
            found.append(re.escape(part[1] or part[0]))
    try:
        return re.compile("".join(found))
    except re.error:
        raise Malformed(f"invalid filter 'reference={text[:100]}': syntax error in pattern") from None
