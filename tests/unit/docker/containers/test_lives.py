import asyncio
import itertools

import pytest

from coracle.core.errors import Broken
from coracle.docker.containers import states
from coracle.testing.autojump import run
from unit.docker.containers.house import House, with_house


def test_what_it_had_of_the_network_goes_at_its_end(tmp_path):
    async def main(house):
        id = await house.run("sleep", "5", PortBindings={"80/tcp": [{"HostPort": "8080"}]})
        assert [port.id.startswith(id) for port in house.engine.net.ports.values()] == [True]
        assert [forward.port for forward in house.engine.net.forwards] == [8080]
        assert (await house.inspect("web"))["NetworkSettings"]["Ports"]["80/tcp"][0]["HostPort"] == "8080"
        status, said = await house.ask("POST", "/containers/web/wait")
        assert (status, said) == (200, {"StatusCode": 0})
        assert house.engine.sandboxes.find(id) is None
        assert not house.engine.net.ports
        assert not house.engine.net.forwards
        again = await house.run("sleep", "5", name="two", PortBindings={"80/tcp": [{"HostPort": "8080"}]})
        assert again != id

    with_house(main, tmp_path)


@pytest.mark.parametrize("failing", ["plug", "create", "start"])
def test_a_start_that_fails_leaves_nothing(tmp_path, failing):
    async def main(house):
        id = await house.create("sleep", "5", PortBindings={"80/tcp": [{"HostPort": "8080"}]})
        if failing == "plug":
            house.engine.net.links = 0
        else:
            house.engine.runtime.failures[failing] = [Broken("no luck")]
        status, said = await house.ask("POST", f"/containers/{id}/start")
        assert status == 500
        assert house.engine.sandboxes.find(id) is None
        assert not house.engine.net.forwards
        found = await house.inspect(id)
        assert found["State"]["Status"] == "created"
        assert said["message"].endswith(found["State"]["Error"][-10:])
        house.engine.net.links = 9
        house.engine.runtime.failures.clear()
        assert (await house.ask("POST", f"/containers/{id}/start"))[0] == 204
        assert (await house.inspect(id))["State"]["Error"] == ""

    with_house(main, tmp_path)


def test_removing_itself(tmp_path):
    async def main(house):
        id = await house.create("sleep", "5", AutoRemove=True)
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(house.ask("POST", f"/containers/{id}/wait?condition=removed"))
            await asyncio.sleep(0)
            await house.ask("POST", f"/containers/{id}/start")
        assert waiting.result() == (200, {"StatusCode": 0})
        assert await house.inspect(id) is None
        broken = await house.create("missing", name="broken", AutoRemove=True)
        status, _ = await house.ask("POST", f"/containers/{broken}/start")
        assert status == 400
        assert await house.inspect(broken) is None

    with_house(main, tmp_path)


def test_restarted_with_growing_delays_until_it_lasts(tmp_path):
    async def main(house):
        id = await house.run("exit", "3", RestartPolicy={"Name": "always"})
        begun_s = house.engine.clock.now_s()
        await asyncio.sleep(3.0)  # 0.1 + 0.2 + 0.4 + 0.8 = 1.5, and 1.6 more is too long
        found = await house.inspect(id)
        assert found["RestartCount"] == 4
        assert found["State"]["Status"] == "restarting"
        await house.ask("POST", f"/containers/{id}/stop")
        assert await house.status(id) == "exited"
        await asyncio.sleep(200)
        assert (await house.inspect(id))["RestartCount"] == 4
        assert begun_s
        await house.ask("POST", f"/containers/{id}/start")
        assert (await house.inspect(id))["RestartCount"] == 0
        await house.ask("DELETE", f"/containers/{id}?force=1")
        await asyncio.sleep(200)
        assert await house.inspect(id) is None

    with_house(main, tmp_path)


def test_on_failure_gives_up(tmp_path):
    async def main(house):
        id = await house.run("exit", "3", RestartPolicy={"Name": "on-failure", "MaximumRetryCount": 2})
        await asyncio.sleep(100)
        found = await house.inspect(id)
        assert (found["RestartCount"], found["State"]["Status"], found["State"]["ExitCode"]) == (2, "exited", 3)
        assert house.engine.sandboxes.find(id) is None

    with_house(main, tmp_path)


def test_between_two_tries_it_is_restarting_whoever_looks_when(tmp_path):
    async def main(house):
        store, seen = house.engine.store, []
        commit = store.commit

        async def watched(*args, **more):
            done = await commit(*args, **more)
            seen.extend(states.state(record) for record in house.engine.containers.list())
            return done

        store.commit = watched
        await house.run("exit", "3", RestartPolicy={"Name": "on-failure", "MaximumRetryCount": 2})
        await asyncio.sleep(100)
        shown = [word for word, _ in itertools.groupby(seen)]
        assert shown == ["created", "running", "restarting", "running", "restarting", "running", "exited"]

    with_house(main, tmp_path)


@pytest.mark.parametrize("lives_to", range(8))
@pytest.mark.parametrize("host", [{}, {"AutoRemove": True}], ids=["rm -v", "--rm"])
def test_no_anonymous_volume_outlives_its_container_whenever_the_daemon_dies(tmp_path, lives_to, host):
    async def first():
        house = House(tmp_path)
        async with house.running():
            await house.engine.images.ensure("busybox")
            store, left = house.engine.store, iter(range(lives_to))
            commit = store.commit

            async def mortal(*args, **more):
                if next(left, None) is None:
                    raise Broken("the daemon is dead")
                return await commit(*args, **more)

            store.commit = mortal
            body = {"Image": "busybox", "Cmd": ["sleep", "5"], "HostConfig": host, "Volumes": {"/data": {}}}
            await house.ask("POST", "/containers/create?name=web", body)
            await house.ask("DELETE", "/containers/web?v=1")
            store.commit = commit
        return house

    async def main():
        house = House(tmp_path, await first())
        await house.engine.volumes.adopt()
        used = house.engine.volumes.in_use_names()
        assert {volume.meta.name for volume in house.engine.volumes.list()} == used
        async with house.running():
            await house.ask("DELETE", "/containers/web?v=1")
            assert house.engine.volumes.list() == []

    run(main())


def test_what_is_removed_without_its_anonymous_volume_leaves_it(tmp_path):
    async def main(house):
        id = await house.create("sleep", "5", config={"Volumes": {"/data": {}}})
        assert (await house.ask("DELETE", f"/containers/{id}"))[0] == 204
        await house.engine.volumes.adopt()
        assert len(house.engine.volumes.list()) == 1

    with_house(main, tmp_path)


def test_a_user_restarts_one_that_removes_itself(tmp_path):
    async def main(house):
        id = await house.run("sleep", "infinity", AutoRemove=True)
        first = (await house.inspect(id))["State"]["Pid"]
        assert (await house.ask("POST", f"/containers/{id}/restart"))[0] == 204
        assert (await house.inspect(id))["State"]["Pid"] != first
        assert (await house.ask("POST", f"/containers/{id}/stop"))[0] == 204
        assert await house.inspect(id) is None

    with_house(main, tmp_path)


def test_a_restart_that_fails_rests(tmp_path):
    async def main(house):
        id = await house.run("sleep", "infinity", RestartPolicy={"Name": "always"})
        house.engine.runtime.failures["create"] = [Broken("no luck")]
        assert (await house.ask("POST", f"/containers/{id}/restart"))[0] == 500
        await asyncio.sleep(100)
        found = await house.inspect(id)
        assert (found["State"]["Running"], found["State"]["Error"]) == (False, "no luck")
        assert house.engine.sandboxes.find(id) is None
        house.engine.runtime.failures.clear()
        assert (await house.ask("POST", f"/containers/{id}/start"))[0] == 204
        passing = await house.run("sleep", "infinity", name="passing", AutoRemove=True)
        house.engine.runtime.failures["create"] = [Broken("no luck")]
        assert (await house.ask("POST", f"/containers/{passing}/restart"))[0] == 500
        assert await house.inspect(passing) is None

    with_house(main, tmp_path)


def test_stop_takes_no_longer_than_it_may(tmp_path):
    async def main(house):
        clock = house.engine.clock
        await house.run("stubborn", "sleep", "infinity")
        begun_s = clock.now_s()
        await house.ask("POST", "/containers/web/stop?t=3")
        assert 3 <= clock.now_s() - begun_s < 3.5
        assert (await house.inspect("web"))["State"]["ExitCode"] == 137
        begun_s = clock.now_s()
        await house.run("stubborn", "sleep", "infinity", name="two", config={"StopTimeout": 5})
        await house.ask("POST", "/containers/two/stop")
        assert 5 <= clock.now_s() - begun_s < 5.5

    with_house(main, tmp_path)


def test_what_runs_again_still_tells_when_its_last_run_ended(tmp_path):
    async def main(house):
        await house.run("sleep", "infinity")
        before = (await house.inspect("web"))["State"]
        await asyncio.sleep(10)
        assert (await house.ask("POST", "/containers/web/restart"))[0] == 204
        after = (await house.inspect("web"))["State"]
        assert before["FinishedAt"] == "0001-01-01T00:00:00Z"
        assert after["Status"] == "running"
        assert before["StartedAt"] < after["FinishedAt"] <= after["StartedAt"]

    with_house(main, tmp_path)


def test_who_has_killed_it_finds_it_ended(tmp_path):
    async def main(house):
        await house.run("stubborn", "sleep", "infinity")
        assert (await house.ask("POST", "/containers/web/kill?signal=TERM"))[0] == 204
        store = house.engine.store
        commit = store.commit

        async def slow(*args, **more):
            await asyncio.sleep(1)
            return await commit(*args, **more)

        store.commit = slow
        assert (await house.ask("POST", "/containers/web/kill"))[0] == 204
        assert (await house.inspect("web"))["State"]["Status"] == "exited"
        assert (await house.ask("DELETE", "/containers/web"))[0] == 204

    with_house(main, tmp_path)


def test_a_kill_in_the_middle_of_a_stop(tmp_path):
    async def main(house):
        await house.run("stubborn", "sleep", "infinity")
        async with asyncio.TaskGroup() as group:
            stopping = group.create_task(house.ask("POST", "/containers/web/stop?t=1000"))
            await asyncio.sleep(1)
            assert (await house.ask("DELETE", "/containers/web?force=1"))[0] == 204
        assert stopping.result()[0] in (204, 404)
        assert house.engine.clock.now_s() < 1_700_000_500

    with_house(main, tmp_path)


def test_policies_across_a_death_of_the_daemon(tmp_path):
    """Some go on, some ended meanwhile, one was stopped by hand."""

    async def first():
        house = House(tmp_path)
        async with house.running():
            ids = {}
            ids["runs"] = await house.run(
                "sleep", "infinity", name="runs", PortBindings={"80/tcp": [{"HostPort": "81"}]}
            )
            ids["ends"] = await house.run("sleep", "5", name="ends")
            ids["goes"] = await house.run("sleep", "5", name="goes", AutoRemove=True)
            ids["again"] = await house.run("sleep", "5", name="again", RestartPolicy={"Name": "always"})
            for name, policy in (("by-hand", "always"), ("left", "unless-stopped")):
                ids[name] = await house.run("sleep", "infinity", name=name, RestartPolicy={"Name": policy})
                await house.ask("POST", f"/containers/{name}/stop")
            ids["never"] = await house.create("sleep", "5", name="never", RestartPolicy={"Name": "always"})
            ids["lost"] = await house.create("sleep", "5", name="lost", AutoRemove=True)
        return house, ids

    async def main():
        before, ids = await first()
        await asyncio.sleep(60)
        house = House(tmp_path, before)
        async with house.running():
            assert [forward.port for forward in house.engine.net.forwards] == [81]
            await asyncio.sleep(1)
            states = {name: await house.status(name) for name in ids}
            assert states == {
                "runs": "running",
                "ends": "exited",
                "goes": None,
                "again": "running",
                "by-hand": "running",
                "left": "exited",
                "never": "created",
                "lost": None,
            }
            assert house.engine.sandboxes.find(ids["ends"]) is None

    run(main())


def test_pods_containers_are_not_ours_to_restart_but_obey(tmp_path):
    async def main(house):
        pod = await house.engine.run_container("sleep", "5", name="k8s_a_b_c_d_0")
        await house.ask("POST", f"/containers/{pod.meta.name}/stop")
        await asyncio.sleep(5)
        assert await house.status(pod.meta.name) == "exited"
        assert house.engine.sandboxes.find("pod-1") is not None
        status, said = await house.ask("POST", f"/containers/{pod.meta.name}/update", {"Memory": 1 << 30})
        assert status == 403
        assert "which sets its limits" in said["message"]

    with_house(main, tmp_path)
