"""Answers in YAML, for clients that prefer it to JSON.

Source: Kubernetes API concepts, "Alternate representations of resources".
"""

from __future__ import annotations

import orjson

from coracle.core.errors import Unsupported
from coracle.web.messages import JSON_TYPE, Answer, Request, Response

TYPE = "application/yaml"


def prefers(request: Request) -> bool:
    """Whether YAML stands before everything else that the client accepts and we speak."""
    if TYPE not in request.headers.get("accept", ""):
        return False
    media = next((one for one in request.accepted() if one.type == TYPE or one.covers(JSON_TYPE)), None)
    return media is not None and media.type == TYPE


def in_yaml(answer: Answer) -> Answer:
    """Raises Unsupported (406) for a watch, which is not to be had so."""
    import yaml  # slow to load, and clients mostly read JSON

    if not isinstance(answer, Response):
        raise Unsupported(f"only the following media types are accepted: {JSON_TYPE}", status=406)
    if answer.content_type != JSON_TYPE or "Content-Encoding" in answer.headers:
        return answer
    raw = answer.body if isinstance(answer.body, bytes) else b"".join(answer.body)
    text = yaml.dump(orjson.loads(raw), Dumper=yaml.CSafeDumper, allow_unicode=True)
    return Response(answer.status, text.encode(), answer.headers, TYPE)
