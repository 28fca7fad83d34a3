"""Who a program runs as: `user`, `uid:gid` and group names, looked up in the image's own files.

The runtime is only ever told numbers (crun CVE-2026-30892), none above 2^31 - 1 (containerd CVE-2024-40635), and the
files are read as what they are, somebody else's: no links, no FIFOs, no more than a mebibyte (podman CVE-2024-9676).

    user          uid             gid                       more groups
    ""            0               of uid 0 in passwd, or 0  that root is a member of
    "1000"        1000            of uid 1000, or 0         that its name is a member of
    "1000:50"     1000            50                        none
    "web"         by name         its own                   that it is a member of
    "web:video"   by name         by name                   none

Source: Docker's `--user`; docker.md 6.1 and 6.2.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from coracle.core.errors import Invalid
from coracle.linux.rooted import read_in_root

Memberships = Literal["", "all", "none"]

_LARGEST = (1 << 31) - 1
_FILE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Identity:
    """Numbers for the runtime.  `home` "" where passwd does not say."""

    uid: int = 0
    gid: int = 0
    groups: tuple[int, ...] = ()
    home: str = ""


@dataclass(frozen=True, slots=True)
class Account:
    """A line of /etc/passwd."""

    name: str
    uid: int
    gid: int
    home: str


@dataclass(frozen=True, slots=True)
class Group:
    """A line of /etc/group."""

    name: str
    gid: int
    members: tuple[str, ...]


def find_identity(rootfs: str, user: str, groups: Sequence[str] = (), memberships: Memberships = "") -> Identity:
    """Whom `user` means in the root file system at `rootfs`.  Blocks: reads two small files.

    `memberships` in /etc/group count where no group is given (""), in any case ("all"), or not at all ("none").

    Raises: Invalid (no such name, a number out of range, a file too large).
    """
    accounts, known = _accounts(_text(rootfs, "/etc/passwd")), _groups(_text(rootfs, "/etc/group"))
    return resolve(user, groups, accounts, known, memberships)


def resolve(
    user: str,
    groups: Sequence[str],
    accounts: Sequence[Account],
    known: Sequence[Group],
    memberships: Memberships = "",
) -> Identity:
    """The same, of what the files say; pure."""
    who, colon, group = user.partition(":")
    account, uid = _account(who, accounts)
    more = [_gid(one, known) for one in groups]
    own_gid = account.gid if account else 0
    gid = _gid(group, known) if colon and group else own_gid
    if memberships == "all" or (not memberships and not group):
        more = [*(one.gid for one in known if account and account.name in one.members), *more]
    home = account.home if account else ""
    return Identity(uid, gid, tuple(dict.fromkeys((gid, *more))), home)


def _account(who: str, accounts: Sequence[Account]) -> tuple[Account | None, int]:
    number = _number(who or "0", "user")
    found = (one for one in accounts if (one.uid == number if number is not None else one.name == who))
    account = next(found, None)
    if number is None and account is None:
        raise Invalid(message=f"unable to find user {who}: no matching entries in passwd file")
    return account, number if number is not None else account.uid if account else 0


def _gid(group: str, known: Sequence[Group]) -> int:
    number = _number(group, "group")
    if number is not None:
        return number
    for one in known:
        if one.name == group:
            return one.gid
    raise Invalid(message=f"unable to find group {group}: no matching entries in group file")


def _number(text: str, what: str) -> int | None:
    """The number that `text` is; None where it is a name."""
    if not text.lstrip("-+").isdecimal() or not text.isascii():
        return None
    if not text.isdecimal() or len(text) > 10 or int(text) > _LARGEST:
        raise Invalid(message=f"{what} {text[:40]} is out of range: must be between 0 and {_LARGEST}")
    return int(text)


def _text(rootfs: str, path: str) -> str:
    try:
        data = read_in_root(rootfs, path, _FILE_BYTES)
    except OSError as error:
        if error.errno == errno.EFBIG:
            raise Invalid(message=f"the image's {path} is larger than {_FILE_BYTES} bytes") from error
        raise
    return (data or b"").decode(errors="replace")


def _accounts(text: str) -> list[Account]:
    found = []
    for name, _password, uid, gid, _gecos, home, *_shell in _lines(text, 6):
        if _is_id(uid) and _is_id(gid):
            found.append(Account(name, int(uid), int(gid), home))
    return found


def _groups(text: str) -> list[Group]:
    return [
        Group(name, int(gid), tuple(part for part in members.split(",") if part))
        for name, _password, gid, members, *_more in _lines(text, 4)
        if _is_id(gid)
    ]


def _lines(text: str, parts: int) -> Iterable[list[str]]:
    for line in text.splitlines():
        fields = line.strip().split(":")
        if len(fields) >= parts and not line.startswith("#"):
            yield fields


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 10 and int(text) <= _LARGEST
