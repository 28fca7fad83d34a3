import asyncio
from dataclasses import dataclass
from types import SimpleNamespace

import pytest

from coracle.core.errors import Malformed, Unavailable
from coracle.engine.logs import LogLine
from coracle.kube.kubelet.records import Present
from coracle.kube.kubelet.streams import PodStreams, chosen, printed
from coracle.testing.autojump import run
from suites.attempts import a_pod, there, tried


@dataclass
class Wish:
    follow: bool = False
    previous: bool = False
    timestamps: bool = False
    tail_lines: int | None = None
    since_at_s: float | None = None
    limit_bytes: int | None = None


WAITS = 'container "web" in pod "p" is waiting to start'


def waiting(reason, group="containerStatuses"):
    state = {"waiting": {"reason": reason}}
    return a_pod().with_status(**{group: [{"name": "web", "state": state}]})


@pytest.mark.parametrize(
    ("pod", "present", "previous", "expected"),
    [
        (a_pod(), there(tried()), False, "web-0"),
        (a_pod(), there(tried(state="exited")), False, "web-0"),
        (a_pod(), there(tried(state="exited"), tried(number=1)), False, "web-1"),
        (a_pod(), there(tried(state="exited"), tried(number=1)), True, "web-0"),
        (waiting("CrashLoopBackOff"), there(tried(state="exited")), True, "web-0"),
    ],
)
def test_which_log_is_meant(pod, present, previous, expected):
    assert chosen(pod, "web", present, previous=previous).id == expected


@pytest.mark.parametrize(
    ("pod", "previous", "said"),
    [
        (waiting("ContainerCreating"), False, f"{WAITS}: ContainerCreating"),
        (
            waiting("ImagePullBackOff"),
            False,
            f"{WAITS}: trying and failing to pull image",
        ),
        (
            waiting("CreateContainerConfigError", "ephemeralContainerStatuses"),
            False,
            f"{WAITS}: CreateContainerConfigError",
        ),
        (a_pod(), True, 'previous terminated container "web" in pod "p" not found'),
    ],
)
def test_logs_that_are_not_there(pod, previous, said):
    with pytest.raises(Malformed) as refused:
        chosen(pod, "web", Present(), previous=previous)
    assert refused.value.message == said


async def _lines(*lines):
    for line in lines:
        yield line


@pytest.mark.parametrize(
    ("wish", "expected"),
    [
        (Wish(), b"one two\n\nthree\n"),
        (Wish(timestamps=True), b"T1 one two\nT3 \nT4 three\n"),
        (Wish(limit_bytes=10), b"one two\n\nt"),
    ],
)
def test_lines_are_whole(wish, expected):
    async def main():
        lines = _lines(
            LogLine("T1", "stdout", b"one ", True),
            LogLine("T2", "stdout", b"two", False),
            LogLine("T3", "stderr", b"", False),
            LogLine("T4", "stdout", b"three", False),
        )
        return b"".join([data async for data in printed(lines, wish)])

    assert asyncio.run(main()) == expected


def test_a_kubelet_that_does_not_answer_has_no_streams():
    execs = SimpleNamespace(start=None, attach=None)
    streams, pod = PodStreams(None, None, execs, lambda: False), a_pod()

    async def main():
        asked = (
            lambda: streams.logs(pod, "web", Wish()),
            lambda: streams.exec(pod, "web", ["true"]),
            lambda: streams.attach(pod, "web"),
            lambda: streams.connect(pod, 80),
        )
        for ask in asked:
            with pytest.raises(Unavailable, match="does not answer: connection refused"):
                await ask()

    run(main())


def test_streams_of_a_pod(machine):
    async def main():
        await machine.has_image("nginx:1")
        async with machine.daemon() as engine:
            await machine.create("web", {"name": "web", "image": "nginx:1", "command": ["echo", "hello"]})
            await machine.create("cat", {"name": "web", "image": "nginx:1", "command": ["cat"]})
            await asyncio.sleep(1)
            streams = PodStreams(machine.kubelet_records, engine.logs, engine.execs)
            lines = await streams.logs(machine.pod(), "web", Wish())
            said = b"".join([data async for data in lines])
            beside = await streams.exec(machine.pod("cat"), "web", ["exit", "7"])
            return said, await beside.wait()

    assert run(main()) == (b"hello\n", 7)
