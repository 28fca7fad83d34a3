import asyncio

from unit.docker.containers.house import with_house

SECOND = 10**9


def check(*test, **more):
    return {"config": {"Healthcheck": {"Test": ["CMD", *test], **more}}}


def test_healthy_as_soon_as_a_look_passes(tmp_path):
    async def main(house):
        id = await house.run("sleep", "infinity", **check("true"))
        await asyncio.sleep(1)
        health = (await house.inspect(id))["State"]["Health"]
        assert (health["Status"], health["FailingStreak"], health["Log"][0]["ExitCode"]) == ("healthy", 0, 0)
        assert [event.action for event in house.events.kept()].count("health_status: healthy") == 1

    with_house(main, tmp_path)


def test_unhealthy_when_docker_would_say_so(tmp_path):
    async def main(house):
        id = await house.run("sleep", "infinity", **check("false", Interval=10 * SECOND, Retries=3))
        await asyncio.sleep(9.5)
        assert (await house.inspect(id))["State"]["Health"]["FailingStreak"] == 0
        await asyncio.sleep(12)
        assert (await house.inspect(id))["State"]["Health"]["Status"] == "starting"
        await asyncio.sleep(10)
        health = (await house.inspect(id))["State"]["Health"]
        assert (health["Status"], health["FailingStreak"], len(health["Log"])) == ("unhealthy", 3, 5)
        status, rows = await house.ask("GET", '/containers/json?filters={"health":["unhealthy"]}')
        assert (status, [row["Names"] for row in rows]) == (200, [["/web"]])

    with_house(main, tmp_path)


def test_a_look_that_takes_too_long_fails(tmp_path):
    async def main(house):
        id = await house.run("sleep", "infinity", **check("sleep", "60", Timeout=SECOND, Interval=SECOND, Retries=1))
        await asyncio.sleep(5)
        health = (await house.inspect(id))["State"]["Health"]
        assert health["Status"] == "unhealthy"
        assert health["Log"][-1]["Output"] == "Health check exceeded timeout (1s)"
        assert health["Log"][-1]["ExitCode"] == -1

    with_house(main, tmp_path)


def test_looking_ends_with_the_container_and_begins_anew(tmp_path):
    async def main(house):
        id = await house.run("sleep", "infinity", **check("true", Interval=SECOND))
        await asyncio.sleep(3)
        await house.ask("POST", f"/containers/{id}/stop")
        asked = house.engine.runtime.calls.count(("exec", id))
        await asyncio.sleep(30)
        assert house.engine.runtime.calls.count(("exec", id)) == asked > 0
        await house.ask("POST", f"/containers/{id}/start")
        assert (await house.inspect(id))["State"]["Health"]["Status"] == "starting"
        await asyncio.sleep(1)
        assert (await house.inspect(id))["State"]["Health"]["Status"] == "healthy"
        await house.ask("DELETE", f"/containers/{id}?force=1")
        assert house.health.looks(id) == []

    with_house(main, tmp_path)


def test_a_paused_one_is_left_alone(tmp_path):
    async def main(house):
        id = await house.run("sleep", "infinity", **check("true", Interval=SECOND))
        await asyncio.sleep(3.5)
        await house.ask("POST", f"/containers/{id}/pause")
        asked = house.engine.runtime.calls.count(("exec", id))
        await asyncio.sleep(30)
        assert house.engine.runtime.calls.count(("exec", id)) == asked
        assert (await house.inspect(id))["State"]["Health"]["Status"] == "healthy"

    with_house(main, tmp_path)
