"""A volume of the file -> the body of POST /volumes/create."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from coracle.compose.create.bodies import digest, without_empty
from coracle.compose.create.labels import COMPOSE, HASH, PROJECT, VERSION, VOLUME


def volume_body(model: Mapping[str, Any], key: str) -> dict[str, Any] | None:
    """None: the volume is external, it has to be there."""
    volume = (model.get("volumes") or {})[key]
    if volume.get("external"):
        return None
    own = {PROJECT: model["name"], VOLUME: key, VERSION: COMPOSE, HASH: digest(volume)}
    return without_empty(
        {
            "Name": volume["name"],
            "Driver": volume.get("driver"),
            "DriverOpts": volume.get("driver_opts"),
            "Labels": {**(volume.get("labels") or {}), **own},
        }
    )
