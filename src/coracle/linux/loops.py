"""Loop devices: files shown as block devices.

A device is found again by its file's path, so that nobody has to remember which it was.

Source: loop(4); the kernel's include/uapi/linux/loop.h.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import struct
from collections.abc import Iterator
from pathlib import Path

_CLEAR, _SET_CAPACITY, _CONFIGURE, _GET_FREE = 0x4C01, 0x4C07, 0x4C0A, 0x4C82
_CONTROL, _DEVICES = Path("/dev/loop-control"), Path("/sys/block")
_CONFIG_BYTES = 304  # struct loop_config: the file's descriptor first, zeros are the defaults
_TRIES = 16


def available() -> bool:
    """Whether this machine has loop devices."""
    return _CONTROL.exists()


def attach(file_path: Path | str) -> str:
    """The device of a file: made, or the one that is there.  Raises OSError."""
    present = find(file_path)
    if present:
        return present
    with _open(_CONTROL) as control, _open(file_path) as file:
        for _ in range(_TRIES):
            number = fcntl.ioctl(control, _GET_FREE)
            path = f"/dev/loop{number}"
            if _configured(path, file):
                return path
    raise OSError(errno.EBUSY, "no loop device is free", str(file_path))


def _configured(path: str, file: int) -> bool:
    """Whether the device is this file's now; somebody else may have been quicker."""
    try:
        with _open(path) as device:
            fcntl.ioctl(device, _CONFIGURE, struct.pack("I", file).ljust(_CONFIG_BYTES, b"\0"))
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise
        return False
    return True


def detach(file_path: Path | str) -> None:
    """Free the file's device, as soon as nobody has it open.  Idempotent.  Raises OSError."""
    device_path = find(file_path)
    if device_path:
        _clear(device_path)


def _clear(device_path: str) -> None:
    with _open(device_path) as device, contextlib.suppress(OSError):
        fcntl.ioctl(device, _CLEAR)  # ENXIO: it was free already


def detach_below(top: Path | str) -> None:
    """Free the devices of all files below a directory, there still or removed.  Raises OSError."""
    for device_path, file_path in _used():
        if file_path.startswith(f"{os.path.realpath(top)}/"):
            _clear(device_path)


def resized(file_path: Path | str) -> None:
    """Let the file's device, if it has one, be as large as the file is now.  Raises OSError."""
    device_path = find(file_path)
    if device_path:
        with _open(device_path) as device:
            fcntl.ioctl(device, _SET_CAPACITY)


def find(file_path: Path | str) -> str:
    """The device of a file; "": it has none."""
    wanted = os.path.realpath(file_path)
    return next((device_path for device_path, used in _used() if used == wanted), "")


def _used() -> Iterator[tuple[str, str]]:
    """Devices in use and their files; of one that was removed the kernel says so behind its path."""
    for path in _DEVICES.glob("loop*/loop/backing_file"):
        with contextlib.suppress(OSError):
            yield f"/dev/{path.parts[3]}", path.read_text().rstrip("\n")


@contextlib.contextmanager
def _open(path: Path | str) -> Iterator[int]:
    fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)
