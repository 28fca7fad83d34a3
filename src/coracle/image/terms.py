"""How an image is fetched: as whom, and for which machine."""

from __future__ import annotations

from dataclasses import dataclass, field

from coracle.image.manifest import Platform


@dataclass(frozen=True, slots=True)
class Login:
    """What a user says to a registry: a password, or a token that stands for one (`identity`), or one to show as it is
    (`bearer`).  All empty: nothing."""

    username: str = ""
    password: str = field(default="", repr=False)
    identity: str = field(default="", repr=False)
    bearer: str = field(default="", repr=False)

    def __bool__(self) -> bool:
        return bool(self.username or self.identity or self.bearer)


NOBODY = Login()


@dataclass(frozen=True, slots=True)
class Terms:
    """`platform` None: this machine's."""

    login: Login = NOBODY
    platform: Platform | None = None


PLAIN = Terms()
