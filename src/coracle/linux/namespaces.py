"""A cloud's home: a mount namespace of its own, held by a pin, where its mounts live and nobody else's are disturbed.

    enter_home   the daemon, at its start, joins the home that is pinned there, or makes and pins one
    release_home from outside: take the pin away; the home and all its mounts vanish with its last process

Two reasons for it.  What we mount (overlays, volumes, network namespaces) must never be seen by the host's other
programs, nor stay when the cloud is gone; and a daemon restarted after `kill -9` must find its mounts again, which the
pin does.  Mounts made on the host later still arrive (the home is a slave of it), ours never go there.

On a host with hybrid cgroups the home shows /sys/fs/cgroup without `unified`: Debian's crun 1.8.1 refuses a version 2
hierarchy that holds a controller beside version 1 ones.  Merely unmounting that one is not enough: the directory under
it stays, and crun would make its groups there as plain directories, on a file system that the host shares.

Source: mount_namespaces(7), setns(2), pivot_root(2), open_tree(2); crun 1.8.1, cgroup.c `libcrun_cgroup_enter`.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from coracle.linux import cgroups, mounts
from coracle.linux.libc import checked, libc, syscall

PIN = "mnt"

_NSFS_MAGIC = 0x6E736673
_MS_SLAVE = 1 << 19
_OPEN_TREE, _MOVE_MOUNT = 428, 429  # the same on every architecture
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
_AT_EMPTY_PATH, _AT_RECURSIVE = 0x1000, 0x8000
_OPEN_TREE_CLONE, _OPEN_TREE_CLOEXEC = 1, os.O_CLOEXEC
_F_EMPTY_PATH, _T_EMPTY_PATH = 4, 0x40
_QUIET = mounts.MS_NOSUID | mounts.MS_NODEV | mounts.MS_NOEXEC


def enter_home(directory: Path) -> bool:
    """Move this process into the mount namespace pinned at `directory`/mnt; make and pin one where there is none.

    Call once, before threads exist (the kernel refuses otherwise) and with a lock held that keeps a second daemon of
    the same cloud away.  The root stays what it was, also inside a chroot; the working directory becomes it.
    Returns whether it was there already.
    Raises: OSError.
    """
    pin = directory / PIN
    there = is_pinned(pin)
    if not there:
        _make_home(pin)
    with _opened(pin) as namespace:
        join(namespace)
    os.chdir("/")
    return there


def release_home(directory: Path) -> None:
    """Take the pin at `directory`/mnt away.  For a process of the host's namespace; idempotent."""
    pin = directory / PIN
    mounts.unmount_all(pin)
    pin.unlink(missing_ok=True)


def is_pinned(pin: Path) -> bool:
    """Whether a namespace is held at `pin`."""
    return cgroups.filesystem_magic(pin) == _NSFS_MAGIC


def join(namespace: int) -> None:
    """Enter the mount namespace of a descriptor; root and working directory become its own.  Raises OSError."""
    checked(libc.setns(namespace, mounts.CLONE_NEWNS), "setns")


def _make_home(pin: Path) -> None:
    """Make a namespace, furnish it, and pin it from outside (the kernel forbids to pin it from within).

    To keep pins from forming loops the kernel pins only what has a higher number than the namespace that holds the pin.
    Newer kernels hand out these numbers in batches per processor, so that a younger namespace may have the lower one;
    on the processor where the outer one was made the next is higher for certain, and so each is tried.
    """
    _make_private_file(pin)
    allowed = os.sched_getaffinity(0)
    try:
        for processors in (allowed, *({number} for number in allowed)):
            os.sched_setaffinity(0, processors)
            if _pin_new(pin):
                return
        raise OSError(errno.EINVAL, f"no namespace made here can be pinned at {pin}")
    except OSError:
        release_home(pin.parent)
        raise
    finally:
        os.sched_setaffinity(0, allowed)


def _pin_new(pin: Path) -> bool:
    """Make and pin a namespace; we are outside again after it.  False where its number was too low."""
    with _opened("/proc/self/ns/mnt") as outside, _opened("/", os.O_PATH) as root:
        mounts.unshare(mounts.CLONE_NEWNS)
        try:
            with _opened("/proc/self/ns/mnt") as inside:
                _furnish(inside)
                _leave_to(outside, root)
                mounts.mount("none", pin, source=f"/proc/self/fd/{inside}", flags=mounts.MS_BIND)
        except OSError as error:
            if error.errno == errno.EINVAL and not is_pinned(pin):
                return False
            raise
        finally:
            _leave_to(outside, root)
    return True


def _make_private_file(pin: Path) -> None:
    """A file bound on itself: a private mount of ours to pin on, since a pin may not propagate into what it pins."""
    pin.parent.mkdir(parents=True, exist_ok=True)
    mounts.unmount_all(pin)  # what a start that failed has left
    pin.touch(mode=0o600)
    mounts.bind(pin, pin)
    mounts.mount("none", pin, flags=mounts.MS_PRIVATE)


def _furnish(inside: int) -> None:
    """In the new namespace: let nothing of ours out, make a chroot the root, mend hybrid cgroups."""
    with _opened("/", os.O_PATH) as root:
        join(inside)  # leads to the namespace's true root, which a chroot is not: only there can all be made slaves
        mounts.mount("none", Path("/"), flags=mounts.MS_REC | _MS_SLAVE)
        if not os.path.samestat(os.fstat(root), os.stat("/")):
            _pivot_to(root)
    if cgroups.layout() == "hybrid":
        _show_version1_only(cgroups.ROOT)


def _show_version1_only(top: Path) -> None:
    """Cover the directory of the hierarchies by one that has all of them but `unified`."""
    with contextlib.ExitStack() as stack:
        links = {entry.name: os.readlink(entry) for entry in os.scandir(top) if entry.is_symlink()}
        names = sorted(set(os.listdir(top)) - links.keys() - {cgroups.UNIFIED})
        hierarchies = {name: stack.enter_context(_opened(top / name, os.O_PATH)) for name in names}
        mounts.mount("tmpfs", top, source="none", flags=_QUIET, data="size=64k,mode=755")
        for name, hierarchy in hierarchies.items():
            (top / name).mkdir()
            mounts.mount("none", top / name, source=f"/proc/self/fd/{hierarchy}", flags=mounts.MS_BIND)
        for name, target in links.items():
            (top / name).symlink_to(target)
        mounts.mount("none", top, flags=mounts.MS_REMOUNT | mounts.MS_RDONLY | _QUIET)


def _pivot_to(root: int) -> None:
    """Make the directory `root`, with the mounts below it, the root of this namespace: setns will lead there.

    Played out: clone the tree at `root`, attach the clone on the same spot, enter it, swap it with the old root, which
    thereby lies on the same spot ("." twice, as runc does), and let that go.
    """
    flags = _AT_EMPTY_PATH | _AT_RECURSIVE | _OPEN_TREE_CLONE | _OPEN_TREE_CLOEXEC
    tree = syscall("open_tree", _OPEN_TREE, root, b"", flags)
    try:
        syscall("move_mount", _MOVE_MOUNT, tree, b"", root, b"", _F_EMPTY_PATH | _T_EMPTY_PATH)
        os.fchdir(tree)
        syscall("pivot_root", _PIVOT_ROOT[os.uname().machine], b".", b".")
        checked(libc.umount2(b".", mounts.MNT_DETACH), "umount the old root")
        os.chdir("/")
    finally:
        os.close(tree)


def _leave_to(namespace: int, root: int) -> None:
    """Enter `namespace` with the root one had there."""
    join(namespace)
    os.fchdir(root)
    os.chroot(".")


@contextlib.contextmanager
def _opened(path: Path | str, flags: int = os.O_RDONLY) -> Iterator[int]:
    fd = os.open(path, flags | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)
