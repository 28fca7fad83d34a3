"""The real kubectl against the Kubernetes door: what it says, and what it is told."""

import itertools
import json
import re
import subprocess

import pytest

from contract.apiserver import ApiServer

POD = """
apiVersion: v1
kind: Pod
metadata: {name: NAME, labels: {app: web, tier: front}}
spec:
  containers:
  - {name: nginx, image: nginx, ports: [{containerPort: 80}]}
  - {name: redis, image: redis}
"""
RC = """
apiVersion: v1
kind: ReplicationController
metadata: {name: NAME}
spec:
  replicas: 4
  selector: {app: my}
  template:
    metadata: {labels: {app: my}}
    spec: {containers: [{name: nginx, image: nginx}]}
"""
SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: NAME}
spec:
  selector: {app: web}
  ports:
  - {port: 80, targetPort: 80}
"""
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with ApiServer(tmp_path_factory.mktemp("api")).running() as server:
        yield server


@pytest.fixture
def space(server):
    """A namespace of one's own, as the words that choose it."""
    name = f"space-{next(_numbers)}"
    server.kubectl("create", "namespace", name)
    return Space(server, name)


class Space:
    def __init__(self, server, name):
        self.server, self.name = server, name

    def __getattr__(self, verb):
        method = getattr(self.server, verb)
        return lambda *words, **options: method("-n", self.name, *words, **options)

    def create(self, text, name, **options):
        return self.out("create", "-f", "-", stdin=text.replace("NAME", name), **options)

    def refused(self, text, name="x"):
        return self.err("create", "-f", "-", stdin=text.replace("NAME", name))

    def bind(self, pod, how):
        url = f"/api/v1/namespaces/{self.name}/pods/{pod}/binding"
        target = {"kind": "Node", "name": "n1"}
        doc = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": pod}, "target": target}
        return how("create", "--raw", url, "-f", "-", stdin=json.dumps(doc))

    def bound_pod(self, name):
        self.create(POD, name)
        self.bind(name, self.out)

    def status(self, pod, status):
        self.kubectl("patch", "pod", pod, "--subresource=status", "--type=merge", "-p", json.dumps({"status": status}))


# -- looking around ------------------------------------------------------------------------------------------------


def test_version_and_health(server):
    assert "Server Version: v1.36.0+coracle" in server.out("version")
    assert server.out("get", "--raw", "/readyz") == "ok"
    assert "[+]etcd ok\n" in server.out("get", "--raw", "/livez?verbose")
    assert re.search("^etcd-0 +Healthy +ok", server.out("get", "cs"), re.MULTILINE)


def test_api_resources_and_versions(server):
    listed = server.out("api-resources", "--no-headers")
    assert re.search(r"^pods +po +v1 +true +Pod$", listed, re.MULTILINE)
    assert re.search(r"^replicationcontrollers +rc +v1 +true +ReplicationController$", listed, re.MULTILINE)
    assert "v1\n" in server.out("api-versions")


def test_plain_discovery_says_the_same(server):
    assert json.loads(server.out("get", "--raw", "/api/v1"))["kind"] == "APIResourceList"
    names = {r["name"] for r in json.loads(server.out("get", "--raw", "/api/v1"))["resources"]}
    assert {"pods", "pods/log", "pods/exec", "replicationcontrollers/scale"} <= names


def test_explain(server):
    said = server.out("explain", "rc.spec.replicas")
    assert "KIND:       ReplicationController" in said
    assert "FIELD: replicas <integer>" in said


def test_openapi_v2_is_there_too(server):
    doc = json.loads(server.out("get", "--raw", "/openapi/v2"))
    assert doc["definitions"]["io.k8s.api.core.v1.ServicePort"]["properties"]["targetPort"]["$ref"].startswith("#/def")


def test_who_am_i_and_what_may_i(server):
    assert "coracle-admin" in server.out("auth", "whoami")
    assert server.out("auth", "can-i", "create", "pods") == "yes\n"
    assert "*.*" in server.out("auth", "can-i", "--list")


def test_an_administrator_acts_as_another(server):
    assert "jane" in server.out("auth", "whoami", "--as=jane", "--as-group=dev")
    assert server.kubectl("auth", "can-i", "list", "pods", "--as=jane", check=False).stdout == "no\n"
    assert 'User "jane" cannot list resource "pods"' in server.err("get", "pods", "--as=jane")


def test_events_of_either_group_are_the_same(space):
    body = {"involvedObject": {"namespace": space.name}, "reason": "Told", "message": "as it was"}
    doc = {"apiVersion": "v1", "kind": "Event", "metadata": {"name": "e"}, **body}
    space.out("create", "-f", "-", stdin=json.dumps(doc))
    assert space.json("get", "events.v1.events.k8s.io", "e")["note"] == "as it was"
    assert "Told" in space.out("get", "events.v1.events.k8s.io")


def test_nobody_gets_nothing(server):
    got = subprocess.run(["curl", "-sk", f"{server.url}/api/v1/pods"], capture_output=True, text=True, check=True)
    status = json.loads(got.stdout)
    assert (status["code"], status["reason"], status["message"]) == (401, "Unauthorized", "Unauthorized")
    assert subprocess.run(["curl", "-sk", f"{server.url}/healthz"], capture_output=True, check=True).stdout == b"ok"


# -- reading -------------------------------------------------------------------------------------------------------


def test_get_in_every_form(space):
    assert space.create(POD, "web") == "pod/web created\n"
    header, line = space.out("get", "pods").splitlines()
    assert header.split() == ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]
    assert line.split()[:4] == ["web", "0/2", "Pending", "0"]
    assert "NOMINATED NODE" in space.out("get", "pods", "-o", "wide")
    assert space.out("get", "pod", "web", "-o", "name") == "pod/web\n"
    assert space.out("get", "pod", "web", "-o", "jsonpath={.spec.containers[*].name}") == "nginx redis"
    assert "restartPolicy: Always" in space.out("get", "pod", "web", "-o", "yaml")
    assert space.json("get", "pods")["items"][0]["metadata"]["name"] == "web"
    assert "app=web,tier=front" in space.out("get", "pods", "--show-labels")
    assert "pod/web" in space.out("get", "all")


def test_selectors(space):
    space.create(POD, "one")
    space.create(POD.replace("tier: front", "tier: back"), "two")
    for selector, expected in [
        ("tier=front", "one"), ("tier!=front", "two"), ("tier in (back, none)", "two"), ("tier notin (back)", "one"),
        ("tier,app", "one two"), ("!tier", ""), ("app=web,tier=back", "two"),
    ]:  # fmt: skip
        found = space.out("get", "pods", "-l", selector, "-o", "jsonpath={.items[*].metadata.name}")
        assert found == expected, selector
    fields = ("get", "pods", "-o", "name", "--field-selector")
    assert space.out(*fields, "metadata.name=two,status.phase=Pending") == "pod/two\n"
    assert space.out(*fields, "status.phase!=Pending") == ""
    assert "field label not supported: spec.colour" in space.err(*fields, "spec.colour=red")


def test_what_is_not_there(space):
    assert space.err("get", "pod", "none") == 'Error from server (NotFound): pods "none" not found'
    assert "the server doesn't have a resource type" in space.err("get", "unicorns")
    assert "NotFound" in space.err("get", "--raw", "/apis/none/v1/things")


def test_pages(space):
    for number in range(7):
        space.kubectl("create", "configmap", f"c{number}")
    names = space.out("get", "configmaps", "--chunk-size=3", "-o", "name").split()
    assert names == [f"configmap/c{n}" for n in range(7)]
    first = json.loads(space.out("get", "--raw", f"/api/v1/namespaces/{space.name}/configmaps?limit=3"))
    assert (len(first["items"]), first["metadata"]["remainingItemCount"]) == (3, 4)
    space.kubectl("delete", "configmap", "c5")
    space.kubectl("create", "configmap", "c9")
    url = f"/api/v1/namespaces/{space.name}/configmaps?limit=9&continue={first['metadata']['continue']}"
    rest = json.loads(space.out("get", "--raw", url))
    assert [c["metadata"]["name"] for c in rest["items"]] == ["c3", "c4", "c5", "c6"], (
        "a page is of its list's revision"
    )
    assert rest["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]


# -- watching ------------------------------------------------------------------------------------------------------


def test_watch_prints_each_change(space):
    space.bound_pod("web")
    watching = space.start("get", "pods", "-w", "-o", "wide")
    assert watching.stdout.readline().startswith("NAME")
    assert watching.stdout.readline().startswith("web")
    space.status("web", {"phase": "Running", "podIP": "10.32.0.5", "podIPs": [{"ip": "10.32.0.5"}]})
    assert re.match(r"web +0/2 +Running +0 +\d+s +10\.32\.0\.5", watching.stdout.readline())
    space.kubectl("delete", "pod", "web", "--now", "--wait=false")
    assert "Terminating" in watching.stdout.readline()
    watching.kill()
    watching.communicate()


def test_a_watch_with_a_selector_sees_things_come_and_go(space):
    space.create(POD, "web")
    watching = space.start("get", "pods", "-w", "-l", "app=web", "--output-watch-events")
    words = []
    assert watching.stdout.readline().split()[0] == "EVENT"
    assert watching.stdout.readline().split()[:2] == ["ADDED", "web"]
    space.kubectl("label", "pod", "web", "app=other", "--overwrite")
    words.append(watching.stdout.readline().split()[0])
    space.kubectl("label", "pod", "web", "app=web", "--overwrite")
    words.append(watching.stdout.readline().split()[0])
    watching.kill()
    watching.communicate()
    assert words == ["DELETED", "ADDED"]


def test_wait_for_a_condition_and_for_the_end(space):
    space.create(POD, "web")
    waiting = space.start("wait", "--for=condition=Ready", "pod/web", "--timeout=30s")
    space.status("web", {"conditions": [{"type": "Ready", "status": "True"}]})
    assert waiting.communicate()[0] == "pod/web condition met\n"
    waiting = space.start("wait", "--for=delete", "pod/web", "--timeout=30s")
    space.kubectl("delete", "pod", "web", "--grace-period=0", "--force")
    assert waiting.wait() == 0
    waiting.communicate()


def test_the_past_is_gone(server):
    for number in range(5):
        server.kubectl("create", "configmap", f"past-{number}")
    line = server.out("get", "--raw", "/api/v1/configmaps?watch=1&resourceVersion=1&timeoutSeconds=1").splitlines()
    assert json.loads(line[0])["type"] == "ADDED"


# -- writing -------------------------------------------------------------------------------------------------------


def test_label_annotate_and_patch(space):
    space.create(POD, "web")
    assert space.out("label", "pod", "web", "colour=red") == "pod/web labeled\n"
    assert space.out("annotate", "pod", "web", "note=x") == "pod/web annotated\n"
    assert space.out("label", "pod", "web", "colour-") == "pod/web unlabeled\n"
    assert "already has a value" in space.err("label", "pod", "web", "app=other")
    image = '{"spec":{"containers":[{"name":"redis","image":"redis:7"}]}}'
    assert space.out("patch", "pod", "web", "-p", image) == "pod/web patched\n"
    assert space.out("patch", "pod", "web", "-p", image) == "pod/web patched (no change)\n"
    merge = '{"metadata":{"labels":{"a":"b","tier":null}}}'
    space.kubectl("patch", "pod", "web", "--type=merge", "-p", merge)
    ops = '[{"op":"replace","path":"/spec/containers/0/image","value":"nginx:1"}]'
    space.kubectl("patch", "pod", "web", "--type=json", "-p", ops)
    pod = space.json("get", "pod", "web")
    assert [c["image"] for c in pod["spec"]["containers"]] == ["nginx:1", "redis:7"]
    assert pod["metadata"]["labels"] == {"a": "b", "app": "web"}
    assert pod["metadata"]["annotations"] == {"note": "x"}


def test_apply(space):
    text = SERVICE.replace("NAME", "svc")
    assert space.out("apply", "-f", "-", stdin=text) == "service/svc created\n"
    assert space.out("apply", "-f", "-", stdin=text) == "service/svc unchanged\n"
    assert space.out("apply", "-f", "-", stdin=text.replace("port: 80,", "port: 81,")) == "service/svc configured\n"
    assert [p["port"] for p in space.json("get", "svc", "svc")["spec"]["ports"]] == [81]
    diff = space.kubectl("diff", "-f", "-", stdin=text, check=False)
    assert (diff.returncode, "+  - port: 80" in diff.stdout) == (1, True)


def test_replace_and_a_stale_revision(space):
    space.create(SERVICE, "svc")
    old = space.json("get", "svc", "svc")
    new = {**old, "spec": {**old["spec"], "sessionAffinity": "ClientIP"}}
    assert space.out("replace", "-f", "-", stdin=json.dumps(new)) == "service/svc replaced\n"
    said = space.err("replace", "-f", "-", stdin=json.dumps(new))
    assert said.endswith(
        'Operation cannot be fulfilled on services "svc": the object has been modified; '
        "please apply your changes to the latest version and try again"
    )
    assert "Error from server (Conflict)" in said


def test_create_twice(space):
    space.create(POD, "web")
    said = space.refused(POD, "web")
    assert said.endswith('Error from server (AlreadyExists): error when creating "STDIN": pods "web" already exists')


def test_generate_name(space):
    text = POD.replace("name: NAME", "generateName: gen-")
    said = space.out("create", "-f", "-", stdin=text)
    assert re.fullmatch(r"pod/gen-[a-z0-9]{5} created\n", said)


def test_dry_run_leaves_nothing(space):
    assert "pod/try created (server dry run)" in space.out(
        "create", "--dry-run=server", "-f", "-", stdin=POD.replace("NAME", "try")
    )
    assert "NotFound" in space.err("get", "pod", "try")


def test_scale(space):
    space.create(RC, "my-rc")
    assert space.out("scale", "rc", "my-rc", "--replicas=2") == "replicationcontroller/my-rc scaled\n"
    assert space.json("get", "rc", "my-rc")["spec"]["replicas"] == 2
    assert "error: " in space.err("scale", "rc", "my-rc", "--current-replicas=7", "--replicas=1")
    scale = json.loads(space.out("get", "--raw", f"/api/v1/namespaces/{space.name}/replicationcontrollers/my-rc/scale"))
    assert (scale["kind"], scale["spec"], scale["status"]["selector"]) == ("Scale", {"replicas": 2}, "app=my")


def test_delete_one_many_and_all(space):
    for name in ("a", "b", "c"):
        space.kubectl("create", "configmap", name)
    assert space.out("delete", "configmap", "a") == 'configmap "a" deleted\n'
    assert "NotFound" in space.err("delete", "configmap", "a")
    assert space.out("delete", "configmap", "a", "--ignore-not-found") == ""
    space.kubectl("delete", "configmaps", "--all")
    assert space.json("get", "configmaps")["items"] == []


def test_a_pod_dies_in_two_steps(space):
    space.bound_pod("web")
    space.kubectl("delete", "pod", "web", "--wait=false", "--grace-period=7")
    meta = space.json("get", "pod", "web")["metadata"]
    assert meta["deletionGracePeriodSeconds"] == 7
    space.kubectl("delete", "pod", "web", "--grace-period=0", "--force")
    assert "NotFound" in space.err("get", "pod", "web")


def test_finalizers_hold_what_is_deleted(space):
    space.create(POD, "web")
    space.kubectl("patch", "pod", "web", "--type=merge", "-p", '{"metadata":{"finalizers":["example.com/hold"]}}')
    space.kubectl("delete", "pod", "web", "--wait=false")
    assert "deletionTimestamp" in space.json("get", "pod", "web")["metadata"]
    space.kubectl("patch", "pod", "web", "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
    assert "NotFound" in space.err("get", "pod", "web")


def test_describe_and_events(space):
    space.create(POD, "web")
    assert "QoS Class:" in space.out("describe", "pod", "web")
    assert "No events found" in space.kubectl("events").stderr


def test_bind(space):
    space.bound_pod("web")
    assert space.json("get", "pod", "web")["spec"]["nodeName"] == "n1"
    assert "already assigned" in space.bind("web", space.err)


# -- what is refused -------------------------------------------------------------------------------------------------


def test_the_lectures_service_is_refused_as_printed(space):
    said = space.refused(SERVICE.replace("targetPort: 80", "targetPort: 80, type: NodePort"))
    assert said == (
        'Error from server (BadRequest): error when creating "STDIN": Service in version "v1" cannot be handled as a '
        'Service: strict decoding error: unknown field "spec.ports[0].type"'
    )


NAME_RULE = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters"
BAD = {
    "a wrong type": (
        RC.replace("replicas: 4", 'replicas: "four"'),
        'ReplicationController in version "v1" cannot be handled as a ReplicationController: json: cannot unmarshal '
        "string into Go struct field ReplicationControllerSpec.spec.replicas of type int32",
    ),
    "a name": (
        POD.replace("NAME", "Not_A_Name"),
        f'Pod "Not_A_Name" is invalid: metadata.name: Invalid value: "Not_A_Name": {NAME_RULE}',
    ),
    "an unknown field": (
        POD.replace("image: redis", "colour: red"),
        'strict decoding error: unknown field "spec.containers[1].colour"',
    ),
    "no containers": (
        "apiVersion: v1\nkind: Pod\nmetadata: {name: x}\nspec: {containers: []}",
        'The Pod "x" is invalid: spec.containers: Required value',
    ),
    "malformed YAML, which kubectl itself sees": (
        "apiVersion: v1\nkind: Pod\n metadata: [",
        "error parsing STDIN: error converting YAML to JSON",
    ),
    "a version": ("apiVersion: v9\nkind: Pod\nmetadata: {name: x}", 'no matches for kind "Pod" in version "v9"'),
    "a kind": ("apiVersion: v1\nkind: Pot\nmetadata: {name: x}", 'no matches for kind "Pot" in version "v1"'),
}


@pytest.mark.parametrize(("text", "said"), BAD.values(), ids=BAD.keys())
def test_bad_input(space, text, said):
    refusal = space.refused(text)
    assert said in refusal
    assert space.json("get", "pods,rc")["items"] == []


def test_without_validation_unknown_fields_are_dropped_with_a_warning(space):
    text = SERVICE.replace("NAME", "svc").replace("targetPort: 80", "targetPort: 80, type: NodePort")
    got = space.kubectl("create", "--validate=warn", "-f", "-", stdin=text)
    assert 'Warning: unknown field "spec.ports[0].type"' in got.stderr
    assert "type" not in space.json("get", "svc", "svc")["spec"]["ports"][0]


def test_malformed_and_doubled_json(space):
    url = f"/api/v1/namespaces/{space.name}/configmaps"
    assert "(BadRequest)" in space.err("create", "--raw", url, "-f", "-", stdin='{"kind":')
    doubled = '{"metadata":{"name":"a"},"data":{"k":"1","k":"2"}}'
    said = space.err("create", "--raw", f"{url}?fieldValidation=Strict", "-f", "-", stdin=doubled)
    assert 'strict decoding error: duplicate field "data.k"' in said


def test_patches_that_cannot_be_applied(space):
    space.create(POD, "web")
    patch = ("patch", "pod", "web")
    warned = space.kubectl(*patch, "-p", '{"spec":{"colour":"red"}}').stderr
    assert 'Warning: unknown field "spec.colour"' in warned
    assert "The request is invalid" in space.err(*patch, "--type=json", "-p", '[{"op":"remove","path":"/nothing"}]')
    assert "cannot unmarshal" in space.err(*patch, "--type=merge", "-p", '{"spec":{"restartPolicy":1}}')
    assert "Forbidden: pod updates may not change fields" in space.err(
        *patch, "--type=merge", "-p", '{"spec":{"restartPolicy":"Never"}}'
    )


def test_server_side_apply_says_that_it_is_not_there(space):
    said = space.err("apply", "--server-side", "-f", "-", stdin=SERVICE.replace("NAME", "svc"))
    assert "server-side apply is not supported yet" in said


def test_a_node_port_can_be_taken_once(space):
    text = SERVICE.replace("selector:", "type: NodePort\n  selector:").replace(
        "targetPort: 80", "targetPort: 80, nodePort: 31080"
    )
    space.create(text, "first")
    assert space.refused(text, "second") == (
        'The Service "second" is invalid: spec.ports[0].nodePort: Invalid value: 31080: '
        "provided port is already allocated"
    )
    space.kubectl("delete", "service", "first")
    space.create(text, "second")


def test_a_namespace_that_is_not_there_or_stays(server):
    said = server.err("-n", "none", "create", "-f", "-", stdin=POD.replace("NAME", "web"))
    assert said.endswith('namespaces "none" not found')
    assert "(Forbidden)" in server.err("delete", "namespace", "default")


# -- streams ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def pod(space):
    space.bound_pod("web")
    space.status("web", {"phase": "Running"})
    return space


def test_logs(pod):
    assert pod.out("logs", "web", "-c", "nginx") == "nginx line 1\nnginx line 2\nnginx line 3\n"
    assert pod.out("logs", "web", "-c", "redis", "--tail=1") == "redis line 3\n"
    lines = pod.out("logs", "-l", "app=web", "--all-containers", "--tail=1").splitlines()
    assert set(lines) == {"nginx line 3", "redis line 3"}  # kubectl asks for them in no certain order
    assert "container none is not valid for pod web" in pod.err("logs", "web", "-c", "none")
    url = f"/api/v1/namespaces/{pod.name}/pods/web/log"
    said = pod.err("get", "--raw", url)
    assert "a container name must be specified for pod web, choose one of: [nginx redis]" in said
    assert "tailLines: Invalid value: -1" in pod.err("get", "--raw", f"{url}?container=nginx&tailLines=-1")


def test_exec(pod):
    assert pod.out("exec", "web", "-c", "nginx", "--", "echo", "a b") == "a b\n"
    got = pod.kubectl("exec", "web", "-c", "nginx", "--", "sh", "-c", "echo out; echo err >&2; exit 7", check=False)
    assert (got.returncode, got.stdout) == (7, "out\n")
    assert "err" in got.stderr
    assert "command terminated with exit code 7" in got.stderr
    assert pod.out("exec", "-i", "web", "-c", "nginx", "--", "cat", stdin="hello\n") == "hello\n"
    assert "executable file not found" in pod.err("exec", "web", "-c", "nginx", "--", "no-such-program")
    assert "container none is not valid" in pod.err("exec", "web", "-c", "none", "--", "true")


def test_exec_moves_much(pod):
    sent = "x" * 3_000_000
    assert pod.out("exec", "-i", "web", "-c", "nginx", "--", "cat", stdin=sent) == sent


def test_exec_with_a_terminal_knows_its_size(pod):
    inner = f"kubectl --kubeconfig {pod.server.kubeconfig} -n {pod.name} exec -it web -c nginx -- sh -c"
    until_known = (
        "until stty size | grep -v '^0 0'; do :; done"  # the size comes after the start, as from a real kubelet
    )
    got = subprocess.run(
        ["script", "-qec", f'stty rows 33 cols 77; {inner} "{until_known}"', "/dev/null"],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert "33 77" in got.stdout


def test_attach(pod):
    assert "attached" in pod.out("attach", "web", "-c", "nginx")


def test_copy(pod, tmp_path):
    (tmp_path / "in.txt").write_text("content")
    pod.kubectl("cp", str(tmp_path / "in.txt"), f"{pod.name}/web:{tmp_path}/out.txt", "-c", "nginx")
    assert (tmp_path / "out.txt").read_text() == "content"
    pod.kubectl("cp", f"{pod.name}/web:{tmp_path}/out.txt", str(tmp_path / "back.txt"), "-c", "nginx")
    assert (tmp_path / "back.txt").read_text() == "content"
