"""Answers in JSON with line breaks, for people who look at them with curl, wget or a browser.

Source: the API's query `pretty`; apiserver's endpoints/handlers/responsewriters for whom it is so without.
"""

from __future__ import annotations

import orjson

from coracle.core.tasks import offload
from coracle.web.messages import JSON_TYPE, Answer, Handler, Request, Response

_PEOPLE = ("curl", "Wget", "Mozilla/5.0")  # how the names of their programs begin
_TRUE = ("1", "t", "T", "TRUE", "true", "True")


def over(handler: Handler) -> Handler:
    """What `handler` answers, errors too, as the asker wants to see it."""

    async def shown(request: Request) -> Answer:
        answer = await handler(request)
        return await indented(answer) if wanted(request) else answer

    return shown


def wanted(request: Request) -> bool:
    said = request.query.get("pretty", "")
    return said in _TRUE if said else request.headers.get("user-agent", "").startswith(_PEOPLE)


async def indented(answer: Answer) -> Answer:
    """Whole answers in JSON; a watch is one event a line for everybody."""
    if not isinstance(answer, Response) or answer.content_type != JSON_TYPE or "Content-Encoding" in answer.headers:
        return answer
    raw = answer.body if isinstance(answer.body, bytes) else b"".join(answer.body)
    return Response(answer.status, await offload(_indent, raw), answer.headers, JSON_TYPE) if raw else answer


def _indent(raw: bytes) -> bytes:
    return orjson.dumps(orjson.loads(raw), option=orjson.OPT_INDENT_2)
