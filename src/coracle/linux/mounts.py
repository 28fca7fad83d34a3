"""Mounts by system call: overlays through the file system context calls, binds, and a namespace of one's own.

The context calls (fsopen, fsconfig, fsmount, move_mount) take one lower layer at a time, so that a hundred fit, where
mount(2) has one page for all its options.  Kernels before 6.7 know no `lowerdir+`; there mount(2) is used with layers
named `/proc/self/fd/N`, which fits about two hundred.  All calls block for well under a millisecond.

Source: fsopen(2), fsconfig(2), move_mount(2), mount(2); the kernel's Documentation/filesystems/overlayfs.rst.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from coracle.linux.libc import checked, libc, syscall

# Numbers of the newer calls are the same on every architecture.
_MOVE_MOUNT, _FSOPEN, _FSCONFIG, _FSMOUNT = 429, 430, 431, 432
_FSOPEN_CLOEXEC = _FSMOUNT_CLOEXEC = 1
_SET_FLAG, _SET_STRING, _CREATE = 0, 1, 6
_MOVE_EMPTY_PATH = 4
_ATTR_RDONLY = 1
_VALUE_BYTES = 255  # longest text that fsconfig takes

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE, MS_SHARED = 32, 4096, 16384, 1 << 18, 1 << 20
MNT_DETACH, UMOUNT_NOFOLLOW = 2, 8
CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWPID = 0x20000, 0x4000000, 0x8000000, 0x20000000


def overlay(
    target: Path,
    lower: Sequence[Path],
    *,
    upper: Path,
    work: Path,
    options: Mapping[str, str | None] | None = None,
    read_only: bool = False,
) -> None:
    """Mount on `target` the layers `lower`, the topmost first, under the writable `upper`.

    Shape:  `upper` and `work` are on one file system, `work` empty; `options` maps names to values, None for flags.
    Raises: OSError, with the kernel's own words in it where it has any.
    """
    given = {**(options or {})}
    with contextlib.ExitStack() as stack:
        context = syscall("fsopen", _FSOPEN, b"overlay", _FSOPEN_CLOEXEC)
        stack.callback(os.close, context)
        try:
            for layer in lower:
                _configure(context, "lowerdir+", _short(layer, stack))
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            _overlay_in_one_page(target, lower, upper, work, given, read_only=read_only)
            return
        for name, path in (("upperdir", upper), ("workdir", work)):
            _configure(context, name, _short(path, stack))
        for name, value in given.items():
            _configure(context, name, value)
        _create(context)
        mount = syscall("fsmount", _FSMOUNT, context, _FSMOUNT_CLOEXEC, _ATTR_RDONLY if read_only else 0)
        stack.callback(os.close, mount)
        syscall("move_mount", _MOVE_MOUNT, mount, b"", -100, os.fsencode(target), _MOVE_EMPTY_PATH)


def bind(source: Path, target: Path, *, recursive: bool = False) -> None:
    """Show `source` at `target` too.  Raises OSError."""
    mount("none", target, source=source, flags=MS_BIND | (MS_REC if recursive else 0))


def mount(kind: str, target: Path, *, source: Path | str = "none", flags: int = 0, data: str = "") -> None:
    """mount(2).  Raises OSError."""
    result = libc.mount(
        os.fsencode(source), os.fsencode(target), kind.encode(), ctypes.c_ulong(flags), data.encode() or None
    )
    checked(result, f"mount {kind} on {target}")


def unmount(target: Path) -> bool:
    """Take away the topmost mount at `target`, even if in use; False where nothing was mounted.  Raises OSError."""
    if libc.umount2(os.fsencode(target), MNT_DETACH | UMOUNT_NOFOLLOW) == 0:
        return True
    found = ctypes.get_errno()
    if found in (errno.EINVAL, errno.ENOENT):
        return False
    raise OSError(found, f"unmount {target}: {os.strerror(found)}")


def unmount_all(target: Path) -> None:
    """Take away everything that is mounted at `target`, also twice and even if in use.  Idempotent.  Raises OSError."""
    while unmount(target):
        pass


def is_mount_point(path: Path) -> bool:
    """Whether something is mounted at `path`, also a directory of the same file system.  Raises OSError."""
    return _mount_id(path) != _mount_id(path.parent)


def any_below(path: Path) -> bool:
    """Whether something is mounted in the directory or deeper.  Raises OSError."""
    top = os.fsencode(os.path.realpath(path)).rstrip(b"/") + b"/"
    lines = Path("/proc/thread-self/mountinfo").read_bytes().splitlines()
    points = (_plain(line.split(b" ", 5)[4]) for line in lines)
    return any(point.startswith(top) and point != top for point in points)


def _plain(point: bytes) -> bytes:
    """A path without the kernel's escapes: a blank is written as a backslash and 040."""
    return re.sub(rb"\\([0-7]{3})", lambda found: bytes([int(found[1], 8)]), point)


def _mount_id(path: Path) -> str:
    fd = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        lines = Path(f"/proc/self/fdinfo/{fd}").read_text().splitlines()
        return next(line for line in lines if line.startswith("mnt_id:"))
    finally:
        os.close(fd)


def unshare(flags: int) -> None:
    """unshare(2).  Raises OSError."""
    checked(libc.unshare(flags), "unshare")


def own_namespace(flags: int = 0) -> None:
    """Give this process (of one thread) a mount namespace whose mounts nobody else sees, and others by `flags`.

    Works inside a bare chroot too, whose root is no mount point and so cannot be made private by path: entering one's
    own namespace anew leads to its true root, where that is possible; then back.
    Raises: OSError.
    """
    unshare(CLONE_NEWNS | flags)
    root, here = os.open("/", os.O_PATH | os.O_CLOEXEC), os.open(".", os.O_PATH | os.O_CLOEXEC)
    namespace = os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    try:
        checked(libc.setns(namespace, CLONE_NEWNS), "setns")
        mount("none", Path("/"), flags=MS_REC | MS_PRIVATE)
        os.fchdir(root)
        os.chroot(".")
        os.fchdir(here)
    finally:
        for fd in (root, here, namespace):
            os.close(fd)


def end_with_parent() -> None:
    """Ask for SIGKILL when the thread that started this process ends."""
    checked(libc.prctl(1, 9, 0, 0, 0), "prctl")


def sync_file_system(path: Path) -> None:
    """Write out everything dirty on the file system of `path`.  Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        checked(libc.syncfs(fd), "syncfs")
    finally:
        os.close(fd)


def _overlay_in_one_page(
    target: Path,
    lower: Sequence[Path],
    upper: Path,
    work: Path,
    options: Mapping[str, str | None],
    *,
    read_only: bool,
) -> None:
    """The same with mount(2)."""
    with contextlib.ExitStack() as stack:
        paths = [_fd_path(path, stack) for path in (*lower, upper, work)]
        words = [f"lowerdir={':'.join(paths[:-2])}", f"upperdir={paths[-2]}", f"workdir={paths[-1]}"]
        words += [name if value is None else f"{name}={value}" for name, value in options.items()]
        mount("overlay", target, source="overlay", flags=MS_RDONLY if read_only else 0, data=",".join(words))


def _short(path: Path, stack: contextlib.ExitStack) -> str:
    """`path`, or a name for it that fsconfig finds short enough, good while `stack` is open."""
    text = str(path)
    return text if len(os.fsencode(text)) <= _VALUE_BYTES else _fd_path(path, stack)


def _fd_path(path: Path, stack: contextlib.ExitStack) -> str:
    fd = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    stack.callback(os.close, fd)
    return f"/proc/self/fd/{fd}"


def _configure(context: int, name: str, value: str | None) -> None:
    if value is None:
        syscall(name, _FSCONFIG, context, _SET_FLAG, name.encode(), None, 0)
    else:
        syscall(f"{name}={value}", _FSCONFIG, context, _SET_STRING, name.encode(), os.fsencode(value), 0)


def _create(context: int) -> None:
    try:
        syscall("overlay", _FSCONFIG, context, _CREATE, None, None, 0)
    except OSError as error:
        raise OSError(error.errno, f"{error.strerror}: {_log(context)}") from None


def _log(context: int) -> str:
    """What the kernel has to say about a context: lines like `e overlay: ...`."""
    lines: list[str] = []
    with contextlib.suppress(OSError):
        while True:
            lines.append(os.read(context, 4096).decode(errors="replace").strip())
    return "; ".join(lines) or "no details"
