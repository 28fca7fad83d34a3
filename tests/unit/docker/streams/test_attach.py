import asyncio

import pytest

from coracle.core.errors import Conflict, Malformed, NotFound

EVERYTHING = "stream=1&stdin=1&stdout=1&stderr=1"


def test_one_attaches_before_the_start_and_hears_everything(at_home):
    async def main(home):
        container = await home.engine.create_container("echo", "hi", stdin=True, stdin_once=True)
        id = container.meta.name
        answer = await home.call(home.attach.attach, id, EVERYTHING)
        connection = home.client()
        async with asyncio.TaskGroup() as group:
            group.create_task(answer.run(connection))
            await asyncio.sleep(1)
            await home.engine.containers.start(id)
        assert connection.heard == b"\x01\0\0\0\0\0\0\x03hi\n"
        assert [one.action for one in home.told()][:3] == ["create", "attach", "start"]

    at_home(main)


def test_one_that_runs_is_joined_before_the_answer(at_home):
    """Who asks for a new size as soon as it is answered sees what the program draws for that."""

    async def main(home):
        container = await home.engine.create_container("cat", stdin=True, tty=True)
        id = container.meta.name
        await home.engine.containers.start(id)
        answer = await home.call(home.attach.attach, id, EVERYTHING)
        assert ("attach", id) in home.engine.runtime.calls
        await answer.run(home.client(b"x"))

    at_home(main)


def test_a_start_that_fails_ends_it(at_home):
    async def main(home):
        container = await home.engine.create_container("missing")
        answer = await home.call(home.attach.attach, container.meta.name, EVERYTHING)
        async with asyncio.TaskGroup() as group:
            visit = group.create_task(answer.run(home.client()))
            await asyncio.sleep(1)
            with pytest.raises(Exception, match="missing"):
                await home.engine.containers.start(container.meta.name)
            await visit

    at_home(main)


@pytest.mark.parametrize(("once", "state"), [(True, "exited"), (False, "running")])
def test_the_end_of_the_input(at_home, once, state):
    async def main(home):
        container = await home.engine.create_container("cat", stdin=True, stdin_once=once)
        await home.engine.containers.start(container.meta.name)
        answer = await home.call(home.attach.attach, container.meta.name, EVERYTHING)
        connection = home.client(b"said")
        await answer.run(connection)
        await asyncio.sleep(1)
        assert connection.heard == b"\x01\0\0\0\0\0\0\x04said"
        return home.engine.containers.get(container.meta.name).status["state"]

    assert at_home(main) == state


def test_detach_keys_on_a_terminal(at_home):
    async def main(home):
        container = await home.engine.create_container("cat", stdin=True, tty=True)
        await home.engine.containers.start(container.meta.name)
        answer = await home.call(home.attach.attach, container.meta.name, f"{EVERYTHING}&detachKeys=ctrl-a")
        connection = home.client(b"x\x01y", stays_s=100)
        await answer.run(connection)
        assert connection.heard == b"x"
        assert home.told()[-1].action == "detach"
        assert home.engine.containers.get(container.meta.name).status["state"] == "running"

    at_home(main)


def test_input_goes_nowhere_unless_it_is_asked_for_and_there_is_one(at_home):
    async def main(home):
        container = await home.engine.create_container("cat")
        await home.engine.containers.start(container.meta.name)
        answer = await home.call(home.attach.attach, container.meta.name, EVERYTHING)
        connection = home.client(b"lost")
        visit = asyncio.ensure_future(answer.run(connection))
        await asyncio.sleep(1)
        await home.engine.containers.stop(container.meta.name, 0)
        await visit
        assert connection.heard == b""

    at_home(main)


def test_what_was_written_before_is_told_where_it_is_asked_for(at_home):
    async def main(home):
        container = await home.engine.run_container("echo", "old")
        connection = home.client()
        answer = await home.call(home.attach.attach, container.meta.name, "logs=1&stdout=1", upgrade="")
        await answer.run(connection)
        assert answer.status == 200
        assert connection.heard == b"\x01\0\0\0\0\0\0\x04old\n"

    at_home(main)


def test_a_terminals_size(at_home):
    async def main(home):
        container = await home.engine.create_container("server", tty=True)
        id = container.meta.name
        with pytest.raises(Conflict, match="is not running"):
            await home.call(home.attach.resize, id, "h=24&w=80")
        await home.engine.containers.start(id)
        assert (await home.call(home.attach.resize, id, "h=24&w=80")).status == 200
        assert ("resize", id) in home.engine.runtime.calls
        assert (home.told()[-1].action, home.told()[-1].height, home.told()[-1].width) == ("resize", "24", "80")
        for query in ("h=24", "h=x&w=1", "h=-1&w=1", "h=1&w=70000"):
            with pytest.raises(Malformed):
                await home.call(home.attach.resize, id, query)

    at_home(main)


def test_what_is_not_there_and_what_is_paused(at_home):
    async def main(home):
        with pytest.raises(NotFound):
            await home.call(home.attach.attach, "nobody", EVERYTHING)
        container = await home.engine.run_container("server")
        await home.engine.containers.pause(container.meta.name)
        with pytest.raises(Conflict, match="is paused, unpause the container before attach"):
            await home.call(home.attach.attach, container.meta.name, EVERYTHING)
        await home.engine.containers.resume(container.meta.name)
        with pytest.raises(Malformed, match="detach keys"):
            await home.call(home.attach.attach, container.meta.name, f"{EVERYTHING}&detachKeys=nokey")

    at_home(main)


def test_nobody_is_left_behind_by_a_client_that_goes_before_the_start(at_home):
    async def main(home):
        container = await home.engine.create_container("echo", "hi")
        answer = await home.call(home.attach.attach, container.meta.name, EVERYTHING)
        visit = asyncio.ensure_future(answer.run(home.client()))
        await asyncio.sleep(1)
        visit.cancel()
        await asyncio.sleep(1)
        assert len(home.engine.containers._attachments) == 0

    at_home(main)
