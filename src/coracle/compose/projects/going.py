"""`down`: what is to be taken away of a project now; pure."""

from __future__ import annotations

from collections.abc import Collection

from coracle.compose import order
from coracle.compose.projects.objects import Going, Spec
from coracle.compose.projects.seen import Present, Seen
from coracle.compose.projects.steps import DropImage, DropNetwork, DropVolume, Plan, Remove, Step
from coracle.compose.projects.things import is_working


def plan(
    spec: Spec,
    present: Present,
    images: Collection[str] = (),
    *,
    given_up: Collection[str] = (),
    busy: Collection[str] = (),
) -> Plan:
    """Containers first, those that others depend on last; then networks, volumes and `images` together.

    given_up: subjects of steps that came to nothing because others use the thing; busy: of those under way.
    """
    going = spec.going or Going()
    doomed = [one for one in present.containers if _goes(one, spec, going)]
    if doomed:
        return Plan(tuple(_removals(doomed, spec, going)), pending=True)
    if is_working(busy):
        return Plan(pending=True)
    steps: list[Step] = []
    if spec.undo is not None:
        steps += [DropNetwork(one) for one in present.networks if one.name not in spec.undo.networks]
        steps += [DropVolume(*one) for one in present.volumes.items() if one[0] not in spec.undo.volumes]
    else:
        steps += [DropNetwork(one) for one in present.networks]
        steps += [DropVolume(*one) for one in present.volumes.items()] if going.volumes else []
        steps += [DropImage(name) for name in images]
    left = tuple(step for step in steps if step.subject not in given_up)
    return Plan(left, pending=bool(left))


def _goes(one: Seen, spec: Spec, going: Going) -> bool:
    if spec.undo is not None:
        return one.id not in spec.undo.containers and not one.one_off
    if one.service in going.kept and not one.one_off:
        return False
    return going.orphans or (one.service in spec.known and not one.one_off)


def _removals(doomed: list[Seen], spec: Spec, going: Going) -> list[Step]:
    after, services = order.dependents(spec.known), {one.service for one in doomed}
    volumes = going.volumes or spec.undo is not None
    return [Remove(one, volumes) for one in doomed if not after.get(one.service, frozenset()) & services]
