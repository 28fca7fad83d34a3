"""Schedules as cron writes them: which minutes they mean.

    minute (0-59)  hour (0-23)  day of month (1-31)  month (1-12, jan-dec)  day of week (0-6, sun-sat)
    *  ?  5  1-5  */15  10-50/10  1,15,30        @hourly @daily @midnight @weekly @monthly @yearly @annually
    @every 90s

Where both days are restricted, either may match.  An hour that a time zone skips is never; one that it repeats counts
twice.

Source: crontab(5); Kubernetes documentation, "CronJob: Schedule syntax", "Time zones".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from coracle.core.durations import nanoseconds

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_FIELDS: Sequence[tuple[int, int, Mapping[str, int]]] = (
    (0, 59, {}),  # minute
    (0, 23, {}),  # hour
    (1, 31, {}),  # day of the month
    (1, 12, {name: number for number, name in enumerate(_MONTHS, 1)}),  # month
    (0, 6, {name: number for number, name in enumerate(_DAYS)}),  # day of the week
)
_SHORT = {
    "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *", "@monthly": "0 0 1 * *", "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@hourly": "0 * * * *",
}  # fmt: skip
_HORIZON_S = 5 * 366 * 86400.0  # what is not within five years is never


@dataclass(frozen=True, slots=True)
class Schedule:
    """The minutes that match all fields, or every `every_s` seconds."""

    minutes: frozenset[int] = frozenset()
    hours: frozenset[int] = frozenset()
    days: frozenset[int] = frozenset()
    months: frozenset[int] = frozenset()
    weekdays: frozenset[int] = frozenset()
    any_day: bool = True
    any_weekday: bool = True
    every_s: float = 0

    def next_s(self, after_s: float, zone: str = "") -> float | None:
        """The first moment after `after_s` (seconds since 1970) that is meant; None where there is none in years."""
        if self.every_s:
            return float(int(after_s) + self.every_s)
        tz = ZoneInfo(zone) if zone else UTC
        at_s = float(int(after_s) // 60 * 60 + 60)
        end_s = at_s + _HORIZON_S
        while at_s < end_s:
            later_s = self._later_s(at_s, tz)
            if later_s == at_s:
                return at_s
            at_s = later_s
        return None

    def _later_s(self, at_s: float, tz: tzinfo) -> float:
        """`at_s` where it matches; else where the next candidate is."""
        at = datetime.fromtimestamp(at_s, tz)
        midnight = at.replace(hour=0, minute=0, fold=0)
        if at.month not in self.months:
            return (midnight.replace(day=1) + timedelta(days=32)).replace(day=1).timestamp()
        if not self._is_day(at):
            return (midnight + timedelta(days=1)).timestamp()
        if at.hour not in self.hours:
            return at_s + 3600 - 60 * at.minute
        return at_s if at.minute in self.minutes else at_s + 60

    def _is_day(self, at: datetime) -> bool:
        day, weekday = at.day in self.days, at.isoweekday() % 7 in self.weekdays
        return day and weekday if self.any_day or self.any_weekday else day or weekday


def parse_schedule(text: str) -> Schedule:
    """Raises ValueError, in words for the user."""
    if text.startswith("@every "):
        return Schedule(every_s=_duration_s(text.removeprefix("@every ").strip(), text))
    if text.startswith("@"):
        if text not in _SHORT:
            raise ValueError(f"unrecognized descriptor: {text}")
        text = _SHORT[text]
    words = text.split()
    if len(words) != len(_FIELDS):
        raise ValueError(f"expected exactly 5 fields, found {len(words)}: [{' '.join(words)}]")
    found = [_field(word, *field) for word, field in zip(words, _FIELDS, strict=True)]
    return Schedule(found[0], found[1], found[2], found[3], found[4], _is_any(words[2]), _is_any(words[4]))


def _is_any(word: str) -> bool:
    return any(part in ("*", "?", "*/1", "?/1") for part in word.split(","))


def _duration_s(text: str, whole: str) -> float:
    """At least a second, and whole ones."""
    try:
        return float(max(1, nanoseconds(text) // 10**9))
    except ValueError as error:
        raise ValueError(f"failed to parse duration {whole}: {error}") from None


def _field(word: str, low: int, high: int, names: Mapping[str, int]) -> frozenset[int]:
    found: set[int] = set()
    for part in filter(None, word.split(",")):
        span, *steps = part.split("/")
        if len(steps) > 1:
            raise ValueError(f"too many slashes: {part}")
        start, end = _span(span, part, (low, high), names)
        step = _number(steps[0], {}) if steps else 1
        if steps and start == end and "-" not in span:
            end = high
        _check(start, end, (low, high), part)
        if step == 0:
            raise ValueError(f"step of range should be a positive number: {part}")
        found.update(range(start, end + 1, step))
    return frozenset(found)


def _span(span: str, part: str, bounds: tuple[int, int], names: Mapping[str, int]) -> tuple[int, int]:
    limits = span.split("-")
    if limits[0] in ("*", "?"):
        return bounds
    numbers = [_number(text, names) for text in limits[:2]]
    if len(limits) > 2:
        raise ValueError(f"too many hyphens: {part}")
    return numbers[0], numbers[-1]


def _number(text: str, names: Mapping[str, int]) -> int:
    if text.lower() in names:
        return names[text.lower()]
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise ValueError(f'failed to parse int from {text}: strconv.Atoi: parsing "{text}": invalid syntax')
    return int(text)


def _check(start: int, end: int, bounds: tuple[int, int], part: str) -> None:
    if start < bounds[0]:
        raise ValueError(f"beginning of range ({start}) below minimum ({bounds[0]}): {part}")
    if end > bounds[1]:
        raise ValueError(f"end of range ({end}) above maximum ({bounds[1]}): {part}")
    if start > end:
        raise ValueError(f"beginning of range ({start}) beyond end of range ({end}): {part}")
