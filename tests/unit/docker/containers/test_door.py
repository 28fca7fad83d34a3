"""What Docker's door answers for containers, on a fake engine."""

import asyncio

import pytest

from unit.docker.containers.house import with_house


def test_what_is_not_there(tmp_path):
    async def main(house):
        for method, path in (
            ("GET", "json"), ("POST", "start"), ("POST", "stop"), ("POST", "restart"), ("POST", "kill"),
            ("POST", "pause"), ("POST", "unpause"), ("POST", "rename?name=xy"), ("POST", "update"), ("POST", "wait"),
        ):  # fmt: skip
            said = "No such container: nobody"
            said = f"cannot kill container: nobody: {said}" if path == "kill" else said
            assert await house.ask(method, f"/containers/nobody/{path}") == (404, {"message": said})
        assert (await house.ask("DELETE", "/containers/nobody"))[0] == 404

    with_house(main, tmp_path)


def test_a_name_is_taken_once(tmp_path):
    async def main(house):
        id = await house.create("sleep", "5")
        status, said = await house.ask("POST", "/containers/create?name=web", {"Image": "busybox", "Cmd": ["x"]})
        assert status == 409
        assert said["message"] == (
            f'Conflict. The container name "/web" is already in use by container "{id}". '
            "You have to remove (or rename) that container to be able to reuse that name."
        )
        assert (await house.ask("POST", "/containers/create?name=a%2Fb", {"Image": "busybox"}))[0] == 400

    with_house(main, tmp_path)


def test_an_image_that_is_not_there_is_a_404_with_its_tag(tmp_path):
    async def main(house):
        assert await house.ask("POST", "/containers/create", {"Image": "nope"}) == (
            404,
            {"message": "No such image: nope:latest"},
        )

    with_house(main, tmp_path)


def test_an_image_of_another_platform_is_not_the_one(tmp_path):
    async def main(house):
        await house.engine.images.ensure("busybox")
        body = {"Image": "busybox", "Cmd": ["x"]}
        status, said = await house.ask("POST", "/containers/create?platform=linux/s390x", body)
        assert status == 404
        assert "was found but does not provide the specified platform (linux/s390x)" in said["message"]
        own = house.engine.images.get("busybox").spec["platform"]
        assert (await house.ask("POST", f"/containers/create?platform={own}", body))[0] == 201
        assert (await house.ask("POST", "/containers/create?platform=!", body))[0] == 400

    with_house(main, tmp_path)


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        "x",
        {},
        {"Image": 5},
        {"Image": ""},
        {"Image": "busybox", "HostConfig": []},
        {"Image": "busybox", "HostConfig": {"Memory": "1g"}},
        {"Image": "busybox", "HostConfig": {"PortBindings": {"80": 5}}},
        {"Image": "busybox", "HostConfig": {"Ulimits": {"a": 1}}},
        {"Image": "busybox", "HostConfig": {"Devices": ["/dev/null"]}},
        {"Image": "busybox", "HostConfig": {"Sysctls": {"a": 1}}},
        {"Image": "busybox", "HostConfig": {"Sysctls": {"kernel.panic": "1"}}},
        {"Image": "busybox", "HostConfig": {"Dns": ["nowhere"]}},
        {"Image": "busybox", "HostConfig": {"Devices": [{"PathOnHost": "dev/null"}]}},
        {"Image": "busybox", "HostConfig": {"CapAdd": ["FLY"]}},
        {"Image": "busybox", "NetworkingConfig": {"EndpointsConfig": {"x": 5}}},
        {"Image": "busybox", "NetworkingConfig": 5},
        {"Image": "busybox", "Env": [{}]},
        {"Image": "busybox", "Healthcheck": {"Test": ["WHAT"]}},
        {"Image": "busybox", "Labels": {"a": 5}},
    ],
)
def test_bad_bodies_are_refused_and_make_nothing(tmp_path, body):
    async def main(house):
        await house.engine.images.ensure("busybox")
        status, said = await house.ask("POST", "/containers/create", body)
        assert status == 400
        assert said["message"]
        assert not house.engine.containers.list()

    with_house(main, tmp_path)


def test_states_refuse_what_does_not_fit(tmp_path):
    async def main(house):
        await house.run("sleep", "infinity")
        assert (await house.ask("POST", "/containers/web/start")) == (304, None)
        status, said = await house.ask("DELETE", "/containers/web")
        assert status == 409
        assert "container is running: stop the container before removing or force remove" in said["message"]
        assert (await house.ask("POST", "/containers/web/kill?signal=FISH"))[0] == 400
        assert (await house.ask("POST", "/containers/web/stop?t=abc"))[0] == 400
        assert (await house.ask("POST", "/containers/web/stop?signal=FISH"))[0] == 400
        assert (await house.ask("POST", "/containers/web/wait?condition=never"))[0] == 400
        assert (await house.ask("POST", "/containers/web/pause"))[0] == 204
        assert (await house.ask("POST", "/containers/web/pause"))[0] == 409
        assert (await house.ask("POST", "/containers/web/start"))[0] == 409
        assert (await house.ask("POST", "/containers/web/unpause"))[0] == 204
        assert (await house.ask("POST", "/containers/web/unpause"))[0] == 409
        assert (await house.ask("POST", "/containers/web/stop"))[0] == 204
        assert (await house.ask("POST", "/containers/web/stop")) == (304, None)
        status, said = await house.ask("POST", "/containers/web/kill")
        assert status == 409
        assert said["message"].startswith("cannot kill container: web: container ")
        assert (await house.ask("DELETE", "/containers/web"))[0] == 204

    with_house(main, tmp_path)


def test_lists_are_filtered_in_both_forms(tmp_path):
    async def main(house):
        await house.run("sleep", "infinity", name="one", config={"Labels": {"a": "1"}})
        await asyncio.sleep(1)
        await house.create("sleep", "5", name="two", config={"Labels": {"a": "2"}})
        both = '{"label":["a"]}', '{"label":{"a":true}}'
        for filters in both:
            status, rows = await house.ask("GET", f"/containers/json?all=1&filters={filters}")
            assert status == 200
            assert [row["Names"] for row in rows] == [["/two"], ["/one"]]
        assert [row["Names"] for row in (await house.ask("GET", "/containers/json"))[1]] == [["/one"]]
        assert [row["Names"] for row in (await house.ask("GET", "/containers/json?limit=1"))[1]] == [["/two"]]
        for filters in ("[]", '{"a":1}', '{"what":["x"]}', "x", '{"status":["odd"]}', '{"exited":["x"]}'):
            assert (await house.ask("GET", f"/containers/json?filters={filters}"))[0] == 400
        assert (await house.ask("GET", '/containers/json?filters={"since":["nobody"]}'))[0] == 404
        assert (await house.ask("GET", "/containers/json?filters="))[0] == 200

    with_house(main, tmp_path)


def test_update_changes_what_it_says_and_nothing_else(tmp_path):
    async def main(house):
        await house.create("sleep", "5", Memory=1 << 30, NanoCpus=10**9)
        assert (await house.ask("POST", "/containers/web/update", {"PidsLimit": 9}))[0] == 200
        host = (await house.inspect("web"))["HostConfig"]
        assert (host["Memory"], host["MemorySwap"], host["PidsLimit"], host["NanoCpus"]) == (1 << 30, 2 << 30, 9, 10**9)
        status, said = await house.ask("POST", "/containers/web/update", {"Memory": 4 << 30})
        assert status == 400
        assert "update the memoryswap at the same time" in said["message"]
        status, said = await house.ask("POST", "/containers/web/update", {"CpuQuota": 5000})
        assert (status, "NanoCPUs has already been set" in said["message"]) == (400, True)
        policy = {"RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 2}}
        assert (await house.ask("POST", "/containers/web/update", policy))[0] == 200
        assert (await house.inspect("web"))["HostConfig"]["RestartPolicy"] == policy["RestartPolicy"]

    with_house(main, tmp_path)


def test_an_older_client_is_told_of_aliases_as_it_knows_them(tmp_path):
    async def main(house):
        await house.run("sleep", "5", config={"Hostname": "ship"})
        for version in ("1.24", "1.41", "1.50"):
            status, said = await house.ask("GET", f"/v{version}/containers/web/json")
            assert status == 200
            assert said["Config"]["Hostname"] == "ship"
            assert said["Name"] == "/web"

    with_house(main, tmp_path)


@pytest.mark.parametrize(
    ("version", "host", "expected"),
    [
        ("v1.39", {}, ("shareable", "host")),
        ("v1.39", {"IpcMode": "none", "CgroupnsMode": "private"}, ("none", "private")),
        ("v1.40", {}, ("private", "host")),
        ("v1.41", {"CgroupnsMode": "private"}, ("private", "private")),
    ],
)
def test_modes_that_an_older_client_does_not_give(tmp_path, version, host, expected):
    async def main(house):
        await house.engine.images.ensure("busybox")
        body = {"Image": "busybox", "Cmd": ["x"], "HostConfig": host}
        _, made = await house.ask("POST", f"/{version}/containers/create", body)
        _, found = await house.ask("GET", f"/containers/{made['Id']}/json")
        shown = found["HostConfig"]
        assert (shown["IpcMode"], shown["CgroupnsMode"]) == expected

    with_house(main, tmp_path)
