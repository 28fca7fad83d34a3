import gzip
import io
import tarfile

import pytest

from coracle.core.errors import CloudError, Exhausted, Invalid, Malformed, TooLarge
from coracle.engine import shipping
from coracle.engine.shipping import Import, Shipping
from coracle.image.config import Settings
from coracle.testing.autojump import run
from coracle.testing.engine import FakeEngine, layer


def with_shipping(main, tmp_path):
    async def whole():
        engine = FakeEngine(tmp_path)
        return await main(engine, Shipping(engine.images, engine.blobs, engine.clock))

    return run(whole())


async def arriving(data, size=1000):
    for at in range(0, len(data), size):
        yield data[at : at + size]


def nothing(*_step):
    """Nobody listens."""


async def saved(ship, *images):
    return b"".join(await ship.save(images))


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "compressed"])
def test_what_is_saved_is_loaded_under_its_names(tmp_path, pack):
    async def main(engine, ship):
        image = await engine.images.ensure("nginx")
        data = await saved(ship, (image, ["docker.io/library/nginx:latest", "docker.io/me/web:1"]))
        await engine.images.remove("nginx")
        assert engine.images.list() == []
        (loaded,) = await ship.load(arriving(pack(data)), nothing)
        assert loaded.image.key == image.key
        assert engine.images.get("me/web:1").spec["references"] == ["nginx:latest", "me/web:1"]
        assert loaded.robbed == ()

    with_shipping(main, tmp_path)


def test_who_loses_a_name_is_told(tmp_path):
    async def main(engine, ship):
        image = await engine.images.ensure("nginx")
        data = await saved(ship, (image, ["docker.io/library/nginx:latest"]))
        other = await ship.take(arriving(layer({"a": "b"})), Import(), "nginx")
        (loaded,) = await ship.load(arriving(data), nothing)
        assert loaded.robbed == (("docker.io/library/nginx:latest", other.spec["id"]),)

    with_shipping(main, tmp_path)


def test_a_file_system_becomes_an_image(tmp_path):
    async def main(engine, ship):
        image = await ship.take(arriving(layer({"a": "b"})), Import(Settings(cmd=("x",)), "from a test"), "made:1")
        config = await engine.images.config(image)
        assert (config.settings.cmd, config.history[0].comment) == (("x",), "from a test")
        assert image.spec["references"] == ["made:1"]

    with_shipping(main, tmp_path)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"x" * 5000, id="no tar"),
        pytest.param(gzip.compress(b"x" * 5000)[:30], id="half of something compressed"),
        pytest.param(gzip.compress(b"x" * 5000), id="no tar, compressed"),
    ],
)
def test_what_is_no_archive_leaves_nothing(tmp_path, data):
    async def main(engine, ship):
        with pytest.raises((Invalid, Malformed)):
            await ship.load(arriving(data), nothing)
        with pytest.raises(CloudError):
            await ship.take(arriving(data), Import(), "x")
        assert (engine.images.list(), list(engine.blobs.list())) == ([], [])
        assert list((tmp_path / "images/ingest").iterdir()) == []

    with_shipping(main, tmp_path)


def test_more_than_is_taken(tmp_path, monkeypatch):
    monkeypatch.setattr(shipping, "FREE_BYTES", 10_000)
    monkeypatch.setattr(shipping, "MAX_RATIO", 3)

    async def main(_engine, ship):
        with pytest.raises(TooLarge, match="unpacks to more than 10000 bytes"):
            await ship.load(arriving(gzip.compress(b"x" * 20_000)), nothing)
        monkeypatch.setattr(shipping, "MAX_BYTES", 10_000)
        with pytest.raises(TooLarge, match="larger than 10000 bytes"):
            await ship.load(arriving(b"x" * 20_000), nothing)

    with_shipping(main, tmp_path)


def test_a_full_disk_is_said(tmp_path, monkeypatch):
    class Full(io.BytesIO):
        def write(self, _data):
            raise OSError(28, "No space left on device")

    async def main(engine, ship):
        monkeypatch.setattr(engine.blobs, "scratch", Full)
        with pytest.raises(Exhausted, match="no space left for the archive"):
            await ship.load(arriving(b"x" * 5000), nothing)

    with_shipping(main, tmp_path)


def test_a_saved_archive_is_a_tar_with_both_kinds_of_index(tmp_path):
    async def main(engine, ship):
        image = await engine.images.ensure("nginx")
        with tarfile.open(fileobj=io.BytesIO(await saved(ship, (image, [])))) as archive:
            assert archive.getnames()[-3:] == ["index.json", "manifest.json", "oci-layout"]

    with_shipping(main, tmp_path)
