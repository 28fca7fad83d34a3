"""The indexes of an indexed Job's pods.

Source: Kubernetes documentation, "Job: Completion mode"; format of `status.completedIndexes`.
"""

from __future__ import annotations

from collections.abc import Iterable

from coracle.core.object import Object
from coracle.kube.kinds.job import PREFIX
from coracle.kube.kinds.jobindexes import spans
from coracle.kube.kinds.jobrules import UNLIMITED

INDEX = f"{PREFIX}job-completion-index"
FAILURES = f"{PREFIX}job-index-failure-count"
IGNORED = f"{PREFIX}job-index-ignored-failure-count"


def index_of(pod: Object) -> int | None:
    text = pod.meta.annotations.get(INDEX, "")
    return int(text) if text.isdigit() else None


def failures_before(pod: Object) -> int:
    """How many pods of its index had failed, so that it counts, when this one was made."""
    return _number(pod, FAILURES)


def ignored_before(pod: Object) -> int:
    """How many had failed so that it does not count."""
    return _number(pod, IGNORED)


def tries_before(pod: Object) -> int:
    return failures_before(pod) + ignored_before(pod)


def _number(pod: Object, name: str) -> int:
    text = pod.meta.annotations.get(name, "")
    return int(text) if text.isdigit() else 0


def read(text: str | None, completions: int) -> set[int]:
    """What a status says of those that there are; nothing where it says it wrongly."""
    try:
        found = spans(text or "", UNLIMITED)
        return {index for span in found for index in range(span.start, min(span.stop, completions))}
    except ValueError:
        return set()


def write(indexes: Iterable[int]) -> str:
    """`1,3-5`"""
    runs: list[list[int]] = []
    for index in sorted(indexes):
        if runs and index == runs[-1][1] + 1:
            runs[-1][1] = index
        else:
            runs.append([index, index])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)
