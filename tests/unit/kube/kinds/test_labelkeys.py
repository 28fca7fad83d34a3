"""Selectors that go by a pod's own labels: completed once, and what is refused of them."""

from __future__ import annotations

import pytest

from coracle.core.object import Key
from coracle.kube.kinds.podspec import placement
from coracle.testing.autojump import run
from coracle.testing.kube import Stage, a_pod

REQUIRED, PREFERRED = (f"{how}DuringSchedulingIgnoredDuringExecution" for how in ("required", "preferred"))
SELECTOR = {"matchLabels": {"app": "web"}}
TERM = {
    "topologyKey": "zone",
    "labelSelector": SELECTOR,
    "matchLabelKeys": ["v", "none"],
    "mismatchLabelKeys": ["tenant"],
}
SPREAD = {"topologyKey": "zone", "maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule", "labelSelector": SELECTOR}
SAME_V = {"key": "v", "operator": "In", "values": ["1"]}
OTHERS = {"key": "tenant", "operator": "NotIn", "values": ["a"]}


def test_a_new_pods_selectors_are_completed_and_stay_so():
    async def main():
        stage = Stage()
        await stage.rooms()
        affinity = {
            "podAffinity": {REQUIRED: [TERM]},
            "podAntiAffinity": {PREFERRED: [{"weight": 1, "podAffinityTerm": TERM}]},
        }
        spread = [{**SPREAD, "matchLabelKeys": ["v"]}, {**SPREAD, "topologyKey": "rack"}]
        labels = {"app": "web", "v": "1", "tenant": "a"}
        await stage["Pod"].create(a_pod("one", labels, affinity=affinity, topologySpreadConstraints=spread))
        spec = stage["Pod"].get(Key("default", "one")).spec
        near, far = spec["affinity"]["podAffinity"], spec["affinity"]["podAntiAffinity"]
        wanted = {**SELECTOR, "matchExpressions": [SAME_V, OTHERS]}
        assert near[REQUIRED][0]["labelSelector"] == wanted
        assert far[PREFERRED][0]["podAffinityTerm"]["labelSelector"] == wanted
        assert spec["topologySpreadConstraints"][0]["labelSelector"] == {**SELECTOR, "matchExpressions": [SAME_V]}
        assert spec["topologySpreadConstraints"][1]["labelSelector"] == SELECTOR
        await stage["Pod"].change(Key("default", "one"), lambda pod: pod.with_meta(labels={**labels, "v": "2"}))
        assert stage["Pod"].get(Key("default", "one")).spec == spec

    run(main())


def near(**term):
    return {"affinity": {"podAffinity": {REQUIRED: [{"topologyKey": "zone", "labelSelector": SELECTOR, **term}]}}}


def node(**need):
    return {"affinity": {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": [{"matchFields": [need]}]}}}}


def spread(*constraints):
    return {"topologySpreadConstraints": [{**SPREAD, **one} for one in constraints]}


@pytest.mark.parametrize(
    ("spec", "field", "said"),
    [
        (near(matchLabelKeys=["a b"]), "matchLabelKeys[0]", "name part must consist of"),
        (near(labelSelector=None, matchLabelKeys=["v"]), "matchLabelKeys", "must not be specified when labelSelector is not set"),
        (near(matchLabelKeys=["v"], mismatchLabelKeys=["v"]), "matchLabelKeys[0]", "exists in both matchLabelKeys and mismatch"),
        (near(labelSelector={**SELECTOR, "matchExpressions": [{**SAME_V, "key": "app"}]}, matchLabelKeys=["app"]), "[0][0]",
         "exists in both matchLabelKeys and labelSelector"),
        (near(namespaces=["A"]), "namespace", "a lowercase RFC 1123 label"),
        (near(namespaceSelector={"matchLabels": {"a b": "c"}}), "namespaceSelector.matchLabels", "name part must"),
        (spread({"matchLabelKeys": ["app"]}), "matchLabelKeys[0]", "exists in both matchLabelKeys and labelSelector"),
        (spread({}, {"maxSkew": 2}), "topologySpreadConstraints[1].{topologyKey, whenUnsatisfiable}", "Duplicate value"),
        (node(key="metadata.name", operator="In", values=["a", "b"]), "matchFields[0].values", "must be only one value"),
        (node(key="metadata.name", operator="Exists"), "matchFields[0].operator", "not a valid selector operator"),
        (node(key="spec.x", operator="In", values=["a"]), "matchFields[0].key", "not a valid field selector key"),
        (node(key="metadata.name", operator="In", values=["A"]), "matchFields[0].values[0]", "a lowercase RFC 1123 subdomain"),
    ],
    ids=lambda value: value if isinstance(value, str) and " " in value else "",
)  # fmt: skip
def test_what_is_refused(spec, field, said):
    found = placement.problems("spec", spec)
    assert [problem for problem in found if problem.field.endswith(field) and said in problem.text], found
