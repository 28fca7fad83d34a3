"""Events: said once, counted when repeated, gone after an hour, and never in anybody's way."""

from __future__ import annotations

import asyncio
import contextlib

from coracle.core.clock import LoopClock
from coracle.core.collection import Collection
from coracle.core.errors import Unavailable
from coracle.core.object import Key, Meta, Object
from coracle.core.store import MemoryStore
from coracle.core.tasks import run_parts
from coracle.kube.kinds import event
from coracle.kube.kinds.recorder import EventExpiry, EventRecorder
from coracle.testing.autojump import run

POD = Object("Pod", Meta(name="web", namespace="shop", uid="u1"))
NODE = Object("Node", Meta(name="n1", uid="u2"))


class Stage:
    def __init__(self, store=None):
        self.store, self.clock = store or MemoryStore(), LoopClock()
        self.events = Collection(event.KIND, self.store, self.clock)
        self.recorder = EventRecorder(self.events, self.clock, "kubelet", "n1")

    async def settle(self, seconds_s, *parts):
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds_s):
                await run_parts([self.recorder, *parts], up=lambda: None)


def test_an_event_says_what_happened_to_whom_and_who_says_so():
    async def main():
        stage = Stage()
        stage.recorder.emit(POD, "Normal", "Pulled", "got it", field="spec.containers{www}")
        await stage.settle(1)
        (said,) = stage.events.list()
        assert said.meta.namespace == "shop"
        assert said.meta.name.startswith("web.")
        assert said.body["involvedObject"] == {
            "kind": "Pod", "namespace": "shop", "name": "web", "uid": "u1", "apiVersion": "v1",
            "fieldPath": "spec.containers{www}",
        }  # fmt: skip
        assert said.body["source"] == {"component": "kubelet", "host": "n1"}
        assert (said.body["type"], said.body["reason"], said.body["message"]) == ("Normal", "Pulled", "got it")
        assert said.body["count"] == 1

    run(main())


def test_the_same_said_again_is_counted():
    async def main():
        stage = Stage()
        stage.recorder.emit(POD, "Warning", "BackOff", "again")
        await stage.settle(1)
        stage.recorder.emit(POD, "Warning", "BackOff", "again")
        stage.recorder.emit(POD, "Warning", "BackOff", "again")
        stage.recorder.emit(POD, "Warning", "BackOff", "otherwise")
        await stage.settle(1)
        counted = {said.body["message"]: said.body["count"] for said in stage.events.list()}
        assert counted == {"again": 3, "otherwise": 1}
        again = next(said for said in stage.events.list() if said.body["count"] == 3)
        assert again.body["firstTimestamp"] != again.body["lastTimestamp"]

    run(main())


def test_many_things_said_at_once_are_all_told():
    async def main():
        stage = Stage()
        for number in range(200):
            stage.recorder.emit(POD, "Normal", "Pulled", f"image {number}")
        await stage.settle(1)
        assert len(stage.events.list()) == 200

    run(main())


def test_an_event_that_was_removed_is_said_anew():
    async def main():
        stage = Stage()
        stage.recorder.emit(POD, "Normal", "Pulled", "got it")
        await stage.settle(1)
        await stage.events.delete(stage.events.list()[0].key)
        stage.recorder.emit(POD, "Normal", "Pulled", "got it")
        await stage.settle(1)
        assert [said.body["count"] for said in stage.events.list()] == [1]

    run(main())


def test_events_of_things_without_namespace_are_kept_in_default():
    async def main():
        stage = Stage()
        stage.recorder.emit(NODE, "Normal", "NodeReady", "it is")
        await stage.settle(1)
        assert stage.events.list()[0].meta.namespace == "default"

    run(main())


class ClosedStore(MemoryStore):
    async def commit(self, *changes):
        raise Unavailable("closed")


def test_a_recorder_that_cannot_write_goes_on():
    async def main():
        stage = Stage(ClosedStore())
        stage.recorder.emit(POD, "Normal", "Pulled", "got it")
        await stage.settle(1)
        assert stage.events.list() == []

    run(main())


def test_events_go_an_hour_after_they_were_last_said():
    async def main():
        stage = Stage()
        expiry = EventExpiry(stage.events, stage.clock)
        stage.recorder.emit(POD, "Normal", "Pulled", "got it")
        await stage.settle(3500, expiry)
        stage.recorder.emit(POD, "Normal", "Started", "runs")
        assert len(stage.events.list()) == 1
        await stage.settle(300, expiry)
        assert [said.body["reason"] for said in stage.events.list()] == ["Started"]
        await stage.settle(3700, expiry)
        assert stage.events.list() == []
        assert stage.store.find("Event", Key("shop", "none")) is None

    run(main())


def test_an_event_that_is_said_again_stays_for_another_hour():
    async def main():
        stage = Stage()
        expiry = EventExpiry(stage.events, stage.clock)
        stage.recorder.emit(POD, "Normal", "Pulled", "got it")
        await stage.settle(3000, expiry)
        stage.recorder.emit(POD, "Normal", "Pulled", "got it")
        await stage.settle(3000, expiry)
        assert [event.body["count"] for event in stage.events.list()] == [2]
        await stage.settle(700, expiry)
        assert stage.events.list() == []

    run(main())
