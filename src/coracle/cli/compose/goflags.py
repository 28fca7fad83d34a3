"""Options as Go programs take them: `--orphans=false`, `-d=true`, `-t=0`; and those that they take and pass over."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import click

from coracle.cli.compose.chosen import fail

_TRUE, _FALSE = ("1", "t", "true"), ("0", "f", "false")


class Command(click.Command):
    """A command that takes options as Go programs do, and counts its missing arguments as Compose v2 does."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        words = plain(self.params, args, anywhere=bool(self.context_settings.get("allow_interspersed_args", True)))
        try:
            return super().parse_args(ctx, list(words))
        except click.MissingParameter as error:
            if isinstance(error.param, click.Argument):
                fail(self._missing(ctx, words))
            raise

    def _missing(self, ctx: click.Context, args: list[str]) -> str:
        arguments = [one for one in self.params if isinstance(one, click.Argument)]
        found = [self.make_parser(ctx).parse_args(list(args))[0].get(str(one.name)) for one in arguments]
        given = sum(len(value) if isinstance(value, tuple) else isinstance(value, str) for value in found)
        return f"requires at least {sum(one.required for one in arguments)} arg(s), only received {given}"


def ignored(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A flag that Compose v2 takes and does nothing about.  We say so."""

    def say(_: click.Context, option: click.Parameter, given: bool) -> None:
        if given:
            click.echo(f"WARN {option.opts[-1]} has no effect", err=True)

    return click.option(*names, is_flag=True, hidden=True, expose_value=False, callback=say)


def plain(params: Sequence[click.Parameter], words: Sequence[str], *, anywhere: bool) -> list[str]:
    """`words` as click takes them.  `anywhere`: options may stand behind arguments."""
    given = [one for one in params if isinstance(one, click.Option)]
    return list(_Words({name: one for one in given for name in (*one.opts, *one.secondary_opts)}, words, anywhere))


class _Words:
    def __init__(self, options: Mapping[str, click.Option], words: Sequence[str], anywhere: bool) -> None:
        self._options, self._words, self._anywhere = options, iter(words), anywhere

    def __iter__(self) -> Iterator[str]:
        for word in self._words:
            if word == "--" or not (word.startswith("-") or self._anywhere):
                yield word
                yield from self._words
            elif word.startswith("--"):
                yield from self._long(word)
            elif len(word) > 1 and word.startswith("-"):
                yield from self._short(word)
            else:
                yield word

    def _long(self, word: str) -> Iterator[str]:
        name, equals, value = word.partition("=")
        option = self._options.get(name)
        if equals and option is not None:
            yield from _given(option, name, value)
        else:
            yield word
            yield from self._value(option)

    def _short(self, word: str) -> Iterator[str]:
        """`-it`, `-t5`, `-t 5`, `-t=5`, `-d=true`."""
        letters, equals, value = word[1:].partition("=")
        known = [self._options.get(f"-{letter}") for letter in letters]
        if not letters or known[-1] is None or any(one is None or not one.is_flag for one in known[:-1]):
            yield word  # the rest is a value, or nothing that we know
        elif not equals:
            yield word
            yield from self._value(known[-1])
        else:
            yield from [f"-{letters[:-1]}"] if letters[:-1] else []
            yield from _given(known[-1], f"-{letters[-1]}", value)

    def _value(self, option: click.Option | None) -> Iterator[str]:
        """The word behind an option that takes one."""
        if option is not None and not option.is_flag:
            yield from (value for value in [next(self._words, None)] if value is not None)


def _given(option: click.Option, name: str, value: str) -> list[str]:
    if not option.is_flag:
        return [name, value]
    if value.lower() in _TRUE:
        return [name]
    return list(option.secondary_opts[:1]) if value.lower() in _FALSE else [f"{name}={value}"]
