"""Which files a service watches, and where in its containers they belong.

A rule leaves out what its `ignore` names, what the build's .dockerignore names, git's own directory, and what editors
leave behind while they write; where it has `include`, everything else too.  The path that a rule itself names is
always its own.
"""

from __future__ import annotations

import os.path
import posixpath
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from coracle.compose.context import context_of
from coracle.compose.project import Project
from coracle.core.errors import CloudError, Malformed
from coracle.image.dockerfile.ignore import NOTHING, Ignore

SYNCS = ("sync", "sync+restart", "sync+exec")
PASSING = Ignore.of(
    *("**/.git", "**/.idea", "**/*___jb_old___", "**/*___jb_tmp___"),
    *("**/.#*", "**/#*#"),
    *("**/4913", "**/*~", "**/.*.sw[ponx]"),
    *("**/*.kate-swp", "**/*-go-tmp-umask"),
)
"""Git's files, and those of JetBrains' tools, Emacs, Vim, Kate and Go."""
_OF_COMPOSE = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")
_NO_FIRST_TIME = Ignore.of(
    "**/Dockerfile",
    *(f"**/{name}" for name in _OF_COMPOSE),
    "**/compose.override.y*ml",
    "**/docker-compose.override.y*ml",
)


@dataclass(frozen=True)
class Rule:
    """One entry of a service's `develop.watch`; `left_out` are patterns with the directory that they start from."""

    service: str
    path: str
    action: str
    target: str = ""
    left_out: Sequence[tuple[str, Ignore]] = ()
    included: Ignore | None = None
    hook: Mapping[str, Any] = field(default_factory=dict)
    at_first: bool = False

    def matches(self, path: str) -> bool:
        """Whether the rule is about the file or directory `path`."""
        if path == self.path:
            return True
        below = _below(self.path, path)
        if below is None or self._leaves_out(path):
            return False
        return self.included is None or self.included.excludes(below)

    def passes_over(self, directory: str) -> bool:
        """Whether nothing below `directory` can be the rule's."""
        if _below(directory, self.path) is not None or directory == self.path:
            return False
        if _below(self.path, directory) is None:
            return True
        taken_back = any(not out for _, ignore in self.left_out for out, _ in ignore.patterns)
        return not taken_back and self._leaves_out(directory)

    def place_of(self, path: str) -> str:
        """Where in the container a file that matches is."""
        return posixpath.normpath(posixpath.join(self.target, _below(self.path, path) or "."))

    def brings_at_first(self, path: str) -> bool:
        """Whether a file is brought in before the first change."""
        below = _below(self.path, path) or os.path.basename(path)
        return self.at_first and self.action in SYNCS and self.matches(path) and not _NO_FIRST_TIME.excludes(below)

    def _leaves_out(self, path: str) -> bool:
        found = ((_below(root, path), ignore) for root, ignore in self.left_out)
        return any(below is not None and ignore.excludes(below) for below, ignore in found)


@dataclass(frozen=True)
class Watched:
    rules: list[Rule]
    warnings: list[str]


def rules_of(project: Project, services: Iterable[str] = ()) -> Watched:
    """The rules of `services` (none: of all).  Raises Malformed in Compose's words."""
    found = Watched([], [])
    for name in services or project.services:
        service = project.services[name]
        for entry in (service.get("develop") or {}).get("watch") or ():
            _check(name, service, entry)
            if entry["action"] in SYNCS and _is_mounted(entry["path"], service):
                said = "also declared by a bind mount volume, this path won't be monitored!"
                found.warnings.append(f"path '{entry['path']}' {said}")
            else:
                found.rules.append(_rule(name, service, entry))
    if not found.rules:
        raise Malformed("none of the selected services is configured for watch, consider setting an 'develop' section")
    return found


def _rule(name: str, service: Mapping[str, Any], entry: Mapping[str, Any]) -> Rule:
    path, build = entry["path"], service.get("build")
    left_out = [("/", PASSING), (path, Ignore.of(*_texts(entry.get("ignore"))))]
    if build:
        left_out.append((str(build["context"]), _ignored(build)))
    included = _texts(entry.get("include"))
    return Rule(
        name,
        path,
        entry["action"],
        entry.get("target") or "",
        [(root, ignore) for root, ignore in left_out if ignore.patterns],
        Ignore.of(*included) if included else None,
        entry.get("exec") or {},
        bool(entry.get("initial_sync")),
    )


def _check(name: str, service: Mapping[str, Any], entry: Mapping[str, Any]) -> None:
    action = entry["action"]
    if action == "rebuild" and not service.get("build"):
        raise Malformed(f'can\'t watch service "{name}" with action rebuild without a build context')
    if action in SYNCS and not entry.get("target"):
        raise Malformed(f'can\'t watch with action "{action}" on service {name} without a target')
    if action == "sync+exec" and not (entry.get("exec") or {}).get("command"):
        raise Malformed(f'can\'t watch with action "{action}" on service {name} without a command')


def _ignored(build: Mapping[str, Any]) -> Ignore:
    try:
        return context_of(build).ignore
    except CloudError:
        return NOTHING  # what cannot be built says so when it is built


def _is_mounted(path: str, service: Mapping[str, Any]) -> bool:
    sources = [mount["source"] for mount in service.get("volumes") or () if mount["type"] == "bind"]
    return any(path == source or _below(source, path) is not None for source in sources)


def _texts(given: str | Sequence[str] | None) -> Sequence[str]:
    return [given] if isinstance(given, str) else given or ()


def _below(root: str, path: str) -> str | None:
    """`path` from `root` on, where it is below it."""
    start = root.rstrip("/") + "/"
    return path[len(start) :] if path.startswith(start) and len(path) > len(start) else None
