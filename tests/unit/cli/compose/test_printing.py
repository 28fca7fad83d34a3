"""Lines of many containers behind their names."""

import io

import pytest

from coracle.cli.compose.printing import COLOURS, Printer


def printed(names, **options):
    out, err = io.BytesIO(), io.BytesIO()
    printer = Printer(out=out, err=err, **options)
    for name in names:
        printer.register(name)
    return printer, out, err


def test_names_are_padded_to_the_longest_even_of_those_that_come_later():
    printer, out, _ = printed(["a-1", "longer-1"], colour=False)
    printer.line("a-1", b"x")
    printer.register("the-longest-1")
    printer.line("a-1", b"y")
    assert out.getvalue() == b"a-1       | x\na-1            | y\n"


def test_each_name_has_a_colour_of_its_own_and_keeps_it():
    printer, out, _ = printed(["a", "b", "a"], colour=True)
    printer.line("b", b"x")
    printer.status("a", "exited with code 3")
    assert out.getvalue() == b"\x1b[33mb  | \x1b[0mx\n\x1b[36m\r\x1b[Ka exited with code 3\n\x1b[0m"
    printer, out, _ = printed([str(n) for n in range(11)], colour=True)
    printer.line("10", b"")
    assert out.getvalue().startswith(b"\x1b[36m10")
    assert len(set(COLOURS)) == 10


def test_errors_go_where_errors_go_and_bytes_stay_as_they_are():
    printer, out, err = printed(["a"], colour=False, prefix=False)
    printer.line("a", b"\xff\r", error=True)
    assert (out.getvalue(), err.getvalue()) == (b"", b"\xff\r\n")


@pytest.mark.parametrize("colour", [True, False])
def test_one_that_was_never_registered_has_no_prefix(colour):
    printer, out, _ = printed([], colour=colour)
    printer.line("stranger", b"x")
    assert out.getvalue() == b"x\n"
