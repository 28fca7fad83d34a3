"""A model as text: YAML or JSON that, read again, gives the same model."""

from __future__ import annotations

import json
from typing import Any

import yaml

from coracle.compose.source import plain_value

_FIRST = ("name", "services", "networks", "volumes", "secrets", "configs")


class _Dumper(yaml.SafeDumper):
    """Indents lists, and puts what would not be read as text again in quotes."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = '"' if plain_value(value) != value else ("|" if "\n" in value else None)
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


def ordered(model: dict[str, Any]) -> dict[str, Any]:
    """The model with its parts in the usual order, extensions last."""
    return {key: model[key] for key in _FIRST if key in model} | {
        key: model[key] for key in sorted(model) if key not in _FIRST
    }


def escaped(value: Any) -> Any:
    """Every dollar doubled, so that the text can be interpolated again."""
    if isinstance(value, dict):
        return {key: escaped(item) for key, item in value.items()}
    if isinstance(value, list):
        return [escaped(item) for item in value]
    return value.replace("$", "$$") if isinstance(value, str) else value


def as_yaml(model: dict[str, Any]) -> str:
    return document(ordered(model))


def document(value: dict[str, Any]) -> str:
    """One YAML document, its keys in the order in which they are."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1 << 20)


def as_json(model: dict[str, Any]) -> str:
    return json.dumps(ordered(model), indent=2, ensure_ascii=False) + "\n"
