"""Links in what a proxy passes on: a page that says `/next` is told to go through the same proxy.

    <a href="/next">    ->    <a href="/api/v1/namespaces/default/services/web/proxy/next">
    Location: /next           the same

What is relative, or leads to another host, stays.  Pages are read in one pass, as far as their last whole tag.
Source: apimachinery's proxy transport; HTML living standard, attributes whose value is a URL.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

_BY_TAG: Mapping[bytes, frozenset[str]] = {
    tag.encode(): frozenset(names.split())
    for tag, names in {
        "a": "href", "applet": "codebase", "area": "href", "audio": "src", "base": "href", "blockquote": "cite",
        "body": "background", "button": "formaction", "command": "icon", "del": "cite", "embed": "src",
        "form": "action", "frame": "longdesc src", "head": "profile", "html": "manifest", "iframe": "longdesc src",
        "img": "longdesc src usemap", "input": "src usemap formaction", "ins": "cite", "link": "href",
        "object": "classid codebase data usemap", "q": "cite", "script": "src", "source": "src", "track": "src",
        "video": "poster src",
    }.items()
}  # fmt: skip
_RAW = frozenset((b"script", b"style", b"textarea", b"title", b"xmp", b"noembed", b"noframes"))
_BEGIN = re.compile(rb"<!--|<[a-zA-Z]")
_TAG = re.compile(rb"""<([a-zA-Z][^\s/>]*+)((?:[^>"']|"[^"]*+"|'[^']*+')*+)>""")
_ATTRIBUTE = re.compile(rb"""([^\s=/"'>]++)(\s*+=\s*+)("[^"]*+"|'[^']*+'|[^\s"'>]++)""")


@dataclass(frozen=True, slots=True)
class Links:
    """How links are told.

    prefix     the path of the proxy, without a slash at the end
    hosts      names of the server that is asked: links to it are its own
    """

    prefix: str
    hosts: frozenset[str]

    def told(self, url: str) -> str:
        """`url` as the client has to ask for it."""
        try:
            parts = urlsplit(url)
        except ValueError:
            return url
        if (parts.netloc and parts.netloc not in self.hosts) or not parts.path.startswith("/"):
            return url
        path = parts.path if parts.path.startswith(self.prefix) else self.prefix + parts.path
        return urlunsplit(("", "", path, parts.query, parts.fragment))

    def page(self, text: bytes) -> bytes:
        """An HTML page with its links told."""
        pieces, at = list[bytes](), 0
        for tag in _start_tags(text):
            names = _BY_TAG.get(tag[1].lower())
            if names:
                pieces += (text[at : tag.start(2)], self._attributes(tag[2], names))
                at = tag.end(2)
        return b"".join((*pieces, text[at:]))

    def _attributes(self, text: bytes, names: frozenset[str]) -> bytes:
        def told(found: re.Match[bytes]) -> bytes:
            if found[1].lower().decode("latin-1") not in names:
                return found[0]
            url = html.unescape(found[3].strip(b"\"'").decode("utf-8", "surrogateescape"))
            new = self.told(url)
            if new == url:
                return found[0]
            return found[1] + found[2] + b'"' + html.escape(new).encode("utf-8", "surrogateescape") + b'"'

        return _ATTRIBUTE.sub(told, text)


def _start_tags(text: bytes) -> Iterator[re.Match[bytes]]:
    """Each start tag (name, attributes); what comments, scripts and the like hold is none.  One pass."""
    at = 0
    while found := _BEGIN.search(text, at):
        if found[0] == b"<!--":
            at = text.find(b"-->", found.end()) + 3
            if at < 3:
                return
            continue
        tag = _TAG.match(text, found.start())
        if tag is None:
            return  # it does not end
        yield tag
        at = tag.end()
        if tag[1].lower() in _RAW:
            closing = re.compile(b"</" + re.escape(tag[1]), re.IGNORECASE).search(text, at)
            if closing is None:
                return
            at = closing.start()
