"""What a real API server refuses is refused here in its words, and leaves nothing behind (issue: "Must be shown", 7)."""

import base64
import json
import re
import ssl
import urllib.error
import urllib.request

import pytest
import yaml


@pytest.fixture(scope="session")
def ask(cloud, tmp_path_factory):
    """Ask the API itself: method, path, body -> code and answer; kubectl keeps codes to itself."""
    config = yaml.safe_load((cloud.root / "kubeconfig").read_text())
    user, cluster = config["users"][0]["user"], config["clusters"][0]["cluster"]
    directory = tmp_path_factory.mktemp("identity")
    for name in ("client-certificate", "client-key"):
        content = user.get(f"{name}-data")
        (directory / name).write_bytes(base64.b64decode(content)) if content else None
    context = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
    context.load_cert_chain(directory / "client-certificate", directory / "client-key")

    def ask(method, path, body=None, media="application/json"):
        content = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        request = urllib.request.Request(cluster["server"] + path, content, {"Content-Type": media}, method=method)
        try:
            with urllib.request.urlopen(request, context=context, timeout=20) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code, json.load(refused)

    return ask


def pod(name="p", **container):
    one = {"name": "main", "image": "busybox", "command": ["sleep", "1000"], **container}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {"containers": [one]}}


def service(name="s", **spec):
    spec = {"selector": {"app": "x"}, "ports": [{"port": 80}], **spec}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


def refused(space, text, *words):
    done = space.kubectl(*(words or ("create", "-f", "-")), input=text, check=False)
    assert done.returncode == 1, done.stdout
    return done.stderr


def makes(test):
    """Mark a test that leaves objects of its own."""
    test.makes = True
    return test


@pytest.fixture(autouse=True)
def nothing_half_made(request):
    """After a test, its namespace has what its refused requests left: nothing."""
    if "space" not in request.fixturenames or getattr(request.function, "makes", False):
        yield
        return
    space = request.getfixturevalue("space")
    yield
    assert space.text("get", "pods,services,replicationcontrollers,endpoints", "-o", "name") == ""


def path_of(space, resource, name=""):
    return f"/api/v1/namespaces/{space.namespace}/{resource}" + (f"/{name}" if name else "")


# --- text that is no object


def test_malformed_yaml(space):
    said = refused(space, "apiVersion: v1\nkind: Pod\n  metadata: {name: p}\n")
    assert "error converting YAML to JSON" in said or "error parsing STDIN" in said


def test_malformed_json_at_the_api(space, ask):
    code, status = ask("POST", path_of(space, "pods"), b'{"apiVersion": "v1", "kind": "Pod"')
    assert (code, status["kind"], status["reason"]) == (400, "Status", "BadRequest")
    unread = "the object provided is unrecognized (must be of type Pod): couldn't get version/kind; json parse error: "
    assert status["message"].startswith(unread)


def test_a_wrong_type(space):
    said = refused(space, json.dumps(service(ports=[{"port": "eighty"}])))
    assert said == (
        'Error from server (BadRequest): error when creating "STDIN": Service in version "v1" cannot be handled as a '
        "Service: json: cannot unmarshal string into Go struct field ServicePort.spec.ports.port of type int32\n"
    )


def test_a_wrong_kind_for_the_path(space, ask):
    code, status = ask("POST", path_of(space, "pods"), service())
    assert (code, status["reason"]) == (400, "BadRequest")
    assert "Service" in status["message"]
    assert "Pod" in status["message"]


def test_an_unknown_kind(space):
    said = refused(space, "apiVersion: v1\nkind: Podd\nmetadata: {name: p}\n")
    assert 'no matches for kind "Podd" in version "v1"' in said


def test_unknown_fields(space):
    manifest = pod(imagee="x")
    manifest["spec"]["restart"] = "Never"
    assert refused(space, json.dumps(manifest)) == (
        'Error from server (BadRequest): error when creating "STDIN": Pod in version "v1" cannot be handled as a Pod: '
        'strict decoding error: unknown field "spec.containers[0].imagee", unknown field "spec.restart"\n'
    )


# --- values that are not allowed


SUBDOMAIN = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start "
    "and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)


def test_an_invalid_name(space, ask):
    assert refused(space, json.dumps(pod("Not_Valid"))) == (
        f'The Pod "Not_Valid" is invalid: metadata.name: Invalid value: "Not_Valid": {SUBDOMAIN}\n'
    )
    code, status = ask("POST", path_of(space, "pods"), pod("Not_Valid"))
    assert (code, status["reason"], status["details"]["name"]) == (422, "Invalid", "Not_Valid")
    (cause,) = status["details"]["causes"]
    assert (cause["reason"], cause["field"]) == ("FieldValueInvalid", "metadata.name")


def test_a_service_name_is_a_label(space):
    said = refused(space, json.dumps(service("1.2")))
    assert said.startswith('The Service "1.2" is invalid: metadata.name: Invalid value: "1.2": a DNS-1035 label must')


def test_several_faults_at_once(space, ask):
    manifest = pod(imagePullPolicy="Sometimes", ports=[{"containerPort": 70000}])
    manifest["spec"]["restartPolicy"] = "Perhaps"
    code, status = ask("POST", path_of(space, "pods"), manifest)
    assert (code, status["reason"]) == (422, "Invalid")
    causes = {(cause["reason"], cause["field"]) for cause in status["details"]["causes"]}
    assert causes == {
        ("FieldValueInvalid", "spec.containers[0].ports[0].containerPort"),
        ("FieldValueNotSupported", "spec.containers[0].imagePullPolicy"),
        ("FieldValueNotSupported", "spec.restartPolicy"),
    }
    assert (
        'spec.containers[0].imagePullPolicy: Unsupported value: "Sometimes": supported values: '
        '"Always", "IfNotPresent", "Never"' in status["message"]
    )


def test_missing_fields(space):
    manifest = pod()
    manifest["spec"]["containers"] = [{"image": "busybox"}]
    assert "spec.containers[0].name: Required value" in refused(space, json.dumps(manifest))
    manifest["spec"] = {}
    assert "spec.containers: Required value" in refused(space, json.dumps(manifest))
    assert "spec.ports: Required value" in refused(space, json.dumps(service(ports=[])))


def test_a_controller_whose_template_it_does_not_select(space):
    template = {"metadata": {"labels": {"app": "y"}}, "spec": pod()["spec"]}
    rc = {"apiVersion": "v1", "kind": "ReplicationController", "metadata": {"name": "rc"}}
    said = refused(space, json.dumps({**rc, "spec": {"selector": {"app": "x"}, "template": template}}))
    assert said == (
        'The ReplicationController "rc" is invalid: spec.template.metadata.labels: Invalid value: {"app":"y"}: '
        "`selector` does not match template `labels`\n"
    )


def test_a_negative_number_of_replicas(space):
    template = {"metadata": {"labels": {"app": "x"}}, "spec": pod()["spec"]}
    rc = {"apiVersion": "v1", "kind": "ReplicationController", "metadata": {"name": "rc"}}
    said = refused(space, json.dumps({**rc, "spec": {"replicas": -1, "template": template}}))
    assert "spec.replicas: Invalid value: -1: must be greater than or equal to 0" in said


def test_an_invalid_selector(space):
    said = refused(space, None, "get", "pods", "-l", "a in (")
    assert "unable to parse requirement" in said or "found" in said


# --- what is there already, or is not


@makes
def test_a_stale_revision(space, ask):
    space.kubectl("create", "-f", "-", input=json.dumps(service()))
    stale = space.json("get", "service", "s")
    space.kubectl("label", "service", "s", "a=b")
    stale["metadata"]["labels"] = {"a": "stale"}
    assert refused(space, json.dumps(stale), "replace", "-f", "-") == (
        'Error from server (Conflict): error when replacing "STDIN": Operation cannot be fulfilled on services "s": '
        "the object has been modified; please apply your changes to the latest version and try again\n"
    )
    code, status = ask("PUT", path_of(space, "services", "s"), stale)
    assert (code, status["reason"], status["details"]) == (409, "Conflict", {"name": "s", "kind": "services"})
    assert space.json("get", "service", "s")["metadata"]["labels"] == {"a": "b"}


@makes
def test_a_node_port_already_taken(space, ask):
    space.kubectl("create", "-f", "-", input=json.dumps(service(type="NodePort")))
    port = space.json("get", "service", "s")["spec"]["ports"][0]["nodePort"]
    second = service("second", type="NodePort", ports=[{"port": 80, "nodePort": port}])
    assert refused(space, json.dumps(second)) == (
        f'The Service "second" is invalid: spec.ports[0].nodePort: Invalid value: {port}: '
        "provided port is already allocated\n"
    )
    code, status = ask("POST", path_of(space, "services"), second)
    assert (code, status["reason"]) == (422, "Invalid")
    assert status["details"]["causes"][0]["field"] == "spec.ports[0].nodePort"
    assert space.text("get", "services", "-o", "name") == "service/s\n"
    # what the refused service had been given is free again: its port once the first is gone
    space.kubectl("delete", "service", "s")
    assert space.text("create", "-f", "-", input=json.dumps(second)) == "service/second created\n"


def test_a_node_port_out_of_range(space):
    said = refused(space, json.dumps(service(type="NodePort", ports=[{"port": 80, "nodePort": 80}])))
    assert said == (
        'The Service "s" is invalid: spec.ports[0].nodePort: Invalid value: 80: '
        "provided port is not in the valid range. The range of valid ports is 30000-32767\n"
    )


@makes
def test_a_cluster_ip_already_taken(space):
    space.kubectl("create", "-f", "-", input=json.dumps(service()))
    address = space.json("get", "service", "s")["spec"]["clusterIP"]
    said = refused(space, json.dumps(service("second", clusterIP=address)))
    assert f'spec.clusterIPs: Invalid value: ["{address}"]: failed to allocate IP {address}' in said
    assert "provided IP is already allocated" in said


@makes
def test_the_same_again(space, ask):
    space.kubectl("create", "-f", "-", input=json.dumps(service()))
    assert refused(space, json.dumps(service())) == (
        'Error from server (AlreadyExists): error when creating "STDIN": services "s" already exists\n'
    )
    code, status = ask("POST", path_of(space, "services"), service())
    assert (code, status["reason"], status["details"]) == (409, "AlreadyExists", {"name": "s", "kind": "services"})


def test_an_unknown_namespace(cloud):
    done = cloud.kubectl("create", "-n", "nowhere", "-f", "-", input=json.dumps(pod()), check=False)
    assert (done.returncode, done.stderr) == (
        1,
        'Error from server (NotFound): error when creating "STDIN": namespaces "nowhere" not found\n',
    )
    assert cloud.kubectl("get", "pods", "-n", "nowhere").stderr == "No resources found in nowhere namespace.\n"


def test_a_namespace_that_is_not_the_paths(space, ask):
    manifest = pod()
    manifest["metadata"]["namespace"] = "other"
    code, status = ask("POST", path_of(space, "pods"), manifest)
    assert (code, status["message"]) == (
        400,
        "the namespace of the provided object does not match the namespace sent on the request",
    )


def test_what_is_not_there(space, ask):
    for method, body in (("GET", None), ("DELETE", None)):
        code, status = ask(method, path_of(space, "pods", "p"), body)
        assert (code, status["reason"], status["message"]) == (404, "NotFound", 'pods "p" not found')
        assert status["details"] == {"name": "p", "kind": "pods"}
    code, status = ask("GET", path_of(space, "podds"))
    assert (code, status["reason"]) == (404, "NotFound")
    code, status = ask("PATCH", path_of(space, "pods", "p"), {}, "application/merge-patch+json")
    assert (code, status["message"]) == (404, 'pods "p" not found')
    code, status = ask("PATCH", path_of(space, "pods", "p"), b"x", "text/plain")
    assert (code, status["reason"]) == (415, "UnsupportedMediaType")


@makes
def test_what_may_not_change(space):
    space.kubectl("create", "-f", "-", input=json.dumps(service()))
    said = refused(space, None, "patch", "service", "s", "-p", '{"spec": {"clusterIP": "None"}}')
    assert "spec.clusterIPs[0]: Invalid value:" in said
    assert "may not change once set" in said


# --- images


@makes
def test_an_image_that_does_not_exist(space, cloud):
    before = json.loads(cloud.coracle("status", "-o", "json").stdout)["images"]
    space.kubectl("create", "-f", "-", input=json.dumps(pod(image="no-such-image:1")))
    seen = set()

    def backing_off():
        (status,) = space.json("get", "pod", "p")["status"]["containerStatuses"]
        seen.add(status["state"]["waiting"]["reason"])
        return status["state"]["waiting"] if "ImagePullBackOff" in seen else None

    waiting = space.wait_for(backing_off, 60)
    assert waiting["message"].startswith('Back-off pulling image "no-such-image:1"')
    for told in (
        r"Warning\s+Failed\s+Pod/p\s+Failed to pull image \"no-such-image:1\": ",
        r"Warning\s+Failed\s+Pod/p\s+Error: ErrImagePull",
        r"Normal\s+BackOff\s+Pod/p\s+Back-off pulling image \"no-such-image:1\"",
    ):
        space.wait_for(lambda told=told: re.search(told, space.text("events", "--for", "pod/p")))
    assert re.search(r"p\s+0/1\s+(ImagePullBackOff|ErrImagePull)\s+0", space.text("get", "pods"))
    assert json.loads(cloud.coracle("status", "-o", "json").stdout)["images"] == before
    space.kubectl("delete", "pod", "p", "--timeout=60s")
    assert space.text("get", "pods", "-o", "name") == ""


@makes
def test_an_image_name_that_is_none(space):
    space.kubectl("create", "-f", "-", input=json.dumps(pod(image="Not A Name")))

    def waits():
        (status,) = space.json("get", "pod", "p")["status"]["containerStatuses"]
        return status["state"]["waiting"]["reason"] == "InvalidImageName"

    space.wait_for(waits)


@makes
def test_no_container_was_made_of_all_this(cloud, space):
    """A pod that cannot start leaves no container in the engine when it goes."""
    count = json.loads(cloud.coracle("status", "-o", "json").stdout)["containers"]
    space.kubectl("create", "-f", "-", input=json.dumps(pod(command=["/no/such/program"])))

    def failed():
        (status,) = space.json("get", "pod", "p")["status"]["containerStatuses"]
        state = status["state"]
        return (state.get("waiting") or state.get("terminated") or {}).get("reason") in (
            "RunContainerError",
            "StartError",
            "CrashLoopBackOff",
        )

    space.wait_for(failed)
    space.kubectl("delete", "pod", "p", "--timeout=60s")
    space.wait_for(lambda: json.loads(cloud.coracle("status", "-o", "json").stdout)["containers"] <= count)
