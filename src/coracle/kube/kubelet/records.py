"""What the engine's records say about a pod: its sandbox and every attempt at each of its containers.

The link is labels: each record carries the pod's namespace, name and uid, a container also its name, its attempt (the
restart count) and the back-off that applies after it ends.  They survive the daemon, so a restarted kubelet goes on
where the last one stopped.

    web    attempt 0  exited 1, back-off 0     -> started again at once
    web    attempt 1  exited 1, back-off 10    -> CrashLoopBackOff until 10 s after its end
    web    attempt 2  running,  back-off 20
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from coracle.core.clock import from_rfc3339
from coracle.core.informer import Index, Informer
from coracle.core.object import Key, Object
from coracle.core.store import Event

CONTAINER, SANDBOX = "Container.engine", "Sandbox.engine"

POD_NAME = "io.kubernetes.pod.name"
POD_NAMESPACE = "io.kubernetes.pod.namespace"
POD_UID = "io.kubernetes.pod.uid"
CONTAINER_NAME = "io.kubernetes.container.name"
ATTEMPT = "io.kubernetes.container.restartCount"
BACKOFF = "io.coracle.container.backoffSeconds"
ROUND = "io.coracle.container.round"  # see `rounds`; absent: the first
MENDED = "io.coracle.container.sandbox"  # how often its sandbox had been made again by then; absent: never
GRACE = "io.kubernetes.pod.terminationGracePeriod"


def to_pod(event: Event) -> Iterable[Key]:
    """The pod whose sandbox or container has changed; nothing for records that another API made."""
    labels = event.entry.labels
    name = labels.get(POD_NAME)
    return (Key(labels.get(POD_NAMESPACE, ""), name),) if name else ()


def _pod_text(record: Object) -> Iterable[str]:
    labels = record.meta.labels
    return (f"{labels.get(POD_NAMESPACE, '')}/{labels[POD_NAME]}",) if POD_NAME in labels else ()


INDEXES: Mapping[str, Mapping[str, Index]] = {CONTAINER: {"pod": _pod_text}, SANDBOX: {"pod": _pod_text}}


def pod_labels(pod: Object) -> dict[str, str]:
    return {POD_NAME: pod.meta.name, POD_NAMESPACE: pod.meta.namespace, POD_UID: pod.meta.uid}


def sandbox_name(pod_uid: str) -> str:
    return f"pod-{pod_uid}"


def container_name(pod: Object, container: str, number: int) -> str:
    """`k8s_web_mypod_default_<uid>_0`, as the kubelet with Docker named them."""
    return f"k8s_{container}_{pod.meta.name}_{pod.meta.namespace}_{pod.meta.uid}_{number}"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One container of a pod, made once; restarting makes the next.

    Units: `started_s`, `finished_s` seconds since 1970 (0: not yet); `backoff_s` applies after the end of this attempt.
    `resources`: its limits, as runtime.api.Resources has them; `together`: those of its group.
    `user`: uid, gid and groups of its program.
    `round`: how often its pod was started anew before (see `rounds`); `mended`: how often its sandbox was made again.
    `state`: created, running, exited, failed (it could not be made or started; `reason` and `message` say why).
    """

    id: str
    container: str
    number: int
    state: str
    pod_uid: str = ""
    started_at: str = ""
    finished_at: str = ""
    exit_code: int = 0
    oom_killed: bool = False
    reason: str = ""
    message: str = ""
    image: str = ""
    image_id: str = ""
    backoff_s: float = 0.0
    grace_s: float = 30.0
    resources: Mapping[str, Any] = field(default_factory=dict)
    together: Mapping[str, Any] = field(default_factory=dict)
    user: Mapping[str, Any] = field(default_factory=dict)
    round: int = 0
    mended: int = 0

    @property
    def ended(self) -> bool:
        return self.state in ("exited", "failed")

    @property
    def succeeded(self) -> bool:
        return self.state == "exited" and self.exit_code == 0

    @property
    def started_s(self) -> float:
        return from_rfc3339(self.started_at) if self.started_at else 0.0

    @property
    def finished_s(self) -> float:
        return from_rfc3339(self.finished_at) if self.finished_at else 0.0

    @classmethod
    def of(cls, record: Object) -> Attempt:
        labels, status = record.meta.labels, record.status
        gone_at = record.meta.created if status.get("state") == "failed" else ""  # where the engine gave no time
        return cls(
            id=record.meta.name,
            container=labels.get(CONTAINER_NAME, ""),
            number=_number(labels.get(ATTEMPT, "0")),
            state=str(status.get("state") or "created"),
            pod_uid=labels.get(POD_UID, ""),
            started_at=str(status.get("started_at") or ""),
            finished_at=str(status.get("finished_at") or gone_at),
            exit_code=int(status.get("exit_code") or 0),
            oom_killed=bool(status.get("oom_killed")),
            reason=str(status.get("reason") or ""),
            message=str(status.get("message") or ""),
            image=str(record.spec.get("image") or ""),
            image_id=str(record.spec.get("image_id") or ""),
            backoff_s=float(_number(labels.get(BACKOFF, "0"))),
            grace_s=float(_number(labels.get(GRACE, "30"))),
            resources=record.spec.get("resources") or {},
            together=(record.spec.get("group") or {}).get("resources") or {},
            user=status.get("user") or {},
            round=_number(labels.get(ROUND, "0")),
            mended=_number(labels.get(MENDED, "0")),
        )


def _number(text: str) -> int:
    return int(text) if text.isdigit() else 0


@dataclass(frozen=True, slots=True)
class Present:
    """What there is of one pod.  `attempts`: by container name, oldest first; no key where none was made.  `past`: the
    last attempts of former rounds, by container name, where `attempts` are those of one round."""

    sandbox: Object | None = None
    attempts: Mapping[str, Sequence[Attempt]] = field(default_factory=dict)
    past: Mapping[str, Attempt] = field(default_factory=dict)

    @property
    def sandbox_ready(self) -> bool:
        return self.sandbox is not None and self.sandbox.status.get("state") == "ready"

    @property
    def mended(self) -> int:
        """How often the sandbox had to be made again."""
        return int(self.sandbox.status.get("mended") or 0) if self.sandbox is not None else 0

    @property
    def address(self) -> str:
        return str(self.sandbox.status.get("address") or "") if self.sandbox is not None else ""

    @property
    def all(self) -> list[Attempt]:
        return [attempt for attempts in self.attempts.values() for attempt in attempts]

    @property
    def round(self) -> int:
        return max((attempt.round for attempt in self.all), default=0)

    @property
    def lately(self) -> Present:
        """Of the last round only."""
        number = self.round
        if all(attempt.round == number for attempt in self.all):
            return self
        made = {name: tuple(one for one in tried if one.round == number) for name, tried in self.attempts.items()}
        former = {name: [one for one in tried if one.round < number] for name, tried in self.attempts.items()}
        past = {name: tried[-1] for name, tried in former.items() if tried}
        return Present(self.sandbox, {name: tried for name, tried in made.items() if tried}, past)

    def without_attempts(self) -> Present:
        """As a new round begins."""
        return Present(self.sandbox, {}, {name: tried[-1] for name, tried in self.attempts.items() if tried})

    def latest(self, container: str) -> Attempt | None:
        attempts = self.attempts.get(container)
        return attempts[-1] if attempts else None

    def before(self, container: str) -> Attempt | None:
        """The attempt before the latest: what `kubectl logs --previous` shows."""
        attempts = self.attempts.get(container) or ()
        return attempts[-2] if len(attempts) > 1 else None


class Records:
    """The records of pods, from the caches of the engine's sandboxes and containers (with INDEXES)."""

    def __init__(self, sandboxes: Informer, containers: Informer) -> None:
        self._sandboxes, self._containers = sandboxes, containers

    def of(self, key: Key) -> dict[str, Present]:
        """Everything ever made under this pod's name that is still there, by the pod's uid."""
        text = f"{key.namespace}/{key.name}"
        sandboxes = {record.meta.labels.get(POD_UID, ""): record for record in self._sandboxes.by("pod", text)}
        attempts: dict[str, list[Attempt]] = {}
        for record in self._containers.by("pod", text):
            attempt = Attempt.of(record)
            attempts.setdefault(attempt.pod_uid, []).append(attempt)
        return {
            uid: Present(sandboxes.get(uid), _by_container(attempts.get(uid, ()))) for uid in {**sandboxes, **attempts}
        }


def _by_container(attempts: Iterable[Attempt]) -> dict[str, tuple[Attempt, ...]]:
    grouped: dict[str, list[Attempt]] = {}
    for attempt in sorted(attempts, key=lambda attempt: attempt.number):
        grouped.setdefault(attempt.container, []).append(attempt)
    return {name: tuple(group) for name, group in grouped.items()}


def containers_of(pod: Object) -> list[Mapping[str, Any]]:
    return list(pod.spec.get("containers") or ())


def init_containers_of(pod: Object) -> list[Mapping[str, Any]]:
    return list(pod.spec.get("initContainers") or ())


def ephemeral_of(pod: Object) -> list[Mapping[str, Any]]:
    return list(pod.spec.get("ephemeralContainers") or ())


def everyone(pod: Object) -> list[Mapping[str, Any]]:
    """Containers of every sort: init, ordinary, ephemeral."""
    return [*init_containers_of(pod), *containers_of(pod), *ephemeral_of(pod)]


def statuses_of(pod: Object) -> list[Mapping[str, Any]]:
    """What the pod's status says of its init and its ordinary containers."""
    return [*(pod.status.get("initContainerStatuses") or ()), *(pod.status.get("containerStatuses") or ())]


def container_of(pod: Object, name: str) -> Mapping[str, Any]:
    """The container of that name; empty where the pod has none."""
    return next((one for one in everyone(pod) if one["name"] == name), {})


def is_init(pod: Object, name: str) -> bool:
    return any(one["name"] == name for one in init_containers_of(pod))


def is_ephemeral(pod: Object, name: str) -> bool:
    return any(one["name"] == name for one in ephemeral_of(pod))


def event_field(pod: Object, container: str) -> str:
    """What an event about one container is about, as the kubelet writes it: `spec.containers{web}`."""
    groups = ("initContainers", "ephemeralContainers")
    found = (group for group in groups if any(one["name"] == container for one in pod.spec.get(group) or ()))
    return f"spec.{next(found, 'containers')}{{{container}}}"
