"""Containers connected to networks and disconnected from them, on a fake engine."""

from unit.docker.networks.house import with_house


def test_a_running_container_is_connected_and_disconnected(tmp_path):
    async def main(house):
        await house.create("n1", IPAM={"Config": [{"Subnet": "10.1.0.0/24"}]})
        web = await house.container()
        body = {"Container": "web", "EndpointConfig": {"IPAMConfig": {"IPv4Address": "10.1.0.9"}, "Aliases": ["www"]}}
        assert await house.ask("POST", "/networks/n1/connect", body) == (200, None)
        assert house.plugged(web)["n1"]["address"] == "10.1.0.9"
        assert house.kept(web)["n1"] == {"IPAMConfig": {"IPv4Address": "10.1.0.9"}, "Aliases": ["www"]}
        assert house.told()[-1] == ("connect", {"container": web, "name": "n1", "type": "bridge"})
        assert await house.refused("/networks/n1/connect", {"Container": "web"}) == (
            403,
            "endpoint with name web already exists in network n1",
        )
        assert await house.ask("POST", "/networks/n1/disconnect", {"Container": web[:12]}) == (200, None)
        assert (set(house.plugged(web)), set(house.kept(web))) == ({"bridge"}, {"bridge"})
        assert house.told()[-1][0] == "disconnect"
        assert (await house.refused("/networks/n1/disconnect", {"Container": "web"}))[0] == 409

    with_house(main, tmp_path)


def test_a_stopped_container_is_connected_for_its_next_start(tmp_path):
    async def main(house):
        await house.create("n1")
        web = await house.container(starts=False)
        assert (await house.ask("POST", "/networks/n1/connect", {"Container": "web"}))[0] == 200
        assert (await house.ask("POST", "/networks/n1/connect", {"Container": "web"}))[0] == 200  # says the same again
        assert set(house.kept(web)) == {"bridge", "n1"}
        assert (await house.ask("POST", "/networks/bridge/disconnect", {"Container": "web"}))[0] == 200
        assert set(house.kept(web)) == {"n1"}
        assert house.sandboxes.find(web) is None

    with_house(main, tmp_path)


def test_an_address_that_is_taken_connects_nothing(tmp_path):
    async def main(house):
        await house.create("n1", IPAM={"Config": [{"Subnet": "10.1.0.0/24"}]})
        endpoint = {"IPAMConfig": {"IPv4Address": "10.1.0.9"}}
        await house.container("first", endpoints={"n1": endpoint})
        web = await house.container()
        _status, said = await house.refused("/networks/n1/connect", {"Container": "web", "EndpointConfig": endpoint})
        assert "Address already in use" in said
        assert (set(house.plugged(web)), set(house.kept(web))) == ({"bridge"}, {"bridge"})

    with_house(main, tmp_path)


def test_what_cannot_be_connected(tmp_path):
    async def main(house):
        await house.create("n1")
        for name, mode in (("onhost", "host"), ("nowhere", "none"), ("guest", "container:web")):
            await house.container(name, mode, {} if mode.startswith("container") else {mode: {}}, starts=False)
        await house.container()
        for network, container, said in (
            ("host", "web", "cannot connect container to host network"),
            ("n1", "onhost", "container sharing network namespace with another container or host"),
            ("n1", "guest", "container sharing network namespace with another container or host"),
            ("n1", "nowhere", "with one of the networks in private (none) mode"),
            ("none", "web", "with one of the networks in private (none) mode"),
        ):
            status, why = await house.refused(f"/networks/{network}/connect", {"Container": container})
            assert (status, said in why) == (400, True), why
        assert (await house.refused("/networks/host/disconnect", {"Container": "onhost"}))[0] == 400
        assert (await house.refused("/networks/nope/connect", {"Container": "web"}))[0] == 404
        assert (await house.refused("/networks/n1/connect", {"Container": "nobody"}))[0] == 404
        assert (await house.refused("/networks/n1/connect", {"Container": 7}))[0] == 400
        pods = await house.engine.create_container(name="k8s_web")
        assert (await house.refused("/networks/n1/connect", {"Container": pods.meta.name}))[0] == 403

    with_house(main, tmp_path)


def test_ports_come_and_go_with_a_way_out(tmp_path):
    async def main(house):
        await house.create("in", Internal=True)
        binding = {"80/tcp": [{"HostIp": "", "HostPort": "8001"}]}
        web = await house.container(endpoints={"in": {}}, PortBindings=binding)
        await house.ask("POST", "/networks/bridge/connect", {"Container": "web"})
        shown = {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8001"}]}
        assert house.engine.containers.get(web).status["details"]["Ports"] == shown
        assert [forward.port for forward in house.engine.net.forwards] == [8001]
        await house.ask("POST", "/networks/bridge/disconnect", {"Container": "web"})
        assert "Ports" not in house.engine.containers.get(web).status["details"]
        assert house.engine.net.forwards == []

    with_house(main, tmp_path)
