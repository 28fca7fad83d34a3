"""A file system from the web, for `docker import http://...`.

Source: moby daemon/images/image_import.go; docker.md 6.2 (addresses that users give are asked by the daemon).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from urllib.parse import urlsplit

from coracle.core.errors import Invalid, Malformed, Unavailable
from coracle.docker.images.progress import Say, bar
from coracle.image.challenges import is_loopback

_TELL_BYTES = 1 << 20


def check_source(text: str) -> str:
    """An address to import from; a bare host means http, as in Docker.  Raises Malformed."""
    url = text if "://" in text else f"http://{text}"
    try:
        parts = urlsplit(url)
        is_good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_good = False
    if not is_good or not text:
        raise Malformed(f"invalid import source {text[:200]!r}: neither - nor an http address")
    return url


async def download(source: str, say: Say) -> AsyncIterator[bytes]:
    """Raises Malformed, Unavailable, Invalid."""
    import aiohttp

    url = check_source(source)
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=60)
    is_elsewhere = not is_loopback(urlsplit(url).hostname or "")  # proxies are for that
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, auto_decompress=False, trust_env=is_elsewhere) as session,
            session.get(url) as response,
        ):
            if response.status != 200:
                raise Invalid(message=f"{url[:200]} answers {response.status}")
            total = response.content_length or 0
            say({"status": f"Downloading from {url}"})
            done = told = 0
            async for chunk in response.content.iter_chunked(1 << 18):
                done += len(chunk)
                if done - told >= _TELL_BYTES:
                    told = done
                    say({"status": "Importing", "progressDetail": bar(done, total)})
                yield chunk
    except (aiohttp.ClientError, TimeoutError, ConnectionError, UnicodeError) as error:  # the last: no name for DNS
        raise Unavailable(f"{url[:200]} cannot be fetched: {error}") from error
