"""Builds over an imagined kernel: order, cache, failures, and that nothing is left."""

import asyncio
import contextlib
import errno
import io
import tarfile

import pytest

from coracle.core.errors import CloudError, Exhausted, Invalid, NotFound
from coracle.engine.builds.failure import CannotStart, StepFailed
from coracle.engine.builds.request import BuildRequest
from coracle.engine.builds.service import Builds
from coracle.image.config import Settings
from coracle.image.dockerfile.parse import parse_dockerfile
from coracle.testing.autojump import run
from coracle.testing.engine import FakeEngine

SHELL = 'SHELL ["echo"]\n'  # what the imagined programs understand


def tar(**files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(text), 0o644
            archive.addfile(member, io.BytesIO(text.encode()))
    out.seek(0)
    return out


class Bench:
    """An engine and its builds; `said` is the last transcript."""

    def __init__(self, engine):
        self.engine = engine
        self.said = ""
        self.builds = Builds(
            engine.store,
            engine.clock,
            engine.images,
            engine.containers,
            engine.sandboxes,
            blobs=engine.blobs,
            snapshotter=engine.snapshotter,
            root_path=str(engine.root),
        )

    async def build(self, text, archive=None, **more):
        self.said = ""

        async def say(piece):
            self.said += piece

        request = BuildRequest(dockerfile=parse_dockerfile(text.encode()), network="pods", **more)
        async with self.builds.ground(archive) as ground:
            return await self.builds.build(request, ground, say)

    def image(self, name):
        return self.engine.images.get(name)

    async def refused(self, text, error=CloudError, **more):
        with pytest.raises(error) as told:
            await self.build(text, **more)
        self.check_clean()
        return str(told.value)

    def check_clean(self):
        engine = self.engine
        assert engine.containers.list() == []
        assert engine.sandboxes.list() == []
        assert engine.snapshotter.list() == ()
        assert not any((engine.root / "builds").iterdir())


def on_bench(main, tmp_path):
    async def whole():
        engine = FakeEngine(tmp_path)
        async with engine.running():
            bench = Bench(engine)
            await main(bench)
            bench.check_clean()

    run(whole())


def test_a_build(tmp_path):
    async def main(bench):
        id = await bench.build(f"FROM busybox\n{SHELL}RUN hello\nCOPY f /d/\nLABEL a=b\n", tar(f="x"), tags=("mine",))
        assert "Step 3/5 : RUN hello\n ---> Running in " in bench.said
        assert "\nhello\n ---> Removed intermediate container " in bench.said
        image = bench.image("mine")
        assert (image.spec["id"], image.spec["config"]["labels"]) == (id, {"a": "b"})
        assert len(image.spec["chain_ids"]) == 2  # the base's, and that of COPY: RUN has changed nothing

    on_bench(main, tmp_path)


def test_the_same_again_comes_from_the_cache_also_after_a_restart(tmp_path):
    text = f"FROM busybox\n{SHELL}RUN hello\nCOPY f /\n"

    async def main(bench):
        first = await bench.build(text, tar(f="x"))
        bench = Bench(bench.engine)
        assert await bench.build(text, tar(f="x")) == first
        assert bench.said.count(" ---> Using cache\n") == 3
        assert await bench.build(text, tar(f="y")) != first
        assert bench.said.count(" ---> Using cache\n") == 2
        await bench.build(text, tar(f="x"), no_cache=True)
        assert "Using cache" not in bench.said

    on_bench(main, tmp_path)


def test_the_order_of_labels_says_nothing_to_the_cache(tmp_path):
    async def main(bench):
        text = "ARG V=1\nFROM busybox\nLABEL z=1 b=2 a=3\nENV A=1\nUSER 5\n"
        first = await bench.build(text, tar(f="x"))
        assert "Step 1/5 : ARG V=1\nStep 2/5 : FROM busybox\n" in bench.said
        assert await bench.build(text, tar(f="x")) == first
        assert bench.said.count(" ---> Using cache\n") == 3

    on_bench(main, tmp_path)


def test_steps_keep_their_layers_when_the_image_goes_and_pruning_lets_them_go(tmp_path):
    async def main(bench):
        await bench.build("FROM busybox\nCOPY f /\n", tar(f="x"), tags=("mine",))
        top = bench.image("mine").spec["chain_ids"][-1]
        await bench.engine.images.remove("mine")
        assert bench.engine.snapshotter.has_layer(top)
        names, freed = await bench.builds.prune(bench.builds.cache.list())
        assert len(names) == 1
        assert freed > 0
        assert not bench.engine.snapshotter.has_layer(top)
        await bench.build("FROM busybox\nCOPY f /\n", tar(f="x"))
        assert "Using cache" not in bench.said

    on_bench(main, tmp_path)


def test_a_step_whose_layer_is_lost_is_done_again(tmp_path):
    async def main(bench):
        await bench.build("FROM busybox\nCOPY f /\n", tar(f="x"), tags=("mine",))
        image = bench.image("mine")
        bench.engine.blobs.delete(image.spec["blobs"][-1])
        for digest in image.spec["blobs"]:
            bench.engine.blobs.delete(digest)
        await bench.engine.images.remove("mine")
        await bench.engine.images.remove("busybox")
        await bench.build("FROM busybox\nCOPY f /\n", tar(f="x"))
        assert "Using cache" not in bench.said

    on_bench(main, tmp_path)


def test_independent_stages_run_at_once(tmp_path):
    text = 'FROM busybox AS a\nRUN ["sleep", "5"]\nFROM busybox AS b\nRUN ["sleep", "5"]\nFROM scratch\nCOPY --from=a /etc /a\nCOPY --from=b /etc /b\n'

    async def main(bench):
        begun = bench.engine.clock.monotonic_s()
        await bench.build(text)
        assert bench.engine.clock.monotonic_s() - begun < 9

    on_bench(main, tmp_path)


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ('FROM busybox\nRUN ["exit", "3"]', StepFailed, "The command 'exit 3' returned a non-zero code: 3"),
        ('FROM busybox\nRUN ["missing"]', CannotStart, "missing"),
        ("FROM nothing-like-it", NotFound, "nothing-like-it"),
        ("FROM busybox\nUSER ghost\nRUN x", Invalid, "unable to find user ghost"),
        ("FROM scratch", Invalid, "No image was generated. Is your Dockerfile empty?"),
        ("FROM busybox\nCOPY nope /", Invalid, "stat nope: file does not exist"),
        ("FROM busybox" + "\nENV A=1" * 500, Invalid, "the build has 501 steps, more than 500"),
        (f"FROM busybox\nENV A={'x' * (1 << 20)}", Invalid, "configuration is larger than 1048576 bytes"),
        ("FROM busybox\nONBUILD ADD x y\nCOPY --from=later /x /", NotFound, "later"),
    ],
)
def test_failures_leave_nothing(tmp_path, text, error, said):
    async def main(bench):
        assert said in await bench.refused(text, error)

    on_bench(main, tmp_path)


def test_steps_before_a_failure_are_kept(tmp_path):
    async def main(bench):
        await bench.refused(f'FROM busybox\n{SHELL}RUN one\nRUN ["false"]\n')
        await bench.refused(f'FROM busybox\n{SHELL}RUN one\nRUN ["false"]\n')
        assert bench.said.count("Using cache") == 2

    on_bench(main, tmp_path)


def test_a_cancelled_build_leaves_nothing(tmp_path):
    async def main(bench):
        async with asyncio.TaskGroup() as group:
            task = group.create_task(bench.build('FROM busybox\nRUN ["stubborn", "sleep", "infinity"]\n'))
            await asyncio.sleep(5)  # of virtual time
            assert [one.status["state"] for one in bench.engine.containers.list()] == ["running"]
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    on_bench(main, tmp_path)


def test_what_a_dead_daemon_left_goes_at_the_start(tmp_path):
    async def main(bench):
        engine = bench.engine
        await engine.images.ensure("busybox")
        engine.snapshotter.mount("build-1234", [])
        (tmp_path / "builds" / "old" / "context").mkdir(parents=True)
        await bench.builds.adopt()
        assert engine.snapshotter.list() == ()
        assert not (tmp_path / "builds").exists()
        (tmp_path / "builds").mkdir()

    on_bench(main, tmp_path)


def test_twins_that_differ_in_a_health_check_share_nothing(tmp_path):
    async def main(bench):
        one = await bench.build("FROM scratch\nHEALTHCHECK CMD a\nLABEL a=b\n")
        two = await bench.build("FROM scratch\nHEALTHCHECK CMD b\nLABEL a=b\n")
        assert "Using cache" not in bench.said
        assert one != two

    on_bench(main, tmp_path)


def test_triggers(tmp_path):
    async def main(bench):
        bench.engine.source.add("parent:latest", Settings(on_build=("LABEL from=trigger", "ENV A=1")))
        id = await bench.build("FROM parent\nLABEL own=$A\n")
        settings = bench.image(id).spec["config"]
        assert settings["labels"] == {"from": "trigger", "own": "1"}
        assert "on_build" not in settings
        assert "# Executing 2 build triggers\n" in bench.said

    on_bench(main, tmp_path)


def test_a_trigger_may_need_a_stage_that_nothing_else_needs(tmp_path):
    async def main(bench):
        bench.engine.source.add("parent:latest", Settings(on_build=("COPY --from=tools /f /",)))
        id = await bench.build("FROM busybox AS tools\nCOPY f /\nFROM parent\nCMD x\n", tar(f="x"))
        assert len(bench.image(id).spec["chain_ids"]) == 2
        assert "Step 1/2 : FROM parent\n" in bench.said
        assert "Step 2/2 : COPY f /\n" in bench.said

    on_bench(main, tmp_path)


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path, monkeypatch):
    async def main(bench):
        def full(_id, _out):
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(bench.engine.snapshotter, "pack", full)
        said = await bench.refused("FROM busybox\nCOPY f /\n", Exhausted, archive=tar(f="x"))
        assert said == "the build broke off: No space left on device"

    on_bench(main, tmp_path)
