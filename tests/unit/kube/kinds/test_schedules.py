"""Schedules: which moments they mean, in which time zone, and what is no schedule."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from coracle.kube.kinds.schedules import parse_schedule


def moments(text, start, count, zone="UTC"):
    """The next `count` moments after a local time, as local times."""
    schedule, tz = parse_schedule(text), ZoneInfo(zone)
    at_s, found = datetime.fromisoformat(start).replace(tzinfo=tz).timestamp(), []
    for _ in range(count):
        at_s = schedule.next_s(at_s, zone)
        found.append(datetime.fromtimestamp(at_s, tz).strftime("%Y-%m-%dT%H:%M"))
    return found


@pytest.mark.parametrize(
    ("text", "start", "expected"),
    [
        pytest.param("* * * * *", "2026-11-23T16:20:30", ["2026-11-23T16:21", "2026-11-23T16:22"], id="every minute"),
        pytest.param("* * * * *", "2026-11-23T16:20:00", ["2026-11-23T16:21"], id="never the present one"),
        pytest.param("*/20 * * * *", "2026-11-23T16:21", ["2026-11-23T16:40", "2026-11-23T17:00"], id="steps"),
        pytest.param("5/30 * * * *", "2026-11-23T16:21", ["2026-11-23T16:35", "2026-11-23T17:05"], id="steps from a number"),
        pytest.param("10-12,50 3 * * *", "2026-11-23T16:21", ["2026-11-24T03:10", "2026-11-24T03:11", "2026-11-24T03:12", "2026-11-24T03:50"], id="lists of ranges"),
        pytest.param("0 0 29 2 *", "2026-11-23T16:21", ["2028-02-29T00:00"], id="leap days"),
        pytest.param("0 0 1 jan,JUL *", "2026-11-23T16:21", ["2027-01-01T00:00", "2027-07-01T00:00"], id="months by name"),
        pytest.param("0 9 * * mon-fri", "2026-11-20T10:00", ["2026-11-23T09:00", "2026-11-24T09:00"], id="weekdays by name"),
        pytest.param("0 0 13 * 5", "2026-11-10T00:00", ["2026-11-13T00:00", "2026-11-20T00:00"], id="either day where both are given"),
        pytest.param("0 0 *,13 * 5", "2026-11-10T00:00", ["2026-11-13T00:00"], id="a star among others is none"),
        pytest.param("0 0 */2 * 5", "2026-11-10T00:00", ["2026-11-11T00:00", "2026-11-13T00:00"], id="a step is a restriction"),
        pytest.param("0 0 ? * 5", "2026-11-10T00:00", ["2026-11-13T00:00"], id="a question mark is none"),
        pytest.param("@hourly", "2026-11-23T16:21", ["2026-11-23T17:00"], id="hourly"),
        pytest.param("@weekly", "2026-11-23T16:21", ["2026-11-29T00:00"], id="weekly"),
        pytest.param("@yearly", "2026-11-23T16:21", ["2027-01-01T00:00"], id="yearly"),
        pytest.param("@every 1h30m", "2026-11-23T16:21", ["2026-11-23T17:51", "2026-11-23T19:21"], id="every so often"),
    ],
)  # fmt: skip
def test_moments(text, start, expected):
    assert moments(text, start, len(expected)) == expected


def test_a_day_that_never_comes():
    assert parse_schedule("0 0 31 2 *").next_s(1_700_000_000) is None


@pytest.mark.parametrize(
    ("zone", "text", "start", "expected"),
    [
        pytest.param("Europe/Berlin", "30 2 * * *", "2026-03-28T12:00", ["2026-03-30T02:30"], id="an hour that is skipped"),
        pytest.param("Europe/Berlin", "30 2 * * *", "2026-10-24T12:00", ["2026-10-25T02:30", "2026-10-25T02:30", "2026-10-26T02:30"], id="an hour that comes twice"),
        pytest.param("Europe/Berlin", "20 * * * *", "2026-10-25T01:30", ["2026-10-25T02:20", "2026-10-25T02:20", "2026-10-25T03:20"], id="no hour is left out"),
        pytest.param("Europe/Berlin", "20 * * * *", "2026-03-29T01:30", ["2026-03-29T03:20"], id="nor one made up"),
        pytest.param("America/Havana", "0 6 * * *", "2026-03-07T12:00", ["2026-03-08T06:00"], id="a day without a midnight"),
        pytest.param("Asia/Kolkata", "0 9 * * *", "2026-11-23T08:59", ["2026-11-23T09:00"], id="half hours from UTC"),
    ],
)  # fmt: skip
def test_time_zones(zone, text, start, expected):
    assert moments(text, start, len(expected), zone) == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("* * * *", "expected exactly 5 fields, found 4: [* * * *]"),
        ("60 * * * *", "end of range (60) above maximum (59): 60"),
        ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
        ("* * * * 7", "end of range (7) above maximum (6): 7"),
        ("5-1 * * * *", "beginning of range (5) beyond end of range (1): 5-1"),
        ("*/0 * * * *", "step of range should be a positive number: */0"),
        ("x * * * *", 'failed to parse int from x: strconv.Atoi: parsing "x": invalid syntax'),
        ("@often", "unrecognized descriptor: @often"),
        ("@every 5", 'failed to parse duration @every 5: time: missing unit in duration "5"'),
        ("@every 5x", 'failed to parse duration @every 5x: time: unknown unit "x" in duration "5x"'),
        ("@every soon", 'failed to parse duration @every soon: time: invalid duration "soon"'),
        ("1/2/3 * * * *", "too many slashes: 1/2/3"),
        ("1-2-3 * * * *", "too many hyphens: 1-2-3"),
        ("-5 * * * *", 'failed to parse int from : strconv.Atoi: parsing "": invalid syntax'),
        ("*/x * * * *", 'failed to parse int from x: strconv.Atoi: parsing "x": invalid syntax'),
    ],
)
def test_what_is_no_schedule(text, said):
    with pytest.raises(ValueError) as error:
        parse_schedule(text)
    assert str(error.value) == said
