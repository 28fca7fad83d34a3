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
