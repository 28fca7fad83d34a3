import asyncio

import orjson

from coracle.docker.samples import Sample
from coracle.linux.usage import Usage


def counted(home):
    """Each measuring is one nanosecond of processor time more than the last; how many there were."""
    taken = []

    async def sample(id):
        record = home.engine.containers.find(id)
        if record is None or record.status["state"] != "running":
            return None
        taken.append(id)
        return Sample(home.engine.clock.now_s(), Usage(cpu_ns=len(taken)), 100 * len(taken))

    home.stats.sample = sample
    return taken


def cpu(said):
    return said["precpu_stats"]["cpu_usage"]["total_usage"], said["cpu_stats"]["cpu_usage"]["total_usage"]


async def lines(stream, count):
    found = []
    async for line in stream.chunks:
        found.append(orjson.loads(line))
        if len(found) == count:
            break
    await stream.chunks.aclose()
    return found


def test_two_samples_make_one_answer_and_one_where_it_is_asked_for(at_home):
    async def main(home):
        taken = counted(home)
        id = (await home.engine.run_container("server")).meta.name
        said = orjson.loads((await home.call(home.stats.stats, id, "stream=0")).body)
        assert cpu(said) == (1, 2)
        said = orjson.loads((await home.call(home.stats.stats, id, "stream=0&one-shot=1")).body)
        assert (cpu(said), said["preread"]) == ((0, 3), "0001-01-01T00:00:00Z")
        await asyncio.sleep(10)
        assert len(taken) == 3  # nobody asks, nothing is measured

    at_home(main)


def test_many_who_watch_share_one_measuring(at_home):
    async def main(home):
        taken = counted(home)
        id = (await home.engine.run_container("server")).meta.name
        streams = [await home.call(home.stats.stats, id) for _ in range(20)]
        found = await asyncio.gather(*(lines(stream, 3) for stream in streams))
        assert {tuple(cpu(said) for said in one) for one in found} == {((1, 2), (2, 3), (3, 4))}
        assert len(taken) == 4
        await asyncio.sleep(10)
        assert len(taken) == 4

    at_home(main)


def test_a_stream_shows_a_container_that_does_not_run_and_ends_when_it_is_removed(at_home):
    async def main(home):
        counted(home)
        id = (await home.engine.create_container("server")).meta.name
        stream = await home.call(home.stats.stats, id)
        async with asyncio.TaskGroup() as group:
            reading = group.create_task(lines(stream, -1))
            await asyncio.sleep(1.5)
            await home.engine.containers.start(id)
            await asyncio.sleep(2)
            await home.engine.containers.remove(id, force=True)
        found = [cpu(said) for said in reading.result()]
        assert found[:2] == [(0, 0), (0, 0)]
        assert found[-1] == (1, 2)

    at_home(main)


def test_one_that_does_not_run_answers_at_once(at_home):
    async def main(home):
        id = (await home.engine.create_container("server")).meta.name
        before_s = home.engine.clock.now_s()
        said = orjson.loads((await home.call(home.stats.stats, id, "stream=0")).body)
        assert said["memory_stats"] == {}
        assert home.engine.clock.now_s() == before_s

    at_home(main)
