import asyncio
import errno
import json

import pytest

from coracle.core.errors import Conflict, Exhausted, Invalid, Malformed, NotFound, Unavailable, Unsupported
from coracle.engine.images import Images
from coracle.engine.works import Step
from coracle.image.config import Settings
from coracle.image.manifest import Platform
from coracle.image.terms import PLAIN, Terms
from coracle.testing.autojump import run
from coracle.testing.engine import FILES, FakeEngine, FakeSource, put_image


def with_engine(main, tmp_path):
    async def whole():
        return await main(FakeEngine(tmp_path))

    return run(whole())


def names(engine):
    return {tuple(image.spec["references"]) for image in engine.images.list()}


def test_an_image_is_brought_in_once_and_found_by_every_name_it_has(tmp_path):
    async def main(engine):
        image = await engine.images.ensure("nginx")
        assert await engine.images.ensure("docker.io/library/nginx:latest") == await engine.images.ensure("nginx")
        assert engine.source.fetched == ["nginx:latest"]
        for text in ("nginx", "nginx:latest", image.spec["id"], image.meta.name, image.meta.name[:12], image.spec["digests"][0]):  # fmt: skip
            assert engine.images.get(text).meta == image.meta, text
        assert image.spec["references"] == ["nginx:latest"]
        assert image.spec["config"]["cmd"] == ("-g", "daemon off;")
        assert engine.images.find("nginx:other") is None

    with_engine(main, tmp_path)


def test_its_files_are_what_containers_see(tmp_path):
    async def main(engine):
        image = await engine.images.ensure("nginx")
        rootfs = await engine.images.mount(image, "c1")
        with open(f"{rootfs}/etc/passwd") as file:  # noqa: ASYNC230
            assert file.read() == FILES["etc/passwd"]
        await engine.images.unmount("c1")
        await engine.images.discard("c1")
        assert engine.snapshotter.list() == ()

    with_engine(main, tmp_path)


def test_a_full_disk_has_no_room_for_a_containers_files(tmp_path, monkeypatch):
    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, "No space left on device", "/its/path")

    async def main(engine):
        image = await engine.images.ensure("nginx")
        monkeypatch.setattr(engine.snapshotter, "mount", full)
        with pytest.raises(Exhausted, match=r"^cannot mount the file system of c1: No space left on device$"):
            await engine.images.mount(image, "c1")

    with_engine(main, tmp_path)


def test_who_asks_at_once_shares_one_attempt_and_its_progress(tmp_path):
    async def main(engine):
        said = []
        first, *others = await asyncio.gather(
            *(engine.images.ensure("nginx", progress=lambda *step: said.append(step)) for _ in range(5))
        )
        assert engine.source.fetched == ["nginx:latest"]
        assert {image.meta.name for image in others} == {first.meta.name}
        assert said.count(("fetching", 1, 1)) == 5
        assert engine.images.progress("nginx") == ()

    with_engine(main, tmp_path)


def test_progress_can_be_asked_for_while_it_lasts(tmp_path):
    class Slow(FakeSource):
        async def fetch(self, reference, progress, terms=PLAIN):
            progress("downloading", 3, 7)
            await asyncio.sleep(5)
            return await super().fetch(reference, progress)

    async def main(engine):
        source = Slow(engine.blobs)
        source.images = engine.source.images
        images = Images(engine.store, engine.clock, engine.blobs, engine.snapshotter, [source])
        async with asyncio.TaskGroup() as group:
            group.create_task(images.ensure("nginx"))
            await asyncio.sleep(1)
            assert images.progress("nginx") == (Step("downloading", 3, 7),)
        assert images.progress("nginx") == ()

    with_engine(main, tmp_path)


def test_a_failure_is_shared_by_the_waiting_and_remembered_by_nobody(tmp_path):
    async def main(engine):
        engine.source.failures = [Unavailable("no network")]
        outcomes = await asyncio.gather(*(engine.images.ensure("nginx") for _ in range(3)), return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [Unavailable] * 3
        assert (await engine.images.ensure("nginx")).spec["references"] == ["nginx:latest"]

    with_engine(main, tmp_path)


def test_if_the_one_who_works_gives_up_another_takes_over(tmp_path):
    class Slow(FakeSource):
        async def fetch(self, reference, progress, terms=PLAIN):
            await asyncio.sleep(5)
            return await super().fetch(reference, progress)

    async def main(engine):
        source = Slow(engine.blobs)
        source.images = engine.source.images
        images = Images(engine.store, engine.clock, engine.blobs, engine.snapshotter, [source])
        async with asyncio.TaskGroup() as group:
            working = group.create_task(images.ensure("nginx"))
            waiting = group.create_task(images.ensure("nginx"))
            await asyncio.sleep(1)
            working.cancel()
        assert waiting.result().spec["references"] == ["nginx:latest"]

    with_engine(main, tmp_path)


def test_nobody_knows_it(tmp_path):
    async def main(engine):
        with pytest.raises(NotFound, match=r"no registry and no catalogue entry provides nothing:latest$"):
            await engine.images.ensure("nothing")
        hint = "the catalogue has nginx as latest; to give one of these that name: docker pull nginx:latest && docker tag nginx:latest nginx:1.14.2$"
        with pytest.raises(NotFound, match=f"^no registry and no catalogue entry provides nginx:1.14.2; {hint}"):
            await engine.images.ensure("nginx:1.14.2")
        with pytest.raises(NotFound, match="Never"):
            await engine.images.ensure("nginx", "Never")
        with pytest.raises(Malformed):
            await engine.images.ensure("No Name")
        with pytest.raises(Unsupported):
            await engine.images.build_from_packages("tools", ["curl"])
        assert engine.images.list() == []

    with_engine(main, tmp_path)


@pytest.mark.parametrize(
    ("policy", "local", "remote", "asked", "cmd"),
    [
        pytest.param("IfNotPresent", True, True, [], "old", id="what is here is taken"),
        pytest.param("Always", True, True, ["web:1"], "new", id="always asks the registry"),
        pytest.param("Always", True, False, ["web:1"], "old", id="what no registry knows is here after all"),
        pytest.param("IfNotPresent", False, True, ["web:1"], "new", id="the registry before the catalogue"),
        pytest.param("IfNotPresent", False, False, ["web:1"], "catalogue", id="the catalogue in the end"),
    ],
)
def test_the_order_of_places(tmp_path, policy, local, remote, asked, cmd):
    async def main(engine):
        registry = FakeSource(engine.blobs, "registry", remote=True)
        engine.source.add("web:1", Settings(cmd=("catalogue",)))
        if remote:
            registry.add("web:1", Settings(cmd=("new",)))
        images = Images(engine.store, engine.clock, engine.blobs, engine.snapshotter, [engine.source, registry])
        if local:
            await images.admit(put_image(engine.blobs, Settings(cmd=("old",))), "web:1")
        image = await images.ensure("web:1", policy)
        assert (registry.fetched, list(image.spec["config"]["cmd"])) == (asked, [cmd])

    with_engine(main, tmp_path)


def test_where_no_registry_can_be_reached_the_catalogue_provides(tmp_path):
    async def main(engine):
        registry = FakeSource(engine.blobs, "registry", remote=True)
        registry.failures = [Unavailable("no route"), Unavailable("no route"), Unavailable("no route")]
        images = Images(engine.store, engine.clock, engine.blobs, engine.snapshotter, [registry, engine.source])
        assert (await images.ensure("nginx")).spec["references"] == ["nginx:latest"]
        with pytest.raises(Unavailable):
            await images.ensure("nginx", "Always")  # what is here may be old, and is not built again
        with pytest.raises(Unavailable):
            await images.ensure("nobody/knows")
        assert engine.source.fetched == ["nginx:latest", "nobody/knows:latest"]

    with_engine(main, tmp_path)


def test_a_name_moves_to_the_newer_image(tmp_path):
    async def main(engine):
        await engine.images.admit(put_image(engine.blobs, Settings(cmd=("old",))), "web")
        new = await engine.images.admit(put_image(engine.blobs, Settings(cmd=("new",))), "web")
        assert engine.images.get("web").meta.name == new.meta.name
        assert names(engine) == {("web:latest",), ()}

    with_engine(main, tmp_path)


def test_a_name_moves_in_one_commit(tmp_path):
    async def main(engine):
        old = await engine.images.admit(put_image(engine.blobs, Settings(cmd=("old",))), "web")
        await engine.images.admit(put_image(engine.blobs, Settings(cmd=("new",))), "other")
        before = engine.store.revision
        new = await engine.images.tag("other", "web")
        assert engine.store.revision == before + 1
        assert (engine.images.get("web").key, engine.images.get(old.spec["id"]).spec["references"]) == (new.key, [])
        before = engine.store.revision
        await engine.images.admit(put_image(engine.blobs, Settings(cmd=("newest",))), "web")
        assert engine.store.revision == before + 1

    with_engine(main, tmp_path)


def test_tagging_and_taking_names_away(tmp_path):
    async def main(engine):
        image = await engine.images.ensure("nginx")
        await engine.images.tag("nginx", "mine:v1")
        assert names(engine) == {("nginx:latest", "mine:v1")}
        removed = await engine.images.remove("nginx")
        assert removed.records == (("untagged", "nginx:latest"), ("untagged", image.spec["digests"][0]))
        removed = await engine.images.remove("mine:v1")
        assert (removed.untagged, removed.deleted) == (("mine:v1",), (image.spec["id"], *image.spec["chain_ids"]))
        assert removed.freed_bytes == image.spec["size_bytes"] > 0
        with pytest.raises(NotFound):
            await engine.images.remove("mine:v1")

    with_engine(main, tmp_path)


def test_a_digest_is_no_tag(tmp_path):
    async def main(engine):
        image = await engine.images.ensure("nginx")
        with pytest.raises(Malformed, match="digest reference"):
            await engine.images.tag("nginx", image.spec["digests"][0])

    with_engine(main, tmp_path)


def test_an_image_that_a_container_uses_stays(tmp_path):
    async def main(engine):
        async with engine.running():
            record = await engine.run_container("sleep", "5", name="web")
            with pytest.raises(Conflict, match="must force"):
                await engine.images.remove("busybox")
            await engine.images.remove("busybox", force=True)  # the name goes, the image stays
            assert names(engine) == {()}
            with pytest.raises(Conflict, match="running container"):
                await engine.images.remove(record.spec["image_id"], force=True)
            await engine.containers.wait_exit(record.meta.name)
            with pytest.raises(Conflict, match="stopped container"):
                await engine.images.remove(record.spec["image_id"])
            await engine.images.remove(record.spec["image_id"], force=True)
            assert names(engine) == set()

    with_engine(main, tmp_path)


def test_what_could_not_be_made_an_image_leaves_nothing(tmp_path):
    async def main(engine):
        digest = put_image(engine.blobs, Settings(), {"a": "1"})
        layer = json.loads(engine.blobs.read(digest))["layers"][0]["digest"]
        engine.blobs.path(layer).write_bytes(b"not a tar")
        with pytest.raises(Invalid):
            await engine.images.admit(digest, "bad")
        assert (engine.images.list(), list(engine.blobs.list())) == ([], [])

    with_engine(main, tmp_path)


def test_removal_gives_the_disk_space_back_but_not_what_others_share(tmp_path):
    async def main(engine):
        shared = {"shared": "x"}
        one = put_image(engine.blobs, Settings(cmd=("1",)), shared, {"one": "1"})
        two = put_image(engine.blobs, Settings(cmd=("2",)), shared, {"two": "2"})
        await engine.images.admit(one, "one")
        kept = await engine.images.admit(two, "two")
        await engine.images.remove("one")
        assert {blob.digest for blob in engine.blobs.list()} == set(kept.spec["blobs"])
        assert all(engine.snapshotter.has_layer(layer) for layer in kept.spec["chain_ids"])
        assert len(list((tmp_path / "snapshots/layers").iterdir())) == 2

    with_engine(main, tmp_path)


def test_a_manifest_that_does_not_agree_with_its_configuration_is_refused(tmp_path):
    async def main(engine):
        digest = put_image(engine.blobs, Settings(), {"a": "1"}, {"b": "2"})
        raw = engine.blobs.read(digest)
        from coracle.image.manifest import Manifest, parse_manifest

        whole = parse_manifest(raw)
        less = engine.blobs.put(Manifest(whole.config, whole.layers[:1]).encode())
        with pytest.raises(Invalid):
            await engine.images.admit(less.digest, "bad")
        assert engine.images.list() == []

    with_engine(main, tmp_path)


def test_what_a_refused_image_brought_along_is_swept(tmp_path):
    class Liar(FakeSource):
        async def fetch(self, reference, progress, terms=PLAIN):
            self._blobs.put(b"a good layer")
            raise Invalid(message="another layer lies")

    async def main(engine):
        images = Images(engine.store, engine.clock, engine.blobs, engine.snapshotter, [Liar(engine.blobs, remote=True)])
        with pytest.raises(Invalid):
            await images.ensure("web")
        assert list(engine.blobs.list()) == []

    with_engine(main, tmp_path)


def test_an_image_for_another_machine_is_not_what_was_asked_for(tmp_path):
    async def main(engine):
        registry = FakeSource(engine.blobs, "registry", remote=True)
        images = Images(engine.store, engine.clock, engine.blobs, engine.snapshotter, [registry, engine.source])
        await images.ensure("nginx")
        with pytest.raises(NotFound, match="no matching manifest for linux/s390x"):
            await images.ensure("nginx", "Always", terms=Terms(platform=Platform("linux", "s390x")))

    with_engine(main, tmp_path)


def test_blobs_that_somebody_else_keeps_stay(tmp_path):
    async def main(engine):
        kept = engine.blobs.put(b"a step of a build").digest
        lost = engine.blobs.put(b"nobody's").digest
        engine.images.keep_for(lambda: ((), {kept}))
        await engine.images.ensure("nginx")
        await engine.images.remove("nginx")
        assert (engine.blobs.has(kept), engine.blobs.has(lost)) == (True, False)

    with_engine(main, tmp_path)


def test_pruning_leaves_what_is_named_or_used(tmp_path):
    async def main(engine):
        await engine.images.ensure("nginx")
        loose = await engine.images.admit(put_image(engine.blobs, Settings(cmd=("loose",))))
        parent = await engine.images.admit(put_image(engine.blobs, Settings(cmd=("parent",))))
        child = put_image(engine.blobs, Settings(cmd=("child",)))
        await engine.images.admit(child, "child", parent=parent.spec["id"])
        done = await engine.images.prune(lambda _image: True, named=False)
        assert [image.key for image, _ in done] == [loose.key]
        await engine.images.prune(lambda image: "child:latest" in image.spec["references"], named=True)
        assert names(engine) == {("nginx:latest",)}  # the parent went with its child

    with_engine(main, tmp_path)


def test_for_want_of_room_only_goes_what_can_be_had_again(tmp_path):
    async def main(engine):
        await engine.images.ensure("nginx")
        await engine.images.admit(put_image(engine.blobs, Settings(cmd=("built",))), "built")
        await engine.images.admit(put_image(engine.blobs, Settings(cmd=("loose",))))
        used = await engine.create_container()
        await engine.images.prune_unused()
        assert names(engine) == {("built:latest",), (), ("busybox:latest",)}
        await engine.containers.remove(used.meta.name)
        await engine.images.prune_unused()
        assert names(engine) == {("built:latest",), ()}

    with_engine(main, tmp_path)


def test_the_next_daemon_sweeps_what_the_last_one_left(tmp_path):
    async def main(engine):
        image = await engine.images.ensure("nginx")
        engine.blobs.put(b"of an image that was on its way")
        with engine.blobs.writer("sha256:" + "0" * 64, 100) as half:
            half.write(b"half")
        again = FakeEngine(tmp_path, before=engine)
        await again.images.adopt()
        assert {blob.digest for blob in again.blobs.list()} == set(image.spec["blobs"])
        assert list((tmp_path / "images/ingest").iterdir()) == []
        assert all(again.snapshotter.has_layer(layer) for layer in image.spec["chain_ids"])

    with_engine(main, tmp_path)
