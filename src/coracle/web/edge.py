"""The only `except` in front of handlers: what they raise becomes an answer in the door's own words."""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable

from coracle.core.errors import Broken, CloudError, Exhausted
from coracle.web.messages import Answer, Handler, Request, Response

log = logging.getLogger(__name__)


def edge(handler: Handler, say: Callable[[CloudError], Response]) -> Handler:
    """Wrap `handler` so that it never raises: `say` words a CloudError, anything else is Broken."""

    async def safe(request: Request) -> Answer:
        try:
            return await handler(request)
        except CloudError as error:
            answer = say(error)
        except ConnectionError:
            raise  # the client is gone: there is nobody to answer, and it is nobody's failure
        except Exception as error:
            answer = say(_own_failure(request, error))
        if request.allowed and answer.status == 405:
            answer.headers = {**answer.headers, "Allow": ", ".join(request.allowed)}
        return answer

    return safe


def _own_failure(request: Request, error: Exception) -> CloudError:
    """A full disk is said to be full; anything else goes to the log only."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        log.warning("%s %s: %s", request.method, request.path, error)
        return Exhausted((error.strerror or "no space left on device").lower())
    log.error("%s %s failed", request.method, request.path, exc_info=error)
    return Broken("internal error")
