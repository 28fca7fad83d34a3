"""Variables in values, by table; the values are those that Compose v2 gives."""

import pytest

from coracle.compose.interpolation import BadTemplate, Missing, interpolate, substitute
from coracle.compose.places import Places
from coracle.core.errors import Malformed

VARIABLES = {"SET": "s", "EMPTY": "", "OTHER": "o"}


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("plain", "plain"),
        ("$SET-${SET}", "s-s"),
        ("a$$SET", "a$SET"),
        ("$NOPE|${NOPE}|", "||"),
        ("${NOPE:-d}${EMPTY:-d}${SET:-d}", "dds"),
        ("${NOPE-d}|${EMPTY-d}|${SET-d}", "d||s"),
        ("${NOPE:+r}|${EMPTY:+r}|${SET:+r}", "||r"),
        ("${NOPE+r}|${EMPTY+r}|${SET+r}", "|r|r"),
        ("${NOPE:-${EMPTY:-${OTHER}}}!", "o!"),
        ("${NOPE:-a:b-c?d}", "a:b-c?d"),
        ("${NOPE:-$${x}}", "${x}"),
        ("${SET:?no}${SET?no}${EMPTY?no}", "ss"),
        ("$9 $- a$", "$9 $- a$"),
        ("}{$SET}", "}{s}"),
    ],
)
def test_substitution(template, expected):
    assert substitute(template, VARIABLES, lambda _: None) == expected


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("${NOPE:?give me $SET}", "required variable NOPE is missing a value: give me s"),
        ("${EMPTY:?}", "required variable EMPTY is missing a value"),
        ("${NOPE?}", "required variable NOPE is missing a value"),
    ],
)
def test_required(template, message):
    with pytest.raises(Missing) as caught:
        substitute(template, VARIABLES, lambda _: None)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "template", ["${", "${SET", "${SET:", "${SET:-", "${SET:-${A}", "${}", "${9}", "${A!b}", "${A" * 60]
)
def test_templates_that_mean_nothing(template):
    with pytest.raises(BadTemplate):
        substitute(template, VARIABLES, lambda _: None)


def test_names_that_are_not_set_are_told_where_they_matter():
    told = []
    substitute("$A ${B} ${C:-$D} ${SET:-$E} ${SET:+$F} ${G:+$H}", VARIABLES, told.append)
    assert told == ["A", "B", "D", "F"]


def test_the_path_of_the_value_is_said():
    with pytest.raises(Malformed, match=r"interpolating services\.web\.ports\.1: required variable P"):
        interpolate({"services": {"web": {"ports": ["1", "${P?}"]}}}, {}, Places(), lambda _: None)
