import asyncio
import contextlib

import orjson
import pytest

from coracle.core.errors import Exhausted
from coracle.core.informer import Informer
from coracle.core.object import Meta, Object
from coracle.core.tasks import running
from coracle.docker.events import BACKLOG, KEPT, LIMIT_BYTES, Events, actions
from coracle.testing.autojump import run
from coracle.testing.engine import FakeEngine

AT = {"started_at": "2026-11-23T09:00:00.000000Z", "finished_at": "2026-11-23T09:00:07.900000Z"}


def record(state, **status):
    body = {"spec": {"name": "web", "image": "nginx"}, "status": {"state": state, **status}}
    return Object("Container.engine", Meta(name="a" * 64), body, "engine/v1")


@pytest.mark.parametrize(
    ("before", "after", "happened"),
    [
        (None, record("created"), ["create"]),
        (record("created"), record("running"), ["start"]),
        (record("created"), record("failed"), []),
        (record("running"), record("running", paused=True), []),
        (record("running"), record("exited", exit_code=0, **AT), ["die"]),
        (record("running"), record("exited", exit_code=137, oom_killed=True, **AT), ["oom", "die"]),
        (record("created"), record("exited", exit_code=0, **AT), ["start", "die"]),
        (record("exited", exit_code=1, **AT), record("running"), ["start"]),
        (record("failed"), record("running"), ["start"]),
    ],
)
def test_what_a_change_of_a_record_tells(before, after, happened):
    assert [action for action, _ in actions(before, after)] == happened


def test_a_death_tells_its_code_and_how_long_it_lasted():
    [(_, said)] = actions(record("running"), record("exited", exit_code=3, **AT))
    assert said == {"exitCode": "3", "execDuration": "7"}


def test_a_record_that_is_gone():
    assert actions(None, record("exited"), gone=True) == [("destroy", {})]


def with_events(main, tmp_path):
    async def whole():
        engine = FakeEngine(tmp_path)
        cache = Informer("Container.engine", engine.store)
        events = Events(engine.store, cache, engine.clock)
        async with contextlib.AsyncExitStack() as stack:
            for part in (cache, events):
                await stack.enter_async_context(running(part))
            async with engine.running():
                await main(engine, events)

    run(whole())


def everything(_event):
    return True


def test_records_and_users_are_told_of_in_the_order_of_what_happened(tmp_path):
    async def main(engine, events):
        container = await engine.run_container("sleep", "infinity")
        await engine.containers.stop(container.meta.name, 5)
        await events.publish_container("stop", container)
        await engine.containers.remove(container.meta.name)
        await events.publish("network", "destroy", "n" * 64)
        told = [(event.type, event.action) for event in events.kept()]
        assert told == [
            *(("container", action) for action in ("create", "start", "die", "stop", "destroy")),
            ("network", "destroy"),
        ]
        times = [event.at_ns for event in events.kept()]
        assert times == sorted(set(times))

    with_events(main, tmp_path)


def test_a_line_has_the_old_names_and_the_new(tmp_path):
    async def main(engine, events):
        await events.publish("container", "kill", "a" * 64, {"image": "nginx", "name": "web", "signal": "9"})
        await events.publish("image", "tag", "sha256:1", {"name": "nginx:1"})
        await events.publish("volume", "create", "data", {"driver": "local"})
        container, image, volume = (orjson.loads(event.line) for event in events.kept())
        at_ns = events.kept()[0].at_ns
        assert container == {
            "status": "kill",
            "id": "a" * 64,
            "from": "nginx",
            "Type": "container",
            "Action": "kill",
            "Actor": {"ID": "a" * 64, "Attributes": {"image": "nginx", "name": "web", "signal": "9"}},
            "scope": "local",
            "time": at_ns // 10**9,
            "timeNano": at_ns,
        }
        assert (image["status"], image["id"], "from" in image) == ("tag", "sha256:1", False)
        assert "status" not in volume

    with_events(main, tmp_path)


def test_only_the_last_are_kept(tmp_path):
    async def main(_engine, events):
        for number in range(KEPT + 5):
            await events.publish("volume", "create", str(number))
        assert [event.id for event in events.kept()][:2] == ["5", "6"]

    with_events(main, tmp_path)


def test_a_listener_hears_what_it_wants_from_when_it_listens(tmp_path):
    async def main(_engine, events):
        await events.publish("volume", "create", "before")
        with events.listen(lambda event: event.id != "unwanted") as listener:
            for id in ("one", "unwanted", "two"):
                await events.publish("volume", "create", id)
            assert [event.id for event in await listener.next()] == ["one", "two"]
            waiting = asyncio.ensure_future(listener.next())
            await asyncio.sleep(1)
            assert not waiting.done()
            await events.publish("volume", "create", "three")
            assert [event.id for event in await waiting] == ["three"]

    with_events(main, tmp_path)


def test_a_listener_that_does_not_keep_up_is_let_go(tmp_path):
    async def main(_engine, events):
        with events.listen(everything) as slow, events.listen(everything) as quick:
            for number in range(BACKLOG + 5):
                await events.publish("volume", "create", str(number))
                await quick.next()
            with pytest.raises(Exhausted):
                await slow.next()

    with_events(main, tmp_path)


def test_of_large_ones_fewer_are_kept_and_a_listener_is_let_go_sooner(tmp_path):
    async def main(_engine, events):
        labels = {"label": "x" * (LIMIT_BYTES // 4)}
        with events.listen(everything) as slow, events.listen(everything) as quick:
            for number in range(8):
                await events.publish("volume", "create", str(number), labels)
                assert [event.id for event in await quick.next()] == [str(number)]
            with pytest.raises(Exhausted):
                await slow.next()
        assert [event.id for event in events.kept()] == ["5", "6", "7"]

    with_events(main, tmp_path)
