"""What a volume's status says of its phase.

Source: Kubernetes v1 API, PersistentVolumeStatus.
"""

from __future__ import annotations

from coracle.core.object import Object


def in_phase(volume: Object, phase: str, now: str, reason: str = "", message: str = "") -> Object:
    """The volume in that phase, since `now` (RFC 3339) where it was in another; what was said of that one goes."""
    if volume.status.get("phase") == phase:
        return volume
    kept = {name: value for name, value in volume.status.items() if name not in ("reason", "message")}
    said = {"reason": reason, "message": message} if reason else {}
    return volume.with_body(status={**kept, "phase": phase, "lastPhaseTransitionTime": now, **said})
