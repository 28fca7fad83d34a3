"""How builds end badly."""

from __future__ import annotations

from coracle.core.errors import Invalid
from coracle.core.object import Object


class StepFailed(Invalid):
    """A program of the build ended with `code`."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message=message)
        self.code = code


class CannotStart(Invalid):
    """The engine could not start a program; the message is what the runtime said, `record` its container's."""

    def __init__(self, message: str, record: Object) -> None:
        super().__init__(message=message)
        self.record = record
