"""The files of volumes: made, measured, shown in part, removed.  Everything here blocks.

What is inside a volume belongs to containers and may change at any moment: no path in it is resolved by string.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Collection, Iterator
from pathlib import Path

from coracle.core.errors import Broken, CloudError, Exhausted, Invalid, NotFound
from coracle.engine import filesystems
from coracle.linux import mounts
from coracle.linux.removal import remove_tree
from coracle.linux.rooted import open_in_root

_GONE = ".gone-"


@contextlib.contextmanager
def telling(what: str) -> Iterator[None]:
    """Turn OSError into Exhausted or Broken."""
    try:
        yield
    except OSError as error:
        raise broken(what, error) from error


def broken(what: str, error: OSError) -> CloudError:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return (Exhausted if full else Broken)(f"{what}: {error.strerror or error}")


def make(path: Path) -> None:
    """The directories of a volume; what an earlier attempt has left is used."""
    with telling(f"cannot make volume {path.name}"):
        path.parent.mkdir(mode=0o701, parents=True, exist_ok=True)
        path.mkdir(mode=0o701, exist_ok=True)
        data = path / "_data"
        with contextlib.suppress(FileExistsError):
            data.mkdir()
            data.chmod(0o755)


def remove(path: Path) -> None:
    """Everything of a volume, but nothing of what is mounted on it."""
    with telling(f"cannot remove volume {path.name}"):
        filesystems.unmount(str(path / "_data"))
        aside = path.with_name(_GONE + secrets.token_hex(8))
        with contextlib.suppress(FileNotFoundError):
            path.rename(aside)
            remove_tree(aside)


def sweep(root: Path, known: Collection[str]) -> None:
    """Remove the directories in `root` of which nobody knows the name."""
    with contextlib.suppress(FileNotFoundError):
        for entry in list(os.scandir(root)):
            if entry.name not in known:
                filesystems.unmount(f"{entry.path}/_data")
                remove_tree(entry.path)


def show(path: str, base: str, subpath: str) -> None:
    """Bind what `subpath` is inside `base` at `path`.  Raises NotFound, Invalid, Broken."""
    with contextlib.ExitStack() as stack, telling(f"cannot show {subpath or '/'}"):
        root = os.open(base, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        stack.callback(os.close, root)
        try:
            found = open_in_root(root, subpath or ".", os.O_PATH)
        except (FileNotFoundError, NotADirectoryError):
            said = f"cannot access path {base}/{subpath}: lstat {base}/{subpath}: no such file or directory"
            raise NotFound(said, kind="Subpath", name=subpath) from None
        except OSError as error:
            if error.errno not in (errno.ENAMETOOLONG, errno.ELOOP):
                raise
            raise Invalid(message=f"cannot access path {subpath[:200]}: {error.strerror}") from None
        stack.callback(os.close, found)
        show_open(path, found)


def show_open(path: str, found: int) -> None:
    """Bind what is open at `found` (O_PATH) at `path`, in place of what was shown there.  Raises Broken."""
    hide(path)
    with telling("cannot show a part of a volume"):
        _make_place(Path(path), directory=stat.S_ISDIR(os.fstat(found).st_mode))
        mounts.bind(Path(f"/proc/self/fd/{found}"), Path(path), recursive=True)


def hide(path: str) -> None:
    """Take away what `show` has put there.  Idempotent."""
    with telling("cannot take a view away"):
        mounts.unmount_all(Path(path))
        with contextlib.suppress(FileNotFoundError):
            if os.path.isdir(path):
                os.rmdir(path)
            else:
                os.unlink(path)


def _make_place(path: Path, *, directory: bool) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if directory:
        path.mkdir(exist_ok=True)
    else:
        path.touch(exist_ok=True)
