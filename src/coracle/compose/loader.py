"""Files to a Project: the order of the steps, which is Compose's.

Each document is read, its variables put in, checked against the schema and made canonical by itself, so that every
message has the line of the file it is about; then it borrows (`extends`), brings in (`include`), and changes what the
documents before it said.
"""

from __future__ import annotations

import os.path
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from coracle.compose import checks, files, interpolation, merging, names, profiles, schema, source
from coracle.compose import environment as dotenv
from coracle.compose.canonical import Setting, canonical
from coracle.compose.extending import Extender, Layer
from coracle.compose.places import Places
from coracle.compose.project import (
    KINDS,
    Project,
    completed,
    with_contexts,
    with_files,
    with_resources,
    with_variables,
    without_disabled,
)
from coracle.core.errors import Malformed, NotFound


@dataclass(frozen=True)
class Request:
    """What to load: as Compose's options of the same names say."""

    environment: Mapping[str, str]
    working_directory: str
    files: Sequence[str] = ()
    project_directory: str = ""
    project_name: str = ""
    profiles: Sequence[str] = ()
    env_files: Sequence[str] = ()
    services: Sequence[str] = ()
    whole: bool = False
    """Keep the services that none of `services` depends on; these are only enabled, whatever their profiles."""
    all_resources: bool = False
    """Keep the networks, volumes, secrets and configs that no service uses."""
    interpolate: bool = True
    consistent: bool = True
    """Check what the schema cannot say."""


@dataclass
class _Scope:
    """Where one project's files are read: the main one's, or an included one's."""

    directory: str
    variables: Mapping[str, str]
    chain: tuple[str, ...] = ()


@dataclass
class _Loader:
    request: Request
    read: Callable[[str], str]
    warnings: dict[str, None] = field(default_factory=dict)
    parsed: dict[str, list[source.Document]] = field(default_factory=dict)

    def layers(self, paths: Sequence[str], scope: _Scope) -> Layer:
        """What the files say together."""
        whole = Layer(paths[0], {}, Places())
        for path in paths:
            for document in self._documents(path):
                if document.value is not None:
                    self._add(whole, self._layer(document, path, scope), path, scope)
        whole.model = with_contexts(whole.model, scope.directory)
        whole.model = with_variables(whole.model, scope.variables) if self.request.interpolate else whole.model
        return whole

    def _add(self, whole: Layer, layer: Layer, path: str, scope: _Scope) -> None:
        Extender(lambda file: self._elsewhere(file, scope)).resolve(layer)
        self._include(layer, path, scope)
        if layer.model.pop("version", None) is not None:
            self.warnings[
                f"{layer.places.of(('version',))}: the attribute `version` is obsolete, it will be ignored, "
                "please remove it to avoid potential confusion"
            ] = None
        places = Places({**whole.places.known, **layer.places.known})
        base = merging.clear(whole.model, layer.cleared)
        whole.model = merging.unique(merging.merge(base, layer.model, places))
        whole.places = places

    def _layer(self, document: source.Document, path: str, scope: _Scope) -> Layer:
        value, places = document.value, document.places
        if not isinstance(value, dict):
            raise places.fault((), "top-level object must be a mapping")
        value = merging.clear(value, document.resets)
        if self.request.interpolate:
            value = interpolation.interpolate(value, scope.variables, places, self._unset)
        schema.check(value, places)
        self._note_former_names(value, places)
        home = self.request.environment.get("HOME", "/")
        setting = Setting(places, scope.directory, home, raw=not self.request.interpolate)
        return Layer(path, canonical(value, setting), places, document.resets | document.overrides)

    def _note_former_names(self, value: dict[str, Any], places: Places) -> None:
        things = [(kind, key, thing) for kind in KINDS for key, thing in (value.get(kind) or {}).items()]
        for kind, key, thing in things:
            if isinstance((thing or {}).get("external"), dict):
                place, said = places.of((kind, key)), "external.name is deprecated. Please set name and external: true"
                self.warnings[f"{place}: {kind}.{key}: {said}"] = None

    def written_name(self, paths: Sequence[str], variables: Mapping[str, str]) -> str:
        """The `name` that the last of the files gives."""
        found = ""
        for document in (document for path in paths for document in self._documents(path)):
            written = document.value.get("name") if isinstance(document.value, dict) else None
            if isinstance(written, str):
                value = {"name": written}
                found = interpolation.interpolate(value, variables, document.places, self._unset)["name"]
        return found

    def finished(self, whole: Layer, name: str, directory: str, variables: Mapping[str, str]) -> dict[str, Any]:
        """The model with its defaults, of the services that take part, checked."""
        model, asked = dict(whole.model), self.request.services
        model.pop("name", None)
        every = {key: completed(service) for key, service in sorted((model.get("services") or {}).items())}
        wanted = [*self.request.profiles, *(variables.get("COMPOSE_PROFILES") or "").split(",")]
        present = profiles.enabled(every, [profile for profile in wanted if profile], asked)
        disabled = set(every) - set(present)
        present = {key: without_disabled(service, disabled) for key, service in present.items()}
        selected = profiles.selected(present, asked)
        model["services"] = present if self.request.whole else selected
        for kind in KINDS:
            model[kind] = model.get(kind) or {}
        model["networks"] = {"default": None, **model["networks"]}
        if self.request.consistent:
            checks.check(model, whole.places, disabled)
        if self.request.interpolate:
            model["services"] = {
                key: with_files(service, key, variables, self.read, whole.places)
                for key, service in model["services"].items()
            }
        return {"name": name, **with_resources(model, name, directory, unused=self.request.all_resources)}

    def _documents(self, path: str) -> list[source.Document]:
        if path not in self.parsed:
            self.parsed[path] = source.read(self.read(path), path)
        return self.parsed[path]

    def _unset(self, name: str) -> None:
        self.warnings[f'The "{name}" variable is not set. Defaulting to a blank string.'] = None

    def _elsewhere(self, file: str, scope: _Scope) -> Layer:
        """The layer of a file from which a service is borrowed; its relative paths start at its own directory."""
        inner = replace(scope, directory=os.path.dirname(file))
        whole = Layer(file, {}, Places())
        for document in self._documents(file):
            layer = self._layer(document, file, inner)
            whole.model = merging.merge(whole.model, layer.model, layer.places)
            whole.places.update(layer.places)
        return whole

    def _include(self, layer: Layer, path: str, scope: _Scope) -> None:
        for at, entry in enumerate(layer.model.pop("include", None) or ()):
            paths = [os.path.join(scope.directory, name) for name in entry.get("path") or ()]
            if not paths:
                continue
            paths = [os.path.normpath(name) for name in paths]
            chain = (*scope.chain, path)
            if paths[0] in chain:
                said = "\n include ".join([*chain[1:], paths[0]])
                raise layer.places.fault(("include", at), f"include cycle detected:\n{chain[0]}\n include {said}")
            given = entry.get("project_directory")
            directory = os.path.join(scope.directory, given) if given else os.path.dirname(paths[0])
            env_files = [os.path.join(scope.directory, name) for name in entry.get("env_file") or ()]
            variables = self.variables(env_files, directory, scope.variables)
            try:
                brought = self.layers(paths, _Scope(os.path.normpath(directory), variables, chain))
            except NotFound as error:
                raise NotFound(f"{layer.places.of(('include', at))}: {error.message}") from error
            self._bring_in(brought, layer)

    def _bring_in(self, brought: Layer, layer: Layer) -> None:
        for kind in ("services", *KINDS):
            for name, thing in (brought.model.get(kind) or {}).items():
                own = layer.model.setdefault(kind, {})
                if name in own and own[name] != thing:
                    raise layer.places.fault((kind, name), f"{kind}.{name} conflicts with imported resource")
                own[name] = thing
                layer.places.update(brought.places, (kind, name), (kind, name))

    def variables(self, env_files: Sequence[str], directory: str, outside: Mapping[str, str]) -> dict[str, str]:
        """The variables of `env_files`, or of `.env` in `directory`; those from `outside` come first."""
        found: dict[str, str] = {}
        for path in env_files or [os.path.join(directory, ".env")]:
            try:
                text = self.read(path)
            except NotFound:
                if env_files:
                    raise Malformed(f"couldn't find env file: {path}") from None
                continue
            found |= dotenv.parse(text, path, {**found, **outside})
        return {**found, **outside}


def beginning(request: Request) -> str:
    """Where `.env` is looked for first, before it is known where the files are: what it says comes first."""
    named = next((name for name in request.files if name != "-"), "")
    given = request.project_directory or os.path.dirname(named)
    return os.path.normpath(os.path.join(request.working_directory, given))


def load(request: Request, read: Callable[[str], str] = files.read) -> Project:
    """The project that `request` asks for.

    Raises NotFound (files that are not there) and Malformed (everything wrong inside them, with file and line).
    """
    loader = _Loader(request, read)
    early = loader.variables(request.env_files, beginning(request), request.environment)
    paths = files.choose(request.files, request.working_directory, early, request.project_directory)
    if not request.files and "COMPOSE_FILE" not in early and len(rivals := files.rivals(paths[0])) > 1:
        said = f"Found multiple config files with supported names: {', '.join(rivals)}"
        loader.warnings |= {said: None, f"Using {paths[0]}": None}
    beside = request.working_directory if paths[0] == "-" else os.path.dirname(paths[0])
    directory = os.path.abspath(os.path.join(request.working_directory, request.project_directory or beside))
    variables = loader.variables(request.env_files, directory, early)
    name = names.project_name(request.project_name, variables, loader.written_name(paths, variables), directory)
    variables["COMPOSE_PROJECT_NAME"] = name
    whole = loader.layers(paths, _Scope(directory, variables))
    if not whole.model:
        raise Malformed(f"{paths[0]}:1: empty compose file")
    model = loader.finished(whole, name, directory, variables)
    warned = [*loader.warnings, *checks.port_clashes(model["services"], whole.places)]
    services = whole.model.get("services") or {}
    known, left = tuple(profiles.of(services)), tuple(sorted(set(services) - set(model["services"])))
    return Project(name, directory, tuple(paths), model, variables, known, whole.places, tuple(warned), left)
