"""The daemon: `python -m coracle.node.daemon`, started by `coracle up`.

Enters the cloud's own mount namespace before anything else (threads must not exist yet), says on `--ready-fd` when
everything is up, runs until SIGTERM or SIGINT.  Containers stay when it ends.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import json
import logging
import logging.handlers
import os
import signal
import sys
from collections.abc import Callable, Iterator
from typing import Any

from coracle.core.errors import Broken, CloudError
from coracle.node.config import Settings, register, settings_of

log = logging.getLogger("coracle")

_LOG_BYTES = 10_000_000


def main() -> int:
    gc.disable()  # until all is up: little of what a start makes is given up, and to look for it takes a sixth of it
    arguments = _arguments()
    settings = settings_of(arguments.root, arguments.name, choose=True)
    assert settings is not None  # noqa: S101 - `choose` makes one
    _start_log(settings, foreground=arguments.ready_fd is None)
    say = _speaker(arguments.ready_fd)
    try:
        with _reported(say):
            _run(settings, say)
    except CloudError as error:
        log.error("%s", error)
        return 1
    return 0


def _run(settings: Settings, say: Callable[[dict[str, Any]], None]) -> None:
    from coracle.net.holds import raise_file_limit
    from coracle.node.assemble import enter, open_store, run_cloud

    register(settings.name, settings.root, settings.chosen)
    store = open_store(settings)
    enter(settings)
    raise_file_limit()

    def up() -> None:
        gc.freeze()  # what start-up made stays; full collections need not look at it again
        gc.enable()
        log.info("ready")
        say({"ready": True})

    async def until_told() -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        await run_cloud(settings, store, up)

    with contextlib.suppress(asyncio.CancelledError):
        asyncio.run(until_told())


@contextlib.contextmanager
def _reported(say: Callable[[dict[str, Any]], None]) -> Iterator[None]:
    """Whatever ends the start is told to the one who waits; details are in the log."""
    try:
        yield
    except BaseExceptionGroup as group:
        error = _first(group)
        log.error("the daemon failed", exc_info=error)
        say({"error": str(error)})
        raise (error if isinstance(error, CloudError) else Broken(f"the daemon failed: {error}")) from group
    except Exception as error:
        log.exception("the daemon failed")
        say({"error": str(error) or type(error).__name__})
        raise Broken(str(error)) from error


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _speaker(ready_fd: int | None) -> Callable[[dict[str, Any]], None]:
    """Says one thing, once, to the process that waits for us to be ready."""
    fds = [ready_fd] if ready_fd is not None else []

    def say(what: dict[str, Any]) -> None:
        if fds:
            fd = fds.pop()
            with contextlib.suppress(BrokenPipeError):
                os.write(fd, json.dumps(what).encode())
            os.close(fd)

    return say


def _start_log(settings: Settings, *, foreground: bool) -> None:
    handler: logging.Handler
    if foreground:
        handler = logging.StreamHandler(sys.stderr)
    else:
        handler = logging.handlers.RotatingFileHandler(settings.log_path, maxBytes=_LOG_BYTES, backupCount=2)
    form = logging.Formatter("%(asctime)s.%(msecs)03d %(levelname)-7s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%S")
    handler.setFormatter(form)
    logging.basicConfig(level=os.environ.get("CORACLE_LOG", "INFO").upper(), handlers=[handler])


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="coracle-daemon")
    parser.add_argument("--root", required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--ready-fd", type=int)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
