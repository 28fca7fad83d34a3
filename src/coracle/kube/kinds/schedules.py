"""Schedules as cron writes them: which minutes they mean.

    minute (0-59)  hour (0-23)  day of month (1-31)  month (1-12, jan-dec)  day of week (0-6, sun-sat)
    *  ?  5  1-5  */15  10-50/10  1,15,30        @hourly @daily @midnight @weekly @monthly @yearly @annually
    @every 90s

Where both days are restricted, either may match.  An hour that a time zone skips is never; one that it repeats counts
once.

Source: crontab(5); Kubernetes documentation, "CronJob: Schedule syntax", "Time zones".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_FIELDS: Sequence[tuple[str, int, int, Mapping[str, int]]] = (
    ("minute", 0, 59, {}),
    ("hour", 0, 23, {}),
    ("day of month", 1, 31, {}),
    ("month", 1, 12, {name: number for number, name in enumerate(_MONTHS, 1)}),
    ("day of week", 0, 6, {name: number for number, name in enumerate(_DAYS)}),
)
_SHORT = {
    "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *", "@monthly": "0 0 1 * *", "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@hourly": "0 * * * *",
}  # fmt: skip
_UNITS_S = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_HORIZON = timedelta(days=5 * 366)  # what is not within five years is never


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
        at = datetime.fromtimestamp(int(after_s) // 60 * 60 + 60, tz).replace(tzinfo=None)
        end = at + _HORIZON
        while at < end:
            later = self._later(at)
            if later is not None:
                at = later
                continue
            moment_s = at.replace(tzinfo=tz).timestamp()
            exists = datetime.fromtimestamp(moment_s, tz).replace(tzinfo=None) == at
            if exists and moment_s > after_s:
                return moment_s
            at += timedelta(minutes=1)
        return None

    def _later(self, at: datetime) -> datetime | None:
        """Where the next candidate is when `at` does not match; None when it does."""
        if at.month not in self.months:
            return (at.replace(day=1, hour=0, minute=0) + timedelta(days=32)).replace(day=1)
        if not self._is_day(at):
            return at.replace(hour=0, minute=0) + timedelta(days=1)
        if at.hour not in self.hours:
            return at.replace(minute=0) + timedelta(hours=1)
        return None if at.minute in self.minutes else at + timedelta(minutes=1)

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
    stars = [word in ("*", "?", "*/1") for word in words]
    return Schedule(found[0], found[1], found[2], found[3], found[4], stars[2], stars[4])


def _duration_s(text: str, whole: str) -> float:
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|h|m|s)", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f'failed to parse duration {whole}: time: invalid duration "{text}"')
    return max(1.0, float(int(sum(float(number) * _UNITS_S[unit] for number, unit in parts))))


def _field(word: str, name: str, low: int, high: int, names: Mapping[str, int]) -> frozenset[int]:
    found: set[int] = set()
    for part in word.split(","):
        span, slash, step_text = part.partition("/")
        if slash and (not step_text.isdigit() or int(step_text) == 0):
            raise ValueError(f"step of range should be a positive number: {part}")
        step = int(step_text) if slash else 1
        first, dash, last = span.partition("-")
        if span in ("*", "?"):
            start, end = low, high
        else:
            start = _number(first, names, part)
            end = _number(last, names, part) if dash else (high if slash else start)
        _check(start, end, (low, high), part)
        found.update(range(start, end + 1, step))
    return frozenset(found)


def _number(text: str, names: Mapping[str, int], part: str) -> int:
    if text.lower() in names:
        return names[text.lower()]
    if not text.isdigit():
        raise ValueError(f'failed to parse int from {text or part}: strconv.Atoi: parsing "{text}": invalid syntax')
    return int(text)


def _check(start: int, end: int, bounds: tuple[int, int], part: str) -> None:
    if start < bounds[0]:
        raise ValueError(f"beginning of range ({start}) below minimum ({bounds[0]}): {part}")
    if end > bounds[1]:
        raise ValueError(f"end of range ({end}) above maximum ({bounds[1]}): {part}")
    if start > end:
        raise ValueError(f"beginning of range ({start}) beyond end of range ({end}): {part}")
