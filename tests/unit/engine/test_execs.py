import pytest

from coracle.core.errors import Conflict, Invalid, NotFound
from coracle.engine.containers import Security
from coracle.testing.autojump import run
from coracle.testing.engine import FakeEngine


def with_container(main, tmp_path, *argv, **more):
    async def whole():
        engine = FakeEngine(tmp_path)
        async with engine.running():
            record = await engine.create_container(*(argv or ("server",)), **more)
            await engine.containers.start(record.meta.name)
            return await main(engine, record.meta.name)

    return run(whole())


def test_a_program_runs_beside_with_the_containers_surroundings(tmp_path):
    async def main(engine, id):
        execution = await engine.execs.start(id, ["echo", "hi"])
        assert [data async for _, data in execution] == [b"hi\n"]
        assert await execution.wait() == 0
        process = engine.runtime.execs(id)[0].process
        assert (process.uid, process.cwd) == (33, "/srv")
        assert set(process.env) == {"PATH=/bin", "HOSTNAME=mypod", "HOME=/srv", "A=1"}

    with_container(main, tmp_path, user="web", workdir="/srv", env=("A=1",))


def test_the_caller_says_otherwise(tmp_path):
    async def main(engine, id):
        await engine.execs.start(
            id, ["cat"], env=["A=2"], user="0:5", workdir="/tmp", tty=True, tty_size=(80, 25), privileged=True
        )
        process = engine.runtime.execs(id)[0].process
        assert (process.uid, process.gid, process.cwd) == (0, 5, "/tmp")
        assert {"A=2", "TERM=xterm", "HOME=/root"} <= set(process.env)
        assert (process.tty, process.tty_size, "CAP_SYS_ADMIN" in process.capabilities) == (True, (80, 25), True)

    with_container(main, tmp_path, user="web", env=("A=1",), security=Security(drop=("ALL",)))


def test_run_sees_it_through(tmp_path):
    async def main(engine, id):
        assert (await engine.execs.run(id, ["echo", "yes"])).output == b"yes\n"
        assert (await engine.execs.run(id, ["exit", "3"])).code == 3

    with_container(main, tmp_path)


@pytest.mark.parametrize(
    ("argv", "more", "error"),
    [
        pytest.param(["missing"], {}, Invalid, id="no such program"),
        pytest.param([], {}, Invalid, id="no program"),
        pytest.param(["cat"], {"user": "nobody"}, Invalid, id="no such user"),
        pytest.param(["cat"], {"workdir": "/proc/1"}, Invalid, id="a directory below proc"),
    ],
)
def test_what_cannot_be_run_is_said(tmp_path, argv, more, error):
    async def main(engine, id):
        with pytest.raises(error):
            await engine.execs.start(id, argv, **more)

    with_container(main, tmp_path)


def test_only_running_containers_run_more(tmp_path):
    async def main(engine, id):
        await engine.containers.stop(id, 1)
        for verb in (engine.execs.start(id, ["cat"]), engine.execs.attach(id)):
            with pytest.raises(Conflict):
                await verb
        with pytest.raises(NotFound):
            await engine.execs.attach("nobody")

    with_container(main, tmp_path)


def test_attaching_joins_the_first_program(tmp_path):
    async def main(engine, id):
        streams = await engine.execs.attach(id)
        await streams.write(b"hello\n")
        streams.close_stdin()
        assert [data async for _, data in streams] == [b"hello\n"]

    with_container(main, tmp_path, "cat", stdin=True)
