"""The catalogue: what images can be made of packages, declared in TOML; the user's entries win over ours.

    [image.nginx]                         the name people ask for; docker.io/library is meant unless it has a slash
    description = "a web server"          what it is, for those who search
    base = "debian"                       another entry, whose layers and settings this one starts from; or:
    from = "bootstrap" | "unpack"         a whole distribution | the files of some packages, nothing run
    tags = ["latest", "{codename}"]       which tags are answered; {id}, {codename}, {version} of the machine, and
    version_from = "python3"              {major} and {minor} ("3", "3.11") of that package
    packages = ["nginx"]
    recommends = false                    whether recommended packages come along
    remove = ["/etc/nginx/sites-enabled/default"]
    run = ["chown redis: /data"]          shell lines, in the image, after its files are there
    cmd = [...]                           also: entrypoint, user, workdir, ports, volumes, stop_signal
    env.NAME = "value"                    also: labels
    links."/path" = "target"
    files."/path" = { content = "...", mode = 0o644 }

Reading is pure; building is `debian.py`'s.
"""

from __future__ import annotations

import json
import posixpath
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from importlib import resources
from pathlib import Path
from string import Formatter
from typing import Any, Literal

from coracle.core.errors import CloudError, Invalid, Malformed, NotFound, Problem
from coracle.core.errors import invalid as invalid_value
from coracle.image.config import Settings, check_settings
from coracle.image.references import DEFAULT_REGISTRY, Reference, parse_reference

From = Literal["base", "bootstrap", "unpack"]

_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]+(:[a-z0-9]+)?(=[A-Za-z0-9.+:~-]+)?")


@dataclass(frozen=True, slots=True)
class File:
    content: str
    mode: int = 0o644


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one image is made.  Equal recipes make the same image."""

    name: str
    origin: From = "base"
    base: str = ""
    tags: tuple[str, ...] = ("latest",)
    packages: tuple[str, ...] = ()
    recommends: bool = False
    remove: tuple[str, ...] = ()
    run: tuple[str, ...] = ()
    files: Mapping[str, File] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    settings: Settings = field(default_factory=Settings)
    description: str = ""
    version_from: str = ""

    def key_text(self) -> str:
        """Everything that a built image depends on, as text; names and tags are only labels on it."""
        said = asdict(replace(self, name="", tags=()))
        del said["description"], said["version_from"]
        return json.dumps(said, sort_keys=True)


class Catalogue:
    """Recipes by name, looked up by reference."""

    def __init__(self, recipes: Iterable[Recipe]) -> None:
        self._recipes = {recipe.name: recipe for recipe in recipes}

    def list(self) -> tuple[Recipe, ...]:
        return tuple(sorted(self._recipes.values(), key=lambda recipe: recipe.name))

    def find(self, reference: Reference, names: Mapping[str, str]) -> Recipe | None:
        """The recipe that answers to `reference`; `names` fills the braces in tags (`Distribution.names`)."""
        recipe = self._recipes.get(reference.familiar_name)
        if recipe is None or reference.registry != DEFAULT_REGISTRY or reference.digest:
            return None
        return recipe if reference.tag in tags_of(recipe, names) else None

    def named(self, name: str) -> Recipe | None:
        """The recipe of that name ("nginx"), whatever its tags."""
        return self._recipes.get(name)

    def base_of(self, recipe: Recipe) -> Recipe | None:
        """The recipe that `recipe` stands on.  Raises NotFound."""
        if recipe.origin != "base":
            return None
        try:
            return self._recipes[recipe.base]
        except KeyError:
            raise NotFound(
                f"base {recipe.base!r} of image {recipe.name} is not in the catalogue", kind="Image"
            ) from None


def tags_of(recipe: Recipe, names: Mapping[str, str]) -> tuple[str, ...]:
    """The tags that are answered; those that speak of what `names` does not have are left out."""
    asked = {tag: {field for _, field, _, _ in Formatter().parse(tag) if field} for tag in recipe.tags}
    return tuple(tag.format(**names) for tag, fields in asked.items() if fields <= set(names))


def package_recipe(name: str, packages: Iterable[str]) -> Recipe:
    """A recipe for an image of Debian's `packages`, under the name and tag that `name` says.

    Raises: Malformed (name), Invalid (a package name).
    """
    reference = parse_reference(name)
    if reference.registry != DEFAULT_REGISTRY or reference.digest:
        raise Malformed(f"{name!r} names a registry or a digest; a built image is local")
    recipe = Recipe(reference.familiar_name, "base", "debian", (reference.tag,), tuple(packages))
    check_recipe(recipe)
    return recipe


def read_catalogue(user_file: Path | None = None) -> Catalogue:
    """Our catalogue, and the user's over it.  Blocks (reads files).  Raises Malformed, Invalid."""
    home = resources.files("coracle.image")
    ours = [home / "catalogue.toml", *(home / "recipes").iterdir()]
    recipes = {
        recipe.name: recipe
        for file in ours
        if file.name.endswith(".toml")
        for recipe in parse_catalogue(file.read_text(), "the catalogue")
    }
    if user_file and user_file.exists():
        found = parse_catalogue(user_file.read_text(), str(user_file))
        recipes.update({recipe.name: recipe for recipe in found})
    catalogue = Catalogue(recipes.values())
    for recipe in catalogue.list():
        _check_bases(catalogue, recipe)
    return catalogue


def parse_catalogue(text: str, where: str) -> list[Recipe]:
    """The recipes in a TOML text; `where` is said in errors.  Raises Malformed, Invalid."""
    try:
        doc = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise Malformed(f"{where}: {error}") from None
    images = doc.get("image")
    if not isinstance(images, dict) or set(doc) != {"image"}:
        raise Malformed(f"{where}: must hold [image.NAME] tables and nothing else")
    return [_recipe(name, entry, where) for name, entry in images.items()]


_SETTINGS = ("entrypoint", "cmd", "env", "user", "workdir", "ports", "volumes", "stop_signal", "labels")
_FIELDS = {
    "description",
    "version_from",
    "base",
    "from",
    "tags",
    "packages",
    "recommends",
    "remove",
    "run",
    "files",
    "links",
    *_SETTINGS,
}


def _recipe(name: str, entry: Any, where: str) -> Recipe:
    if not isinstance(entry, dict):
        raise Malformed(f"{where}: image.{name} must be a table")
    if unknown := sorted(set(entry) - _FIELDS):
        raise Malformed(f"{where}: image.{name}: unknown field {unknown[0]!r}")
    try:
        recipe = Recipe(
            name=parse_reference(name).familiar_name,
            origin=entry.get("from", "base"),
            base=_text(entry, "base"),
            tags=_texts(entry, "tags") or ("latest",),
            packages=_texts(entry, "packages"),
            recommends=bool(entry.get("recommends", False)),
            remove=_texts(entry, "remove"),
            run=_texts(entry, "run"),
            files={path: _file(one) for path, one in _table(entry, "files").items()},
            links=_text_table(entry, "links"),
            settings=_settings(entry),
            description=_text(entry, "description"),
            version_from=_text(entry, "version_from"),
        )
        check_recipe(recipe)
    except CloudError as error:
        raise type(error)(message=f"{where}: image.{name}: {error.message}") from None
    return recipe


def check_recipe(recipe: Recipe) -> None:
    """Refuse what cannot be built.  Raises Invalid."""
    problems: list[Problem] = []
    if recipe.origin not in ("base", "bootstrap", "unpack"):
        problems.append(invalid_value("from", recipe.origin, "must be bootstrap or unpack"))
    if (recipe.origin == "base") != bool(recipe.base):
        problems.append(invalid_value("base", recipe.base, "one of base and from is needed"))
    problems += [
        invalid_value("packages", package, "must be a package name")
        for package in (*recipe.packages, *filter(None, [recipe.version_from]))
        if _PACKAGE.fullmatch(package) is None
    ]
    problems += [
        invalid_value("paths", path, "must be an absolute path without '..'")
        for path in (*recipe.files, *recipe.links, *recipe.remove)
        if not path.startswith("/") or posixpath.normpath(path) != path or path == "/"
    ]
    if problems:
        raise Invalid(problems, kind="Image", name=recipe.name)
    check_settings(recipe.settings)


def _check_bases(catalogue: Catalogue, recipe: Recipe) -> None:
    seen = [recipe.name]
    while (base := catalogue.base_of(recipe)) is not None:
        if base.name in seen:
            raise Invalid(message=f"images stand on each other in a circle: {' on '.join([*seen, base.name])}")
        seen.append(base.name)
        recipe = base


def _settings(entry: Mapping[str, Any]) -> Settings:
    return Settings(
        entrypoint=_texts(entry, "entrypoint"),
        cmd=_texts(entry, "cmd"),
        env=tuple(f"{name}={value}" for name, value in _text_table(entry, "env").items()),
        user=_text(entry, "user"),
        workdir=_text(entry, "workdir"),
        ports=_texts(entry, "ports"),
        volumes=_texts(entry, "volumes"),
        stop_signal=_text(entry, "stop_signal"),
        labels=_text_table(entry, "labels"),
    )


def inherit(settings: Settings, base: Settings) -> Settings:
    """`settings` over those of the base, as a Dockerfile's lines over its FROM: names add up, the rest replaces."""
    names = {entry.partition("=")[0] for entry in settings.env}
    return Settings(
        entrypoint=settings.entrypoint or (() if settings.cmd else base.entrypoint),
        cmd=settings.cmd or (() if settings.entrypoint else base.cmd),
        env=(*(entry for entry in base.env if entry.partition("=")[0] not in names), *settings.env),
        user=settings.user or base.user,
        workdir=settings.workdir or base.workdir,
        ports=tuple(sorted({*base.ports, *settings.ports})),
        volumes=tuple(sorted({*base.volumes, *settings.volumes})),
        stop_signal=settings.stop_signal or base.stop_signal,
        labels={**base.labels, **settings.labels},
    )


def _file(doc: Any) -> File:
    if not isinstance(doc, dict) or not set(doc) <= {"content", "mode"}:
        raise Malformed("files must be { content, mode }")
    mode = doc.get("mode", 0o644)
    if not isinstance(mode, int) or not 0 <= mode <= 0o7777:
        raise Malformed("a file's mode must be a number like 0o644")
    return File(_text(doc, "content"), mode)


def _text(doc: Mapping[str, Any], name: str) -> str:
    value = doc.get(name, "")
    if not isinstance(value, str):
        raise Malformed(f"{name} must be a text")
    return value


def _texts(doc: Mapping[str, Any], name: str) -> tuple[str, ...]:
    value = doc.get(name, [])
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise Malformed(f"{name} must be a list of texts")
    return tuple(value)


def _table(doc: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = doc.get(name, {})
    if not isinstance(value, dict):
        raise Malformed(f"{name} must be a table")
    return value


def _text_table(doc: Mapping[str, Any], name: str) -> dict[str, str]:
    value = _table(doc, name)
    if not all(isinstance(one, str) for one in value.values()):
        raise Malformed(f"{name} must hold texts")
    return value
