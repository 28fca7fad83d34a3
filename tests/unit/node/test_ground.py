import asyncio
import contextlib
import fcntl
from ipaddress import ip_network

import pytest

from coracle.node import config, ground
from coracle.node.ground import SharedGround


@pytest.fixture
def host(tmp_path, monkeypatch):
    """A host with a run directory of its own."""
    chosen = tmp_path / ".chosen"
    chosen.mkdir()
    monkeypatch.setattr(config, "_CHOSEN", chosen)
    monkeypatch.setattr(ground, "_LOCK", tmp_path / "lock")
    return tmp_path


def register(host, name, pods, services):
    (host / name).mkdir()
    (host / name / "cloud.json").write_text("{}")
    config.register(name, host / name, config.Chosen(pods, services, 6443))


@contextlib.contextmanager
def locked(path, how=fcntl.LOCK_EX):
    """Somebody else on the host holds the lock."""
    with open(path, "w") as lock:
        fcntl.flock(lock, how)
        yield


async def others(ground):
    async with ground.alone() as found:
        return list(found)


def test_routes_of_the_host_and_other_clouds_are_others(host, monkeypatch):
    monkeypatch.setattr(
        ground, "_routes4", lambda: [("eth0", ip_network("10.0.0.0/24")), ("lab12ab", ip_network("10.9.0.0/16"))]
    )
    monkeypatch.setattr(ground, "_routes6", lambda: [("eth0", ip_network("fd00::/64"))])
    register(host, "lab", "10.33.0.0/16", "100.65.0.0/16")
    register(host, "mine", "10.32.0.0/16", "100.64.0.0/16")
    register(host, "deleted", "10.34.0.0/16", "100.66.0.0/16")
    (host / "deleted/cloud.json").unlink()
    assert asyncio.run(others(SharedGround("mine", "lab"))) == [
        (ip_network("10.0.0.0/24"), "link eth0"),
        (ip_network("fd00::/64"), "link eth0"),
        (ip_network("10.33.0.0/16"), "cloud lab"),
        (ip_network("100.65.0.0/16"), "cloud lab"),
    ]


def test_the_last_cloud_takes_along_what_clouds_that_were_deleted_by_hand_had_chosen(host, monkeypatch):
    monkeypatch.setattr(config, "RUN", host / "run")
    register(host, "deleted", "10.34.0.0/16", "100.66.0.0/16")
    register(host, "mine", "10.32.0.0/16", "100.64.0.0/16")
    (host / "deleted/cloud.json").unlink()
    assert config.clouds() == ["mine"]
    config.unregister("mine")
    assert not (host / ".chosen").exists()


def test_a_cloud_that_is_purged_meanwhile_is_not_read(host, monkeypatch):
    register(host, "lab", "10.33.0.0/16", "100.65.0.0/16")
    (host / ".chosen/gone").symlink_to(host / "nowhere")
    assert config.clouds() == ["lab"]


def test_the_kernels_tables_are_read():
    for _link, subnet in (*ground._routes4(), *ground._routes6()):
        assert 0 < subnet.prefixlen < subnet.max_prefixlen + 1


def test_one_chooses_at_a_time_on_a_host(host):
    async def main():
        one, other, turns = SharedGround("one", "one"), SharedGround("other", "oth"), []

        async def choose(who, ground):
            async with ground.alone():
                turns.append(f"{who} in")
                await asyncio.sleep(0)
                turns.append(f"{who} out")

        await asyncio.gather(choose("one", one), choose("other", other), choose("one", one))
        assert all(turns[n].replace("in", "out") == turns[n + 1] for n in range(0, 6, 2))
        with locked(host / "lock", fcntl.LOCK_EX | fcntl.LOCK_NB):  # raises where it is held
            pass

    asyncio.run(main())


def test_whoever_gives_up_waiting_holds_nothing(host):
    async def main():
        with locked(host / "lock"):
            waiting = asyncio.create_task(others(SharedGround("one", "one")))
            await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
        await others(SharedGround("one", "one"))

    asyncio.run(main())
