"""Flags as Go programs take them."""

import click
import pytest
from click.testing import CliRunner

from coracle.cli.compose.goflags import Command, ignored


def command(**settings):
    @click.command(cls=Command, context_settings=settings)
    @click.argument("service")
    @click.argument("words", nargs=-1, required=True, type=click.UNPROCESSED)
    @click.option("-T", "--no-tty", is_flag=True)
    @click.option("--orphans/--no-orphans", default=True)
    @click.option("-e", "--env", default="")
    @ignored("-a", "--all")
    def run(**given):
        click.echo(sorted(given.items()))

    return run


def said(given, **settings):
    done = CliRunner().invoke(command(**settings), given)
    return done.exit_code, done.output.strip()


@pytest.mark.parametrize(
    ("given", "orphans", "no_tty", "words"),
    [
        (["a", "b"], True, False, ("b",)),
        (["--orphans=false", "-T=true", "a", "b"], False, True, ("b",)),
        (["--orphans=T", "--no-tty=0", "a", "b"], True, False, ("b",)),
        (["a", "b", "--orphans=false"], False, False, ("b",)),
        (["a", "b", "--", "--orphans=false"], True, False, ("b", "--orphans=false")),
    ],
)
def test_truth_values(given, orphans, no_tty, words):
    expected = [("env", ""), ("no_tty", no_tty), ("orphans", orphans), ("service", "a"), ("words", words)]
    assert said(given) == (0, str(expected))


def test_words_of_another_program_stay_as_they_are():
    code, text = said(["-T", "a", "b", "--orphans=false"], allow_interspersed_args=False)
    assert code == 0
    assert "('words', ('b', '--orphans=false'))" in text


@pytest.mark.parametrize(
    ("given", "env"),
    [
        (["-e", "x=y"], "x=y"),
        (["-e=x=y"], "x=y"),
        (["-ex=y"], "x=y"),
        (["-Te=x"], "x"),
        (["--env=-T=true"], "-T=true"),
        (["--env", "--orphans=false"], "--orphans=false"),
        (["-e", "-T=true"], "-T=true"),
    ],
)
@pytest.mark.parametrize("settings", [{}, {"allow_interspersed_args": False}])
def test_values_are_left_alone(given, env, settings):
    code, text = said([*given, "--orphans=true", "a", "b"], **settings)
    assert (code, f"('env', '{env}')" in text, "('orphans', True)" in text) == (0, True, True)


def test_flags_without_effect_are_warned_of():
    assert said(["-a", "a", "b"])[1].startswith("WARN --all has no effect\n")
    assert said(["--all=false", "a", "b"])[1].startswith("[(")


@pytest.mark.parametrize(("given", "count"), [([], 0), (["a"], 1), (["--env", "x", "a"], 1)])
def test_missing_arguments_are_counted(given, count):
    assert said(given) == (1, f"requires at least 2 arg(s), only received {count}")


@pytest.mark.parametrize("given", [["--nonsense", "a", "b"], ["--orphans=maybe", "a", "b"]])
def test_what_is_no_flag_is_refused(given):
    assert said(given)[0] == 2
