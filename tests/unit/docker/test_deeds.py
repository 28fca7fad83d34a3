import asyncio

import pytest

from coracle.core.errors import Conflict, Unavailable
from coracle.core.tasks import running
from coracle.docker.deeds import Deeds
from coracle.docker.door import Route
from coracle.testing.autojump import run
from coracle.web.messages import Request, Response


def test_work_goes_on_when_nobody_waits_any_more():
    done = []

    async def work():
        await asyncio.sleep(10)
        done.append(True)

    async def main():
        deeds = Deeds()
        async with running(deeds):
            async with asyncio.TaskGroup() as group:
                waiting = group.create_task(deeds.finish(work))
                await asyncio.sleep(1)
                waiting.cancel()
            assert not done
            await asyncio.sleep(10)
            assert done == [True]

    run(main())


def test_results_and_failures_come_back():
    class Area:
        def routes(self):
            return (Route("GET", "/good", self.good), Route("GET", "/bad", self.bad))

        async def good(self, _request):
            return Response(204)

        async def bad(self, _request):
            raise Conflict("no")

    async def main():
        deeds = Deeds()
        good, bad = deeds.finishing(Area()).routes()
        async with running(deeds):
            assert (await good.handler(Request("GET", "/good"))).status == 204
            with pytest.raises(Conflict, match="no"):
                await bad.handler(Request("GET", "/bad"))

    run(main())


def test_nothing_is_begun_when_the_daemon_ends():
    async def main():
        deeds = Deeds()
        async with running(deeds):
            pass
        with pytest.raises(Unavailable):
            await deeds.finish(main)

    run(main())
