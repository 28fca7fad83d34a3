"""What Docker's API keeps with the container of a RUN, so that it can be listed and looked at like any other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from coracle.engine.kinds.container import ContainerSpec


def describe(spec: ContainerSpec) -> Mapping[str, Any]:
    return {
        "Config": {
            "Image": spec.image,
            "Cmd": list(spec.argv or ()),
            "Env": list(spec.env),
            "User": spec.user,
            "WorkingDir": spec.workdir,
            "Labels": dict(spec.labels),
            "Healthcheck": {"Test": ["NONE"]},
            "AttachStdout": True,
            "AttachStderr": True,
        },
        "HostConfig": {
            "NetworkMode": "default",
            "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
            "LogConfig": {"Type": "none", "Config": {}},
            "AutoRemove": False,
        },
        "NetworkingConfig": {"EndpointsConfig": {}},
    }
