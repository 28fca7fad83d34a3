import asyncio

import pytest

from coracle.core.errors import Conflict, Invalid, NotFound
from coracle.core.tasks import running
from coracle.testing.autojump import run
from coracle.testing.engine import FakeEngine


def with_engine(main, tmp_path):
    async def whole():
        engine = FakeEngine(tmp_path)
        async with engine.running():
            return await main(engine)

    return run(whole())


async def said(streams):
    return b"".join([data async for _, data in streams])


def test_who_attaches_before_the_start_hears_everything(tmp_path):
    async def main(engine):
        record = await engine.create_container("echo", "hello")
        with engine.containers.attaching(record.meta.name) as attachment:
            await engine.containers.start(record.meta.name)
            return await said(await attachment.streams())

    assert with_engine(main, tmp_path) == b"hello\n"


def test_several_hear_the_same_each_by_itself(tmp_path):
    async def main(engine):
        record = await engine.create_container("echo", "hello")
        attachments = [engine.containers.attaching(record.meta.name) for _ in range(3)]
        attachments[1].close()
        await engine.containers.start(record.meta.name)
        heard = [await said(await attachments[number].streams()) for number in (0, 2)]
        for attachment in attachments:
            attachment.close()
        return heard

    assert with_engine(main, tmp_path) == [b"hello\n"] * 2


def test_who_attaches_to_one_that_has_ended_waits_for_its_next_start(tmp_path):
    async def main(engine):
        record = await engine.run_container("echo", "hello")
        await engine.containers.wait_exit(record.meta.name)
        attachment = engine.containers.attaching(record.meta.name)
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(attachment.streams())
            await asyncio.sleep(60)
            assert not waiting.done()
            await engine.containers.start(record.meta.name)
        return await said(waiting.result())

    assert with_engine(main, tmp_path) == b"hello\n"


def test_one_that_runs_is_joined_at_once(tmp_path):
    async def main(engine):
        record = await engine.run_container("cat")
        streams = await engine.containers.attach(record.meta.name)
        await streams.write(b"ping\n")
        async for _, data in streams:
            return data

    assert with_engine(main, tmp_path) == b"ping\n"


def test_who_comes_while_it_starts_is_joined_too(tmp_path):
    async def main(engine):
        record = await engine.create_container("sleep", "5")
        id, attachments = record.meta.name, []
        start = engine.runtime.start

        async def slow(id):
            attachments.append(engine.containers.attaching(id))
            await start(id)
            attachments.append(engine.containers.attaching(id))

        engine.runtime.start = slow
        await engine.containers.start(id)
        for attachment in attachments:
            async with asyncio.timeout(1):
                (await attachment.streams()).close()
        assert len(attachments) == 2

    with_engine(main, tmp_path)


@pytest.mark.parametrize("operation", ["create", "start"])
def test_a_start_that_fails_is_told_to_who_waits(tmp_path, operation):
    async def main(engine):
        record = await engine.create_container("true")
        attachment = engine.containers.attaching(record.meta.name)
        engine.runtime.failures[operation] = [Invalid(message="no")]
        with pytest.raises(Invalid):
            await engine.containers.start(record.meta.name)
        if operation == "create":
            with pytest.raises(Invalid, match="no"):
                await attachment.streams()
        attachment.close()

    with_engine(main, tmp_path)


def test_removal_is_told_to_who_waits(tmp_path):
    async def main(engine):
        record = await engine.create_container("true")
        attachment = engine.containers.attaching(record.meta.name)
        await engine.containers.remove(record.meta.name)
        with pytest.raises(NotFound):
            await attachment.streams()
        with pytest.raises(NotFound):
            engine.containers.attaching(record.meta.name)

    with_engine(main, tmp_path)


def test_who_gives_up_leaves_nothing_behind(tmp_path):
    async def main(engine):
        record = await engine.create_container("sleep", "infinity")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5):
                await engine.containers.attach(record.meta.name)
        assert len(engine.containers._attachments) == 0
        await engine.containers.start(record.meta.name)
        assert [call for call in engine.runtime.calls if call[0] == "attach"] == []

    with_engine(main, tmp_path)


def test_streams_that_nobody_took_are_let_go(tmp_path):
    async def main(engine):
        record = await engine.create_container("sleep", "infinity")
        attachment = engine.containers.attaching(record.meta.name)
        await engine.containers.start(record.meta.name)
        streams = await attachment.streams()
        attachment.close()
        attachment.close()
        assert streams.closed

    with_engine(main, tmp_path)


def test_one_that_ends_just_then_is_no_longer_to_be_joined(tmp_path):
    async def main(engine):
        record = await engine.run_container("sleep", "infinity")
        engine.runtime.failures["attach"] = [Conflict("it has ended")]
        with pytest.raises(Conflict):
            await engine.containers.attach(record.meta.name)

    with_engine(main, tmp_path)


def test_another_daemon_joins_what_runs_since_before(tmp_path):
    async def main():
        first = FakeEngine(tmp_path)
        async with running(first.containers):
            record = await first.run_container("cat")
        second = FakeEngine(tmp_path, before=first)
        async with running(second.containers):
            async with asyncio.timeout(1):
                (await second.containers.attach(record.meta.name)).close()

    run(main())


def test_who_gives_up_while_being_joined_takes_nothing_from_others(tmp_path):
    async def main(engine):
        record = await engine.run_container("cat")
        attach, slow = engine.runtime.attach, asyncio.Event()

        async def late(id):
            await slow.wait()
            return await attach(id)

        engine.containers._attachments._join = late
        first, second = (engine.containers.attaching(record.meta.name) for _ in range(2))
        async with asyncio.TaskGroup() as group:
            leaving, staying = (group.create_task(one.streams()) for one in (first, second))
            await asyncio.sleep(1)
            leaving.cancel()
            await asyncio.sleep(1)
            slow.set()
        first.close()
        await staying.result().write(b"still\n")
        await asyncio.sleep(0)
        assert len(engine.containers._attachments) == 0

    with_engine(main, tmp_path)


def test_a_start_that_is_cancelled_leaves_those_who_wait_to_the_next(tmp_path):
    async def main(engine):
        record = await engine.create_container("echo", "hello")
        id, attach = record.meta.name, engine.runtime.attach
        attachment = engine.containers.attaching(id)

        async def never(id):
            await asyncio.get_running_loop().create_future()

        engine.containers._attachments._join = never
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5):
                await engine.containers.start(id)
        engine.containers._attachments._join = attach
        await engine.containers.start(id)
        return await said(await attachment.streams())

    assert with_engine(main, tmp_path) == b"hello\n"
