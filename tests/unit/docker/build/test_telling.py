"""A build's answer: no faster than its client, errors where they belong."""

import asyncio
import json

import pytest

from coracle.core.errors import Malformed, NotFound
from coracle.docker.build import telling as tellings
from coracle.docker.build.telling import telling
from coracle.engine.builds.failure import StepFailed


async def lines(work):
    answer = await telling(work)
    return [json.loads(line) async for line in answer.chunks]


def test_what_fails_before_the_first_word_is_raised():
    async def work(tell):
        raise Malformed("no")

    with pytest.raises(Malformed):
        asyncio.run(lines(work))


def test_what_fails_later_is_the_last_line():
    async def work(tell):
        await tell({"stream": "Step 1"})
        raise StepFailed("The command 'x' returned a non-zero code: 3", 3)

    assert asyncio.run(lines(work)) == [
        {"stream": "Step 1"},
        {
            "errorDetail": {"code": 3, "message": "The command 'x' returned a non-zero code: 3"},
            "error": "The command 'x' returned a non-zero code: 3",
        },
    ]


def test_a_failure_without_a_code():
    async def work(tell):
        await tell({"stream": "Step 1"})
        raise NotFound(kind="Image", name="x")

    said = asyncio.run(lines(work))[-1]
    assert said == {"errorDetail": {"message": "No such image: x"}, "error": "No such image: x"}


def test_a_build_waits_for_its_client_and_hints_do_not(monkeypatch):
    monkeypatch.setattr(tellings, "AHEAD_LINES", 2)
    done = []

    async def work(tell):
        for number in range(10):
            await tell({"stream": str(number)})
            done.append(number)
            tell.hint({"status": "on the way"})

    async def main():
        answer = await telling(work)
        for _ in range(5):
            await asyncio.sleep(0)
        assert len(done) < 5
        return [json.loads(line) async for line in answer.chunks]

    said = asyncio.run(main())
    assert [line["stream"] for line in said if "stream" in line] == [str(number) for number in range(10)]


def test_a_client_that_goes_away_cancels_the_build():
    ended = []

    async def work(tell):
        try:
            await tell({"stream": "begun"})
            await asyncio.get_running_loop().create_future()
        finally:
            ended.append(True)

    async def main():
        async def client():
            answer = await telling(work)
            async for _ in answer.chunks:
                pass

        async with asyncio.TaskGroup() as group:
            task = group.create_task(client())
            for _ in range(5):
                await asyncio.sleep(0)
            task.cancel()

    asyncio.run(main())
    assert ended == [True]


def test_a_mistake_of_ours_is_told_as_such(caplog):
    async def work(tell):
        await tell({"stream": "Step 1"})
        raise KeyError("ours")

    assert asyncio.run(lines(work))[-1]["error"] == "the build broke off: internal error"
    assert "KeyError" in caplog.text
