"""`extends`: a service that begins as another one, of the same file or of another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from coracle.compose.merging import clear, merge
from coracle.compose.places import Path, Places
from coracle.core.errors import NotFound


@dataclass
class Layer:
    """What one file says, in canonical form, and which paths of earlier layers it takes away first."""

    file: str
    model: dict[str, Any]
    places: Places
    cleared: set[Path] = field(default_factory=set)


class Extender:
    """Resolves the `extends` of a layer; `load` reads another file's layer, its own `extends` unresolved."""

    def __init__(self, load: Callable[[str], Layer]) -> None:
        self._load = load

    def resolve(self, layer: Layer) -> None:
        """Put what services extend into them."""
        for name in list(layer.model.get("services") or {}):
            layer.model["services"][name] = self._service(layer, name, ())

    def _service(self, layer: Layer, name: str, chain: tuple[tuple[str, str], ...]) -> dict[str, Any]:
        services = layer.model["services"]
        own: dict[str, Any] = services[name]
        if not own.get("extends"):
            return own
        here: Path = ("services", name, "extends")
        if (name, layer.file) in chain:
            first, *others = [*chain, (name, layer.file)]
            lines = [f"  {first[0]} in {first[1]}", *[f"  extends {other} in {file}" for other, file in others]]
            raise layer.places.fault(here, "Circular reference:\n" + "\n".join(lines))
        reference, file = own["extends"].get("service", ""), own["extends"].get("file")
        source = self._source(layer, here, file) if file else layer
        if reference not in (source.model.get("services") or {}):
            where = f" in {source.file}" if file else ""
            said = f'cannot extend service "{name}" in {layer.file}: service "{reference}" not found{where}'
            raise layer.places.fault(here, said)
        base = self._service(source, reference, (*chain, (name, layer.file)))
        gone = {path[2:] for path in layer.cleared if path[:2] == here[:2]}
        own = {key: value for key, value in own.items() if key != "extends"}
        merged: dict[str, Any] = merge(clear(base, gone), own, layer.places, here[:2])
        borrowed = Places()
        borrowed.update(source.places, ("services", reference), here[:2])
        layer.places.known = {**borrowed.known, **layer.places.known}
        services[name] = merged
        return merged

    def _source(self, layer: Layer, here: Path, file: str) -> Layer:
        try:
            return self._load(file)
        except NotFound as error:
            raise layer.places.fault(here, f"cannot read {file}: {error.message}") from error
