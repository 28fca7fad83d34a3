"""Which cloud a command is about: `--root` and `--name`, before or after the command's own name."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from typing import Any

import click

from coracle.cli.failure import Failure
from coracle.core.errors import CloudError, Timeout
from coracle.node.config import Settings, settings_of


def cloud_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--root` and `--name` of a command; the command gets a Settings, or None where the cloud was never up."""

    @click.option("--root", metavar="DIR", help="Where the cloud keeps everything.  [default: /var/lib/coracle]")
    @click.option("--name", metavar="NAME", help="Which cloud, where several live side by side.")
    @functools.wraps(command)
    def with_cloud(root: str | None, name: str | None, **options: Any) -> Any:
        outer = click.get_current_context().find_root().params
        try:
            choose = command.__name__ == "up" and os.geteuid() == 0
            cloud = settings_of(root or outer.get("root"), name or outer.get("name"), choose=choose)
            return command(cloud, **options)
        except Timeout as error:
            raise Failure(str(error), 4) from error
        except CloudError as error:
            raise Failure(str(error)) from error

    return with_cloud


def known(cloud: Settings | None) -> Settings:
    if cloud is None:
        raise Failure("there is no such cloud yet; make it with: sudo coracle up", 3)
    return cloud


def chosen() -> Settings:
    """The cloud that the running command is about, by the options before its name.  Raises Failure."""
    options = click.get_current_context().find_root().params
    try:
        return known(settings_of(options.get("root"), options.get("name")))
    except CloudError as error:
        raise Failure(str(error)) from error


def need_root(what: str) -> None:
    if os.geteuid() != 0:
        raise Failure(
            f"{what} needs root (namespaces, mounts, nftables); try: sudo {' '.join(['coracle', *sys.argv[1:]])}"
        )
