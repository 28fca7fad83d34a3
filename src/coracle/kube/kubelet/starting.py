"""Bringing pods up: volumes and sandbox, then each container from its image.

What goes wrong is said in an event and kept as a note that the status shows; the plan tries again when it is due.
Source: Kubernetes documentation, "Pod Lifecycle"; kubelet's kuberuntime_container.go.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from coracle.core.clock import Clock
from coracle.core.errors import CloudError, NotFound, Unsupported
from coracle.core.kind import Reader
from coracle.core.object import Key, Object
from coracle.engine.bundles import users_of
from coracle.engine.containers import Containers
from coracle.engine.sandboxes import Sandboxes
from coracle.kube.kinds import runtimeclass
from coracle.kube.kinds.recorder import EventRecorder
from coracle.kube.kubelet.actions import Where
from coracle.kube.kubelet.config import NodeConfig
from coracle.kube.kubelet.environment import ConfigError, Surroundings, environment
from coracle.kube.kubelet.hooks import Hooks
from coracle.kube.kubelet.messages import Messages
from coracle.kube.kubelet.notes import Notes, Waiting
from coracle.kube.kubelet.plan import Start
from coracle.kube.kubelet.pulls import Pulls
from coracle.kube.kubelet.records import event_field, everyone
from coracle.kube.kubelet.specs import Ingredients, container_spec, sandbox_spec
from coracle.kube.kubelet.tokens import NoTokens, TokenSource
from coracle.kube.kubelet.volumes import envfiles
from coracle.kube.kubelet.volumes.mounting import devices, mounts
from coracle.kube.kubelet.volumes.service import MountFailed, PodVolumes

RETRY_S = 10.0
_FIRST_RETRY_S, _LONGEST_RETRY_S = 0.5, 122.0  # of volumes and sandboxes, as the kubelet's volume manager


class SandboxStarter:
    """Sets up what the containers of a pod share."""

    def __init__(
        self,
        sandboxes: Sandboxes,
        volumes: PodVolumes,
        config: NodeConfig,
        recorder: EventRecorder,
        clock: Clock,
        *,
        classes: Reader,
    ) -> None:
        """`classes` has the RuntimeClasses."""
        self._sandboxes, self._volumes, self._classes = sandboxes, volumes, classes
        self._config, self._recorder, self._clock = config, recorder, clock

    async def ensure(self, pod: Object, notes: Notes) -> None:
        """Volumes and sandbox are there afterwards, or `notes.sandbox` says why not."""
        try:
            self._check_runtime(pod)
            spec = sandbox_spec(pod, self._config)
            before = self._sandboxes.find(spec.name)
            users = users_of(await self._sandboxes.ensure(spec)) if spec.own_users else None
            notes.volumes = await self._volumes.prepare(pod, again=before is not None, users=users)
            record = await self._sandboxes.ensure(spec)
            if before is not None and record.status.get("mended") != before.status.get("mended"):
                said = "Pod sandbox changed, it will be killed and re-created."
                self._recorder.emit(pod, "Normal", "SandboxChanged", said)
        except MountFailed as error:
            self._failed(pod, notes, "FailedMount", str(error))
        except CloudError as error:
            self._failed(pod, notes, "FailedCreatePodSandBox", f"Failed to create pod sandbox: {error}")
        else:
            notes.sandbox, notes.failures, notes.checked = None, 0, True

    def _check_runtime(self, pod: Object) -> None:
        """Raises NotFound, Unsupported where the pod asks for a runtime that this node does not have."""
        name = pod.spec.get("runtimeClassName")
        if not name:
            return
        entry = self._classes.find(runtimeclass.KIND.type, Key("", name))
        if entry is None:
            raise NotFound(f'failed to get sandbox runtime: RuntimeClass "{name}" not found')
        handler = entry.object().body.get("handler")
        if handler != self._config.runtime:
            raise Unsupported(f'failed to get sandbox runtime: no runtime for "{handler}" is configured')

    def _failed(self, pod: Object, notes: Notes, reason: str, message: str) -> None:
        delay_s = min(_FIRST_RETRY_S * 2**notes.failures, _LONGEST_RETRY_S)
        notes.failures += 1
        notes.sandbox = Waiting("ContainerCreating", message, self._clock.now_s() + delay_s)
        self._recorder.emit(pod, "Warning", reason, message)


@dataclass(frozen=True, slots=True)
class Node:
    """What containers may ask about where they are: the node, and ConfigMaps, Secrets and Services in `reader`."""

    config: NodeConfig
    reader: Reader
    tokens: TokenSource = NoTokens()  # noqa: RUF009 - it has no state

    def around(self, address: str) -> Surroundings:
        """As seen by a pod with that address; "" has the node's own."""
        host = self.config.address
        capacity = self.config.capacity
        return Surroundings(self.reader, self.config.name, host, address or host, capacity, tokens=self.tokens)


class ContainerStarter:
    """Makes and starts containers."""

    def __init__(
        self,
        containers: Containers,
        pulls: Pulls,
        node: Node,
        hooks: Hooks,
        messages: Messages,
        *,
        volumes: PodVolumes,
        recorder: EventRecorder,
        clock: Clock,
    ) -> None:
        self._containers, self._pulls, self._node, self._volumes = containers, pulls, node, volumes
        self._hooks, self._messages = hooks, messages
        self._recorder, self._clock = recorder, clock

    async def start(self, pod: Object, container: Mapping[str, Any], start: Start, notes: Notes, address: str) -> None:
        """Bring up one attempt: it runs afterwards, is on its way (a pull), or a note or a record says why not.

        `address`: the pod's.
        """
        id = start.id
        if not id:
            image = self._pulls.image(pod, container, start.number, notes)
            if not isinstance(image, Object):
                if image is not None:
                    notes.waiting[start.container] = image
                return
            made_of = Ingredients(
                image, start.number, start.backoff_s, beside=start.beside, round=start.round, mended=start.mended
            )
            id = await self._create(pod, container, notes, made_of, address)
        if id:
            await self._go(Where(pod, container, id, address), notes)

    async def _create(
        self, pod: Object, container: Mapping[str, Any], notes: Notes, made_of: Ingredients, address: str
    ) -> str:
        """The id of the container; "" where it cannot be made."""
        name = container["name"]
        try:
            files = await envfiles.read(container, notes.volumes or {})
            known = environment(pod, container, replace(self._node.around(address), files=files))
            last_words = await self._messages.mount(pod, container, made_of.number)
            there = (*await mounts(pod, container, notes.volumes or {}, known, self._volumes), *last_words)
            made_of = replace(made_of, environment=known, mounts=there, devices=devices(container, notes.volumes or {}))
            record = await self._containers.create(container_spec(pod, container, made_of, self._node.config))
        except ConfigError as error:
            self._cannot(pod, name, notes, error.reason, str(error))
        except CloudError as error:
            self._cannot(pod, name, notes, "CreateContainerError", str(error))
        else:
            self._recorder.emit(pod, "Normal", "Created", "Container created", field=event_field(pod, name))
            return record.meta.name
        return ""

    async def _go(self, where: Where, notes: Notes) -> None:
        pod, name = where.pod, where.container["name"]
        try:
            await self._containers.start(where.id)
        except CloudError as error:
            notes.checked = False  # it may be what the pod's containers share that is broken
            self._recorder.emit(pod, "Warning", "Failed", f"Error: {error}", field=event_field(pod, name))
            record = self._containers.find(where.id)
            if record is None or record.status.get("state") != "failed":  # else the record says it, and backs off
                notes.waiting[name] = Waiting("RunContainerError", str(error), self._clock.now_s() + RETRY_S)
        else:
            notes.waiting.pop(name, None)
            self._recorder.emit(pod, "Normal", "Started", "Container started", field=event_field(pod, name))
            self._hooks.after_start(where, notes)

    def _cannot(self, pod: Object, name: str, notes: Notes, reason: str, message: str) -> None:
        notes.waiting[name] = Waiting(reason, message, self._clock.now_s() + RETRY_S)
        self._recorder.emit(pod, "Warning", "Failed", f"Error: {message}", field=event_field(pod, name))


async def start_all(
    starter: ContainerStarter, pod: Object, starts: tuple[Start, ...], notes: Notes, address: str
) -> None:
    """All of `starts` at once."""
    containers = {container["name"]: container for container in everyone(pod)}
    async with asyncio.TaskGroup() as group:
        for start in starts:
            work = starter.start(pod, containers[start.container], start, notes, address)
            group.create_task(work, name=f"start {start.container}")
