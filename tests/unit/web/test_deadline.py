import asyncio

import pytest

from coracle.testing.autojump import run
from coracle.web.deadline import Deadline


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        pytest.param([(0, 5)], [5], id="once"),
        pytest.param([(0, 5), (3, 5)], [8], id="moved away"),
        pytest.param([(0, 50), (3, 5)], [8], id="moved nearer"),
        pytest.param([(0, 5), (3, None)], [], id="lifted"),
        pytest.param([(0, 5), (3, None), (4, 2)], [6], id="lifted and set again"),
        pytest.param([(0, 5), (7, 1)], [5, 8], id="set again after it has passed"),
    ],
)
def test_it_expires_at_the_last_set_time(steps, expected):
    async def main():
        loop, expired = asyncio.get_running_loop(), []
        deadline = Deadline(lambda: expired.append(round(loop.time())))
        for at_s, delay_s in steps:
            await asyncio.sleep(at_s - loop.time())
            deadline.lift() if delay_s is None else deadline.set(delay_s)
        await asyncio.sleep(100)
        return expired

    assert run(main()) == expected


def test_closed_it_leaves_nothing_with_the_loop():
    async def main():
        expired = []
        deadline = Deadline(lambda: expired.append(1))
        deadline.set(5)
        deadline.close()
        await asyncio.sleep(100)
        return expired, deadline.is_set

    assert run(main()) == ([], False)
