"""Sets of a Job's indexes as its fields write them: `1,3-5`.

Source: Kubernetes batch/v1 API, `status.completedIndexes`, `successPolicy.rules[*].succeededIndexes`; the messages of
its validation.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def spans(text: str, completions: int) -> list[range]:
    """`1,3-5` as ranges, in order.  Raises ValueError where it is no such text, out of order, or beyond the last."""
    found: list[range] = []
    for part in text.split(",") if text else ():
        span = _span(part, completions)
        if found and found[-1].stop > span.start:
            raise ValueError(_unordered(found[-1].stop - 1, span.start))
        found.append(span)
    return found


def _span(part: str, completions: int) -> range:
    limits = part.split("-")
    if len(limits) > 2:
        said = "violates the requirement that an index interval can have at most two parts separated by '-'"
        raise ValueError(f'the fragment "{part}" {said}')
    numbers = [_index(text, completions) for text in limits]
    if len(numbers) > 1 and numbers[0] >= numbers[1]:
        raise ValueError(_unordered(numbers[0], numbers[1]))
    return range(numbers[0], numbers[-1] + 1)


def _index(text: str, completions: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        raise ValueError(f'cannot convert string to integer for index: "{text}"')
    if int(text) >= completions:
        raise ValueError(f'too large index: "{text}"')
    return int(text)


def _unordered(previous: int, current: int) -> str:
    return f"non-increasing order, previous: {previous}, current: {current}"


def size(found: Iterable[range]) -> int:
    return sum(len(span) for span in found)


def overlap(one: Sequence[range], other: Sequence[range]) -> int | None:
    """The first index that both have; each in order."""
    here = there = 0
    while here < len(one) and there < len(other):
        first = max(one[here].start, other[there].start)
        if first < min(one[here].stop, other[there].stop):
            return first
        if one[here].stop <= other[there].stop:
            here += 1
        else:
            there += 1
    return None
