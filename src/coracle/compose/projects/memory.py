"""Which containers have ended by themselves; pure.

Such a one is the business of its restart policy: when it is removed it is not made anew.  One that was killed (SIGKILL,
as `docker rm -f` does) has not ended by itself.
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
