import asyncio
import io
import os
import tarfile

import pytest

from coracle.core.errors import Malformed, NotFound
from coracle.engine.files import Files
from coracle.image.config import Settings
from coracle.runtime.api import Mount
from coracle.testing.engine import FakeEngine


def run(tmp_path, test, **spec):
    """`test(files, id)` with a container over a small image."""

    async def main():
        engine = FakeEngine(tmp_path)
        engine.source.add("busybox:latest", Settings(cmd=("true",)), {"etc/name": "image", "bin/sh": "#!"})
        async with engine.running():
            record = await engine.create_container(**spec)
            await test(Files(engine.containers, engine.snapshotter), record.meta.name)

    asyncio.run(main())


def packed(name, content):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        entry = tarfile.TarInfo(name)
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    return out.getvalue()


async def body(*pieces):
    for piece in pieces:
        await asyncio.sleep(0)
        yield piece


async def names(pieces):
    raw = b"".join([piece async for piece in pieces])
    with tarfile.open(fileobj=io.BytesIO(raw)) as archive:
        return archive.getnames()


def test_what_goes_in_comes_out(tmp_path):
    async def test(files, id):
        raw = packed("new", b"content")
        await files.write(id, "/etc/", body(raw[:700], raw[700:]))
        reading = await files.read(id, "/etc")
        assert (reading.stat.name, await names(reading.pieces)) == ("etc", ["etc", "etc/name", "etc/new"])
        assert (await files.stat(id, "etc/new")).size == 7
        assert {(one.kind, one.path) for one in await files.changes(id)} == {("added", "/etc/new")}
        assert "etc/new" in await names(await files.export(id))

    run(tmp_path, test)


def test_names_are_those_that_were_asked_for(tmp_path):
    async def test(files, id):
        assert (await files.stat(id, "/")).name == "/"
        assert (await files.stat(id, "/etc/.")).name == "."
        assert (await files.stat(id, "/bin/../etc/")).name == "etc"
        assert await names((await files.read(id, "/etc/.")).pieces) == [".", "./name"]

    run(tmp_path, test)


@pytest.mark.parametrize("path", ["/nope", "/etc/name/below", "/etc/name/"])
def test_what_is_missing_is_told(tmp_path, path):
    async def test(files, id):
        with pytest.raises(NotFound) as caught:
            await files.stat(id, path)
        assert (caught.value.kind, caught.value.name) == ("Path", path)

    run(tmp_path, test)


def test_mounts_are_seen_as_they_will_be(tmp_path):
    volume = tmp_path / "volume"
    volume.mkdir()
    (volume / "file").write_text("x")
    mounts = (
        Mount(target="/data", source=str(volume)),
        Mount(target="/fixed", source=str(volume), read_only=True),
        Mount(target="/gone", source=str(tmp_path / "missing")),
    )

    async def test(files, id):
        assert (await files.stat(id, "/data/file")).size == 1
        await files.write(id, "/data", body(packed("new", b"")))
        assert sorted(os.listdir(volume)) == ["file", "new"]
        with pytest.raises(Malformed, match="mounted volume is marked read-only"):
            await files.write(id, "/fixed", body(packed("more", b"")))
        assert "data/file" not in await names(await files.export(id))

    run(tmp_path, test, mounts=mounts)


def test_only_directories_are_extracted_into(tmp_path):
    async def test(files, id):
        with pytest.raises(Malformed, match="extraction point is not a directory"):
            await files.write(id, "/etc/name", body(packed("x", b"")))
        with pytest.raises(NotFound):
            await files.write(id, "/not/there", body(packed("x", b"")))

    run(tmp_path, test)


def test_a_body_that_breaks_off_ends_the_extraction(tmp_path):
    async def broken():
        yield packed("x", b"y" * 5000)[:1000]
        raise ConnectionResetError("gone")

    async def test(files, id):
        with pytest.raises(BaseExceptionGroup):
            await files.write(id, "/etc", broken())
        assert (await files.stat(id, "/etc")).name == "etc"

    run(tmp_path, test)


def test_who_stops_reading_leaves_nothing_open(tmp_path):
    async def test(files, id):
        await files.stat(id, "/etc")
        before = len(os.listdir("/proc/self/fd"))
        reading = await files.read(id, "/")
        await anext(reading.pieces)
        await reading.pieces.aclose()
        del reading
        assert len(os.listdir("/proc/self/fd")) <= before

    run(tmp_path, test)
