"""A working day at the real kubectl: logs, exec, get, label, apply, patch, wait, delete (issue: "Must be shown", 5)."""

import json
import os
import pty
import re
import select
import subprocess
import time

import pytest


def pod(name, *command, restart="Never", labels=None, **container):
    """A pod of one busybox container `main` as JSON, which `kubectl create -f -` reads."""
    one = {"name": "main", "image": "busybox", **container}
    if command:
        one["command"] = ["sh", "-c", command[0]]
    spec = {"restartPolicy": restart, "terminationGracePeriodSeconds": 1, "containers": [one]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels or {}}, "spec": spec}


def create(space, manifest, *words):
    return space.text("create", "-f", "-", *words, input=json.dumps(manifest))


def running(space, name, command="sleep 1000", **options):
    create(space, pod(name, command, **options))
    space.kubectl("wait", "--for=condition=Ready", f"pod/{name}", "--timeout=60s")


def finished(space, name):
    """The pod's phase once it has ended."""
    phase = "{.status.phase}"

    def ended():
        found = space.text("get", "pod", name, "-o", f"jsonpath={phase}")
        return found if found in ("Succeeded", "Failed") else None

    return space.wait_for(ended, 60)


@pytest.fixture
def follow(space):
    """Start a kubectl of which the test reads line by line."""
    started = []

    def start(*words):
        command = ["kubectl", "-n", space.namespace, *words]
        process = subprocess.Popen(command, env=space.cloud.environment, stdout=subprocess.PIPE, text=True)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


# --- logs


def test_logs_follow_until_the_container_ends(space, follow):
    running(space, "talker", "echo one; while ! test -e /go; do sleep 0.1; done; echo two >&2; echo three")
    following = follow("logs", "-f", "talker")
    assert following.stdout.readline() == "one\n"
    assert space.text("logs", "talker") == "one\n"
    space.kubectl("exec", "talker", "--", "touch", "/go")
    assert sorted(following.stdout.read().split()) == ["three", "two"]
    assert following.wait(60) == 0


def test_logs_options(space):
    create(space, pod("counter", "for i in 1 2 3 4 5; do echo $i; done"))
    assert finished(space, "counter") == "Succeeded"
    assert space.text("logs", "counter") == "1\n2\n3\n4\n5\n"
    assert space.text("logs", "counter", "--tail=2") == "4\n5\n"
    assert space.text("logs", "counter", "--limit-bytes=4") == "1\n2\n"
    assert space.text("logs", "counter", "--since=1h") == "1\n2\n3\n4\n5\n"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z 5\n", space.text("logs", "counter", "--tail=1", "--timestamps"))
    refused = space.kubectl("logs", "counter", "-c", "nobody", check=False)
    assert refused.returncode == 1
    assert "container nobody is not valid for pod counter" in refused.stderr


# --- exec


def test_exec_hands_on_input_output_and_exit_code(space):
    running(space, "box")
    assert space.text("exec", "box", "--", "echo", "hello") == "hello\n"
    assert space.text("exec", "-i", "box", "--", "cat", input="line\n" * 5000) == "line\n" * 5000
    ended = space.kubectl("exec", "box", "--", "sh", "-c", "echo out; echo err >&2; exit 7", check=False)
    assert (ended.returncode, ended.stdout) == (7, "out\n")
    assert ended.stderr == "err\ncommand terminated with exit code 7\n"
    missing = space.kubectl("exec", "box", "--", "no-such-program", check=False)
    assert missing.returncode != 0
    assert "no-such-program" in missing.stderr


def test_input_that_is_piped_into_a_run_ends_it(space):
    said = space.text(
        "run", "reader", "-i", "--rm", "--image=busybox", "--restart=Never", "--quiet", "--", "cat", input="hi\n"
    )
    assert said.startswith("hi\n")


def test_a_run_that_reads_no_input_ends_all_the_same(space):
    words = ("run", "deaf", "-i", "--rm", "--image=busybox", "--restart=Never", "--quiet", "--", "echo", "done")
    assert "done\n" in space.text(*words, input="hi\n" * 10_000)


def test_exec_with_a_terminal(space):
    running(space, "box")
    ours, theirs = pty.openpty()
    command = ["kubectl", "-n", space.namespace, "exec", "-it", "box", "--", "sh"]
    with subprocess.Popen(command, env=space.cloud.environment, stdin=theirs, stdout=theirs, stderr=theirs) as shell:
        os.close(theirs)
        os.write(ours, b"tty; stty size; echo $((40+2))\n")
        said = read_until(ours, rb"\n42\r\n")
        assert re.search(rb"/dev/(pts/\d+|console)\r\n", said), said
        os.write(ours, b"exit 3\n")
        read_until(ours, None)
        assert shell.wait(60) == 3
    os.close(ours)


def read_until(terminal, pattern, timeout_s=60):
    """What the terminal says up to `pattern`; up to its end where that is None."""
    said, until_s = b"", time.monotonic() + timeout_s
    while pattern is None or not re.search(pattern, said):
        assert select.select([terminal], [], [], max(0, until_s - time.monotonic()))[0], said
        try:
            part = os.read(terminal, 4096)
        except OSError:  # the other side has closed
            part = b""
        if not part:
            assert pattern is None, said
            return said
        said += part
    return said


# --- get


def test_get_watches(space, follow):
    nowhere = pod("nowhere", "true")
    nowhere["spec"]["nodeSelector"] = {"nowhere": "x"}
    create(space, nowhere)
    watching = follow("get", "pods", "-w", "--no-headers")
    assert watching.stdout.readline().startswith("nowhere")  # from here on it sees everything
    create(space, pod("short", "until test -e /go; do sleep 0.1; done"))
    states = []
    for name, _, state, *_ in map(str.split, iter(watching.stdout.readline, "")):
        if name == "nowhere":
            continue
        if state == "Running" and "Running" not in states:
            space.kubectl("exec", "short", "--", "touch", "/go")
        states.append(state)
        if state == "Completed":
            break
    assert states[0] == "Pending"
    assert [state for n, state in enumerate(states) if state not in states[:n]] == [
        "Pending",
        "ContainerCreating",
        "Running",
        "Completed",
    ]


def test_get_prints_in_every_form(space):
    running(space, "box", labels={"app": "a"})
    found = space.json("get", "pod", "box")
    assert (found["kind"], found["apiVersion"], found["spec"]["containers"][0]["image"]) == ("Pod", "v1", "busybox")
    wide = space.text("get", "pods", "-o", "wide")
    assert wide.splitlines()[0].split()[:8] == ["NAME", "READY", "STATUS", "RESTARTS", "AGE", "IP", "NODE", "NOMINATED"]
    assert re.search(rf"box\s+1/1\s+Running\s+0\s+\S+\s+{found['status']['podIP']}\s+\S+\s+<none>\s+<none>", wide)
    assert "\nkind: Pod\n" in space.text("get", "pod", "box", "-o", "yaml")
    assert space.text("get", "pod", "box", "-o", "name") == "pod/box\n"
    assert space.text("get", "pods", "-o", "jsonpath={.items[*].metadata.name}") == "box"
    assert space.text("get", "pods", "-o", "custom-columns=N:.metadata.name", "--no-headers") == "box\n"
    assert space.text("get", "pods", "--show-labels", "--no-headers").split()[-1] == "app=a"
    assert space.text("get", "pods", "--field-selector=status.phase=Running", "-o", "name") == "pod/box\n"
    assert space.text("get", "pods", "--field-selector=status.phase!=Running", "-o", "name") == ""


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("tier=front", {"a", "b"}),
        ("tier!=front", {"c", "d"}),
        ("tier=front,env=dev", {"a"}),
        ("tier in (front, back)", {"a", "b", "c"}),
        ("env notin (dev)", {"b", "d"}),
        ("tier", {"a", "b", "c"}),
        ("!tier", {"d"}),
        ("tier in (front),env notin (dev)", {"b"}),
    ],
)
def test_selectors(space, selector, expected):
    labels = {
        "a": {"tier": "front", "env": "dev"},
        "b": {"tier": "front", "env": "prod"},
        "c": {"tier": "back", "env": "dev"},
        "d": {},
    }
    for name, own in labels.items():
        manifest = pod(name, "true", labels=own)
        manifest["spec"]["nodeSelector"] = {"nowhere": "x"}  # they need not run
        create(space, manifest)
    found = space.text("get", "pods", "-l", selector, "-o", "jsonpath={.items[*].metadata.name}")
    assert set(found.split()) == expected


# --- change


def test_label_and_annotate(space):
    space.kubectl("create", "configmap", "c")
    assert space.text("label", "configmap", "c", "a=1", "b=2") == "configmap/c labeled\n"
    refused = space.kubectl("label", "configmap", "c", "a=3", check=False)
    assert refused.returncode == 1
    assert "'a' already has a value (1), and --overwrite is false" in refused.stderr
    space.kubectl("label", "configmap", "c", "a=3", "b-", "--overwrite")
    space.kubectl("annotate", "configmap", "c", "note=some words")
    meta = space.json("get", "configmap", "c")["metadata"]
    assert (meta["labels"], meta["annotations"]) == ({"a": "3"}, {"note": "some words"})
    invalid = space.kubectl("label", "configmap", "c", "a=not valid", check=False)
    assert invalid.returncode == 1


SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "s"},
    "spec": {"selector": {"app": "x"}, "ports": [{"name": "http", "port": 80}]},
}


def test_apply_creates_leaves_and_configures(space):
    def applied(spec):
        return space.text("apply", "-f", "-", input=json.dumps({**SERVICE, "spec": spec}))

    first = SERVICE["spec"]
    assert applied(first) == "service/s created\n"
    assert applied(first) == "service/s unchanged\n"
    more = {"selector": {"app": "y"}, "ports": [*first["ports"], {"name": "https", "port": 443}]}
    assert applied(more) == "service/s configured\n"
    spec = space.json("get", "service", "s")["spec"]
    assert spec["selector"] == {"app": "y"}
    assert [port["port"] for port in spec["ports"]] == [80, 443]
    # what is no longer in the file goes, what it never said stays
    space.kubectl("label", "service", "s", "own=kept")
    assert applied(first) == "service/s configured\n"
    found = space.json("get", "service", "s")
    assert [port["port"] for port in found["spec"]["ports"]] == [80]
    assert found["metadata"]["labels"] == {"own": "kept"}
    assert found["spec"]["clusterIP"] == spec["clusterIP"]


def test_replace(space):
    space.kubectl("create", "-f", "-", input=json.dumps(SERVICE))
    found = space.json("get", "service", "s")
    found["spec"]["ports"][0]["port"] = 81
    assert space.text("replace", "-f", "-", input=json.dumps(found)) == "service/s replaced\n"
    assert space.text("get", "service", "s", "-o", "jsonpath={.spec.ports[0].port}") == "81"


def test_three_kinds_of_patch(space):
    space.kubectl("create", "-f", "-", input=json.dumps(SERVICE))

    def patched(kind, patch):
        return space.text("patch", "service", "s", f"--type={kind}", "-p", json.dumps(patch))

    def ports():
        return [port["port"] for port in space.json("get", "service", "s")["spec"]["ports"]]

    added = {"spec": {"ports": [{"name": "more", "port": 81}]}}
    assert patched("strategic", added) == "service/s patched\n"
    assert sorted(ports()) == [80, 81]  # merged by port
    assert patched("merge", {"spec": {"ports": [{"name": "only", "port": 82}]}}) == "service/s patched\n"
    assert ports() == [82]  # replaced
    assert patched("json", [{"op": "replace", "path": "/spec/ports/0/port", "value": 83}]) == "service/s patched\n"
    assert ports() == [83]
    assert patched("merge", {"metadata": {"labels": None}}) == "service/s patched (no change)\n"
    gone = [{"op": "remove", "path": "/spec/nothing"}]
    assert space.kubectl("patch", "service", "s", "--type=json", "-p", json.dumps(gone), check=False).returncode == 1
    assert ports() == [83]


# --- wait, delete


def test_wait_and_delete(space, follow):
    running(space, "box")
    waiting = follow("wait", "--for=delete", "pod/box", "--timeout=60s")
    assert space.text("delete", "pod", "box", "--grace-period=1").startswith('pod "box" deleted')
    assert waiting.wait(60) == 0
    assert space.kubectl("get", "pod", "box", check=False).stderr == (
        'Error from server (NotFound): pods "box" not found\n'
    )
    late = space.kubectl("wait", "--for=condition=Ready", "pod/box", "--timeout=1s", check=False)
    assert (late.returncode, late.stderr) == (1, 'Error from server (NotFound): pods "box" not found\n')


def test_wait_gives_up_and_reads_jsonpath(space):
    running(space, "box")
    space.kubectl("wait", "--for=jsonpath={.status.phase}=Running", "pod/box", "--timeout=60s")
    late = space.kubectl("wait", "--for=condition=Ready=false", "pod/box", "--timeout=1s", check=False)
    assert late.returncode == 1
    assert "timed out waiting for the condition on pods/box" in late.stderr


def test_delete_by_force_takes_a_stubborn_pod(space):
    manifest = pod("stubborn", "trap '' TERM; while :; do sleep 1; done")
    manifest["spec"]["terminationGracePeriodSeconds"] = 600
    create(space, manifest)
    space.kubectl("wait", "--for=condition=Ready", "pod/stubborn", "--timeout=60s")
    done = space.kubectl("delete", "pod", "stubborn", "--grace-period=0", "--force")
    assert 'pod "stubborn" force deleted' in done.stdout
    assert space.text("get", "pods", "-o", "name") == ""


def test_a_short_grace_period_ends_a_stubborn_pod(space):
    manifest = pod("stubborn", "trap '' TERM; while :; do sleep 1; done")
    manifest["spec"]["terminationGracePeriodSeconds"] = 600
    create(space, manifest)
    space.kubectl("wait", "--for=condition=Ready", "pod/stubborn", "--timeout=60s")
    space.kubectl("delete", "pod", "stubborn", "--grace-period=1", "--timeout=60s")
    assert space.text("get", "pods", "-o", "name") == ""


# --- what there is


def test_api_resources_and_explain(space):
    said = space.text("api-resources")
    for expected in (
        r"pods\s+po\s+v1\s+true\s+Pod",
        r"replicationcontrollers\s+rc\s+v1\s+true\s+ReplicationController",
        r"services\s+svc\s+v1\s+true\s+Service",
        r"nodes\s+no\s+v1\s+false\s+Node",
        r"namespaces\s+ns\s+v1\s+false\s+Namespace",
        r"endpointslices\s+discovery.k8s.io/v1\s+true\s+EndpointSlice",
        r"leases\s+coordination.k8s.io/v1\s+true\s+Lease",
    ):
        assert re.search(expected, said), said
    assert "v1" in space.text("api-versions").split()
    explained = space.text("explain", "pod.spec.containers.image")
    assert re.search(r"FIELD: image <string>", explained), explained


def test_events_tell_a_pods_story(space):
    running(space, "box")
    for reason in ("Scheduled", "Created", "Started"):
        wanted = rf"Normal\s+{reason}\s+Pod/box"
        space.wait_for(lambda wanted=wanted: re.search(wanted, space.text("events", "--for", "pod/box")))


# --- a pod's life


def test_restart_policies(space):
    create(space, pod("never", "exit 3", restart="Never"))
    create(space, pod("fine", "exit 0", restart="OnFailure"))
    assert finished(space, "never") == "Failed"
    assert finished(space, "fine") == "Succeeded"
    (status,) = space.json("get", "pod", "never")["status"]["containerStatuses"]
    assert (status["state"]["terminated"]["exitCode"], status["state"]["terminated"]["reason"]) == (3, "Error")
    assert re.search(r"never\s+0/1\s+Error\s+0", space.text("get", "pods"))
    assert re.search(r"fine\s+0/1\s+Completed\s+0", space.text("get", "pods"))


def test_a_crashing_container_backs_off(space):
    create(space, pod("crasher", "echo try; exit 1", restart="Always"))
    found = space.wait_for(
        lambda: re.search(r"crasher\s+0/1\s+CrashLoopBackOff\s+(\d+)", space.text("get", "pods")), 60
    )
    assert int(found[1]) >= 1

    def held_back():
        (status,) = space.json("get", "pod", "crasher")["status"]["containerStatuses"]
        return status["state"]["waiting"]["message"].startswith("back-off ") and status  # not when it is tried again

    status = space.wait_for(held_back)
    assert status["lastState"]["terminated"]["exitCode"] == 1
    assert re.match(
        r"back-off \d+m?\d*s restarting failed container=main pod=crasher_", status["state"]["waiting"]["message"]
    )
    assert space.text("logs", "crasher", "--previous") == "try\n"
    space.wait_for(lambda: re.search(r"Warning\s+BackOff", space.text("events", "--for", "pod/crasher")))


def test_two_containers_share_an_empty_dir_and_a_host_path(space, tmp_path):
    (tmp_path / "given").write_text("from the host\n")
    manifest = pod("sharing", "cat /host/given > /shared/page; touch /host/back; sleep 1000")
    spec = manifest["spec"]
    mounts = [{"name": "shared", "mountPath": "/shared"}]
    spec["volumes"] = [{"name": "shared", "emptyDir": {}}, {"name": "host", "hostPath": {"path": str(tmp_path)}}]
    spec["containers"][0]["volumeMounts"] = [*mounts, {"name": "host", "mountPath": "/host"}]
    reader = {"name": "reader", "image": "busybox", "command": ["sleep", "1000"]}
    reader["volumeMounts"] = [{**mounts[0], "readOnly": True}]
    spec["containers"].append(reader)
    create(space, manifest)
    space.kubectl("wait", "--for=condition=Ready", "pod/sharing", "--timeout=60s")
    read = ("exec", "sharing", "-c", "reader", "--")
    space.wait_for(lambda: space.text(*read, "cat", "/shared/page") == "from the host\n")
    assert (tmp_path / "back").exists()
    refused = space.kubectl(*read, "touch", "/shared/x", check=False)
    assert "Read-only file system" in refused.stderr


def test_environment_command_and_arguments(space):
    manifest = pod("said")
    manifest["spec"]["containers"][0] |= {
        "command": ["sh", "-c", 'echo "$A $B $POD $0 $1"; pwd'],
        "args": ["zero", "$(A)-one"],
        "workingDir": "/tmp",
        "env": [
            {"name": "A", "value": "a"},
            {"name": "B", "value": "$(A)b $$(A)"},
            {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        ],
    }
    create(space, manifest)
    assert finished(space, "said") == "Succeeded"
    assert space.text("logs", "said") == "a ab $(A) said zero a-one\n/tmp\n"


def test_a_memory_limit_kills(space):
    eater = "x=a; while :; do x=$x$x; done"
    create(space, pod("eater", eater, resources={"limits": {"memory": "16Mi"}}))
    assert finished(space, "eater") == "Failed"
    (status,) = space.json("get", "pod", "eater")["status"]["containerStatuses"]
    ended = status["state"]["terminated"]
    assert (ended["reason"], ended["exitCode"]) == ("OOMKilled", 137)
    assert re.search(r"eater\s+0/1\s+OOMKilled\s+0", space.text("get", "pods"))


def test_cp_there_and_back(space, tmp_path):
    running(space, "box", image="debian")
    (tmp_path / "file").write_text("x" * 100_000)
    space.kubectl("cp", str(tmp_path / "file"), "box:/tmp/copied")
    assert space.text("exec", "box", "--", "wc", "-c", "/tmp/copied").split()[0] == "100000"
    space.kubectl("cp", "box:/tmp/copied", str(tmp_path / "back"))
    assert (tmp_path / "back").read_text() == "x" * 100_000
