"""RUN: one program of a build, in a container of its own, over a snapshot that becomes the next layer.

Called by the stages; calls containers and sandboxes.  The container is one of the engine's, to be seen by everybody
while it runs; whatever way the step ends, nothing of it is left.
"""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import os
import secrets
import stat
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from coracle.core.errors import CloudError, Invalid, Malformed
from coracle.core.object import Object
from coracle.core.tasks import offload
from coracle.engine.builds.failure import CannotStart, StepFailed
from coracle.engine.builds.layers import LayerMaker
from coracle.engine.builds.request import BuildRequest
from coracle.engine.builds.state import LayerRef, State, short
from coracle.engine.builds.transcript import Channel
from coracle.engine.containers import Containers, ContainerSpec
from coracle.engine.kinds.sandbox import DnsConfig, Endpoint, SandboxSpec
from coracle.engine.sandboxes import Sandboxes
from coracle.linux.rooted import open_in_root
from coracle.runtime.api import Mount, Streams

RED, PLAIN = "\x1b[91m", "\x1b[0m"
# What the runtime needs a place for in every root file system.
_PLACES = ("/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/proc", "/sys", "/dev")


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What to run: `text` is how messages name it; `image` is there until the step has ended."""

    argv: tuple[str, ...]
    env: tuple[str, ...]
    text: str
    image: str
    network: str
    mounts: tuple[Mount, ...] = ()


class Runner:
    def __init__(self, containers: Containers, sandboxes: Sandboxes, layers: LayerMaker) -> None:
        self._containers, self._sandboxes, self._layers = containers, sandboxes, layers

    async def run(self, state: State, program: Program, request: BuildRequest, channel: Channel) -> LayerRef | None:
        """The layer of what the program changed, if anything.

        Raises: StepFailed (its exit code), and what the engine raises where it cannot even start.
        """
        record = await self._containers.create(_spec(state, program, request))
        id = record.meta.name
        keeps = False
        try:
            await channel.say(f" ---> Running in {short(id)}\n")
            async with asyncio.TaskGroup() as group:
                looking = group.create_task(self._prepare(id, state, program))
                group.create_task(self._sandboxes.ensure(_sandbox(id, request, program)))
            keeps = request.keep_failed
            await self._follow(record, program, channel)
            keeps = False
            if missing := looking.result():
                await offload(_remove_stubs, await self._layers.prepare(id, state.chain), missing)
            layer = await self._layers.seal(id, state)
        finally:
            await self._clean(id, keeps=keeps)
        await channel.say(f" ---> Removed intermediate container {short(id)}\n")
        return layer

    async def _prepare(self, id: str, state: State, program: Program) -> list[str]:
        """Make its snapshot; what is missing there of what the runtime mounts on."""
        root = await self._layers.prepare(id, state.chain)
        return await offload(_missing, root, [*_PLACES, *(mount.target for mount in program.mounts)])

    async def _follow(self, record: Object, program: Program, channel: Channel) -> None:
        id = record.meta.name
        with self._containers.attaching(id) as attachment:
            await self._begin(id)
            await _say_all(await attachment.streams(), channel)
        ended = await self._containers.wait_exit(id)
        await self._containers.stop(id, 0)  # until everything that it had in the kernel is gone
        code = int(ended.status["exit_code"])
        if code:
            raise StepFailed(f"The command '{program.text}' returned a non-zero code: {code}", code)

    async def _begin(self, id: str) -> None:
        try:
            await self._containers.start(id)
        except (Invalid, Malformed) as error:
            raise CannotStart(str(error), self._containers.get(id)) from error

    async def _clean(self, id: str, *, keeps: bool) -> None:
        if keeps:
            await self._containers.stop(id, 0)
        else:
            await self._containers.remove(id, force=True)
        with contextlib.suppress(CloudError):
            await self._sandboxes.remove(id)


def _spec(state: State, program: Program, request: BuildRequest) -> ContainerSpec:
    spec = ContainerSpec(
        name=f"build_{secrets.token_hex(6)}",
        image=program.image,
        argv=program.argv,
        env=program.env,
        workdir=state.settings.workdir or "/",
        user=state.settings.user or "0",
        mounts=program.mounts,
        resources=request.resources,
        rlimits=request.rlimits,
        keeps_log=False,
        made_by="docker",
        owner="build",
    )
    return replace(spec, details=request.describe(spec))


def _sandbox(id: str, request: BuildRequest, program: Program) -> SandboxSpec:
    mode = request.network if program.network == "default" else program.network
    plugged = () if mode in ("host", "none") else (Endpoint(network=mode),)
    return SandboxSpec(
        name=id,
        endpoints=plugged,
        host_network=mode == "host",
        owner="build",
        dns=DnsConfig(embedded=bool(plugged)),
        hosts=request.hosts,
        shm_bytes=request.shm_bytes,
    )


async def _say_all(streams: Streams, channel: Channel) -> None:
    decoders = {fd: codecs.getincrementaldecoder("utf-8")("replace") for fd in (1, 2)}
    async for fd, data in streams:
        await _say(channel, fd, decoders[fd].decode(data))
    await _say(channel, 1, decoders[1].decode(b"", final=True))
    await _say(channel, 2, decoders[2].decode(b"", final=True))


async def _say(channel: Channel, fd: Literal[1, 2], text: str) -> None:
    if text:
        await channel.say(text if fd == 1 else f"{RED}{text}{PLAIN}")


def _missing(root: str, places: Sequence[str]) -> list[str]:
    """Which of these paths, and of the directories above them, are not there: outer ones first."""
    fd = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        found = []
        for place in places:
            parts = place.strip("/").split("/")
            for i in range(len(parts)):
                path = "/".join(parts[: i + 1])
                if not _exists(fd, path):
                    found.append(path)
        return list(dict.fromkeys(found))
    finally:
        os.close(fd)


def _exists(root_fd: int, path: str) -> bool:
    try:
        os.close(open_in_root(root_fd, path, os.O_PATH | os.O_NOFOLLOW))
    except OSError:
        return False
    return True


def _remove_stubs(root: str, missing: Sequence[str]) -> None:
    """What the runtime has made to mount on, where the program has left it empty."""
    fd = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for path in reversed(missing):
            folder, _, name = path.rpartition("/")
            with contextlib.suppress(OSError):
                parent = open_in_root(fd, folder or ".", os.O_RDONLY | os.O_DIRECTORY)
                try:
                    _remove_empty(parent, name)
                finally:
                    os.close(parent)
    finally:
        os.close(fd)


def _remove_empty(parent: int, name: str) -> None:
    found = os.stat(name, dir_fd=parent, follow_symlinks=False)
    if stat.S_ISDIR(found.st_mode):
        os.rmdir(name, dir_fd=parent)
    elif stat.S_ISREG(found.st_mode) and found.st_size == 0:
        os.unlink(name, dir_fd=parent)


__all__ = ["Program", "Runner"]
