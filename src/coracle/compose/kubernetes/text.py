"""Manifests as text that kubectl reads."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from coracle.compose import render


def as_yaml(manifests: Sequence[dict[str, Any]]) -> str:
    """Documents, one after the other."""
    return "---\n".join(render.document(manifest) for manifest in manifests)


def as_json(manifests: Sequence[dict[str, Any]]) -> str:
    """One List, since a file of JSON holds one value."""
    return one_json({"apiVersion": "v1", "kind": "List", "items": list(manifests)})


def one_json(manifest: dict[str, Any]) -> str:
    return json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"
