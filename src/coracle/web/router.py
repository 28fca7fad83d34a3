"""From method and path to a handler.

A pattern is literal segments, `{name}` for one segment and `{name:path}` for one or more: `/api/v1/pods/{name}`,
`/images/{name:path}/json`, `/proxy/{rest:path}`.  Patterns are a tree of segments.  At each segment a literal wins over
`{name}`, which wins over `{name:path}`; a branch that ends nowhere is left for the next best.  `{name:path}` takes as
many segments as leave something that answers to the method: with GET `/images/{name:path}/json` and DELETE
`/images/{name:path}`, a GET of `/images/a/b/json` is about `a/b`, a DELETE of it about `a/b/json`.

Escapes are decoded once, after the path is cut into segments.  `%2F` is then part of a segment: only `{name:path}`
takes it.  A path with a segment that decodes to `.`, `..`, NUL or bytes that are not UTF-8 is Malformed, whatever the
pattern: no handler is ever given one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import unquote_to_bytes

from coracle.core.errors import Malformed, NotFound, Unsupported
from coracle.web.limits import BODY_LIMIT_BYTES, Terms, default_terms
from coracle.web.messages import Answer, Handler, Request

_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_PARAMETER = re.compile(r"\{([a-z_][a-z0-9_]*)(:path)?\}")


@dataclass(frozen=True, slots=True)
class Route:
    """What `add` was given for one method, and the names of the pattern's parameters in order."""

    handler: Handler
    terms: Terms
    names: tuple[str, ...]


@dataclass(slots=True)
class _Node:
    """One segment of the tree; `routes` are the methods of the pattern that ends here."""

    literals: dict[str, _Node] = field(default_factory=dict)
    one: _Node | None = None
    many: _Node | None = None
    routes: dict[str, Route] = field(default_factory=dict)


class Router:
    def __init__(self) -> None:
        self._root = _Node()

    def add(
        self,
        method: str,
        pattern: str,
        handler: Handler,
        *,
        streaming: bool = False,
        body_limit_bytes: int | None = BODY_LIMIT_BYTES,
    ) -> None:
        """Raises ValueError where the pattern is bad or taken.  A streaming route has no body limit."""
        node, names = self._grow(pattern)
        if method in node.routes:
            raise ValueError(f"{method} {pattern} is there already")
        terms = Terms(True, None) if streaming else Terms(False, body_limit_bytes)
        node.routes[method] = Route(handler, terms, names)

    async def dispatch(self, request: Request) -> Answer:
        """The handler's answer.  Raises NotFound, Malformed, Unsupported (405; `request.allowed` says what is)."""
        node, values = self._match(request.raw_path, request.method)
        route = _route(node, request.method)
        if route is None:
            request.allowed = _allowed(node)
            raise Unsupported(f"{request.method} is not allowed on {request.path}", status=405)
        request.params = dict(zip(route.names, values, strict=True))
        return await route.handler(request)

    def terms(self, method: str, raw_path: str) -> Terms:
        """How to take the body of such a request; the usual terms where there is no route (dispatch will say so)."""
        try:
            route = _route(self._match(raw_path, method)[0], method)
        except (NotFound, Malformed):
            route = None
        return route.terms if route is not None else default_terms(method, raw_path)

    def _grow(self, pattern: str) -> tuple[_Node, tuple[str, ...]]:
        if not pattern.startswith("/"):
            raise ValueError(f"{pattern!r} does not start with /")
        node, names = self._root, []
        for segment in pattern[1:].split("/"):
            parameter = _PARAMETER.fullmatch(segment)
            if parameter is None:
                if "{" in segment or "}" in segment:
                    raise ValueError(f"bad segment {segment!r} in {pattern!r}")
                node = node.literals.setdefault(segment, _Node())
                continue
            names.append(parameter[1])
            if parameter[2]:
                node.many = node = node.many or _Node()
            else:
                node.one = node = node.one or _Node()
        if len(set(names)) != len(names):
            raise ValueError(f"a parameter twice in {pattern!r}")
        return node, tuple(names)

    def _match(self, raw_path: str, method: str) -> tuple[_Node, tuple[str, ...]]:
        found = _find(self._root, (split_path(raw_path), method), 0, ())
        if found is None:
            raise NotFound(f"there is nothing at {raw_path}")
        return found


def split_path(raw_path: str) -> list[str]:
    """The decoded segments of `/a/b%20c` -> ["a", "b c"].  Raises Malformed."""
    if not raw_path.startswith("/"):
        raise Malformed("the path does not start with /")
    segments = raw_path[1:].split("/")
    if "%" in raw_path:
        segments = [_decode(segment) for segment in segments]
    if "." in raw_path or "%" in raw_path or "\0" in raw_path:
        for segment in segments:
            if not {".", ".."}.isdisjoint(segment.split("/")) or "\0" in segment:
                raise Malformed("the path has a segment that is not allowed")
    return segments


def _decode(segment: str) -> str:
    if "%" not in segment:
        return segment
    if _BAD_ESCAPE.search(segment):
        raise Malformed("the path has a bad escape")
    try:
        return unquote_to_bytes(segment).decode()
    except UnicodeDecodeError as error:
        raise Malformed("the path is not UTF-8") from error


_Found = tuple[_Node, tuple[str, ...]]
_Asked = tuple[list[str], str]  # segments and method


def _find(node: _Node, asked: _Asked, at: int, values: tuple[str, ...]) -> _Found | None:
    """The best place where the segments from `at` on end below `node`.  Recurses only where there is a choice."""
    segments = asked[0]
    while at < len(segments):
        segment = segments[at]
        literal, one = node.literals.get(segment), node.one
        if one is not None and (not segment or "/" in segment):
            one = None
        if literal is not None and (one is not None or node.many is not None):
            found = _find(literal, asked, at + 1, values)
            if found is not None:
                return found
            literal = None
        if literal is not None:
            node = literal
        elif node.many is not None:
            return _find_many(node.many, one, (asked, at), values)
        elif one is not None:
            node, values = one, (*values, segment)
        else:
            return None
        at += 1
    return (node, values) if node.routes else None


def _find_many(many: _Node, one: _Node | None, place: tuple[_Asked, int], values: tuple[str, ...]) -> _Found | None:
    """`one` is the node below a `{name}`, `many` below a `{name:path}`, which takes as many segments as will do."""
    asked, at = place
    segments, method = asked
    if one is not None:
        found = _find(one, asked, at + 1, (*values, segments[at]))
        if found is not None:
            return found
    second: _Found | None = None
    for end in range(len(segments), at, -1):
        found = _find(many, asked, end, (*values, "/".join(segments[at:end])))
        if found is not None and _route(found[0], method) is not None:
            return found
        second = second or found
    return second


def _route(node: _Node, method: str) -> Route | None:
    found = node.routes.get(method)
    return node.routes.get("GET") if found is None and method == "HEAD" else found


def _allowed(node: _Node) -> tuple[str, ...]:
    names = set(node.routes)
    return tuple(sorted(names | {"HEAD"} if "GET" in names else names))
