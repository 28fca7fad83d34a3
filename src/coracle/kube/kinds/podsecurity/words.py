"""How findings of pod security are worded.

Source: the messages of Kubernetes' Pod Security admission.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable


def quoted(names: Iterable[str]) -> str:
    """`"a", "b"`"""
    return ", ".join('"' + name.replace('"', '\\"') + '"' for name in names)


def counted(word: str, of: Collection[str]) -> str:
    return word if len(of) == 1 else f"{word}s"


def which(names: Collection[str]) -> str:
    """`container "a"`, `containers "a", "b"`"""
    return f"{counted('container', names)} {quoted(names)}"


def setters(pod: bool, names: Collection[str]) -> list[str]:
    """Who has said it: the pod, its containers."""
    return [*(["pod"] if pod else []), *([which(names)] if names else [])]
