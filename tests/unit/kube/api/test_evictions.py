"""An eviction asks the pod's disruption budget."""

from __future__ import annotations

import pytest

PODS = "/api/v1/namespaces/default/pods"
BUDGETS = "/apis/policy/v1/namespaces/default/poddisruptionbudgets"
EVICTION = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "web"}}
REFUSED = "Cannot evict pod as it would violate the pod's disruption budget."


async def running(api, *, ready=True):
    """A pod that runs."""
    spec = {"nodeName": "n1", "terminationGracePeriodSeconds": 0, "containers": [{"name": "www", "image": "nginx"}]}
    await api.ask("POST", PODS, {"metadata": {"name": "web", "labels": {"app": "web"}}, "spec": spec})
    told = {"phase": "Running", "conditions": [{"type": "Ready", "status": str(ready)}]}
    await api.ask("PATCH", f"{PODS}/web/status", {"status": told}, content_type="application/merge-patch+json")


async def guarded(api, name="guard", spec=None, **status):
    spec = {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}, **(spec or {})}
    await api.ask("POST", BUDGETS, {"metadata": {"name": name}, "spec": spec})
    told = {"observedGeneration": 1, "desiredHealthy": 1, "currentHealthy": 1, "expectedPods": 1, **status}
    await api.ask("PATCH", f"{BUDGETS}/{name}/status", {"status": told}, content_type="application/merge-patch+json")


async def evict(api):
    return await api.ask("POST", f"{PODS}/web/eviction", EVICTION)


@pytest.mark.parametrize(
    ("ready", "spec", "status", "code"),
    [
        pytest.param(True, {}, {"disruptionsAllowed": 1}, 201, id="one may go"),
        pytest.param(True, {}, {"disruptionsAllowed": 0}, 429, id="none may go"),
        pytest.param(True, {}, {"disruptionsAllowed": 1, "observedGeneration": 0}, 429, id="nobody has counted yet"),
        pytest.param(False, {}, {"disruptionsAllowed": 0}, 201, id="an unready one, and enough others"),
        pytest.param(False, {}, {"disruptionsAllowed": 0, "currentHealthy": 0}, 429, id="an unready one, and too few"),
        pytest.param(False, {"unhealthyPodEvictionPolicy": "AlwaysAllow"}, {"disruptionsAllowed": 0, "currentHealthy": 0}, 201, id="an unready one may always go"),
    ],
)  # fmt: skip
def test_a_budget_is_asked(play, ready, spec, status, code):
    async def script(api):
        await running(api, ready=ready)
        await guarded(api, spec=spec, **status)
        answer = await evict(api)
        assert answer.status == code
        assert ((await api.get(f"{PODS}/web")).status == 404) is (code == 201)

    play(script)


def test_what_is_said_and_counted(play):
    async def script(api):
        await running(api)
        await guarded(api, disruptionsAllowed=1)
        assert (await evict(api)).status == 201
        budget = (await api.get(f"{BUDGETS}/guard")).doc["status"]
        assert (budget["disruptionsAllowed"], list(budget["disruptedPods"])) == (0, ["web"])
        await running(api)
        answer = await evict(api)
        assert answer.said == (429, "TooManyRequests", REFUSED)
        said = "The disruption budget guard needs 1 healthy pods and has 1 currently"
        assert answer.doc["details"]["causes"] == [{"reason": "DisruptionBudget", "message": said}]
        assert "Retry-After" not in answer.headers
        assert (await evict(api)).status == 429

    play(script)


def test_two_budgets_are_one_too_many(play):
    async def script(api):
        await running(api)
        await guarded(api, disruptionsAllowed=1)
        await guarded(api, "other", disruptionsAllowed=1)
        answer = await evict(api)
        assert answer.status == 500
        assert "This pod has more than one PodDisruptionBudget" in answer.doc["message"]

    play(script)


@pytest.mark.parametrize(
    ("conditions", "code"),
    [
        pytest.param(lambda meta: {"uid": meta["uid"], "resourceVersion": meta["resourceVersion"]}, 201, id="it is that one"),
        pytest.param(lambda meta: {"uid": "another"}, 409, id="it is another"),
        pytest.param(lambda meta: {"resourceVersion": "1"}, 409, id="it has changed"),
        pytest.param(lambda meta: {"resourceVersion": "x"}, 400, id="no number"),
    ],
)  # fmt: skip
def test_preconditions(play, conditions, code):
    async def script(api):
        await running(api)
        meta = (await api.get(f"{PODS}/web")).doc["metadata"]
        options = {"preconditions": conditions(meta)}
        answer = await api.ask("POST", f"{PODS}/web/eviction", {**EVICTION, "deleteOptions": options})
        assert answer.status == code
        assert ((await api.get(f"{PODS}/web")).status == 404) is (code == 201)

    play(script)


def test_the_name_is_the_pods(play):
    async def script(api):
        await running(api)
        answer = await api.ask("POST", f"{PODS}/web/eviction", {**EVICTION, "metadata": {"name": "other"}})
        assert answer.said == (400, "BadRequest", "name in URL does not match name in Eviction object")

    play(script)
