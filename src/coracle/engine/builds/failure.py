"""How builds end badly."""

from __future__ import annotations

from coracle.core.errors import Invalid


class StepFailed(Invalid):
    """A program of the build ended with `code`."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message=message)
        self.code = code
