"""Images as Docker's API shows them: pure.

Source: Docker Engine API 1.50, "ImageSummary", "ImageInspect", "HistoryResponseItem"; reference docker.md 1.4.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from coracle.core.clock import from_rfc3339
from coracle.core.object import Object
from coracle.docker.versions import Version
from coracle.image.config import ImageConfig, Settings

NOT_SAID = -1  # of numbers that were not asked for
DRIVER = "overlay2"

# What an image's Config held besides its settings until 1.50: the container's own, empty here.
_OF_CONTAINERS: Mapping[str, Any] = {
    "Hostname": "",
    "Domainname": "",
    "AttachStdin": False,
    "AttachStdout": False,
    "AttachStderr": False,
    "Tty": False,
    "OpenStdin": False,
    "StdinOnce": False,
    "Image": "",
}


def summary(image: Object, version: Version, *, tags: Sequence[str], digests: Sequence[str]) -> dict[str, Any]:
    """One of `docker images`.  `tags`, `digests`: those of its names that were asked for."""
    spec = image.spec
    if not tags and not digests and version < (1, 43):
        tags, digests = ["<none>:<none>"], ["<none>@<none>"]
    shown = {
        "Id": spec["id"],
        "ParentId": spec["parent"],
        "RepoTags": sorted(tags),
        "RepoDigests": sorted(digests),
        "Created": created_s(image),
        "Size": spec["size_bytes"],
        "SharedSize": NOT_SAID,
        "Labels": spec["config"].get("labels") or None,
        "Containers": NOT_SAID,
    }
    return {**shown, "VirtualSize": spec["size_bytes"]} if version < (1, 44) else shown


def created_s(image: Object) -> int:
    """When it was made, whole seconds since 1970; 0 where its configuration does not say."""
    return seconds_of(image.spec["created"])


def seconds_of(text: str) -> int:
    try:
        return int(from_rfc3339(text))
    except ValueError:  # what came from elsewhere may say anything
        return 0


def shared_bytes(images: Iterable[Object]) -> dict[str, int]:
    """id -> what its layers hold that another image has too."""
    images = list(images)
    users: dict[str, int] = {}
    for image in images:
        for layer in set(image.spec["chain_ids"]):
            users[layer] = users.get(layer, 0) + 1
    return {
        image.spec["id"]: sum(
            size
            for layer, size in zip(image.spec["chain_ids"], image.spec["layer_bytes"], strict=True)
            if users[layer] > 1
        )
        for image in images
    }


def layers_bytes(images: Iterable[Object]) -> int:
    """What the layers of all these images hold together, each counted once."""
    sizes: dict[str, int] = {}
    for image in images:
        sizes.update(zip(image.spec["chain_ids"], image.spec["layer_bytes"], strict=True))
    return sum(sizes.values())


def inspection(image: Object, config: ImageConfig, version: Version) -> dict[str, Any]:
    """`docker image inspect`."""
    spec, settings = image.spec, config.settings
    shown: dict[str, Any] = {
        "Id": spec["id"],
        "RepoTags": sorted(spec["references"]),
        "RepoDigests": sorted(spec["digests"]),
        "Parent": spec["parent"],
        "Comment": config.history[-1].comment if config.history else "",
        "Created": config.created,
        "DockerVersion": "",
        "Author": config.author,
        "Config": config_shape(settings, version),
        # docker-compose 1.29 looks for its volumes here whatever version it speaks
        "ContainerConfig": {**_OF_CONTAINERS, "Cmd": None, "Env": None, "Labels": None, "Volumes": None},
        "Architecture": config.platform.architecture,
        "Os": config.platform.os,
        "Size": spec["size_bytes"],
        "GraphDriver": {"Name": DRIVER, "Data": {}},
        "RootFS": {"Type": "layers", "Layers": list(config.diff_ids)},
        "Metadata": {"LastTagTime": spec["named"] or "0001-01-01T00:00:00Z"},
    }
    if config.platform.variant:
        shown["Variant"] = config.platform.variant
    if not config.created:
        del shown["Created"]
        if version < (1, 44):
            shown["Created"] = "0001-01-01T00:00:00Z"
    if version < (1, 44):
        shown["VirtualSize"] = spec["size_bytes"]
    return shown


def config_shape(settings: Settings, version: Version) -> dict[str, Any]:
    """An image's settings as Docker's Config."""
    said = settings.to_json()
    names = ("User", "Env", "Cmd", "Volumes", "WorkingDir", "Entrypoint", "OnBuild", "Labels")
    empty = {"User": "", "WorkingDir": ""}
    shown = {name: said.get(name, empty.get(name)) for name in names}
    shown |= {name: said[name] for name in ("ExposedPorts", "StopSignal", "Healthcheck", "Shell") if name in said}
    return {**_OF_CONTAINERS, **shown} if version < (1, 50) else shown


def history(image: Object, config: ImageConfig, find: Callable[[str], Object | None]) -> list[dict[str, Any]]:
    """`docker history`, the newest first.  `find` gives an image by its id, for the parents that are here."""
    sizes = iter(image.spec["layer_bytes"])
    rows = [
        {
            "Id": "<missing>",
            "Created": seconds_of(step.created),
            "CreatedBy": step.created_by,
            "Tags": None,
            "Size": 0 if step.empty_layer else next(sizes, 0),
            "Comment": step.comment,
        }
        for step in config.history
    ]
    rows.reverse()
    at: Object | None = image
    for row in rows:
        if at is None:
            break
        row |= {"Id": at.spec["id"], "Tags": at.spec["references"] or None}
        at = find(at.spec["parent"]) if at.spec["parent"] else None
    return rows
