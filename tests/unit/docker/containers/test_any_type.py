"""Every field of a create request with values of every type: refused or understood, never our fault."""

import pytest

from coracle.docker.containers import config, hostconfig, limits
from unit.docker.containers.house import with_house

TOP = (*config._TEXTS, *config._FLAGS, *config._LISTS, "Labels", "ExposedPorts", "Volumes", "Healthcheck",
       "StopTimeout", "HostConfig", "NetworkingConfig")  # fmt: skip
HOST = (*hostconfig._TEXTS, *hostconfig._FLAGS, *hostconfig._LISTS, *hostconfig._MAPS, *hostconfig._OBJECTS,
        *limits.NUMBERS, *limits.TEXTS, *limits.BY_DEVICE, "PidsLimit", "OomKillDisable", "MemorySwappiness",
        "OomScoreAdj", "ShmSize", "PortBindings", "MaskedPaths", "ReadonlyPaths", "RestartPolicy", "LogConfig",
        "ConsoleSize")  # fmt: skip
VALUES = (None, True, 5, -1, 2**62, 1.5, "", "x", "../..", "a:b:c:d", "\0", [], [1], [{}], [None], ["/"], ["\0"], [[]],
          {}, {"a": 1}, {"": {}}, {"80/tcp": [{"HostPort": "x"}]}, {"Type": 5}, {"Name": []})  # fmt: skip


@pytest.mark.parametrize("part", ["top", "host"])
def test_values_of_every_type(tmp_path, part):
    async def main(house):
        await house.engine.images.ensure("busybox")
        for field in TOP if part == "top" else HOST:
            for value in VALUES:
                own = {field: value} if part == "top" else {"HostConfig": {field: value}}
                status, said = await house.ask(
                    "POST", "/containers/create", {"Image": "busybox", "Cmd": ["true"], **own}
                )
                assert status in (201, 400, 404), (field, value, said)
                if status == 201:
                    assert (await house.ask("GET", f"/containers/{said['Id']}/json"))[0] == 200, (field, value)
                    assert (await house.ask("DELETE", f"/containers/{said['Id']}?v=1"))[0] == 204, (field, value)
        assert not house.engine.containers.list()

    with_house(main, tmp_path)
