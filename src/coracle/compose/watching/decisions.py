"""What is to be done about a burst of changes; pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from coracle.compose.watching.rules import SYNCS, Rule


@dataclass(frozen=True)
class Work:
    """In the order in which it is done.

    rebuild    services to build and make anew; nothing else is done to these, since a build has all files
    sync       by service: the file here -> its places in the container
    restart    services to restart after that
    hooks      (service, hook): commands to run in its containers after that
    """

    rebuild: list[str] = field(default_factory=list)
    sync: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    restart: list[str] = field(default_factory=list)
    hooks: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)


def decide(rules: Sequence[Rule], changed: Collection[str]) -> Work:
    """The work that the changed files and directories ask for, each thing once."""
    work = Work()
    matched = [(rule, [path for path in sorted(changed) if rule.matches(path)]) for rule in rules]
    matched = [(rule, paths) for rule, paths in matched if paths]
    work.rebuild.extend(dict.fromkeys(rule.service for rule, _ in matched if rule.action == "rebuild"))
    for rule, paths in matched:
        if rule.service not in work.rebuild:
            _add(work, rule, paths)
    return work


def first(rules: Sequence[Rule], present: Collection[str]) -> Work:
    """What is brought in before the first change."""
    work = Work()
    for rule in rules:
        _bring(work, rule, [path for path in sorted(present) if rule.brings_at_first(path)])
    return work


def _add(work: Work, rule: Rule, paths: list[str]) -> None:
    if rule.action in SYNCS:
        _bring(work, rule, paths)
    if rule.action in ("restart", "sync+restart") and rule.service not in work.restart:
        work.restart.append(rule.service)
    if rule.action == "sync+exec" and (rule.service, rule.hook) not in work.hooks:
        work.hooks.append((rule.service, rule.hook))


def _bring(work: Work, rule: Rule, paths: list[str]) -> None:
    for path in paths:
        places = work.sync.setdefault(rule.service, {}).setdefault(path, [])
        if rule.place_of(path) not in places:
            places.append(rule.place_of(path))
