"""Waiting longer each time."""

from __future__ import annotations

from coracle.kube.controllers.backoff import Backoff


def test_it_waits_longer_each_time_and_forgets():
    backoff, now_s, waited_s = Backoff(1, 4), 1000.0, []
    for _ in range(6):
        waited_s.append(backoff.wait_s("a", now_s))
        now_s += waited_s[-1]
        assert backoff.wait_s("a", now_s) == 0 or not waited_s[-1]
    assert backoff.wait_s("b", now_s) == 0
    assert backoff.wait_s("a", now_s + 100) == 0
    assert backoff.wait_s("a", now_s + 100) == 1


def test_the_delays_double_to_the_longest():
    backoff, now_s, delays_s = Backoff(1, 4), 1000.0, []
    for _ in range(5):
        assert backoff.wait_s("a", now_s) == 0
        delays_s.append(backoff.wait_s("a", now_s))
        now_s += delays_s[-1]
    assert delays_s == [1, 2, 4, 4, 4]


def waits(patience, moments):
    return [patience.wait_s("a", moment) for moment in moments]


def test_it_is_forgotten_after_twice_the_longest_wait():
    patience = Backoff(first_s=1.0, longest_s=5.0)
    assert waits(patience, [0, 1, 3]) == [0, 0, 0]  # four seconds to wait now
    assert patience.wait_s("a", 13.0) == 0  # not forgotten, but over
    assert patience.wait_s("a", 13.0) == 5
    assert patience.wait_s("a", 23.5) == 0  # forgotten
    assert patience.wait_s("a", 23.5) == 1


def test_each_key_waits_for_itself():
    patience = Backoff(first_s=1.0, longest_s=5.0)
    assert [patience.wait_s(key, 0.0) for key in ("a", "b", "a", "b")] == [0, 0, 1, 1]
