import pytest

from coracle.core.errors import Malformed
from coracle.core.selectors import from_label_selector, matches, parse_fields, parse_selector

WEB = {"app": "web", "tier": "front"}


@pytest.mark.parametrize(
    ("text", "labels", "accepted"),
    [
        pytest.param("", {}, True, id="nothing asked accepts everything"),
        pytest.param("app=web", WEB, True, id="equality"),
        pytest.param("app==web", WEB, True, id="double equality"),
        pytest.param("app=db", WEB, False, id="another value"),
        pytest.param("app!=db", WEB, True, id="inequality"),
        pytest.param("zone!=a", WEB, True, id="inequality holds where the label is absent"),
        pytest.param("app in (web, db),tier", WEB, True, id="set and existence"),
        pytest.param("app notin (web)", WEB, False, id="notin"),
        pytest.param("zone notin (a)", WEB, True, id="notin holds where the label is absent"),
        pytest.param("!zone", WEB, True, id="absence"),
        pytest.param("!app", WEB, False, id="absence of what is there"),
        pytest.param(" app = web , tier in (front) ", WEB, True, id="white space"),
        pytest.param("app=,tier", {"app": "", "tier": "x"}, True, id="empty value"),
        pytest.param("kubernetes.io/os=linux", {"kubernetes.io/os": "linux"}, True, id="prefixed key"),
    ],
)
def test_label_selectors_in_text(text, labels, accepted):
    assert parse_selector(text).accepts(labels) is accepted


@pytest.mark.parametrize(
    "text", ["a=b=c", "a in b", "a in (b", "(a)", "=a", "a,,b", "-a=b", "a=b c", "a like b", "a=!"]
)
def test_what_is_no_selector_is_refused(text):
    with pytest.raises(Malformed):
        parse_selector(text)


def test_an_absent_selector_selects_nothing_and_an_empty_one_everything():
    assert not from_label_selector(None).accepts({})
    assert from_label_selector({}).accepts({})


def test_expressions():
    selector = from_label_selector(
        {"matchLabels": {"app": "web"}, "matchExpressions": [{"key": "tier", "operator": "In", "values": ["front"]}]}
    )
    assert selector.accepts(WEB)
    assert not selector.accepts({"app": "web"})


def test_a_map_selector_wants_every_label():
    assert matches({"app": "web"}, WEB)
    assert not matches({"app": "web", "x": "y"}, WEB)


def test_fields():
    found = parse_fields("status.phase!=Failed, metadata.name==web", ("status.phase", "metadata.name"))
    assert [(f.path, f.value, f.equal) for f in found] == [
        ("status.phase", "Failed", False),
        ("metadata.name", "web", True),
    ]
    with pytest.raises(Malformed, match=r"field label not supported: spec\.x"):
        parse_fields("spec.x=1", ("metadata.name", "status.phase"))
    only = '"spec.x" is not a known field selector: only "metadata.name", "metadata.namespace"'
    with pytest.raises(Malformed, match=only):
        parse_fields("spec.x=1", ("metadata.name", "metadata.namespace"))
