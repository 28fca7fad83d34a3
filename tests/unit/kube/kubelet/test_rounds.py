"""Starting a whole pod anew, as a restart rule of one of its containers says."""

import asyncio
from dataclasses import replace

import pytest

from coracle.kube.kubelet import rounds
from coracle.kube.kubelet.plan import Start, Stop, plan
from coracle.kube.kubelet.status import status
from coracle.kube.kubelet.view import View
from coracle.testing.autojump import run
from suites.attempts import CHECKED, INIT, NOW_S, a_pod, there, tried

RULES = [{"action": "RestartAllContainers", "exitCodes": {"operator": "In", "values": [42]}}]
ASKS = {"name": "asks", "image": "nginx:1", "restartPolicy": "Never", "restartPolicyRules": RULES}
OTHER = {"name": "other", "image": "nginx:1"}
ASKED = tried("asks", state="exited", exit_code=42, ended_s=1)
FIRST = tried("first", state="exited")


def pod(**more):
    return a_pod(restartPolicy="Never", **{"containers": [ASKS, OTHER], "initContainers": INIT, **more})


def again(attempt, number=1):
    return replace(attempt, id=f"{attempt.container}-{number}", number=number, round=1)


def did(present, **more):
    todo = plan(pod(**more), present, CHECKED, NOW_S)
    return todo.stop, todo.start


KILLED = Stop("other-0", "other", 0.0, "Stopping container other")
ENDED = tried("other", state="exited", exit_code=137)


@pytest.mark.parametrize(
    ("present", "stop", "start"),
    [
        pytest.param(there(FIRST, ASKED, tried("other")), (KILLED,), (), id="the others are killed first"),
        pytest.param(there(FIRST, ASKED, ENDED), (), (Start("first", 1, round=1),), id="then it begins anew"),
        pytest.param(there(FIRST, again(tried("first")), ASKED, ENDED), (), (), id="one after the other"),
        pytest.param(
            there(FIRST, again(FIRST), ASKED, ENDED),
            (),
            (Start("asks", 1, 10.0, round=1), Start("other", 1, round=1)),
            id="and all the others",
        ),
        pytest.param(
            there(FIRST, again(FIRST), ASKED, ENDED, again(tried("asks")), again(tried("other"))), (), (), id="once"
        ),
        pytest.param(
            there(FIRST, tried("asks", state="exited", exit_code=1), tried("other")), (), (), id="not for another code"
        ),
    ],
)
def test_what_to_do(present, stop, start):
    assert did(present) == (stop, start)


def test_who_asks_again_and_again_is_kept_waiting():
    asked = replace(ASKED, backoff_s=20.0)
    todo = plan(pod(), there(FIRST, again(FIRST), asked, ENDED), CHECKED, NOW_S)
    assert (todo.start, todo.look_again_s) == ((Start("other", 1, round=1),), 19.0)


def test_an_init_container_may_ask():
    asks = {**ASKS, "name": "first"}
    asked = tried("first", state="exited", exit_code=42)
    assert did(there(asked), initContainers=[asks]) == ((), (Start("first", 1, 10.0, round=1),))


def test_the_end_of_a_pod_is_no_cause():
    """A sidecar that is ended since the pod has succeeded."""
    beside = {**ASKS, "name": "beside", "restartPolicy": "Always"}
    present = there(tried("beside", state="exited", exit_code=42), tried("other", state="exited", ended_s=1))
    over = a_pod(restartPolicy="Never", containers=[OTHER], initContainers=[beside])
    assert rounds.current(over, present).cause is None
    assert status(View(over, present, CHECKED, NOW_S, "192.0.2.2"))["phase"] == "Succeeded"


def test_a_sidecar_may_ask():
    """Whatever has ended since: it was killed for that."""
    beside = {**ASKS, "name": "beside", "restartPolicy": "Always"}
    present = there(tried("beside", state="exited", exit_code=42, ended_s=1), tried("other", state="exited"))
    todo = plan(a_pod(restartPolicy="Never", containers=[OTHER], initContainers=[beside]), present, CHECKED, NOW_S)
    assert todo.start == (Start("beside", 1, 10.0, round=1),)


def said(present):
    found = status(View(pod(), present, CHECKED, NOW_S, "192.0.2.2"))
    (restarting,) = (one for one in found["conditions"] if one["type"] == rounds.CONDITION)
    return found["phase"], restarting["status"], restarting.get("reason"), restarting.get("message")


def test_a_condition_tells():
    told = ("RestartAllContainersStarted", "container exited with restart policy rule")
    assert said(there(FIRST, tried("asks"), tried("other"))) == ("Running", "False", None, None)
    assert said(there(FIRST, ASKED, ENDED)) == ("Running", "True", *told)
    assert said(there(FIRST, again(tried("first")), ASKED, ENDED)) == ("Pending", "False", None, None)


SWEPT = {
    "reason": "RestartingAllContainers",
    "message": "The container is removed because RestartAllContainers in place",
}


def test_containers_of_the_round_before_are_said_to_be_removed():
    def states(*attempts):
        found = status(View(pod(), there(*attempts), CHECKED, NOW_S, "192.0.2.2"))
        return {
            one["name"]: (one["state"], one["lastState"], one["restartCount"]) for one in found["containerStatuses"]
        }

    past = {"terminated": {"exitCode": 137, **SWEPT, "startedAt": None, "finishedAt": None}}
    assert states(FIRST, ASKED, ENDED)["asks"] == ({"waiting": SWEPT}, past, 1)
    begun = states(FIRST, again(FIRST), ASKED, again(tried("asks")), ENDED)
    assert begun["other"] == ({"waiting": SWEPT}, past, 1)
    assert ("running" in begun["asks"][0], *begun["asks"][1:]) == (True, past, 1)


def test_a_pod_is_started_anew_where_it_stands(machine):
    rules = [{"action": "RestartAllContainers", "exitCodes": {"operator": "In", "values": [0]}}]
    asks = {"name": "asks", "image": "nginx:1", "command": ["sleep", "60"], "restartPolicyRules": rules}
    inits = [
        {"name": "first", "image": "nginx:1", "command": ["true"]},
        {"name": "beside", "image": "nginx:1", "restartPolicy": "Always"},
    ]

    async def main():
        await machine.has_image("nginx:1")
        async with machine.daemon():
            spec = {"initContainers": inits, "restartPolicy": "Never", "terminationGracePeriodSeconds": 300}
            await machine.create("web", {**asks, "restartPolicy": "Never"}, OTHER, **spec)
            await asyncio.sleep(1)
            before = machine.pod().status["podIP"]
            await asyncio.sleep(69)
        async with machine.daemon():
            await asyncio.sleep(1)
            return machine.pod().status, before

    found, address = run(main())
    statuses = [*found["initContainerStatuses"], *found["containerStatuses"]]
    assert {one["name"]: one["restartCount"] for one in statuses} == dict.fromkeys(
        ("first", "beside", "asks", "other"), 1
    )
    assert all(one["lastState"]["terminated"] for one in statuses)
    assert (found["phase"], found["podIP"]) == ("Running", address)
