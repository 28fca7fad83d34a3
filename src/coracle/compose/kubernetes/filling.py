"""New volumes begin with what the image has in their place, as Docker's do.

Kubernetes does not copy.  An init container of the same image can, where it has a shell; it also gives the volume the
directory's owner and mode, as Docker does.  A volume that has anything in it is left alone.
"""

from __future__ import annotations

from typing import Any

from coracle.compose.kubernetes.fields import Fields
from coracle.compose.kubernetes.names import free, label
from coracle.compose.kubernetes.setting import Setting

_AT = "/volume"
_COPY = f"""ls -A {_AT} | grep -qvx 'lost+found' || [ ! -d "$0" ] || cp -a "$0/." {_AT}"""


def fill(
    service: Fields, entry: Fields, mount: dict[str, Any], setting: Setting, taken: set[str]
) -> list[dict[str, Any]]:
    """The init container that fills the volume of `mount`; none where that is not wanted.  `taken`: others' names."""
    given = entry.part("volume")
    if given.take("nocopy") or mount.get("subPath"):
        return []
    target = mount["mountPath"]
    if not setting.options.fill_volumes:
        said = (
            f"a new volume is empty: Docker's begins with what the image has in {target} (--fill-volumes does so too)"
        )
        entry.warn("", said)
        return []
    return [
        {
            "name": free(label(f"fill-{mount['name']}"), taken),
            "image": setting.project.image_of(service.name),
            "imagePullPolicy": "IfNotPresent",
            "command": ["sh", "-c", _COPY, target],
            "securityContext": {"runAsUser": 0},
            "volumeMounts": [{"name": mount["name"], "mountPath": _AT}],
        }
    ]
