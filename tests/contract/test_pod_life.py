"""What a pod lives through, seen by kubectl: one set of pods, made at once, that each test looks at."""

import json
import re

import pytest
from tests.contract.conftest import Space

HEALTH_SERVER = r"""
import socket
def frame(k,f,s,p=b""): return len(p).to_bytes(3,"big")+bytes((k,f))+s.to_bytes(4,"big")+p
listener=socket.socket(); listener.bind(("",9000)); listener.listen()
while True:
    caller,_=listener.accept(); caller.recv(65536)
    message=frame(0,0,1,b"\0\0\0\0\x02\x08"+bytes((%d,)))
    caller.sendall(frame(4,0,0)+frame(1,4,1,b"\x88")+message+frame(1,5,1,b"\x00\x0bgrpc-status\x010")); caller.close()
"""


def box(name, command, **more):
    return {
        "name": name,
        "image": "busybox",
        "imagePullPolicy": "IfNotPresent",
        "command": ["sh", "-c", command],
        **more,
    }


def pod(name, *containers, **spec):
    spec = {"terminationGracePeriodSeconds": 1, "containers": list(containers), **spec}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


def probe(command, **more):
    return {"exec": {"command": ["sh", "-c", command]}, "periodSeconds": 1, **more}


def python(name, program, **more):
    command = ["python3", "-uc", program]
    return {"name": name, "image": "python", "imagePullPolicy": "IfNotPresent", "command": command, **more}


def tells(name, command, **more):
    """A container with a place that all of its pod's write to."""
    return box(name, command, volumeMounts=[{"name": "told", "mountPath": "/told"}], **more)


UNTIL_TOLD = "trap '{}; exit 0' TERM; while :; do sleep 0.1; done"
FOREVER = "trap 'exit 0' TERM; while :; do sleep 0.1; done"
THIRD_TIME = "echo >> /tmp/asked; test $(wc -l < /tmp/asked) -ge 3 && "
AT_HTTP = {"httpGet": {"port": "http", "httpHeaders": [{"name": "X-Probe", "value": "yes"}]}, "periodSeconds": 1}
PODS = [
    pod(
        "ordered",
        tells("main", "echo main >> /told/x; sleep 1; echo main ended >> /told/x"),
        restartPolicy="Never",
        terminationGracePeriodSeconds=20,
        volumes=[{"name": "told", "emptyDir": {}}],
        initContainers=[
            tells("first", "echo first >> /told/x"),
            tells("one", UNTIL_TOLD.format("echo one ended >> /told/x; cat /told/x > /dev/termination-log"),
                  restartPolicy="Always",
                  startupProbe=probe(THIRD_TIME + "echo one >> /told/x", failureThreshold=60, timeoutSeconds=10)),
            tells("two", UNTIL_TOLD.format("sleep 0.5; echo two ended >> /told/x"), restartPolicy="Always"),
            tells("second", "echo second >> /told/x"),
        ],
    ),
    pod("init-fails", box("main", "true"), restartPolicy="Never", initContainers=[box("first", "exit 3")]),
    pod("init-crashes", box("main", "true"), initContainers=[box("first", "exit 3"), box("second", "true")]),
    pod(
        "rules",
        box("again", "test -e /dev/shm/x && sleep 1000; exit 42", restartPolicy="Never", restartPolicyRules=[
            {"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}}]),
        box("never", "exit 1", restartPolicy="Never"),
        box("always", "exit 0", restartPolicy="Always"),
        restartPolicy="Never",
    ),
    pod(
        "anew",
        tells("asks", "test -e /told/x && sleep 1000; touch /told/x; exit 42", restartPolicy="Never", restartPolicyRules=[
            {"action": "RestartAllContainers", "exitCodes": {"operator": "In", "values": [42]}}]),
        box("other", "hostname; " + FOREVER),
        restartPolicy="Never",
        hostnameOverride="override.example.com",
        volumes=[{"name": "told", "emptyDir": {}}],
        initContainers=[box("first", "true")],
    ),
    pod(
        "ends",
        box("words", "echo my last words > /dev/termination-log; exit 5"),
        box("own-path", "echo elsewhere > /tmp/last; exit 6", terminationMessagePath="/tmp/last"),
        box("loud", "echo oh; echo no; exit 7", terminationMessagePolicy="FallbackToLogsOnError"),
        box("fine", "echo quiet", terminationMessagePolicy="FallbackToLogsOnError"),
        box("missing", "") | {"command": ["/no/such/program"]},
        restartPolicy="Never",
    ),
    pod(
        "probed",
        {"name": "http", "image": "nginx", "imagePullPolicy": "IfNotPresent", "ports": [{"name": "http", "containerPort": 80}],
         "startupProbe": AT_HTTP, "readinessProbe": AT_HTTP, "livenessProbe": {"tcpSocket": {"port": 80}}},
        python("grpc", HEALTH_SERVER % 1, readinessProbe={"grpc": {"port": 9000}, "periodSeconds": 1}),
    ),
    pod("grpc-sick", python("grpc", HEALTH_SERVER % 2, readinessProbe={"grpc": {"port": 9000}, "periodSeconds": 1})),
    pod("unready", box("main", FOREVER, readinessProbe=probe("echo not yet; test -e /tmp/ready"))),
    pod("not-there", box("main", FOREVER, readinessProbe={"httpGet": {"port": 81, "path": "/x"}, "periodSeconds": 1})),
    pod("too-slow", box("main", FOREVER, readinessProbe=probe("sleep 100"))),
    pod(
        "dying",
        box("main", FOREVER, livenessProbe=probe("exit 1", failureThreshold=2, terminationGracePeriodSeconds=1)),
        box("slow", FOREVER, startupProbe=probe("exit 1", failureThreshold=1)),
    ),
    pod("gated", box("main", FOREVER), readinessGates=[{"conditionType": "example.com/ready"}]),
    pod(
        "hooked",
        box("main", "sleep 1; test -e /tmp/hook && echo hooked; " + FOREVER,
            lifecycle={"postStart": {"exec": {"command": ["touch", "/tmp/hook"]}},
                       "preStop": {"exec": {"command": ["sh", "-c", "sleep 0.5; echo stopping > /dev/termination-log"]}}}),
    ),
    pod("bad-hook", box("main", FOREVER, lifecycle={"postStart": {"exec": {"command": ["false"]}}})),
    pod("late", box("main", FOREVER), activeDeadlineSeconds=2),
]  # fmt: skip


@pytest.fixture(scope="module")
def room(cloud):
    """All of PODS, in a namespace of their own."""
    cloud.kubectl("create", "namespace", "pod-life")
    room = Space(cloud, "pod-life")
    room.kubectl("create", "-f", "-", input=json.dumps({"apiVersion": "v1", "kind": "List", "items": PODS}))
    yield room
    cloud.kubectl("delete", "namespace", "pod-life", "--wait=false")


def statuses(room, name):
    """By container name."""
    status = room.json("get", "pod", name)["status"]
    groups = ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses")
    return {one["name"]: one for group in groups for one in status.get(group, ())}


def condition(room, name, type="Ready"):
    status = room.json("get", "pod", name)["status"]
    return next(one for one in status["conditions"] if one["type"] == type)


def events(room, name):
    """(reason, message) of each event of a pod."""
    found = room.json("get", "events", "--field-selector", f"involvedObject.name={name}")["items"]
    return [(one["reason"], one["message"]) for one in found]


def column(room, name):
    """READY and STATUS, as `kubectl get pods` shows them."""
    return room.text("get", "pod", name, "--no-headers").split()[1:3]


def phase(room, name, expected):
    return room.wait_for(lambda: room.json("get", "pod", name)["status"]["phase"] == expected, 60)


# -- init containers and sidecars


def test_init_containers_and_sidecars_run_in_order_and_end_in_reverse(room):
    phase(room, "ordered", "Succeeded")
    found = statuses(room, "ordered")
    started = {name: one["state"]["terminated"]["startedAt"] for name, one in found.items()}
    assert started["first"] <= started["one"] <= started["two"] <= started["second"] <= started["main"]
    assert {one["state"]["terminated"]["exitCode"] for one in found.values()} == {0}
    told = found["one"]["state"]["terminated"]["message"]
    assert told.splitlines() == ["first", "one", "second", "main", "main ended", "two ended", "one ended"]
    killed = [message for reason, message in events(room, "ordered") if reason == "Killing"]
    assert sorted(killed) == ["Stopping container one", "Stopping container two"]
    assert column(room, "ordered") == ["0/3", "Completed"]


def test_a_failed_init_container_fails_a_pod_that_is_never_restarted(room):
    phase(room, "init-fails", "Failed")
    assert column(room, "init-fails") == ["0/1", "Init:Error"]
    assert statuses(room, "init-fails")["main"]["state"] == {"waiting": {"reason": "PodInitializing"}}


def test_a_failing_init_container_backs_off(room):
    room.wait_for(lambda: column(room, "init-crashes")[1] == "Init:CrashLoopBackOff", 60)
    waiting = room.wait_for(lambda: statuses(room, "init-crashes")["first"]["state"]["waiting"])  # not tried again now
    assert re.match(
        r"back-off \d+m?\d*s restarting failed container=first pod=init-crashes_pod-life\(", waiting["message"]
    )
    incomplete = condition(room, "init-crashes", "Initialized")
    assert incomplete["message"] == "containers with incomplete status: [first second]"


def test_restart_rules_of_containers(room):
    def counts():
        found = {name: one["restartCount"] for name, one in statuses(room, "rules").items()}
        return found["again"] and found["always"] and found

    assert room.wait_for(counts, 60)["never"] == 0


def test_a_rule_starts_the_whole_pod_anew(room):
    def counts():
        found = {name: one["restartCount"] for name, one in statuses(room, "anew").items()}
        return found == {"first": 1, "asks": 1, "other": 1} and "running" in statuses(room, "anew")["other"]["state"]

    room.wait_for(counts, 60)
    assert condition(room, "anew", "AllContainersRestarting")["status"] == "False"
    assert "Stopping container other" in [message for reason, message in events(room, "anew") if reason == "Killing"]
    room.wait_for(lambda: room.text("logs", "anew", "-c", "other") == "override.example.com\n")


def test_an_ephemeral_container_looks_at_another(room):
    room.kubectl("wait", "--for=condition=Ready", "pod/probed", "--timeout=60s")
    words = ("debug", "probed", "--image=busybox", "--image-pull-policy=IfNotPresent", "--target=http", "-c", "look")
    room.kubectl(*words, "--", "sh", "-c", "ps; until test -e /tmp/seen; do sleep 0.1; done; exit 3")
    room.wait_for(lambda: "running" in statuses(room, "probed")["look"]["state"], 60)
    room.kubectl("exec", "probed", "-c", "look", "--", "touch", "/tmp/seen")
    ended = room.wait_for(lambda: statuses(room, "probed")["look"]["state"].get("terminated"), 60)
    assert ended["exitCode"] == 3
    assert "nginx" in room.text("logs", "probed", "-c", "look")
    assert column(room, "probed") == ["2/2", "Running"]
    changed = {"spec": {"ephemeralContainers": [{"name": "look", "image": "nginx"}]}}
    words = ("patch", "pod", "probed", "--subresource=ephemeralcontainers", "-p", json.dumps(changed))
    again = room.kubectl(*words, check=False)
    assert 'existing ephemeral containers "look" may not be changed' in again.stderr


# -- the end


def test_how_containers_ended(room):
    phase(room, "ends", "Failed")
    ended = {name: one["state"]["terminated"] for name, one in statuses(room, "ends").items()}
    said = {name: (one["exitCode"], one["reason"], one.get("message", "")) for name, one in ended.items()}
    missing = said.pop("missing")
    assert said == {
        "words": (5, "Error", "my last words\n"),
        "own-path": (6, "Error", "elsewhere\n"),
        "loud": (7, "Error", "oh\nno\n"),
        "fine": (0, "Completed", ""),
    }
    assert missing[:2] == (128, "StartError")
    assert "/no/such/program" in missing[2]


def test_a_deadline(room):
    phase(room, "late", "Failed")
    status = room.json("get", "pod", "late")["status"]
    assert status["reason"] == "DeadlineExceeded"
    assert status["message"] == "Pod was active on the node longer than the specified deadline"


# -- probes


def test_probes_of_every_sort_pass(room):
    room.kubectl("wait", "--for=condition=Ready", "pod/probed", "--timeout=60s")
    assert all(one["ready"] and one["started"] for name, one in statuses(room, "probed").items() if name != "look")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("unready", r"Readiness probe failed: not yet\n"),
        ("not-there", r'Readiness probe failed: Get "http://[\d.]+:81/x": dial tcp [\d.]+:81: connect: connection refused'),
        ("too-slow", r'Readiness probe failed: command timed out: "sh -c sleep 100" timed out after 1s'),
        ("grpc-sick", r'Readiness probe failed: service unhealthy \(responded with "NOT_SERVING"\)'),
        ("dying", r"Liveness probe failed: "),
    ],
)  # fmt: skip
def test_probes_that_fail_say_why(room, name, words):
    pattern = re.compile(words)
    room.wait_for(lambda: any(pattern.match(said) for why, said in events(room, name) if why == "Unhealthy"), 60)


def test_a_pod_is_ready_when_its_probe_passes(room):
    room.wait_for(lambda: column(room, "unready") == ["0/1", "Running"], 60)
    unready = condition(room, "unready")
    assert (unready["status"], unready["reason"]) == ("False", "ContainersNotReady")
    assert unready["message"] == "containers with unready status: [main]"
    room.kubectl("exec", "unready", "--", "touch", "/tmp/ready")
    room.kubectl("wait", "--for=condition=Ready", "pod/unready", "--timeout=60s")


@pytest.mark.parametrize(("container", "probe"), [("main", "liveness"), ("slow", "startup")])
def test_a_container_that_is_not_alive_is_restarted(room, container, probe):
    room.wait_for(lambda: statuses(room, "dying")[container]["restartCount"] >= 1, 60)
    said = ("Killing", f"Container {container} failed {probe} probe, will be restarted")
    room.wait_for(lambda: said in events(room, "dying"))


def test_readiness_gates(room):
    room.wait_for(lambda: condition(room, "gated", "ContainersReady")["status"] == "True", 60)
    closed = condition(room, "gated")
    assert (closed["status"], closed["reason"]) == ("False", "ReadinessGatesNotReady")
    assert "example.com/ready" in closed["message"]
    opened = {"status": {"conditions": [{"type": "example.com/ready", "status": "True"}]}}
    room.kubectl("patch", "pod", "gated", "--subresource=status", "-p", json.dumps(opened))
    room.kubectl("wait", "--for=condition=Ready", "pod/gated", "--timeout=60s")


# -- hooks


def test_hooks_run_around_the_life_of_a_container(room):
    room.kubectl("wait", "--for=condition=Ready", "pod/hooked", "--timeout=60s")
    room.wait_for(lambda: room.text("logs", "hooked") == "hooked\n")
    with_finalizer = {"metadata": {"finalizers": ["example.com/keep"]}}
    room.kubectl("patch", "pod", "hooked", "-p", json.dumps(with_finalizer))
    room.kubectl("delete", "pod", "hooked", "--wait=false", "--grace-period=60")
    room.wait_for(lambda: room.json("get", "pod", "hooked")["status"]["phase"] == "Succeeded", 60)
    assert statuses(room, "hooked")["main"]["state"]["terminated"]["message"] == "stopping\n"  # it was waited for
    room.kubectl("patch", "pod", "hooked", "--type=merge", "-p", json.dumps({"metadata": {"finalizers": None}}))


def test_a_failed_hook_is_told(room):
    said = {("FailedPostStartHook", "PostStartHook failed"), ("Killing", "FailedPostStartHook")}
    room.wait_for(lambda: said <= set(events(room, "bad-hook")), 60)
    reasons = ("PostStartHookError", "CrashLoopBackOff")
    room.wait_for(lambda: statuses(room, "bad-hook")["main"]["state"]["waiting"]["reason"] in reasons)


# -- what is refused


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"containers": [box("a", "true", restartPolicyRules=[{"action": "Restart"}])]}, "restartPolicyRules[0].exitCodes: Required value"),
        ({"containers": [box("a", "true", restartPolicy="Sometimes")]}, 'containers[0].restartPolicy: Unsupported value: "Sometimes"'),
        ({"initContainers": [box("b", "true", readinessProbe=probe("true"))]}, "may not be set for init containers without restartPolicy=Always"),
        ({"ephemeralContainers": [box("b", "true")]}, "spec.ephemeralContainers: Forbidden: cannot be set on create"),
        ({"containers": [box("a", "true", livenessProbe=probe("true", successThreshold=2))]}, "livenessProbe.successThreshold: Invalid value: 2: must be 1"),
        ({"containers": [box("a", "true", livenessProbe={})]}, "livenessProbe: Required value: must specify a handler type"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(room, change, said):
    manifest = pod("refused", box("a", "true"))
    manifest["spec"] |= change
    refused = room.kubectl("create", "-f", "-", input=json.dumps(manifest), check=False)
    assert refused.returncode == 1
    assert said in refused.stderr
    assert room.kubectl("get", "pod", "refused", check=False).returncode == 1
