"""What is being done, said on standard error as Compose v2 says it.

plain    a line for each change:                 Container demo-web-1  Created
tty      a block that is drawn again and again:  [+] Running 2/3, a line for each thing with its state and seconds
json     an object for each change:              {"id":"Container demo-web-1","status":"Created"}
quiet    nothing
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, Protocol, TextIO

State = Literal["working", "done", "warning", "error"]
REDRAWN_EVERY_S = 0.1
REHEARSED = "DRY-RUN MODE -  "
_SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_MARKS = {"done": ("✔", 32), "warning": ("!", 33), "error": ("✘", 31)}
_COLOURS = {"done": 32, "warning": 33, "error": 31}


@dataclass(frozen=True)
class Event:
    """`id` is what it is about (`Container demo-web-1`), `text` stands between it and its `status`."""

    id: str
    status: str
    state: State = "working"
    text: str = ""
    parent: str = ""
    """The id of the event beneath which this one is shown."""


class Progress(Protocol):
    """Somewhere to say events; `close` when the last was said."""

    def say(self, event: Event) -> None: ...

    def close(self) -> None: ...


class Quiet:
    def say(self, event: Event) -> None:
        pass

    def close(self) -> None:
        pass


class Plain:
    def __init__(self, out: TextIO) -> None:
        self._out = out

    def say(self, event: Event) -> None:
        self._out.write(f" {event.id} {event.text} {event.status}\n")
        self._out.flush()

    def close(self) -> None:
        pass


class Json:
    def __init__(self, out: TextIO) -> None:
        self._out = out

    def say(self, event: Event) -> None:
        said = {"id": event.id, "text": event.text, "status": event.status, "parent_id": event.parent}
        if event.state == "error":
            said["error"] = "true"
        self._out.write(json.dumps({key: value for key, value in said.items() if value}, separators=(",", ":")) + "\n")
        self._out.flush()

    def close(self) -> None:
        pass


@dataclass
class _Line:
    event: Event
    began_s: float
    ended_s: float | None = None


class Block:
    """The block on a terminal.  A thread draws it again, so that its spinners and seconds go on."""

    def __init__(
        self,
        out: TextIO,
        title: str,
        *,
        colours: bool = True,
        size: Callable[[], os.terminal_size] | None = None,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._out, self._title, self._colours, self._now_s = out, title, colours, now_s
        self._size = size or (lambda: _size_of(out))
        self._lines: dict[str, _Line] = {}
        self._drawn = 0
        self._lock, self._closed = threading.Lock(), threading.Event()
        self._drawer = threading.Thread(target=self._draw_again, daemon=True)
        self._drawer.start()

    def say(self, event: Event) -> None:
        with self._lock:
            now_s = self._now_s()
            line = self._lines.setdefault(event.id, _Line(event, now_s))
            line.event = event
            line.ended_s = None if event.state == "working" else line.ended_s or now_s

    def close(self) -> None:
        self._closed.set()
        self._drawer.join()
        self.draw()

    def draw(self) -> None:
        """Over what was drawn before."""
        with self._lock:
            shown = self._shown()
            if shown:
                up = f"\x1b[{self._drawn}A" if self._drawn else ""
                self._out.write(f"\x1b[?25l{up}\r\x1b[J" + "".join(f"{line}\n" for line in shown) + "\x1b[?25h")
                self._out.flush()
                self._drawn = len(shown)

    def _draw_again(self) -> None:
        while not self._closed.wait(REDRAWN_EVERY_S):
            self.draw()

    def _shown(self) -> list[str]:
        if not self._lines:
            return []
        size = self._size()
        room = max(size.lines - 2, 1)
        lines = self._ordered()
        if len(lines) > room:
            lines = [line for line in lines if not line.event.parent][-room:]
        done = sum(line.event.state == "done" for line in self._lines.values())
        head = f"[+] {self._title} {done}/{len(self._lines)}"
        width = max(len(_words(line.event)) for line in lines)
        return [
            self._coloured(head, 34) if done == len(self._lines) else head,
            *(self._text(line, width, size.columns) for line in lines),
        ]

    def _ordered(self) -> list[_Line]:
        """Each followed by those beneath it."""
        lines = list(self._lines.values())
        beneath = [line for line in lines if line.event.parent in self._lines]
        found = []
        for line in lines:
            if line not in beneath:
                found += [line, *(other for other in beneath if other.event.parent == line.event.id)]
        return found

    def _text(self, line: _Line, width: int, columns: int) -> str:
        event = line.event
        took = f"{(line.ended_s or self._now_s()) - line.began_s:.1f}s "
        mark, colour = _MARKS.get(event.state) or (self._spinner(line), 33)
        words = ("  " if event.parent else "") + _words(event).ljust(width)
        status = event.status.splitlines()[0] if event.status else ""
        status = status[: max(columns - len(words) - len(took) - 6, 8)]
        gap = " " * max(columns - len(words) - len(status) - len(took) - 5, 1)
        shown = self._coloured(status, _COLOURS.get(event.state))
        return f" {self._coloured(mark, colour)} {words} {shown}{gap}{self._coloured(took, 34)}"

    def _spinner(self, line: _Line) -> str:
        return _SPINNER[int((self._now_s() - line.began_s) / REDRAWN_EVERY_S) % len(_SPINNER)]

    def _coloured(self, text: str, colour: int | None) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if colour and self._colours and text else text


class Rehearsed:
    """Says of everything that it was not really done."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def say(self, event: Event) -> None:
        parent = event.parent and f"{REHEARSED}{event.parent}"
        self._progress.say(replace(event, id=f"{REHEARSED}{event.id}", parent=parent))

    def close(self) -> None:
        self._progress.close()


def _words(event: Event) -> str:
    return f"{event.id} {event.text}" if event.text else f"{event.id} "


def _size_of(out: TextIO) -> os.terminal_size:
    try:
        size = os.get_terminal_size(out.fileno())
    except (OSError, ValueError):
        size = os.terminal_size((0, 0))
    return size if size.columns and size.lines else os.terminal_size((80, 24))


def progress_in(mode: str, out: TextIO, title: str = "Running", *, colours: bool = True) -> Progress:
    """For a `mode` of tty, plain, json, quiet."""
    match mode:
        case "tty":
            return Block(out, title, colours=colours)
        case "json":
            return Json(out)
        case "quiet":
            return Quiet()
    return Plain(out)
