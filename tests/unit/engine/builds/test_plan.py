"""Which stages are built, and which arguments they see."""

import pytest

from coracle.core.errors import CloudError
from coracle.engine.builds.arguments import Arguments, platform_arguments
from coracle.engine.builds.plan import make_plan
from coracle.image.dockerfile.parse import parse_dockerfile
from coracle.image.manifest import Platform

TEXT = b"""\
ARG V=1
FROM a:$V AS one
RUN x
FROM one AS two
COPY --from=other-image /x /
FROM b AS three
RUN y
FROM scratch
COPY --from=two /x /
RUN --mount=from=0,target=/m z
"""


def plan(text=TEXT, target="", **values):
    return make_plan(parse_dockerfile(text), {"V": "1", **values}, target)


def test_only_what_the_target_needs_is_built():
    found = plan()
    assert sorted(found.stages) == [0, 1, 3]
    assert [(one.base, one.above, one.needs) for one in found.stages.values()] == [
        ("a:1", None, ()),
        ("", 0, (0,)),
        ("scratch", None, (1, 0)),
    ]
    assert [one.first_step for one in found.stages.values()] == [2, 4, 6]  # ARG is the first
    assert found.stages[3].steps == 8


@pytest.mark.parametrize(("target", "stages"), [("two", [0, 1]), ("THREE", [2]), ("0", [0])])
def test_targets(target, stages):
    assert sorted(plan(target=target).stages) == stages


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"FROM ${UNSET}", "dockerfile parse error on line 1: base name (${UNSET}) should not be blank"),
        (b"FROM a AS x\nCOPY --from=x a b", "line 2: invalid from flag value x: refers to current build stage"),
        (b"FROM a\nCOPY --from=0 a b", "line 2: invalid from flag value 0: refers to current build stage"),
        (b"FROM a\nCOPY --from=1 a b\nFROM b", "line 2: invalid from flag value 1: invalid stage index"),
        (b"FROM a\nRUN --mount=type=moon x", 'line 2: unsupported mount type "moon"'),
    ],
)
def test_what_cannot_be_planned(text, said):
    with pytest.raises(CloudError) as told:
        plan(text)
    assert said in str(told.value)


def test_a_later_stage_is_not_meant_by_its_name():
    found = plan(b"FROM a\nCOPY --from=later /x /\nFROM b AS later", target="0")
    assert found.stages[0].needs == ()  # an image of that name


def arguments(text, **given):
    return Arguments(
        given, platform_arguments(Platform(), Platform("linux", "arm64", "v8")), parse_dockerfile(text).arguments
    )


def lines(text):
    return parse_dockerfile(text).stages[0].instructions


def test_arguments_of_a_stage():
    text = b"ARG V=1\nARG W=$V.2\nFROM x\nARG V\nARG D=d$V\nARG N\nARG TARGETPLATFORM\nARG E=arg"
    stage = arguments(text, D="given").stage()
    shown = [word for line in lines(text) for word in stage.declare(line, {"E": "env"})]
    assert shown == ["V", "D=d1", "N", "TARGETPLATFORM", "E=arg"]
    assert stage.values == {"V": "1", "D": "given", "TARGETPLATFORM": "linux/arm64/v8", "E": "arg"}
    assert stage.seen({"E": "env"})["E"] == "env"
    assert stage.for_programs({"E": "env"}) == {"V": "1", "D": "given", "TARGETPLATFORM": "linux/arm64/v8"}


def test_proxies_are_seen_and_no_part_of_the_key_unless_declared():
    text = b"FROM x\nARG http_proxy"
    stage = arguments(text, HTTP_PROXY="a", http_proxy="b").stage()
    assert stage.for_programs({}) == {"HTTP_PROXY": "a", "http_proxy": "b"}
    assert stage.for_key({}) == {}
    for line in lines(text):
        stage.declare(line, {})
    assert stage.for_key({}) == {"http_proxy": "b"}


def test_what_nobody_declares_is_told():
    found = arguments(b"ARG A\nFROM x", A="1", Z="1", B="1", HTTPS_PROXY="1")
    assert found.unused() == ["B", "Z"]
