"""Progress in its four forms."""

import io
import os
import re

import pytest

from coracle.cli.compose.progress import Block, Event, progress_in

STEPS = [
    Event("Network demo_default", "Creating"),
    Event("Network demo_default", "Created", "done"),
    Event("Container demo-web-1", "Error", "error", "half"),
]


def said(mode):
    out = io.StringIO()
    progress = progress_in(mode, out)
    for step in STEPS:
        progress.say(step)
    progress.close()
    return out.getvalue()


@pytest.mark.parametrize(
    ("mode", "lines"),
    [
        (
            "plain",
            [" Network demo_default  Creating", " Network demo_default  Created", " Container demo-web-1 half Error"],
        ),
        (
            "json",
            [
                '{"id":"Network demo_default","status":"Creating"}',
                '{"id":"Network demo_default","status":"Created"}',
                '{"id":"Container demo-web-1","text":"half","status":"Error","error":"true"}',
            ],
        ),
        ("quiet", []),
    ],
)
def test_lines(mode, lines):
    assert said(mode).splitlines() == lines


class Screen:
    """What a terminal of some size shows of what is written to it: enough of it for a block."""

    def __init__(self, columns=60, lines=24):
        self.out = io.StringIO()
        self.out.isatty = lambda: True
        self.size = os.terminal_size((columns, lines))
        self.now_s = 10.0

    def block(self, **options):
        block = Block(self.out, "Running", size=lambda: self.size, now_s=lambda: self.now_s, **options)
        block._closed.set()  # nothing is drawn but when the test says so
        return block

    @property
    def rows(self):
        rows, at = [""], 0
        for token in re.findall(r"\x1b\[[?\d;]*[A-Za-z]|\n|\r|[^\x1b\n\r]+", self.out.getvalue()):
            if move := re.fullmatch(r"\x1b\[(\d+)A", token):
                at -= int(move[1])
            elif token == "\x1b[J":
                rows = [*rows[:at], ""]
            elif token == "\n":
                at += 1
                rows += [""] * (at + 1 - len(rows))
            elif not token.startswith(("\x1b", "\r")):
                rows[at] += token
        return [row.rstrip() for row in rows if row]


def test_a_block_is_drawn_over_itself():
    screen = Screen()
    block = screen.block()
    for step in STEPS[:2]:
        block.say(step)
        block.draw()
    block.say(Event("Container demo-web-1", "Starting"))
    screen.now_s += 1.25
    block.draw()
    assert [row.split() for row in screen.rows] == [
        ["[+]", "Running", "1/2"],
        ["✔", "Network", "demo_default", "Created", "0.0s"],
        ["⠹", "Container", "demo-web-1", "Starting", "1.2s"],
    ]
    assert len(screen.rows[1]) == len(screen.rows[2]) > 50
    block.say(Event("Container demo-web-1", "Started", "done"))
    screen.now_s += 5
    block.close()
    assert screen.rows[0] == "[+] Running 2/2"
    assert screen.rows[2].split() == ["✔", "Container", "demo-web-1", "Started", "1.2s"]


def test_a_thing_stands_beneath_what_it_is_part_of():
    screen = Screen()
    block = screen.block()
    for step in (
        Event("web", "", text="Pulling"),
        Event("db", "", text="Pulling"),
        Event("5d1b", "Waiting", parent="web"),
    ):
        block.say(step)
    block.close()
    assert [row.split()[1] for row in screen.rows[1:]] == ["web", "5d1b", "db"]


def test_no_line_is_wider_than_the_terminal_nor_the_block_higher():
    screen = Screen(columns=50, lines=8)
    block = screen.block(colours=False)
    for number in range(30):
        block.say(Event(f"Container demo-{number}", "Error " + "x" * 100, "error"))
        block.draw()
    block.close()
    assert len(screen.rows) == 7
    assert max(map(len, screen.rows)) <= 50
    assert screen.rows[0] == "[+] Running 0/30"
    assert "m" not in {code[-1] for code in re.findall(r"\x1b\[[?\d]*[A-Za-z]", screen.out.getvalue())}


def test_colours_say_how_it_went():
    screen = Screen()
    block = screen.block()
    block.say(Event("a", "Started", "done"))
    block.say(Event("b", "Error", "error"))
    block.close()
    assert "\x1b[32mStarted\x1b[0m" in screen.out.getvalue()
    assert "\x1b[31m✘\x1b[0m" in screen.out.getvalue()
