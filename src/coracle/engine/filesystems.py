"""File systems of volumes: what the options of a volume ask to be mounted on it.

    type=tmpfs device=tmpfs o=size=64m,uid=1000     memory
    type=none  device=/srv/data o=bind              a directory of the host
    type=ext4  device=/dev/sdb1                     a disk
    type=nfs   device=:/export o=addr=10.0.0.1      where the kernel speaks it

Source: Docker documentation, "docker volume create", driver-specific options; moby volume/local; mount(8).
"""

from __future__ import annotations

import contextlib
import errno
import socket
from collections.abc import Mapping
from pathlib import Path

from coracle.core.errors import Invalid, Malformed
from coracle.linux import mounts

_KNOWN = ("device", "o", "size", "type")
_NEEDS = {"device": ("type",), "type": ("device",), "o": ("device", "type")}

# Options of mount(8) that are flags of mount(2): name -> (set or clear, flag).
_FLAGS = {
    "ro": (True, 0x1), "rw": (False, 0x1), "nosuid": (True, 0x2), "suid": (False, 0x2), "nodev": (True, 0x4),
    "dev": (False, 0x4), "noexec": (True, 0x8), "exec": (False, 0x8), "sync": (True, 0x10), "async": (False, 0x10),
    "dirsync": (True, 0x80), "noatime": (True, 0x400), "atime": (False, 0x400), "nodiratime": (True, 0x800),
    "diratime": (False, 0x800), "bind": (True, 0x1000), "rbind": (True, 0x5000), "relatime": (True, 0x200000),
    "norelatime": (False, 0x200000), "strictatime": (True, 0x1000000), "nostrictatime": (False, 0x1000000),
    "defaults": (True, 0),
}  # fmt: skip
_BIND, _READ_ONLY, _REMOUNT = 0x1000, 0x1, 0x20


def check(options: Mapping[str, str]) -> None:
    """Raises Malformed, in Docker's words."""
    for name in options:
        if name not in _KNOWN:
            raise Malformed(f'invalid option: "{name}"')
    if options.get("size"):
        raise Malformed("quota size requested but no quota support")
    for name, needed in _NEEDS.items():
        for other in needed:
            if name in options and other not in options:
                raise Malformed(f'missing required option: "{other}"')


def mount(path: str, options: Mapping[str, str]) -> None:
    """Mount on `path` what the options say, unless something is mounted there.  Raises Invalid."""
    if mounts.is_mount_point(Path(path)):
        return
    kind, device = options["type"], options["device"]
    flags, data = _split(_with_address(kind, options.get("o", "")))
    try:
        mounts.mount(kind, Path(path), source=device, flags=flags, data=data)
        if flags & _BIND and flags & ~0x5000:  # the kernel ignores the others the first time
            mounts.mount(kind, Path(path), flags=flags | _REMOUNT)
    except OSError as error:
        why = f"{error.strerror or error}".rpartition(": ")[2].lower()
        if error.errno == errno.ENODEV:
            why = f"this kernel has no file system {kind!r}"
        said = f"failed to mount local volume: mount {device}:{path}, flags: {hex(flags)}"
        raise Invalid(message=f"{said}{f', data: {_hidden(data)}' if data else ''}: {why}") from error


def unmount(path: str) -> None:
    """Take away whatever is mounted there; nothing to do where nothing is.

    Raises: OSError where something stays mounted: what is removed next would be somebody else's.
    """
    with contextlib.suppress(FileNotFoundError):
        while mounts.is_mount_point(Path(path)):
            if not mounts.unmount(Path(path)):
                raise OSError(errno.EBUSY, f"{path} stays mounted")


def _split(text: str) -> tuple[int, str]:
    """The flags among comma-separated options, and the rest of them."""
    flags, rest = 0, []
    for word in filter(None, text.split(",")):
        if word not in _FLAGS:
            rest.append(word)
            continue
        sets, flag = _FLAGS[word]
        flags = flags | flag if sets else flags & ~flag
    return flags, ",".join(rest)


def _with_address(kind: str, text: str) -> str:
    """For file systems of other hosts: a name in `addr=` becomes an address, as mount(8) would do.  Raises Invalid."""
    if kind not in ("nfs", "nfs4", "cifs"):
        return text
    words = text.split(",")
    for i, word in enumerate(words):
        name, _, host = word.partition("=")
        if name == "addr" and host:
            try:
                found = socket.getaddrinfo(host, None, socket.AF_INET, socket.SOCK_STREAM)
            except OSError as error:
                said = f"error resolving passed in network volume address: lookup {host}: no such host"
                raise Invalid(message=said) from error
            words[i] = f"addr={found[0][4][0]}"
    return ",".join(words)


def _hidden(data: str) -> str:
    return ",".join("password=********" if word.startswith("password=") else word for word in data.split(","))
