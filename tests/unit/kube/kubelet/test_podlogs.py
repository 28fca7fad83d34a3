"""The names under which log agents find logs."""

from __future__ import annotations

import asyncio

import pytest

from coracle.core.object import Key
from coracle.kube.kubelet.podlogs import PodLogs, links
from coracle.kube.kubelet.records import Attempt, Present
from coracle.testing.autojump import run

WEB = Key("shop", "web")


def present(*attempts):
    by_container = {}
    for id, container, number in attempts:
        by_container.setdefault(container, []).append(Attempt(id, container, number, "exited"))
    return Present(attempts=by_container)


def test_links():
    assert links(WEB, {"u1": present(("a1", "www", 0), ("a2", "www", 1))}) == {
        "pods/shop_web_u1/www/0.log": "../../.all/a1/log",
        "pods/shop_web_u1/www/1.log": "../../.all/a2/log",
        "containers/web_shop_www-a1.log": "/var/log/pods/shop_web_u1/www/0.log",
        "containers/web_shop_www-a2.log": "/var/log/pods/shop_web_u1/www/1.log",
    }


class Told:
    """In place of the caches: what there is of the pod, by uid."""

    def __init__(self):
        self.there = {}

    def of(self, key):
        return self.there if key == WEB else {}


def found(top):
    return sorted(str(path.relative_to(top)) for path in top.rglob("*"))


def test_links_that_somebody_puts_in_the_way_lead_nowhere_else(tmp_path):
    top, host = tmp_path / "top", tmp_path / "host"
    (top / "pods").mkdir(parents=True)
    (top / "containers").mkdir()
    host.mkdir()
    (host / "0.log").write_text("kept")
    (top / "pods" / "shop_web_u1").symlink_to(host)
    (top / "pods" / "shop_old_u0").mkdir()
    (top / "pods" / "shop_old_u0" / "www").symlink_to(host)
    (top / "containers" / "mine.log").write_text("an agent's own")

    async def main():
        told = Told()
        told.there = {"u1": present(("a1", "www", 0))}
        with pytest.raises(OSError, match=r"File exists|not a directory"):
            await PodLogs(told, top).reconcile(WEB)
        (top / "pods" / "shop_web_u1").unlink()
        await PodLogs(told, top).reconcile(WEB)

    asyncio.run(main())
    assert found(host) == ["0.log"]
    assert (top / "containers" / "mine.log").exists()
    assert (top / "pods" / "shop_web_u1" / "www" / "0.log").is_symlink()


def test_links_come_and_go_with_the_containers(tmp_path, monkeypatch):
    async def at_once(call, *arguments):
        return call(*arguments)

    monkeypatch.setattr("coracle.kube.kubelet.podlogs.offload", at_once)

    async def main():
        told = Told()

        async def after(there):
            told.there = there
            await PodLogs(told, tmp_path).reconcile(WEB)
            return found(tmp_path)

        logs = PodLogs(told, tmp_path)
        told.there = {"u1": present(("a1", "www", 0), ("b1", "box", 0))}
        await logs.reconcile(WEB)
        assert "pods/shop_web_u1/box/0.log" in found(tmp_path)
        told.there = {"u1": present(("a1", "www", 0))}
        await logs.reconcile(WEB)
        one = [
            "containers",
            "containers/web_shop_www-a1.log",
            "pods",
            "pods/shop_web_u1",
            "pods/shop_web_u1/www",
            "pods/shop_web_u1/www/0.log",
        ]
        assert found(tmp_path) == one
        assert await after(told.there) == one  # another daemon finds them
        told.there = {}
        await logs.reconcile(WEB)
        assert found(tmp_path) == ["containers", "pods"]
        await after({"u1": present(("a1", "www", 0))})
        assert await after({}) == ["containers", "pods"]  # it went while we were away

    run(main())


@pytest.mark.parametrize("when", ["before", "after"])
def test_pods_that_go_around_the_first_look_are_forgotten(tmp_path, when):
    """The daemon was killed; the last container of a pod goes before the next one looks, or before the pod's turn."""
    gone = ["shop_web_u1", "shop_web_u1/www", "shop_half_u2", "shop_half_u3", "shop_half_u3/www"]

    async def main():
        told = Told()
        told.there = {"u1": present(("a1", "www", 0), ("a2", "www", 1))}
        await PodLogs(told, tmp_path).reconcile(WEB)
        for path in gone[2:]:
            (tmp_path / "pods" / path).mkdir()  # killed in the middle of making or removing them
        (tmp_path / "pods" / "shop_its_own").mkdir()
        (tmp_path / "pods" / "shop_its_own" / "mark").touch()
        (tmp_path / "containers" / "its_own_link.log").symlink_to("elsewhere")
        if when == "before":
            told.there = {}
        logs = PodLogs(told, tmp_path)
        await logs.reconcile(Key("shop", "another"))
        told.there = {}
        await logs.reconcile(WEB)

    asyncio.run(main())
    own = ["pods/shop_its_own", "pods/shop_its_own/mark", "containers/its_own_link.log"]
    assert found(tmp_path) == sorted(["pods", "containers", *own])
