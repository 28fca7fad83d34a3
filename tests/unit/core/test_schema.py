"""Schemas: Go's words for wrong types, paths of unknown fields, cleaned documents."""

from __future__ import annotations

import pytest

from coracle.core.schema import BOOLEAN, STRING, Schema, array_of, map_of, obj
from coracle.kube.kinds import definitions


@pytest.mark.parametrize(
    ("kind", "doc", "said"),
    [
        (
            "ReplicationController",
            {"spec": {"replicas": "three"}},
            "json: cannot unmarshal string into Go struct field ReplicationControllerSpec.spec.replicas of type int32",
        ),
        (
            "ReplicationController",
            {"spec": {"replicas": 1.5}},
            "json: cannot unmarshal number 1.5 into Go struct field ReplicationControllerSpec.spec.replicas of type int32",
        ),
        (
            "Pod",
            {"metadata": {"labels": {"a": 1}}},
            "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type string",
        ),
        (
            "Pod",
            {"spec": {"containers": [{"env": [{"value": True}]}]}},
            "json: cannot unmarshal bool into Go struct field EnvVar.spec.containers.env.value of type string",
        ),
        (
            "Pod",
            {"spec": {"containers": {"name": "a"}}},
            "json: cannot unmarshal object into Go struct field PodSpec.spec.containers of type []v1.Container",
        ),
        ("Pod", {"spec": "x"}, "json: cannot unmarshal string into Go struct field Pod.spec of type v1.PodSpec"),
        ("Pod", [], "json: cannot unmarshal array into Go value of type v1.Pod"),
        (
            "Pod",
            {"spec": {"containers": [{"resources": {"limits": {"cpu": "1x"}}}]}},
            "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
        ),
        (
            "Service",
            {"spec": {"ports": [{"targetPort": True}]}},
            "json: cannot unmarshal bool into Go value of type int32",
        ),
        ("Secret", {"data": {"a": "***"}}, "illegal base64 data at input byte 0"),
        (
            "Secret",
            {"data": {"a": 1}},
            "json: cannot unmarshal number into Go struct field Secret.data of type []uint8",
        ),
        (
            "Pod",
            {"metadata": {"creationTimestamp": "today"}},
            'parsing time "today" as "2006-01-02T15:04:05Z07:00": cannot parse "today" as "2006"',
        ),
    ],
)
def test_wrong_types_are_told_in_gos_words(kind, doc, said):
    assert definitions.schema("v1", kind).check(doc)[0].text == said


def test_the_first_problem_is_the_first_in_the_document():
    schema = obj(a=STRING, b=BOOLEAN)
    assert [p.field for p in schema.check({"b": 1, "a": 2})] == ["b", "a"]


def test_problems_carry_the_path_with_indexes():
    schema = obj(items=array_of(obj(name=STRING)))
    assert [p.field for p in schema.check({"items": [{"name": "a"}, {"name": 1}]})] == ["items[1].name"]


def test_null_is_as_good_as_nothing():
    schema = obj(a=STRING, items=array_of(STRING), labels=map_of(STRING))
    assert schema.check({"a": None, "items": None, "labels": None}) == []
    assert schema.clean({"a": None, "items": None, "labels": {"x": None}}) == {"labels": {"x": ""}}


def test_unknown_fields_are_named_wherever_they_are():
    doc = {"spec": {"ports": [{"port": 80, "type": "NodePort"}], "colour": 1}, "metadata": {"labels": {"any": "1"}}}
    assert definitions.schema("v1", "Service").unknown(doc) == ["spec.ports[0].type", "spec.colour"]
    assert definitions.schema("v1", "Service").check(doc) == []


def test_clean_drops_unknowns_and_writes_quantities_and_times_the_one_way():
    doc = {
        "metadata": {"creationTimestamp": "2026-01-01T01:00:00+01:00", "colour": "red"},
        "spec": {"containers": [{"resources": {"limits": {"cpu": 0.5, "memory": "1024Mi"}}}]},
    }
    assert definitions.schema("v1", "Pod").clean(doc) == {
        "metadata": {"creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"containers": [{"resources": {"limits": {"cpu": "500m", "memory": "1Gi"}}}]},
    }


def test_clean_writes_bytes_in_one_line():
    written = {"lines": "YWJj\r\nZA==\n", "spare bits": "YR==", "same": "YQ=="}
    kept = {"lines": "YWJjZA==", "spare bits": "YQ==", "same": "YQ=="}
    assert definitions.schema("v1", "Secret").clean({"data": written}) == {"data": kept}


def test_clean_gives_back_the_same_document_where_nothing_changes():
    doc = {"metadata": {"name": "a"}, "spec": {"containers": [{"name": "a", "resources": {"limits": {"cpu": "1"}}}]}}
    assert definitions.schema("v1", "Pod").clean(doc) is doc


def test_types_may_contain_themselves():
    tree: Schema = Schema("object", "Tree", fields=lambda: {"name": STRING, "children": array_of(tree)})
    assert tree.check({"children": [{"children": [{"name": "leaf"}]}]}) == []
    assert tree.unknown({"children": [{"children": [{"nme": "leaf"}]}]}) == ["children[0].children[0].nme"]


@pytest.mark.parametrize(
    ("api", "kind"),
    [
        ("v1", "Pod"),
        ("apps/v1", "Deployment"),
        ("batch/v1", "CronJob"),
        ("autoscaling/v2", "HorizontalPodAutoscaler"),
        ("policy/v1", "PodDisruptionBudget"),
        ("discovery.k8s.io/v1", "EndpointSlice"),
        ("events.k8s.io/v1", "Event"),
        ("coordination.k8s.io/v1", "Lease"),
        ("storage.k8s.io/v1", "StorageClass"),
        ("node.k8s.io/v1", "RuntimeClass"),
        ("scheduling.k8s.io/v1", "PriorityClass"),
        ("rbac.authorization.k8s.io/v1", "Role"),
        ("networking.k8s.io/v1", "Ingress"),
        ("certificates.k8s.io/v1", "CertificateSigningRequest"),
        ("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration"),
        ("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
        ("authentication.k8s.io/v1", "SelfSubjectReview"),
        ("authorization.k8s.io/v1", "SelfSubjectAccessReview"),
    ],
)
def test_every_group_of_kubernetes_is_there(api, kind):
    assert {"apiVersion", "kind", "metadata"} <= set(definitions.schema(api, kind).fields)


def test_what_is_published_is_closed():
    schemas = dict(definitions.published([definitions.name_of("v1", "Pod")]))
    text = b"".join(schemas.values())
    referred = {part.partition(b'"')[0].decode() for part in text.split(b"#/components/schemas/")[1:]}
    assert referred <= set(schemas)
    assert len(schemas) > 100


def test_patch_strategies_are_known():
    pod = definitions.schema("v1", "Pod").child("spec")
    assert pod.child("containers").merge_key == "name"
    assert "retainKeys" in definitions.schema("apps/v1", "Deployment").child("spec").child("strategy").strategy
