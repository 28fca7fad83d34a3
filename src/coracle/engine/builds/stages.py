"""One stage of a build: FROM, then instruction by instruction, each from the cache or done.

Source: Dockerfile reference; what is said, and the histories, are those of Docker's classic builder.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from coracle.core.clock import Clock, rfc3339_micro
from coracle.core.errors import Invalid, Malformed
from coracle.core.tasks import offload
from coracle.engine.builds import files
from coracle.engine.builds import state as states
from coracle.engine.builds.arguments import Arguments
from coracle.engine.builds.cache import Cache, Steps, key_of
from coracle.engine.builds.context import Context
from coracle.engine.builds.layers import LayerMaker
from coracle.engine.builds.mounting import Caches, Grounds, make_mounts
from coracle.engine.builds.plan import SCRATCH, Plan, PlannedStage, stage_index
from coracle.engine.builds.request import BuildRequest
from coracle.engine.builds.running import Program, Runner
from coracle.engine.builds.shown import command, script_mount, shown, summary
from coracle.engine.builds.state import LayerRef, State, short
from coracle.engine.builds.transcript import Channel
from coracle.image.config import History, Settings
from coracle.image.dockerfile import settings as metadata
from coracle.image.dockerfile.mounts import parse_mount
from coracle.image.dockerfile.syntax import Instruction, parse_trigger
from coracle.image.manifest import Platform, parse_platform
from coracle.linux.rooted import make_directories

LONG_S = 2.0  # a step that took longer is kept at once, lest the daemon should die


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a stage made; `image` is the id of the record that its containers are made of, "" for none."""

    state: State
    image: str = ""


@dataclass(slots=True, kw_only=True)
class Site:
    """What every stage of one build shares."""

    request: BuildRequest
    plan: Plan
    arguments: Arguments
    context: Context
    scratch: Path
    clock: Clock
    cache: Cache
    layers: LayerMaker
    runner: Runner
    mount_caches: Caches
    base: Callable[[str, Platform], Awaitable[Outcome]]  # an image by its name
    image_of: Callable[[State], Awaitable[str]]  # a record for a state that no image stands under
    stage: Callable[[int], Awaitable[Outcome]]
    steps: Steps = field(default_factory=Steps)


class StageRunner:
    def __init__(self, site: Site, planned: PlannedStage, channel: Channel) -> None:
        self._site, self._planned, self._channel = site, planned, channel
        self._arguments = site.arguments.stage()
        self._state = states.nothing(site.request.platform)
        self._image = ""
        self._cmd_is_own = False
        self._trials = 0

    async def run(self) -> Outcome:
        """Raises what its steps raise; steps that were done before are in `site.steps` all the same."""
        stage, say = self._planned.stage, self._channel.say
        await say(f"Step {self._planned.first_step}/{self._planned.steps} : {stage.start.text}\n")
        await self._begin()
        await say(f" ---> {short(self._state.id)}\n")
        await self._triggers()
        for number, one in enumerate(self._instructions(), self._planned.first_step + 1):
            await say(f"Step {number}/{self._planned.steps} : {one.text}\n")
            await self._do(one)
            await say(f" ---> {short(self._state.id)}\n")
        return Outcome(self._state, self._image)

    def _instructions(self) -> list[Instruction]:
        """Those of the file, and the labels that came with the request."""
        found = list(self._planned.stage.instructions)
        if self._planned.index == self._site.plan.target:
            for name, value in sorted(self._site.request.labels.items()):
                found.append(Instruction("LABEL", (name, value), text=f"LABEL {name}={value}"))
        return found

    async def _begin(self) -> None:
        planned = self._planned
        if planned.above is not None:
            begun = await self._site.stage(planned.above)
        elif planned.base == SCRATCH:
            return
        else:
            platform = _platform(planned.platform) if planned.platform else self._site.request.platform
            begun = await self._site.base(planned.base, platform)
        self._state, self._image = begun.state, begun.image

    async def _triggers(self) -> None:
        """ONBUILD of the image that it stands on; the outcome does not inherit them."""
        expressions = self._state.settings.on_build
        if not expressions:
            return
        self._state = self._state.without_triggers()
        plural = "s" if len(expressions) > 1 else ""
        await self._channel.say(f"# Executing {len(expressions)} build trigger{plural}\n")
        for expression in expressions:
            one = parse_trigger(expression)
            if one.name in ("ONBUILD", "FROM", "MAINTAINER"):
                raise Malformed(f"{one.name} isn't allowed as an ONBUILD trigger")
            await self._do(one)
        await self._channel.say(f" ---> {short(self._state.id)}\n")

    # -- steps ---------------------------------------------------------------------------------------------------

    async def _do(self, one: Instruction) -> None:
        expanded = one
        if one.line or one.text == "":
            expanded = metadata.expanded(one, self._arguments.seen(self._environment))
        match one.name:
            case "ARG":
                declared = self._arguments.declare(one, self._environment)
                await self._note(one, f"ARG {' '.join(declared)}", self._state.settings)
            case "RUN":
                await self._run(expanded)
            case "COPY" | "ADD":
                await self._copy(expanded)
            case "WORKDIR":
                await self._workdir(expanded)
            case _:
                changed = metadata.apply(self._state.settings, expanded, cmd_is_own=self._cmd_is_own)
                self._cmd_is_own = self._cmd_is_own or one.name == "CMD"
                await self._note(one, shown(expanded, changed), changed)

    @property
    def _environment(self) -> Mapping[str, str]:
        return metadata.environment(self._state.settings)

    async def _note(self, one: Instruction, said: str, settings: Settings) -> None:
        """A step that only changes settings."""
        author = one.args[0] if one.name == "MAINTAINER" else ""
        created_by = f"{' '.join(metadata.shell_of(self._state.settings))} #(nop) {said}"

        async def do() -> LayerRef | None:
            return None

        await self._step(one, (one.name, said, settings.to_json()), do, created_by, settings=settings, author=author)

    async def _step(
        self,
        one: Instruction,
        parts: tuple[Any, ...],
        do: Callable[[], Awaitable[LayerRef | None]],
        created_by: str,
        *,
        settings: Settings | None = None,
        author: str = "",
        source: str = "",
    ) -> None:
        """Take the step from the cache, or do it and keep it for the next time."""
        if await self._known(parts):
            return
        before, key = self._state, key_of(self._state, *parts)
        begun_s = self._site.clock.monotonic_s()
        layer = await do()
        history = History(rfc3339_micro(self._site.clock.now_s()), created_by)
        self._state = before.after(settings or before.settings, history, layer, author=author)
        self._site.steps.add(key, before, self._state, one.text, source)
        if self._site.clock.monotonic_s() - begun_s > LONG_S:
            await self._site.cache.commit(self._site.steps)

    async def _known(self, parts: tuple[Any, ...]) -> bool:
        found = None
        if not self._site.request.no_cache:
            found = await offload(self._site.cache.find, key_of(self._state, *parts), self._site.steps)
        if found is not None:
            await self._channel.say(" ---> Using cache\n")
            self._state = found
        return found is not None

    # -- RUN -----------------------------------------------------------------------------------------------------

    async def _run(self, one: Instruction) -> None:
        site, settings = self._site, self._state.settings
        argv, script = command(one, settings)
        if one.flag("security", "sandbox") != "sandbox":
            raise Invalid(message="security.insecure is not allowed")
        if one.flag("network") == "host" and site.request.network != "host":
            raise Invalid(message="network.host is not allowed")  # who builds decides that, not who wrote the file
        keyed = self._arguments.for_key(self._environment)
        wishes = [parse_mount(text) for text in one.flags.get("mount", ())]
        text = " ".join(argv)
        created_by = text
        if keyed:
            created_by = " ".join([f"|{len(keyed)}", *(f"{name}={value}" for name, value in keyed.items()), text])
        content = [await self._mounted_content(wish.source_from, wish.source) for wish in wishes if wish.type == "bind"]
        parts = ("RUN", list(argv), script, keyed, one.flags, content)

        async def do() -> LayerRef | None:
            async with AsyncExitStack() as stack:
                self._trials += 1
                scratch = site.scratch / f"run-{self._planned.index}-{self._trials}"
                grounds = Grounds(self._root, site.mount_caches, scratch)
                mounts = await make_mounts(wishes, settings.workdir or "/", grounds, stack)
                if script:
                    mounts.append(await offload(script_mount, scratch, argv[0], script))
                given = self._arguments.for_programs(self._environment)
                program = Program(
                    argv=argv,
                    env=(*settings.env, *(f"{name}={value}" for name, value in given.items())),
                    text=text,
                    image=self._image or await site.image_of(self._state),
                    network=one.flag("network", "default"),
                    mounts=tuple(mounts),
                )
                return await site.runner.run(self._state, program, site.request, self._channel)

        await self._step(one, parts, do, created_by, source="exec")

    async def _mounted_content(self, source_from: str, path: str) -> str:
        """What the outcome depends on of a bind mount."""
        if source_from:
            return f"{(await self._source(source_from)).id} {path}"
        one = Instruction("COPY", (path or ".", "/"))
        ground = files.Ground(str(self._site.context.root), self._site.context.digests, self._scratch())
        return " ".join(piece.fingerprint for piece in await files.gather(one, ground, {}))

    async def _root(self, source_from: str, stack: AsyncExitStack) -> str:
        """See mounting.Roots."""
        if not source_from:
            return str(self._site.context.root)
        found = await self._source(source_from)
        _, fd = await stack.enter_async_context(self._site.layers.mounted(found.chain, read_only=True))
        return os.readlink(f"/proc/self/fd/{fd}")

    async def _source(self, name: str) -> State:
        """The stage or image that `--from` names."""
        index = stage_index(self._site.request.dockerfile, name, self._planned.index)
        if index is not None:
            return (await self._site.stage(index)).state
        return (await self._site.base(name, self._site.request.platform)).state

    # -- COPY, ADD, WORKDIR --------------------------------------------------------------------------------------

    async def _copy(self, one: Instruction) -> None:
        files.mode_of(one)
        variables = self._arguments.seen(self._environment)
        flags = {name: values for name, values in one.flags.items() if name != "from"}
        about = (one.name, list(one.args), flags)
        name = one.flag("from")
        if not name:
            ground = files.Ground(str(self._site.context.root), self._site.context.digests, self._scratch())
            await self._copy_from(one, ground, about, variables)
            return
        found = await self._source(name)
        quick = (*about, "of", found.id)
        if await self._known(quick):
            return
        before = self._state
        async with self._site.layers.mounted(found.chain, read_only=True) as (_, fd):
            ground = files.Ground(os.readlink(f"/proc/self/fd/{fd}"), {}, self._scratch())
            await self._copy_from(one, ground, about, variables)
        self._site.steps.add(key_of(before, *quick), before, self._state, one.text, "local")

    def _scratch(self) -> Path:
        self._trials += 1
        return self._site.scratch / f"files-{self._planned.index}-{self._trials}"

    async def _copy_from(
        self, one: Instruction, ground: files.Ground, about: tuple[Any, ...], variables: Mapping[str, str]
    ) -> None:
        pieces = await files.gather(one, ground, variables)
        content = [
            (os.fsencode(piece.found.path).hex(), piece.found.is_directory, piece.fingerprint) for piece in pieces
        ]
        created_by = f"{' '.join(metadata.shell_of(self._state.settings))} #(nop) {one.name} {summary(pieces)}"
        created_by += f" in {one.args[-1]} "
        do = partial(files.copy, one, pieces, self._state, self._site.layers)
        await self._step(one, (*about, "content", content), do, created_by, source="local")

    async def _workdir(self, one: Instruction) -> None:
        changed = metadata.apply(self._state.settings, one)
        created_by = f"{' '.join(metadata.shell_of(self._state.settings))} #(nop) WORKDIR {changed.workdir}"

        async def do() -> LayerRef | None:
            async with self._site.layers.mounted(self._state.chain) as (id, fd):
                await offload(_make_workdir, os.readlink(f"/proc/self/fd/{fd}"), changed.workdir)
                return await self._site.layers.seal(id, self._state)

        await self._step(one, ("WORKDIR", changed.workdir), do, created_by, settings=changed)


def _platform(text: str) -> Platform:
    """`linux/arm64`, or `arm64` alone.  Raises Malformed."""
    return parse_platform(text if "/" in text else f"linux/{text}")


def _make_workdir(root: str, path: str) -> None:
    try:
        make_directories(root, path)
    except OSError as error:
        raise Invalid(message=f"cannot make the working directory {path}: {error.strerror}") from error
