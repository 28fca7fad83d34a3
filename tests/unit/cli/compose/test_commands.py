"""The commands that are loaded when they are used."""

import subprocess
import sys

import click
import pytest

from coracle.cli.compose import COMMANDS, compose

NAMES = [name for names in COMMANDS.values() for name in names]


@pytest.mark.parametrize("name", NAMES)
def test_each_is_there_under_its_name(name):
    command = compose.get_command(click.Context(compose), name)
    assert command.name == name
    assert command.get_short_help_str().endswith(".")
    assert all(
        parameter.help for parameter in command.params if isinstance(parameter, click.Option) and not parameter.hidden
    )


def test_none_is_loaded_for_the_help_of_another():
    code = (
        "import sys, coracle.cli.main; print([name for name in sys.modules if name.startswith('coracle.cli.compose.')])"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert loaded.strip() == "['coracle.cli.compose.chosen', 'coracle.cli.compose.goflags']"
