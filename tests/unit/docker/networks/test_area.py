"""What Docker's door answers for networks, on a fake engine."""

import orjson

from unit.docker.networks.house import with_house


def test_networks_are_listed(tmp_path):
    async def main(house):
        await house.create("n1", Labels={"tier": "db"})
        await house.create("n2")
        await house.container(endpoints={"n2": {}})

        async def names(**filters):
            status, said = await house.ask("GET", f"/networks?filters={orjson.dumps(filters).decode()}")
            return {one["Name"] for one in said} if status == 200 else status

        assert await names() == {"bridge", "pods", "host", "none", "n1", "n2"}
        assert await names(type=["builtin"]) == {"bridge", "pods", "host", "none"}
        assert await names(driver=["null", "host"]) == {"host", "none"}
        assert await names(label=["tier=db"]) == await names(name=["1$"]) == {"n1"}
        assert await names(dangling=["true"]) == {"n1"}
        assert await names(dangling=["0"]) == {"bridge", "pods", "host", "none", "n2"}
        assert await names(scope=["swarm"]) == set()
        assert await names(scope=["galaxy"]) == await names(type=["odd"]) == await names(colour=["red"]) == 400

    with_house(main, tmp_path)


def test_a_network_is_shown_with_who_is_in_it(tmp_path):
    async def main(house):
        id = await house.create("n1", IPAM={"Config": [{"Subnet": "10.1.0.0/24"}]})
        web = await house.container(endpoints={"n1": {"IPAMConfig": {"IPv4Address": "10.1.0.9"}}})
        status, said = await house.ask("GET", f"/networks/{id[:12]}?verbose=true")
        assert (status, said["Name"], said["Id"], said["Services"]) == (200, "n1", id, {})
        assert said["IPAM"]["Config"] == [{"Subnet": "10.1.0.0/24", "Gateway": "10.1.0.1"}]
        ours = said["Containers"][web]
        assert (ours["Name"], ours["IPv4Address"], ours["IPv6Address"]) == ("web", "10.1.0.9/24", "")
        assert (await house.ask("GET", "/networks/n1?scope=swarm"))[0] == 404
        assert await house.ask("GET", "/networks/nope") == (404, {"message": "network nope not found"})

    with_house(main, tmp_path)


def test_host_and_none_have_ids_too(tmp_path):
    async def main(house):
        status, host = await house.ask("GET", "/networks/host")
        assert (status, host["Driver"], host["IPAM"]["Config"]) == (200, "host", None)
        for text in (host["Id"], host["Id"][:12]):
            assert (await house.ask("GET", f"/networks/{text}"))[1] == host
        again = (await house.ask("GET", "/networks/none"))[1]["Id"]
        assert again == (await house.ask("GET", "/networks/none"))[1]["Id"] != host["Id"]

    with_house(main, tmp_path)


def test_networks_are_removed_and_told_of(tmp_path):
    async def main(house):
        id = await house.create("n1")
        assert await house.ask("DELETE", "/networks/n1") == (204, None)
        assert house.told() == [(action, {"name": "n1", "type": "bridge"}) for action in ("create", "destroy")]
        assert (await house.ask("DELETE", f"/networks/{id}"))[0] == 404
        for name in ("bridge", "host", "none", "pods"):
            assert await house.ask("DELETE", f"/networks/{name}") == (
                403,
                {"message": f"{name} is a pre-defined network and cannot be removed"},
            )

    with_house(main, tmp_path)


def test_what_is_in_use_stays(tmp_path):
    async def main(house):
        await house.create("n1")
        await house.create("n2")
        await house.create("n3", Labels={"keep": ""})
        await house.container(endpoints={"n1": {}})
        status, said = await house.ask("DELETE", "/networks/n1")
        assert status == 403
        assert said["message"].startswith(
            'error while removing network: network n1 has active endpoints (name:"web" id:"'
        )
        asked = '/networks/prune?filters={"label!":["keep"]}'
        assert await house.ask("POST", asked) == (200, {"NetworksDeleted": ["n2"]})
        assert await house.ask("POST", '/networks/prune?filters={"until":["1h"]}') == (200, {"NetworksDeleted": None})
        assert (await house.ask("POST", '/networks/prune?filters={"until":["soon"]}'))[0] == 400
        assert await house.ask("POST", "/networks/prune") == (200, {"NetworksDeleted": ["n3"]})

    with_house(main, tmp_path)


def test_what_cannot_be_made(tmp_path):
    async def main(house):
        await house.create("n1", Options={"com.docker.network.bridge.name": "br-n1"})
        assert await house.refused("/networks/create", {"Name": "n1"}) == (409, "network with name n1 already exists")
        status, said = await house.refused(
            "/networks/create", {"Name": "n2", "Options": {"com.docker.network.bridge.name": "br-n1"}}
        )
        assert (status, "br-n1" in said) == (409, True)
        status, said = await house.refused(
            "/networks/create", {"Name": "n2", "IPAM": {"Config": [{"Subnet": "172.17.9.0/24"}]}}
        )
        assert (status, "Pool overlaps" in said) == (403, True)
        for body in ("x", [], {"Name": None}, {}):
            assert (await house.refused("/networks/create", body))[0] == 400

    with_house(main, tmp_path)
