"""Flags as Go programs take them: `--orphans=false` as well as `--no-orphans`, `--all=true` as well as `--all`."""

from __future__ import annotations

from collections.abc import Iterator

import click

from coracle.cli.compose.chosen import fail

_TRUE, _FALSE = ("1", "t", "true"), ("0", "f", "false")


class Command(click.Command):
    """A command whose flags may be given a truth value, and which counts its missing arguments as Compose v2 does."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        plain = list(self._plain(args))
        try:
            return super().parse_args(ctx, list(plain))
        except click.MissingParameter as error:
            if isinstance(error.param, click.Argument):
                fail(self._missing(ctx, plain))
            raise

    def _missing(self, ctx: click.Context, args: list[str]) -> str:
        arguments = [one for one in self.params if isinstance(one, click.Argument)]
        found = [self.make_parser(ctx).parse_args(list(args))[0].get(str(one.name)) for one in arguments]
        given = sum(len(value) if isinstance(value, tuple) else isinstance(value, str) for value in found)
        return f"requires at least {sum(one.required for one in arguments)} arg(s), only received {given}"

    def _plain(self, args: list[str]) -> Iterator[str]:
        flags = {name: one for one in self.params if isinstance(one, click.Option) and one.is_flag for name in one.opts}
        ours = True
        for word in args:
            name, equals, value = word.partition("=")
            ours = ours and word != "--" and (self._anywhere or word.startswith("-"))
            if ours and equals and name in flags and value.lower() in (*_TRUE, *_FALSE):
                yield from [name] if value.lower() in _TRUE else flags[name].secondary_opts[:1]
            else:
                yield word

    @property
    def _anywhere(self) -> bool:
        """Whether options may stand behind arguments."""
        return bool(self.context_settings.get("allow_interspersed_args", True))
