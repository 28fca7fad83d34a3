import asyncio
import contextlib
import os
import time
from pathlib import Path

import pytest

from coracle.core.errors import NotFound
from coracle.engine.lines import BLOCK_BYTES, LogLine, joined, parse_line, tail_offset
from coracle.engine.rotation import Rotation
from coracle.testing.engine import FakeEngine

HOUR = "2026-11-23T09:00"


def stored(number, text="", end="F", stream="stdout"):
    return f"{HOUR}:{number % 60:02d}.{number:09d}+00:00 {stream} {end} {text or f'line {number}'}\n".encode()


class Written:
    """A container whose program "runs" while the test writes its log."""

    def __init__(self, engine, id):
        self.engine, self.id = engine, id
        self.path = Path(engine.containers.log_path(id))

    def write(self, *lines):
        with self.path.open("ab") as file:
            file.write(b"".join(lines))

    def rotate(self, *lines):
        """As conmon does it: a new file aside, renamed over the log."""
        aside = self.path.with_name("log.tmp")
        aside.write_bytes(b"".join(lines))
        aside.rename(self.path)

    def is_seen_to(self):
        """Whether a second name holds on to the log."""
        return self.path.samefile(self.path.with_name("log.next"))

    async def texts(self, **options):
        return [line.data.decode() async for line in self.engine.logs.read(self.id, **options)]


def with_log(main, tmp_path, *argv):
    """On real time: inotify is real."""

    async def whole():
        engine = FakeEngine(tmp_path)
        async with engine.running(), asyncio.timeout(30):
            record = await engine.run_container(*(argv or ("server",)))
            return await main(Written(engine, record.meta.name))

    return asyncio.run(whole())


def test_lines_come_back_as_they_were_written(tmp_path):
    async def main(log):
        log.write(stored(1), stored(2, "part", "P", "stderr"), stored(3, " and the rest", stream="stderr"), b"torn\n")
        return [line async for line in log.engine.logs.read(log.id)]

    assert with_log(main, tmp_path) == [
        LogLine(f"{HOUR}:01.000000001Z", "stdout", b"line 1", False),
        LogLine(f"{HOUR}:02.000000002Z", "stderr", b"part", True),
        LogLine(f"{HOUR}:03.000000003Z", "stderr", b" and the rest", False),
    ]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        pytest.param({}, [1, 2, 3, 4, 5], id="everything"),
        pytest.param({"tail_lines": 2}, [4, 5], id="the last two"),
        pytest.param({"tail_lines": 0}, [], id="none of them"),
        pytest.param({"tail_lines": 99}, [1, 2, 3, 4, 5], id="more than there are"),
        pytest.param({"since_s": 1795424403.0}, [3, 4, 5], id="since a moment"),
        pytest.param({"until_s": 1795424402.5}, [1, 2], id="until a moment"),
        pytest.param({"since_s": 1795424402, "tail_lines": 3, "until_s": 1795424404.5}, [3, 4], id="all together"),
    ],
)
def test_which_lines(tmp_path, options, expected):
    async def main(log):
        log.write(*(stored(n) for n in range(1, 6)))
        return await log.texts(**options)

    assert with_log(main, tmp_path) == [f"line {n}" for n in expected]


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        (0, [b""]),
        (3, [b"lin"]),
        (6, [b"line 1"]),
        (7, [b"line 1"]),
        (9, [b"line 1", b"li"]),
        (99, [b"line 1", b"line 2"]),
    ],
)
def test_no_more_bytes_than_asked_for(tmp_path, limit, expected):
    async def main(log):
        log.write(stored(1), stored(2))
        return [line.data async for line in log.engine.logs.read(log.id, limit_bytes=limit)]

    assert with_log(main, tmp_path) == expected


def test_following_goes_on_until_the_end_and_misses_nothing(tmp_path):
    async def main(log):
        log.write(stored(1))
        async with asyncio.TaskGroup() as group:
            reading = group.create_task(log.texts(follow=True))
            await asyncio.sleep(0.05)
            log.write(stored(2), stored(3)[:20])
            await asyncio.sleep(0.05)
            log.write(stored(3)[20:])
            await log.engine.containers.stop(log.id, 5)
        return reading.result()

    assert with_log(main, tmp_path) == ["line 1", "line 2", "line 3"]


def test_a_follower_hears_a_line_while_the_container_runs(tmp_path):
    async def main(log):
        async with (
            contextlib.aclosing(log.engine.logs.read(log.id, follow=True)) as lines,
            asyncio.TaskGroup() as group,
        ):
            hearing = group.create_task(anext(lines))
            await asyncio.sleep(0.05)  # it waits for inotify now
            log.write(stored(1))
            await hearing
            return log.engine.containers.get(log.id).status["state"]

    assert with_log(main, tmp_path) == "running"


def test_following_what_has_ended_reads_it_and_ends(tmp_path):
    async def main(log):
        await log.engine.containers.wait_exit(log.id)
        return await log.texts(follow=True)

    assert with_log(main, tmp_path, "echo", "hello") == ["hello"]


def test_following_begins_before_the_container_does(tmp_path):
    async def main(log):
        later = await log.engine.create_container("echo", "hello", name="later")
        async with asyncio.TaskGroup() as group:
            reading = group.create_task(Written(log.engine, later.meta.name).texts(follow=True))
            await asyncio.sleep(0.05)
            await log.engine.containers.start(later.meta.name)
        return reading.result()

    assert with_log(main, tmp_path) == ["hello"]


def test_a_rotated_log_is_followed_into_the_new_file(tmp_path):
    async def main(log):
        log.write(stored(1))
        async with asyncio.TaskGroup() as group:
            reading = group.create_task(log.texts(follow=True))
            await asyncio.sleep(0.05)
            log.write(stored(2))
            log.rotate(stored(3))
            await asyncio.sleep(0.05)
            log.write(stored(4))
            await log.engine.containers.stop(log.id, 5)
        return reading.result(), await log.texts()

    followed, kept = with_log(main, tmp_path)
    assert followed == [f"line {n}" for n in (1, 2, 3, 4)]
    assert kept == followed  # the older file is there too


@pytest.mark.parametrize(("times", "expected"), [(1, [2]), (2, [2, 3]), (3, [3, 4])])
def test_a_follower_goes_on_with_the_file_that_came_next_however_often_the_log_was_replaced(tmp_path, times, expected):
    """Meanwhile nobody has read; one older file is kept."""

    async def main(log):
        log.write(stored(1))
        async with contextlib.aclosing(log.engine.logs.read(log.id, follow=True)) as lines:
            assert (await anext(lines)).data == b"line 1"
            for number in range(2, 2 + times):
                log.rotate(stored(number))
                while not log.is_seen_to():  # noqa: ASYNC110 - inotify tells the engine, not us
                    await asyncio.sleep(0.001)
            return [(await anext(lines)).data.decode() for _ in expected]

    assert with_log(main, tmp_path) == [f"line {number}" for number in expected]


def test_the_older_file_is_read_at_the_very_moment_of_its_replacement(tmp_path):
    async def main(log):
        log.write(stored(1))
        log.rotate(stored(2))
        reading = asyncio.ensure_future(log.texts())
        await asyncio.sleep(0)
        time.sleep(0.05)  # noqa: ASYNC251 - the files are opened in a thread before the loop has seen to them
        return await reading

    assert with_log(main, tmp_path) == ["line 1", "line 2"]


def test_a_tail_reaches_into_the_older_file(tmp_path):
    async def main(log):
        log.write(stored(1), stored(2))
        log.rotate(stored(3))
        await asyncio.sleep(0.05)
        return await log.texts(tail_lines=2), await log.texts(tail_lines=1), await log.texts(tail_lines=9)

    assert with_log(main, tmp_path) == (
        ["line 2", "line 3"],
        ["line 3"],
        ["line 1", "line 2", "line 3"],
    )


def test_following_a_tail_goes_on_from_there(tmp_path):
    async def main(log):
        log.write(stored(1), stored(2))
        async with asyncio.TaskGroup() as group:
            reading = group.create_task(log.texts(follow=True, tail_lines=1))
            await asyncio.sleep(0.05)
            log.write(stored(3))
            await log.engine.containers.stop(log.id, 5)
        return reading.result()

    assert with_log(main, tmp_path) == ["line 2", "line 3"]


def test_who_stops_early_leaves_nothing_open(tmp_path):
    async def main(log):
        log.write(stored(1))
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(3):
            async with contextlib.aclosing(log.engine.logs.read(log.id, follow=True)) as lines:
                assert (await anext(lines)).data == b"line 1"
        await asyncio.sleep(0)
        assert len(os.listdir("/proc/self/fd")) == before
        assert len(log.engine.containers._endings) == 0

    with_log(main, tmp_path)


def test_a_follower_ends_when_the_container_is_removed(tmp_path):
    async def main(log):
        async with asyncio.TaskGroup() as group:
            reading = group.create_task(log.texts(follow=True))
            await asyncio.sleep(0.05)
            await log.engine.containers.remove(log.id, force=True)
        return reading.result()

    assert with_log(main, tmp_path) == []


def test_nobodys_log_is_not_found_at_once(tmp_path):
    async def main(log):
        with pytest.raises(NotFound):
            log.engine.logs.read("nobody")

    with_log(main, tmp_path)


def test_the_older_log_is_kept_across_a_restart(tmp_path):
    async def main():
        path = tmp_path / "log"
        path.write_bytes(b"one")
        rotation = Rotation()
        rotation.keep(str(path))
        rotation.close()  # the daemon dies; the log is rotated meanwhile
        (tmp_path / "log.tmp").write_bytes(b"two")
        (tmp_path / "log.tmp").rename(path)
        heir = Rotation()
        heir.keep(str(path))
        assert ((tmp_path / "log.1").read_bytes(), path.read_bytes()) == (b"one", b"two")
        heir.drop(str(path))
        assert sorted(os.listdir(tmp_path)) == ["log", "log.1"]
        heir.close()

    asyncio.run(main())


# -- the format ------------------------------------------------------------------------------------------------------


def test_pieces_are_joined_by_stream_and_none_is_lost():
    def piece(data, partial=True, stream="stdout", at=""):
        return LogLine(at, stream, data, partial)

    async def pieces():
        yield piece(b"a", at="1")
        yield piece(b"x", stream="stderr")
        yield piece(b"b", partial=False, at="2")
        yield piece(b"whole", partial=False)
        yield piece(b"cut")

    async def main():
        return [line async for line in joined(pieces())]

    assert asyncio.run(main()) == [
        piece(b"ab", partial=False, at="1"),
        piece(b"whole", partial=False),
        piece(b"x", stream="stderr"),
        piece(b"cut"),
    ]


@pytest.mark.parametrize("raw", [b"", b"x", b"a b c", f"{HOUR} stdin F x".encode(), f"{HOUR} stdout X x".encode()])
def test_what_is_no_line(raw):
    assert parse_line(raw) is None


def test_an_empty_line_is_a_line():
    assert parse_line(f"{HOUR} stdout F ".encode()) == LogLine(HOUR, "stdout", b"", False)


def tail(tmp_path, content, count):
    path = tmp_path / "file"
    path.write_bytes(content)
    fd = os.open(path, os.O_RDONLY)
    try:
        offset, missing = tail_offset(fd, count)
    finally:
        os.close(fd)
    return content[offset:], missing


@pytest.mark.parametrize("size", [1, 50, 8000])
@pytest.mark.parametrize("count", [1, 7, 63, 64, 1000])
def test_a_tail_is_the_same_read_backwards_and_forwards(tmp_path, size, count):
    lines = [stored(n, "x" * (size + n % 13)) for n in range(100)]
    expected = b"".join(lines[-count:])
    assert tail(tmp_path, b"".join(lines), count) == (expected, max(0, count - 100))


@pytest.mark.parametrize(
    ("lines", "count", "expected"),
    [
        pytest.param([stored(1), stored(2, end="P"), stored(3)], 1, [2, 3], id="pieces of a line are one line"),
        pytest.param([stored(1), stored(2), stored(3, end="P")], 1, [3], id="a line that is not ended counts"),
        pytest.param([stored(1), stored(2, end="P")], 0, [], id="none, not even the one begun"),
        pytest.param([stored(1), stored(2)[:-5]], 1, [1, 2], id="what is being written is not a line yet"),
    ],
)
def test_what_counts_as_a_line(tmp_path, lines, count, expected):
    found, missing = tail(tmp_path, b"".join(lines), count)
    assert found == b"".join(line for n, line in enumerate(lines, 1) if n in expected)
    assert missing == 0


def test_a_file_that_is_no_log_does_not_fill_the_memory(tmp_path):
    assert tail(tmp_path, b"x" * (40 * BLOCK_BYTES), 5)[1] == 5
