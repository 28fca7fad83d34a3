"""A failure of a command: what is said on standard error, and the exit code.

1 failed    2 usage (click's)    3 not running    4 took too long
"""

from __future__ import annotations

import click


class Failure(click.ClickException):
    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code  # type: ignore[misc]  # click reads it from the instance too

    def show(self, file: object = None) -> None:
        click.echo(f"coracle: {self.format_message()}", err=True)
