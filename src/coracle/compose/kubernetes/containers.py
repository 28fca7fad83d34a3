"""One service as a container of a pod.

Source: Kubernetes v1 API, Container; "Define a Command and Arguments for a Container".
"""

from __future__ import annotations

import re
from typing import Any

from coracle.compose.kubernetes import attached, probes, security, volumes
from coracle.compose.kubernetes.fields import Fields, compact
from coracle.compose.kubernetes.ports import of_container
from coracle.compose.kubernetes.resources import resources
from coracle.compose.kubernetes.setting import Setting
from coracle.compose.kubernetes.units import Unit
from coracle.compose.kubernetes.volumes import Volumes

_PULLS = {"always": "Always", "never": "Never", "missing": "IfNotPresent", "build": "IfNotPresent"}
_EXPANDED = re.compile(r"\$+\(|\${2,}")


def container(unit: Unit, known: Volumes, setting: Setting) -> dict[str, Any]:
    """The container; its volumes are added to `known`."""
    service = unit.fields
    mounts = volumes.mounts(service, known, setting) + attached.mounts(service, known, setting)
    return {"name": unit.name, "image": _image(unit, setting), "imagePullPolicy": _pulling(service)} | compact(
        **_command(service),
        workingDir=service.take("working_dir"),
        env=_environment(service),
        ports=of_container(unit.ports, setting),
        resources=resources(service, unit.deploy),
        volumeMounts=mounts,
        **probes.probes(service),
        lifecycle=probes.lifecycle(service),
        securityContext=security.of_container(service),
        stdin=service.take("stdin_open") or None,
        tty=service.take("tty") or None,
    )


def unexpanded(text: str) -> str:
    """`text` so that Kubernetes, which puts in `$(NAME)` and halves `$$`, makes it what it was."""
    return _EXPANDED.sub(lambda found: found[0].replace("$", "$$"), text)


def _image(unit: Unit, setting: Setting) -> str:
    image = setting.project.image_of(unit.service)
    if unit.fields.take("build"):
        unit.fields.warn("build", f"build {image}, and bring it to where the nodes pull from, before this is applied")
    unit.fields.take("image")
    return image


def _pulling(service: Fields) -> str:
    policy = service.take("pull_policy", "missing")
    if policy not in _PULLS:
        service.warn("pull_policy", f"{policy}: Kubernetes pulls always, never, or what is not there")
    return _PULLS.get(policy, "Always")


def _command(service: Fields) -> dict[str, Any]:
    """`entrypoint` and `command` as `command` and `args`; both replace the image's in the same way."""
    entrypoint, command = service.take("entrypoint"), service.take("command")
    args = [unexpanded(str(word)) for word in command or ()]
    if entrypoint is None and command == []:
        service.warn("command", "the image's own arguments cannot be taken away without saying the entrypoint")
    if entrypoint == [] and not args:
        service.warn("entrypoint", "the image's own entrypoint cannot be taken away without saying the command")
    if entrypoint == []:
        return {"command": args}
    return {"command": [unexpanded(str(word)) for word in entrypoint or ()], "args": args}


def _environment(service: Fields) -> list[dict[str, str]]:
    """Variables with a value; those that have none are not set, in Compose neither.

    An empty one is written as it is kept, so that applying it again changes nothing.
    """
    given = service.take("environment", {})
    texts = ((name, unexpanded(value)) for name, value in given.items() if value is not None)
    return [{"name": name, "value": text} if text else {"name": name} for name, text in texts]
