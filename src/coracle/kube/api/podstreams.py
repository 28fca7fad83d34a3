"""pods/log, pods/exec, pods/attach: the query into words, the streams over HTTP, a WebSocket or SPDY.

Source: PodLogOptions, PodExecOptions; the pod registry's LogLocation and streamLocation for what is refused how.
"""

from __future__ import annotations

import base64
import contextlib
from collections.abc import AsyncIterator, Awaitable, Mapping
from dataclasses import dataclass

from coracle.core.clock import Clock, from_rfc3339
from coracle.core.errors import Invalid, Malformed, Problem, Unsupported, forbidden, invalid
from coracle.core.object import Object
from coracle.kube.api import portforward, programs
from coracle.kube.api.programs import Wish
from coracle.kube.api.requests import is_true
from coracle.kube.api.served import Target
from coracle.kube.api.streams import LogOptions, PodStreams
from coracle.kube.api.subresources import Verb
from coracle.runtime.api import Streams
from coracle.web.messages import Answer, Request, Response, Stream, Upgrade
from coracle.web.websocket import WebSocket, accept

_LOG_PROTOCOL, _LOG_TEXT = "binary.k8s.io", "base64.binary.k8s.io"
_FINISHED = ("Succeeded", "Failed")


@dataclass(frozen=True, slots=True)
class PodVerbs:
    """Handlers of the streams of pods."""

    streams: PodStreams
    clock: Clock

    @property
    def verbs(self) -> Mapping[str, Verb]:
        """By subresource."""
        return {"log": self.log, "exec": self.exec, "attach": self.attach, "portforward": self.port_forward}

    async def log(self, request: Request, target: Target) -> Answer:
        """GET .../pods/{name}/log?container=&follow=&tailLines=&sinceSeconds=... -> 200 text/plain"""
        if request.method not in ("GET", "HEAD"):
            raise Unsupported("the server does not allow this method on the requested resource")
        pod = target.collection.get(target.key)
        options = read_log_options(request, self.clock.now_s())
        container = pick_container(pod, request.query.get("container"))
        if not pod.spec.get("nodeName"):
            return Response(200, content_type="text/plain")
        if request.upgrade == "websocket":
            return _log_messages(request, await self.streams.logs(pod, container, options))
        return Stream(200, await self.streams.logs(pod, container, options), content_type="text/plain")

    async def exec(self, request: Request, target: Target) -> Answer:
        """GET, POST .../pods/{name}/exec?command=&command=&container=&stdin=&stdout=&stderr=&tty= -> 101"""
        wish = Wish(request)
        pod = target.collection.get(target.key)
        container = pick_container(pod, request.query.get("container"))
        argv = request.query.all("command")
        if not argv:
            raise Malformed("you must specify at least 1 command for the container")
        wish.check()
        _check_phase(pod)

        def begin() -> Awaitable[Streams]:
            return self.streams.exec(pod, container, argv, stdin=wish.stdin, tty=wish.tty)

        return programs.answer(request, wish, begin, "error executing command in container")

    async def attach(self, request: Request, target: Target) -> Answer:
        """GET, POST .../pods/{name}/attach?container=&stdin=&stdout=&stderr=&tty= -> 101"""
        wish = Wish(request)
        pod = target.collection.get(target.key)
        container = pick_container(pod, request.query.get("container"))
        wish.check()
        _check_phase(pod, "attach a")

        def begin() -> Awaitable[Streams]:
            return self.streams.attach(pod, container)

        detaches = wish.tty or not _ends_once(pod, container)
        return programs.answer(request, wish, begin, "error attaching to container", detaches=detaches)

    async def port_forward(self, request: Request, target: Target) -> Answer:
        """GET (WebSocket) or POST (SPDY) .../pods/{name}/portforward -> 101"""
        pod = target.collection.get(target.key)
        _check_phase(pod, "forward ports of a")
        return portforward.answer(request, pod, self.streams)


def _log_messages(request: Request, lines: AsyncIterator[bytes]) -> Upgrade:
    """The same lines as WebSocket messages."""

    async def run(socket: WebSocket) -> None:
        with contextlib.suppress(ConnectionError):
            async for line in lines:
                await socket.send(base64.b64encode(line).decode() if socket.subprotocol == _LOG_TEXT else line)

    return accept(request, (_LOG_PROTOCOL, _LOG_TEXT), run)


def read_log_options(request: Request, now_s: float) -> LogOptions:
    """Raises Invalid (several at once, or out of range), Malformed (no number, no time)."""
    query, problems = request.query, list[Problem]()
    tail = _number(request, "tailLines", least=0, problems=problems)
    since_s = _number(request, "sinceSeconds", least=1, problems=problems)
    limit = _number(request, "limitBytes", least=1, problems=problems)
    since_at_s = now_s - since_s if since_s is not None else None
    if query.get("sinceTime"):
        if since_s is not None:
            problems.append(forbidden("sinceSeconds", "at most one of `sinceTime` or `sinceSeconds` may be specified"))
        try:
            since_at_s = from_rfc3339(query.get("sinceTime"))
        except ValueError as error:
            raise Malformed(f'parsing time "{query.get("sinceTime")}" as "2006-01-02T15:04:05Z07:00"') from error
    if problems:
        raise Invalid(problems, kind="PodLogOptions")
    return LogOptions(
        follow=is_true(query.get("follow")),
        previous=is_true(query.get("previous")),
        timestamps=is_true(query.get("timestamps")),
        tail_lines=tail,
        since_at_s=since_at_s,
        limit_bytes=limit,
    )


def pick_container(pod: Object, asked: str) -> str:
    """The container that is meant.  Raises Malformed, in the API server's words."""
    plain = [one["name"] for one in pod.spec.get("containers") or ()]
    first = [one["name"] for one in pod.spec.get("initContainers") or ()]
    late = [one["name"] for one in pod.spec.get("ephemeralContainers") or ()]
    if asked:
        if asked not in (*plain, *first, *late):
            raise Malformed(f"container {asked} is not valid for pod {pod.meta.name}")
        return asked
    if len(plain) == 1:
        return str(plain[0])
    said = f"a container name must be specified for pod {pod.meta.name}, choose one of: [{' '.join(plain)}]"
    if first:
        said += f" or one of the init containers: [{' '.join(first)}]"
    if late:
        said += f" or one of the ephemeral containers: [{' '.join(late)}]"
    raise Malformed(said)


def _ends_once(pod: Object, container: str) -> bool:
    """Whether the input of who attaches first is all that the container reads (stdinOnce)."""
    lists = ("containers", "initContainers", "ephemeralContainers")
    specs = (one for name in lists for one in pod.spec.get(name) or ())
    return any(one["name"] == container and one.get("stdinOnce") for one in specs)


def _check_phase(pod: Object, deed: str = "exec into a") -> None:
    phase = pod.status.get("phase")
    if phase in _FINISHED:
        raise Malformed(f"cannot {deed} container in a completed pod; current phase is {phase}")
    if not pod.spec.get("nodeName"):
        raise Malformed(f"pod {pod.meta.name} does not have a host assigned")


def _number(request: Request, name: str, *, least: int, problems: list[Problem]) -> int | None:
    text = request.query.get(name)
    if not text:
        return None
    if not text.lstrip("-").isdigit() or len(text) > 19:
        raise Malformed(f'strconv.ParseInt: parsing "{text}": invalid syntax')
    if int(text) < least:
        said = "must be greater than 0" if least else "must be greater than or equal to 0"
        problems.append(invalid(name, int(text), said))
    return int(text)
