"""Files from elsewhere: ADD's URLs and contexts by URL.  Limits on size and time; nothing is followed off http(s).

Source: Dockerfile reference, "ADD"; docker.md 6.3, item 7.
"""

from __future__ import annotations

import email.utils
import hashlib
import posixpath
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from coracle.core.errors import Invalid, TooLarge, Unavailable
from coracle.core.tasks import offload

LIMIT_BYTES = 8 << 30
TIMEOUT_S = 600.0
CONNECT_S = 15.0
_GIT = re.compile(r"(git|ssh)://|git@|github\.com/|.*\.git([#?].*)?$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Download:
    """`name` as the URL ends; `modified_s` since 1970, None where the server does not say."""

    path: Path
    name: str
    sha256: str
    modified_s: float | None = None
    content_type: str = ""


def is_url(text: str) -> bool:
    return text.lower().startswith(("http://", "https://"))


def is_git(text: str) -> bool:
    """Whether it names a repository rather than a file."""
    return _GIT.match(text) is not None


def url_name(url: str) -> str:
    """The file's name: the last part of the URL's path.  Raises Invalid."""
    name = posixpath.basename(unquote(urlsplit(url).path))
    if name in ("", ".", "..") or "\0" in name or "/" in name or len(name) > 255:
        raise Invalid(message=f"cannot determine filename from url: {url[:200]}")
    return name


async def download(url: str, path: Path, *, checksum: str = "", limit_bytes: int = LIMIT_BYTES) -> Download:
    """Fetch `url` into `path`, a new file.

    Raises: Unavailable (no answer), Invalid (not found, another content than `checksum` says), TooLarge.
    """
    import aiohttp  # 8 MB, and a fifth of the daemon's start

    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S, connect=CONNECT_S)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, trust_env=True, auto_decompress=False) as session,
            session.get(url, headers={"Accept-Encoding": "identity"}) as answer,
        ):
            if answer.status >= 400:
                raise Invalid(message=f"failed to GET {url[:200]} with status {answer.status} {answer.reason}")
            found = hashlib.sha256()
            size = 0
            with path.open("xb") as file:
                async for chunk in answer.content.iter_chunked(1 << 18):
                    size += len(chunk)
                    if size > limit_bytes:
                        raise TooLarge(f"{url[:200]} is larger than {limit_bytes} bytes")
                    found.update(chunk)
                    await offload(file.write, chunk)
            modified_s = _seconds(answer.headers.get("Last-Modified", ""))
            kind = answer.content_type
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        raise Unavailable(f"failed to GET {url[:200]}: {error or type(error).__name__}") from error
    if checksum and checksum.lower() != f"sha256:{found.hexdigest()}":
        raise Invalid(message=f"digest mismatch sha256:{found.hexdigest()}: {checksum[:100]}")
    return Download(path, url.rpartition("/")[2], found.hexdigest(), modified_s, kind)


def _seconds(text: str) -> float | None:
    try:
        return email.utils.parsedate_to_datetime(text).timestamp() if text else None
    except ValueError:
        return None
