"""COPY and ADD: what they take, as what fingerprint, and the layer that comes of it.

Called by the stages.  Sources are files of the context, of a stage or an image (`--from`), here-documents, and with ADD
URLs and archives, which are unpacked.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from coracle.core.errors import Invalid, Malformed, Unsupported
from coracle.core.tasks import offload
from coracle.engine.builds import copying, sources
from coracle.engine.builds.archives import Unpacker
from coracle.engine.builds.downloads import download, is_git, is_url, url_name
from coracle.engine.builds.layers import LayerMaker
from coracle.engine.builds.packed import is_archive
from coracle.engine.builds.sources import Found
from coracle.engine.builds.state import LayerRef, State
from coracle.engine.users import find_identity
from coracle.image.dockerfile.ignore import Ignore
from coracle.image.dockerfile.lines import heredoc_word
from coracle.image.dockerfile.syntax import Instruction
from coracle.image.dockerfile.words import Lexer
from coracle.linux.rooted import open_in_root

_CHECKSUM = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Piece:
    """One thing to copy: `found` below the root of `root_path`.  `archive`: unpack it."""

    root_path: str
    found: Found
    fingerprint: str
    archive: bool = False


@dataclass(frozen=True, slots=True)
class Ground:
    """Where sources are: the root that paths mean, what is known of its content, a directory of the build's own."""

    root_path: str
    digests: Mapping[str, str]
    scratch: Path


def words(one: Instruction) -> list[str]:
    """The sources that are paths."""
    return [word for word in one.args[:-1] if not (one.heredocs and heredoc_word(word, one.escape))]


async def gather(one: Instruction, ground: Ground, variables: Mapping[str, str]) -> list[Piece]:
    """What an expanded COPY or ADD takes.  Raises Invalid, Malformed, Unsupported, Unavailable, TooLarge."""
    local = [word for word in words(one) if one.name == "COPY" or not (is_url(word) or is_git(word))]
    remote = [word for word in words(one) if word not in local]
    ground.scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
    ignore = Ignore.of(*one.flags.get("exclude", ()))
    pieces = await offload(partial(_local, one, ground, local, ignore)) if local else []
    for number, url in enumerate(remote):
        pieces.append(await _remote(one, url, ground.scratch / f"url-{number}"))
    if one.heredocs:
        pieces += await offload(_documents, one, ground.scratch / "documents", variables)
    return pieces


def _local(one: Instruction, ground: Ground, local: list[str], ignore: Ignore) -> list[Piece]:
    fd = os.open(ground.root_path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return [
            Piece(
                ground.root_path,
                found,
                sources.fingerprint(fd, found, ignore, ground.digests),
                one.name == "ADD" and not found.is_directory and _is_archive(fd, found.path),
            )
            for found in sources.find(fd, local, one.name)
        ]
    except OSError as error:
        raise Invalid(message=f"{one.name} failed: {error.strerror}") from error
    finally:
        os.close(fd)


def _is_archive(root_fd: int, path: str) -> bool:
    fd = open_in_root(root_fd, path, os.O_RDONLY | os.O_NONBLOCK)
    with open(fd, "rb") as file:
        return os.path.isfile(f"/proc/self/fd/{fd}") and is_archive(file)


async def _remote(one: Instruction, url: str, scratch: Path) -> Piece:
    if is_git(url):
        raise Unsupported(f"ADD of a git repository is not supported: {url[:200]}", status=501)
    checksum = one.flag("checksum")
    if checksum and _CHECKSUM.fullmatch(checksum.lower()) is None:
        raise Malformed(f"invalid checksum {checksum[:100]!r}: expected sha256:<64 hex digits>")
    name = url_name(url)
    await offload(partial(scratch.mkdir, mode=0o700))
    fetched = await download(url, scratch / name, checksum=checksum)
    os.chmod(fetched.path, 0o600)
    if fetched.modified_s is not None:
        os.utime(fetched.path, (fetched.modified_s, fetched.modified_s))
    return Piece(str(scratch), Found(name, is_directory=False), fetched.sha256)


def _documents(one: Instruction, scratch: Path, variables: Mapping[str, str]) -> list[Piece]:
    scratch.mkdir(mode=0o700)
    found = []
    for document in one.heredocs:
        if "/" in document.name or document.name in (".", ".."):
            raise Malformed(f"invalid name of a here-document: {document.name[:100]!r}")
        content = document.content
        if document.expand:
            content = Lexer(one.escape, plain_quotes=True).word(content, variables)
        data = content.encode("utf-8", "surrogateescape")
        path = scratch / document.name
        path.write_bytes(data)
        path.chmod(0o644)
        os.utime(path, (0, 0))
        found.append(Piece(str(scratch), Found(document.name, is_directory=False), hashlib.sha256(data).hexdigest()))
    return found


def mode_of(one: Instruction) -> int | None:
    """--chmod.  Raises Malformed."""
    text = one.flag("chmod")
    if not text:
        return None
    if re.fullmatch(r"0?[0-7]{3,4}|0", text) is None:
        raise Malformed(f"invalid chmod parameter: '{text[:40]}'. it should be octal string and between 0 and 07777")
    return int(text, 8)


async def copy(one: Instruction, pieces: list[Piece], state: State, layers: LayerMaker) -> LayerRef | None:
    """The layer of these pieces over `state`.  Raises Invalid, Exhausted."""
    async with layers.mounted(state.chain) as (id, root_fd):
        await offload(partial(_copy, one, pieces, root_fd, state.settings.workdir))
        return await layers.seal(id, state)


def _copy(one: Instruction, pieces: list[Piece], root_fd: int, workdir: str) -> None:
    dest = copying.destination(workdir, one.args[-1], several=len(pieces) > 1, command=one.name)
    manner = copying.Manner(
        owner=owner_of(root_fd, one.flag("chown")),
        mode=mode_of(one),
        ignore=Ignore.of(*one.flags.get("exclude", ())),
        parents=one.flag("parents") == "true",
    )
    for piece in pieces:
        with contextlib.ExitStack() as stack:
            fd = os.open(piece.root_path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            stack.callback(os.close, fd)
            if piece.archive:
                archive = stack.enter_context(open(open_in_root(fd, piece.found.path, os.O_RDONLY), "rb"))
                owner = manner.owner if one.flag("chown") else None
                Unpacker(root_fd, dest, owner).unpack(archive)
            else:
                copying.copy(fd, piece.found, root_fd, dest, manner)


def owner_of(root_fd: int, text: str) -> tuple[int, int]:
    """--chown: names are looked up in the image; a user alone lends its number to the group.  Raises Invalid."""
    if not text:
        return (0, 0)
    user, _, group = text.partition(":")
    rootfs = f"/proc/self/fd/{root_fd}"
    try:
        found = find_identity(rootfs, f"{user or '0'}:{group}" if group else user or "0")
    except Invalid as error:
        raise Invalid(message=f"unable to convert uid/gid chown string to host mapping: {error}") from None
    return (found.uid, found.gid if group else found.uid)
