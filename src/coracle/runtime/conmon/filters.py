"""Seccomp filters that the runtime has compiled once, handed to it ready the next time.

Compiling the default profile, some four hundred calls, costs crun a millisecond and a half of each start.  It leaves
the result beside its state, and takes one in an annotation.  So the first container with a profile is asked for in the
usual way, and others with the same profile get what came out of that.

A config.json with a ready filter keeps a profile that refuses everything: should the annotation ever not be understood,
nothing would run, rather than unfiltered.

Source: crun 1.8.1, crun(1) "run.oci.seccomp_bpf_data"; seccomp.c, `libcrun_generate_seccomp`.
"""

from __future__ import annotations

import base64
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import orjson

from coracle.runtime.conmon.places import Place

_ANNOTATION = "run.oci.seccomp_bpf_data"
_MOST = 64
_SIMPLE = frozenset({"defaultAction", "defaultErrnoRet", "architectures", "syscalls"})
_NOTHING = {"defaultAction": "SCMP_ACT_ERRNO"}


class Filters:
    """Compiled filters by profile, those used last."""

    def __init__(self) -> None:
        self._compiled: OrderedDict[bytes, str] = OrderedDict()

    def compiled(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """`config` with its filter ready, if its profile has been met before; else as it is."""
        profile = _profile(config)
        data = self._compiled.get(profile) if profile else None
        if profile is None or data is None:
            return dict(config)
        self._compiled.move_to_end(profile)
        annotations = {**config.get("annotations", {}), _ANNOTATION: data}
        return {**config, "annotations": annotations, "linux": {**config["linux"], "seccomp": _NOTHING}}

    def learn(self, config: Mapping[str, Any], place: Place) -> None:
        """Keep what the runtime has made of the profile of a container that has just been created."""
        profile = _profile(config)
        if profile is None or _ANNOTATION in config.get("annotations", {}):
            return
        try:
            data = (place.runtime_root / place.id / "seccomp.bpf").read_bytes()
        except OSError:
            return  # this runtime keeps it elsewhere
        if data and len(data) % 8 == 0:
            self._compiled[profile] = base64.b64encode(data).decode()
            while len(self._compiled) > _MOST:
                self._compiled.popitem(last=False)


def _profile(config: Mapping[str, Any]) -> bytes | None:
    """What identifies it; None: there is none, or it asks for more than a filter (flags, a listener)."""
    profile = config["linux"].get("seccomp")
    return orjson.dumps(profile, option=orjson.OPT_SORT_KEYS) if profile and set(profile) <= _SIMPLE else None
