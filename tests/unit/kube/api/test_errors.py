"""Every class of core.errors has its words."""

from __future__ import annotations

import pytest

from coracle.core import errors
from coracle.core.kind import Kind
from coracle.kube.api.errors import WORDS, speaker, status

ABOUT = {"kind": "Deployment.apps", "name": "x"}
DEPLOYMENT = Kind(name="Deployment", plural="deployments", api="apps/v1")


def every_class(root=errors.CloudError):
    for cls in root.__subclasses__():
        yield cls
        yield from every_class(cls)


def test_the_table_is_total():
    of_core = {cls for cls in every_class() if cls.__module__ == errors.__name__}  # others never leave their module
    assert of_core <= set(WORDS)


@pytest.mark.parametrize(
    ("error", "code", "reason", "message"),
    [
        (errors.NotFound(**ABOUT), 404, "NotFound", 'deployments.apps "x" not found'),
        (errors.NotFound("because"), 404, "NotFound", "because"),
        (errors.AlreadyExists(**ABOUT), 409, "AlreadyExists", 'deployments.apps "x" already exists'),
        (errors.Forbidden("no", **ABOUT), 403, "Forbidden", 'deployments.apps "x" is forbidden: no'),
        (errors.Conflict("why", **ABOUT), 409, "Conflict",
         'Operation cannot be fulfilled on deployments.apps "x": why'),
        (errors.Invalid([errors.required("a"), errors.required("a"), errors.invalid("b", 1, "bad")], **ABOUT),
         422, "Invalid", 'Deployment.apps "x" is invalid: [a: Required value, b: Invalid value: 1: bad]'),
        (errors.Unsupported("m", status=415), 415, "UnsupportedMediaType", "m"),
        (errors.Broken("x"), 500, "InternalError", "Internal error occurred: x"),
    ],
)  # fmt: skip
def test_words(error, code, reason, message):
    said = status(error, DEPLOYMENT if error.kind else None)
    assert (said["code"], said["reason"], said["message"], said["status"]) == (code, reason, message, "Failure")


def test_details_name_group_and_kind():
    said = status(errors.NotFound(**ABOUT), DEPLOYMENT)
    assert said["details"] == {"name": "x", "group": "apps", "kind": "deployments"}


def test_what_may_work_later_says_when():
    answer = speaker(lambda _type: None)(errors.Unavailable("busy"))
    assert (answer.status, answer.headers) == (503, {"Retry-After": "1"})
