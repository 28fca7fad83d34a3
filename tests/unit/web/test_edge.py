import asyncio
import errno
import logging

import pytest

from coracle.core.errors import Broken, Exhausted, NotFound, Unsupported
from coracle.testing.autojump import run
from coracle.web.edge import edge
from coracle.web.messages import Request, Response


def say(error):
    status = {NotFound: 404, Unsupported: 405, Broken: 500, Exhausted: 500}[type(error)]
    return Response.of(status, {"message": str(error)})


def failing(error):
    async def handler(request):
        raise error

    return edge(handler, say)


def test_an_answer_passes():
    async def handler(request):
        return Response(204)

    assert run(edge(handler, say)(Request("GET", "/"))).status == 204


def test_a_known_failure_is_said_in_the_doors_words():
    answer = run(failing(NotFound(kind="Pod", name="x"))(Request("GET", "/")))
    assert (answer.status, answer.body) == (404, b'{"message":"Pod x"}')


def test_an_unknown_failure_is_ours_and_goes_to_the_log_only(caplog):
    with caplog.at_level(logging.ERROR):
        answer = run(failing(RuntimeError("secret"))(Request("GET", "/a")))
    assert (answer.status, answer.body) == (500, b'{"message":"internal error"}')
    assert "secret" in caplog.text


def test_a_full_disk_is_said_to_be_full_and_is_no_failure_of_ours(caplog):
    with caplog.at_level(logging.WARNING):
        answer = run(failing(OSError(errno.ENOSPC, "No space left on device", "/its/path"))(Request("POST", "/a")))
    assert (answer.status, answer.body) == (500, b'{"message":"no space left on device"}')
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_a_refused_method_says_which_are_allowed():
    request = Request("PUT", "/")
    request.allowed = ("GET", "HEAD")
    answer = run(failing(Unsupported("no"))(request))
    assert answer.headers["Allow"] == "GET, HEAD"


@pytest.mark.parametrize("error", [asyncio.CancelledError(), ConnectionResetError()])
def test_a_client_that_is_gone_is_not_answered(error):
    with pytest.raises(type(error)):
        run(failing(error)(Request("GET", "/")))
