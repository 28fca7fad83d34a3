import asyncio

import orjson
import pytest

from coracle.core.errors import Conflict, Invalid, Malformed, NotFound
from coracle.docker.streams.instances import IDLE

ALL = {"AttachStdin": True, "AttachStdout": True, "AttachStderr": True}


async def made(home, *argv, **more):
    """(container's id, exec's id)"""
    container = await home.engine.run_container("server")
    answer = await home.call(home.execs.create, container.meta.name, body={"Cmd": argv, **ALL, **more})
    assert answer.status == 201
    return container.meta.name, orjson.loads(answer.body)["Id"]


async def state(home, id):
    return orjson.loads((await home.call(home.execs.inspect, id)).body)


def test_one_is_made_run_and_asked_for_its_code(at_home):
    async def main(home):
        container, id = await made(home, "exit", "3", User="1000", Tty=False, WorkingDir="/tmp", Env=["A=1"])
        before = await state(home, id)
        answer = await home.call(home.execs.start, id, body={})
        await answer.run(home.client())
        after = await state(home, id)
        assert (before["Running"], before["ExitCode"], before["Pid"]) == (False, None, 0)
        assert (after["Running"], after["ExitCode"], after["ContainerID"]) == (False, 3, container)
        assert after["ProcessConfig"] == {
            "tty": False,
            "entrypoint": "exit",
            "arguments": ["3"],
            "privileged": False,
            "user": "1000",
        }
        assert (answer.status, answer.headers["Content-Type"]) == (101, "application/vnd.docker.multiplexed-stream")
        process = home.engine.runtime.execs(container)[0].process
        assert (process.uid, process.cwd) == (1000, "/tmp")
        assert [one.action for one in home.told()][-3:] == ["exec_create: exit 3", "exec_start: exit 3", "exec_die"]
        assert (home.told()[-1].exitCode, home.told()[-1].execID) == ("3", id)

    at_home(main)


def test_input_ends_and_output_comes_framed(at_home):
    async def main(home):
        _, id = await made(home, "cat")
        connection = home.client(b"hello")
        await (await home.call(home.execs.start, id, body={})).run(connection)
        return connection.heard, (await state(home, id))["ExitCode"]

    assert at_home(main) == (b"\x01\0\0\0\0\0\0\x05hello", 0)


@pytest.mark.parametrize(
    ("own", "asked", "heard"),
    [
        (False, True, b"hello"),
        (True, False, b"\x01\0\0\0\0\0\0\x05hello"),
    ],
    ids=["a program without a terminal, heard as one with", "a terminal's words in frames"],
)
def test_whoever_starts_it_decides_on_frames(at_home, own, asked, heard):
    async def main(home):
        _, id = await made(home, "cat", Tty=own)
        connection = home.client(b"hello")
        await (await home.call(home.execs.start, id, body={"Tty": asked})).run(connection)
        return connection.heard

    assert at_home(main) == heard


def test_a_terminal_has_a_size_from_the_start_and_later(at_home):
    async def main(home):
        container, id = await made(home, "server", Tty=True, ConsoleSize=[24, 80])
        async with asyncio.TaskGroup() as group:
            answer = await home.call(home.execs.start, id, body={"Tty": True}, upgrade="", mount="/v1.41")
            assert (answer.status, answer.headers["Content-Type"]) == (200, "application/vnd.docker.raw-stream")
            visit = group.create_task(answer.run(home.client(stays_s=100)))
            resized = group.create_task(home.call(home.execs.resize, id, "h=50&w=132"))  # not begun yet: it waits
            await asyncio.sleep(1)
            program = home.engine.runtime.execs(container)[0]
            assert program.process.tty_size == (80, 24)
            assert resized.result().status == 200
            assert program.size == (132, 50)
            program.end(0)
            await visit
        with pytest.raises(Conflict):
            await home.call(home.execs.resize, id, "h=50&w=132")

    at_home(main)


def test_one_that_cannot_be_run_says_so_in_its_stream(at_home):
    async def main(home):
        _, id = await made(home, "missing")
        connection = home.client()
        await (await home.call(home.execs.start, id, body={})).run(connection)
        assert b'exec: "missing": executable file not found in $PATH: unknown\r\n' in connection.heard
        assert (await state(home, id))["ExitCode"] == 127

    at_home(main)


def test_one_that_cannot_be_run_and_has_no_stream_is_refused(at_home):
    async def main(home):
        _, id = await made(home, "missing")
        with pytest.raises(Invalid, match=r"OCI runtime exec failed: .*executable file not found in \$PATH"):
            await home.call(home.execs.start, id, body={"Detach": True})
        assert (await state(home, id))["ExitCode"] == 127

    at_home(main)


def test_a_detached_one_goes_on_by_itself(at_home):
    async def main(home):
        _, id = await made(home, "sleep", "5")
        assert (await home.call(home.execs.start, id, body={"Detach": True})).status == 200
        running = await state(home, id)
        await asyncio.sleep(6)
        return running["Running"], (await state(home, id))["ExitCode"]

    assert at_home(main) == (True, 0)


def test_one_whose_client_is_gone_goes_on_and_keeps_its_code(at_home):
    async def main(home):
        _, id = await made(home, "sleep", "5")
        answer = await home.call(home.execs.start, id, body={})
        visit = asyncio.ensure_future(answer.run(home.client(stays_s=100)))
        await asyncio.sleep(1)
        visit.cancel()
        await asyncio.sleep(1)
        running = await state(home, id)
        await asyncio.sleep(5)
        return running["Running"], (await state(home, id))["ExitCode"]

    assert at_home(main) == (True, 0)


def test_one_that_is_detached_from_goes_on(at_home):
    async def main(home):
        _, id = await made(home, "server", Tty=True, DetachKeys="a,b")
        answer = await home.call(home.execs.start, id, body={"Tty": True})
        await answer.run(home.client(b"xa", b"b", stays_s=100))
        assert (await state(home, id))["Running"]
        assert home.told()[-1].action == "exec_detach"

    at_home(main)


def test_it_runs_once(at_home):
    async def main(home):
        _, id = await made(home, "sleep", "5")
        await home.call(home.execs.start, id, body={"Detach": True})
        with pytest.raises(Conflict, match="is already running"):
            await home.call(home.execs.start, id, body={"Detach": True})
        await asyncio.sleep(6)
        with pytest.raises(Conflict, match="has already run"):
            await home.call(home.execs.start, id, body={"Detach": True})

    at_home(main)


def test_who_would_join_one_that_was_started_is_told_in_the_stream(at_home):
    async def main(home):
        _, id = await made(home, "sleep", "5")
        await home.call(home.execs.start, id, body={"Detach": True})
        connection = home.client()
        answer = await home.call(home.execs.start, id, body={})
        await answer.run(connection)
        assert (answer.status, (await state(home, id))["Running"]) == (101, True)
        return connection.heard[8:].decode()

    assert at_home(main).endswith(" is already running\r\n")


def test_only_in_what_runs(at_home):
    async def main(home):
        container, id = await made(home, "true")
        await home.engine.containers.pause(container)
        with pytest.raises(Conflict, match="is paused, unpause the container before exec"):
            await home.call(home.execs.start, id, body={})
        await home.engine.containers.stop(container, 0)
        with pytest.raises(Conflict, match="is not running"):
            await home.call(home.execs.create, container, body={"Cmd": ["true"]})
        with pytest.raises(Conflict, match="is not running"):
            await home.call(home.execs.start, id, body={})

    at_home(main)


def test_they_go_with_their_container(at_home):
    async def main(home):
        container, id = await made(home, "true")
        await home.engine.containers.remove(container, force=True)
        await home.cache.wait_revision(home.engine.store.revision)
        with pytest.raises(NotFound, match="No such exec instance"):
            await home.call(home.execs.inspect, id)

    at_home(main)


def test_those_that_are_never_started_are_not_kept_for_ever(at_home):
    async def main(home):
        container, first = await made(home, "true")
        running = orjson.loads((await home.call(home.execs.create, container, body={"Cmd": ["server"]})).body)["Id"]
        await home.call(home.execs.start, running, body={"Detach": True})
        for _ in range(IDLE):
            home.instances.add(container, home.instances.get(running).config)
        with pytest.raises(NotFound):
            home.instances.get(first)
        assert home.instances.of(container) == [running]

    at_home(main)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"Cmd": []},
        {"Cmd": [1]},
        {"Cmd": "x", "Tty": "yes"},
        {"Cmd": "x", "DetachKeys": "ctrl-1"},
        {"Cmd": "x", "ConsoleSize": [1, 2, 3]},
        {"Cmd": "x", "ConsoleSize": [True, 1]},
        {"Cmd": "x", "Env": "A=1", "User": 1},
    ],
)
def test_what_makes_no_sense_is_refused(at_home, body):
    async def main(home):
        container = await home.engine.run_container("server")
        with pytest.raises(Malformed):
            await home.call(home.execs.create, container.meta.name, body=body)

    at_home(main)
