"""Which stages a build needs, and which of them wait for which.  Pure.

Source: Dockerfile reference, "FROM", "COPY --from"; `docker build --target`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from coracle.core.errors import Invalid, Malformed
from coracle.image.dockerfile.lines import fault
from coracle.image.dockerfile.mounts import parse_mount
from coracle.image.dockerfile.parse import Dockerfile, Stage
from coracle.image.dockerfile.syntax import Instruction
from coracle.image.dockerfile.words import Lexer

SCRATCH = "scratch"
MAX_STEPS = 500  # each keeps the whole history before it


@dataclass(frozen=True, slots=True)
class PlannedStage:
    """`base` with its variables replaced: an image's name, "scratch", or "" where it is stage `above`.  `steps`: of how
    many its first step is number `first_step`."""

    index: int
    stage: Stage
    base: str
    platform: str
    above: int | None
    needs: tuple[int, ...]
    first_step: int = 1
    steps: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """`stages` that are needed, in the order of the file, `target` the outcome among them; `all`: those that triggers
    may ask for too."""

    stages: Mapping[int, PlannedStage]
    target: int
    all: Mapping[int, PlannedStage]


def make_plan(dockerfile: Dockerfile, values: Mapping[str, str], target: str = "", *, extra_steps: int = 0) -> Plan:
    """`values` of the global arguments; `extra_steps` are added to the target's.

    Raises: Malformed, Invalid.
    """
    wanted = _target(dockerfile, target)
    planned: dict[int, PlannedStage] = {}
    for index, stage in enumerate(dockerfile.stages[: wanted + 1]):
        planned[index] = _plan_stage(index, stage, dockerfile, values)
    needed = sorted(_needed(planned, wanted))
    counts = {index: 1 + len(one.stage.instructions) for index, one in planned.items()}
    counts[wanted] += extra_steps
    before = len(dockerfile.arguments)  # those before the first FROM are steps too
    total = before + sum(counts[index] for index in needed)
    if total > MAX_STEPS:
        raise Invalid(message=f"the build has {total} steps, more than {MAX_STEPS}")
    numbered, step = {}, before + 1
    for index in needed:
        numbered[index] = replace(planned[index], first_step=step, steps=total)
        step += counts[index]
    alone = {index: replace(one, steps=counts[index]) for index, one in planned.items()}
    return Plan(numbered, wanted, {**alone, **numbered})


def stage_index(dockerfile: Dockerfile, name: str, before: int) -> int | None:
    """The stage that `--from` means in stage `before`; None: an image.  Raises Invalid."""
    if name.isascii() and name.isdigit() and len(name) < 10:
        if int(name) == before:
            raise Invalid(message=f"invalid from flag value {name}: refers to current build stage")
        if int(name) > before:
            raise Invalid(message=f"invalid from flag value {name}: invalid stage index")
        return int(name)
    names = [stage.name for stage in dockerfile.stages]
    if name.lower() == names[before] and name.lower() not in names[:before]:
        raise Invalid(message=f"invalid from flag value {name}: refers to current build stage")
    found = [index for index in range(before) if names[index] and names[index] == name.lower()]
    return found[-1] if found else None


def sources_of(one: Instruction) -> list[str]:
    """What `--from` and `from=` name."""
    found = [one.flag("from")] if one.name == "COPY" else []
    if one.name == "RUN":
        found = [parse_mount(text).source_from for text in one.flags.get("mount", ())]
    return [name for name in found if name]


def _target(dockerfile: Dockerfile, target: str) -> int:
    if not target:
        return len(dockerfile.stages) - 1
    names = [stage.name for stage in dockerfile.stages]
    if target.lower() in names:
        return len(names) - 1 - names[::-1].index(target.lower())
    if target.isascii() and target.isdigit() and len(target) < 10 and int(target) < len(names):
        return int(target)
    raise Malformed(f'target stage "{target[:100]}" could not be found')


def _plan_stage(index: int, stage: Stage, dockerfile: Dockerfile, values: Mapping[str, str]) -> PlannedStage:
    lexer = Lexer(dockerfile.escape)
    base = lexer.word(stage.base, values)
    if not base:
        raise fault(stage.start.line, f"base name ({stage.base}) should not be blank")
    earlier = [i for i in range(index) if dockerfile.stages[i].name and dockerfile.stages[i].name == base.lower()]
    above = earlier[-1] if earlier else None
    needs = [above] if above is not None else []
    for one in stage.instructions:
        try:
            found = [stage_index(dockerfile, name, index) for name in sources_of(one) if "$" not in name]
        except (Malformed, Invalid) as error:
            raise fault(one.line, str(error)) from None
        needs += [number for number in found if number is not None]
    platform = lexer.word(stage.platform, values)
    return PlannedStage(index, stage, "" if above is not None else base, platform, above, tuple(dict.fromkeys(needs)))


def _needed(planned: Mapping[int, PlannedStage], target: int) -> set[int]:
    found, left = set(), [target]
    while left:
        index = left.pop()
        if index not in found:
            found.add(index)
            left += planned[index].needs
    return found
