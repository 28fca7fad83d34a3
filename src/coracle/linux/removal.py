"""Removing a tree that somebody else has made, however deep it is.

Python's own way (by descriptors, following nothing) recurses, and ends where directories are nested more than a
thousand deep; coreutils' does not.
"""

from __future__ import annotations

import contextlib
import errno
import shutil
import subprocess
from pathlib import Path

_TOO_DEEP = (errno.EMFILE, errno.ENAMETOOLONG, errno.ELOOP)


def remove_tree(path: Path | str) -> None:
    """Nothing to do where nothing is.  Raises OSError."""
    try:
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(path)
        return
    except RecursionError:
        pass
    except OSError as error:
        if error.errno not in _TOO_DEEP:
            raise
    done = subprocess.run(["rm", "-rf", "--one-file-system", "--", path], capture_output=True, check=False)
    if done.returncode:
        raise OSError(errno.EIO, done.stderr.decode(errors="replace")[:300], str(path))
