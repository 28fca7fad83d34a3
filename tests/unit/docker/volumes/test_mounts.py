"""The mounts of a container from its request to its end, over the engine's services."""

import asyncio
import os
from pathlib import Path

import pytest

from coracle.core.errors import Malformed, NotFound
from coracle.docker.bodies import Fields
from coracle.docker.mounts import DETAIL, Mounts, mount_points, resolve, shown
from coracle.image.config import Settings
from coracle.testing.engine import FakeEngine


def nobody(name):
    raise NotFound(kind="Container", name=name)


class Host:
    def __init__(self, root):
        self.engine = FakeEngine(root)
        self.engine.source.add("busybox:latest", Settings(cmd=("true",)), {"srv/file": "image's"})
        self.mounts = Mounts(self.engine.volumes, self.engine.images, self.publish)
        self.told = []

    async def publish(self, type, action, id, attributes):
        self.told.append((action, id))

    async def create(self, name, host, targets=(), lender=nobody):
        await self.engine.images.ensure("busybox")
        async with self.mounts.prepared(resolve(Fields(host), targets, lender)) as made:
            record = await self.engine.create_container(
                name=name, mounts=made.mounts, volumes=made.volumes, details={DETAIL: made.details}
            )
        await self.mounts.populate(record)
        return record

    async def remove(self, record, *, anonymous):
        await self.engine.containers.remove(record.meta.name)
        await self.mounts.drop(record, anonymous=anonymous)

    def names(self):
        return sorted(volume.meta.name for volume in self.engine.volumes.list())


def run(tmp_path, test):
    async def main():
        host = Host(tmp_path)
        async with host.engine.running():
            await test(host)

    asyncio.run(main())


def test_volumes_are_made_and_filled_and_go_with_the_container(tmp_path):
    async def test(host):
        record = await host.create("one", {"Binds": ["named:/srv"]}, ["/srv", "/anonymous"])
        named, anonymous = mount_points(record)
        assert Path(named.source, "file").read_text() == "image's"  # noqa: ASYNC240
        assert (anonymous.anonymous, len(anonymous.name)) == (True, 64)
        assert [mount["Destination"] for mount in shown(record)] == ["/srv", "/anonymous"]
        assert host.names() == sorted(["named", anonymous.name])
        await host.remove(record, anonymous=True)
        assert host.names() == ["named"]
        assert host.told == [("create", "named"), ("create", anonymous.name), ("destroy", anonymous.name)]

    run(tmp_path, test)


def test_events_tell_who_mounts_what(tmp_path):
    async def test(host):
        record = await host.create("one", {"Binds": ["named:/srv"]})
        async with host.mounts.seen(record):
            await host.mounts.start(record)
        await host.mounts.stop(record)
        await host.mounts.stop(record)
        assert host.told == [("create", "named"), ("mount", "named"), ("unmount", "named")]

    run(tmp_path, test)


def test_a_borrowed_anonymous_volume_stays_with_the_borrower(tmp_path):
    async def test(host):
        lender = await host.create("one", {}, ["/srv"])
        borrower = await host.create("two", {"VolumesFrom": ["one"]}, lender=lambda name: mount_points(lender))
        await host.remove(lender, anonymous=True)
        [name] = host.names()
        await host.remove(borrower, anonymous=True)
        assert host.names() == [name]  # it was not the borrower's own

    run(tmp_path, test)


def test_a_request_that_fails_leaves_no_anonymous_volume(tmp_path):
    async def test(host):
        with pytest.raises(Malformed):
            await host.create("one", {"Binds": ["no name:/srv"]}, ["/anonymous"])
        with pytest.raises(Malformed, match="bind source path does not exist"):
            await host.create("one", {"Mounts": [{"Type": "bind", "Source": "/no/such", "Target": "/x"}]}, ["/y"])
        with pytest.raises(NotFound):
            await host.create("one", {"Mounts": [{"Type": "image", "Source": "nope", "Target": "/x"}]}, ["/y"])
        await host.create("taken", {})
        with pytest.raises(Exception, match="taken"):
            await host.create("taken", {}, ["/anonymous"])
        assert host.names() == []

    run(tmp_path, test)


def test_missing_sources_of_binds_are_made_at_start(tmp_path):
    async def test(host):
        source = tmp_path / "a" / "b"
        record = await host.create("one", {"Binds": [f"{source}:/x"]})
        assert not source.exists()
        await host.mounts.start(record)
        assert source.is_dir()
        await host.mounts.stop(record)

    run(tmp_path, test)


def test_a_part_of_a_volume_is_shown_while_somebody_needs_it(tmp_path):
    async def test(host):
        spec = {"Type": "volume", "Source": "whole", "Target": "/p", "VolumeOptions": {"Subpath": "a"}}
        record = await host.create("one", {"Mounts": [spec]})
        [point] = mount_points(record)
        with pytest.raises(NotFound, match="no such file or directory"):
            await host.mounts.start(record)
        assert not Path(point.via).exists()  # noqa: ASYNC240
        os.makedirs(f"{point.source}/a/inside")
        async with host.mounts.seen(record):
            await host.mounts.start(record)
            assert os.listdir(point.via) == ["inside"]
        assert os.listdir(point.via) == ["inside"]  # it starts meanwhile
        await host.mounts.stop(record)
        assert not Path(point.via).exists()  # noqa: ASYNC240

    run(tmp_path, test)


def test_a_volumes_file_system_lives_with_its_users(tmp_path):
    async def test(host):
        options = {"type": "tmpfs", "device": "tmpfs", "o": "size=64k"}
        await host.engine.volumes.create("memory", options=options)
        first = await host.create("one", {"Binds": ["memory:/m"]})
        second = await host.create("two", {"Binds": ["memory:/m"]})
        path = Path(host.engine.volumes.path("memory"))
        await host.mounts.start(first)
        (path / "shared").touch()
        await host.mounts.start(second)
        await host.mounts.stop(first)
        assert os.listdir(path) == ["shared"]
        await host.mounts.stop(second)
        await host.mounts.stop(second)
        assert os.listdir(path) == []

    run(tmp_path, test)
