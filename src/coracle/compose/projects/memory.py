"""What is remembered of containers that may be gone: how they ended, and their anonymous volumes; pure.

One that ended by itself is the business of its restart policy: when it is removed it is not made anew.  One that was
killed (SIGKILL, as `docker rm -f` does) has not ended by itself: the one in its place gets its anonymous volumes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from coracle.compose.projects.objects import Service, Spec
from coracle.compose.projects.seen import Present, Seen

_KILLED = 137


def ended(spec: Spec, present: Present, before: Mapping[str, int]) -> dict[str, int]:
    """Slot -> exit code, from what was known `before` and what there is now."""
    own = [one for one in present.containers if not one.one_off and one.service in spec.services]
    counted = Counter(one.slot for one in own)
    found = {slot: code for slot, code in before.items() if slot.rpartition("-")[0] in spec.services}
    for one in own:
        if counted[one.slot] > 1:
            continue  # one takes the other's place
        if _has_ended(one, spec.services[one.service]):
            found[one.slot] = one.exit_code
        else:
            found.pop(one.slot, None)
    return found


def _has_ended(one: Seen, service: Service) -> bool:
    if service.want != "running" or one.state != "exited" or not one.run:
        return False
    return one.exit_code != _KILLED and not one.lost and service.again.get(one.id) != one.run


def volumes(spec: Spec, present: Present, before: Mapping[str, Mapping[str, str]]) -> Mapping[str, Mapping[str, str]]:
    """Slot -> target -> anonymous volume, of the replicas there are and of those that are missing."""
    own = [one for one in present.containers if not one.one_off and one.service in spec.services]
    found = {one.slot: one.volumes for one in own if one.volumes and one.id not in spec.discard}
    there = {one.slot for one in own}
    missing = Counter({name: service.scale for name, service in spec.services.items()})
    missing.subtract(slot.rpartition("-")[0] for slot in there)
    for slot in sorted(before.keys() - there, key=lambda slot: int(slot.rpartition("-")[2])):
        service = slot.rpartition("-")[0]
        if missing[service] > 0:
            missing[service] -= 1
            found[slot] = before[slot]
    return found
