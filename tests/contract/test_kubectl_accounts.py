"""ServiceAccounts: tokens by kubectl, in pods, and for the API from inside."""

import base64
import json

ASK = """
import json, ssl, sys, urllib.error, urllib.request
place = "/var/run/secrets/kubernetes.io/serviceaccount/"
trust, token = ssl.create_default_context(cafile=place + "ca.crt"), open(place + "token").read()
def ask(path, body=None, token=token):
    said = {"Authorization": "Bearer " + token, "Content-Type": "application/json"}
    request = urllib.request.Request("https://kubernetes.default.svc" + path, body, said)
    try:
        return json.load(urllib.request.urlopen(request, context=trust))
    except urllib.error.HTTPError as error:
        return json.load(error)
space = open(place + "namespace").read()
print(json.dumps({
    "space": space,
    "who": ask("/apis/authentication.k8s.io/v1/selfsubjectreviews", b"{}")["status"]["userInfo"],
    "pods": ask(f"/api/v1/namespaces/{space}/pods"),
    "issuer": ask("/.well-known/openid-configuration")["issuer"],
    "keys": ask("/openid/v1/jwks")["keys"],
    "false": ask("/api", token=token[:-8] + "AAAAAAAA"),
}))
"""


def pod(name, **spec):
    main = {"name": "main", "image": "python", "command": ["sleep", "1000"]}
    spec = {"terminationGracePeriodSeconds": 0, "containers": [main], **spec}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


def test_a_pod_asks_the_api_who_it_is(space):
    space.kubectl("create", "serviceaccount", "robot")
    made = [pod("a", serviceAccountName="robot"), pod("b", automountServiceAccountToken=False)]
    space.kubectl("apply", "-f", "-", input=json.dumps({"apiVersion": "v1", "kind": "List", "items": made}))
    space.kubectl("wait", "--for=condition=Ready", "pod/a", "pod/b", "--timeout=60s")
    found = json.loads(space.text("exec", "a", "--", "python3", "-c", ASK))
    name = f"system:serviceaccount:{space.namespace}:robot"
    assert found["space"] == space.namespace
    assert found["who"]["username"] == name
    assert found["who"]["extra"]["authentication.kubernetes.io/pod-name"] == ["a"]
    assert found["pods"]["reason"] == "Forbidden"
    assert f'User "{name}" cannot list resource "pods"' in found["pods"]["message"]
    assert found["issuer"] == "https://kubernetes.default.svc.cluster.local"
    assert found["keys"][0]["alg"] == "ES256"
    assert found["false"]["code"] == 401
    nothing = space.kubectl("exec", "b", "--", "ls", "/var/run/secrets/kubernetes.io", check=False)
    assert nothing.returncode != 0

    token = space.text("exec", "a", "--", "cat", "/var/run/secrets/kubernetes.io/serviceaccount/token")
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}}
    ask = ("create", "-o", "json", "-f", "-")
    said = json.loads(space.text(*ask, input=json.dumps(review)))["status"]
    assert said["user"]["username"] == name
    space.kubectl("delete", "pod", "a")
    assert "authenticated" not in json.loads(space.text(*ask, input=json.dumps(review)))["status"]


def test_tokens_by_kubectl(space):
    assert space.text("create", "token", "default").count(".") == 2
    for words, said in (
        (("none",), 'serviceaccounts "none" not found'),
        (("default", "--duration=10s"), "may not specify a duration less than 10 minutes"),
    ):
        assert said in space.kubectl("create", "token", *words, check=False).stderr
    refused = space.kubectl("apply", "-f", "-", input=json.dumps(pod("c", serviceAccountName="none")), check=False)
    assert 'serviceaccount "none" not found' in refused.stderr
    assert "BEGIN CERTIFICATE" in space.json("get", "configmap", "kube-root-ca.crt")["data"]["ca.crt"]


def test_a_secret_keeps_a_token_as_long_as_its_account_is_there(space):
    space.kubectl("create", "serviceaccount", "robot")
    meta = {"name": "kept", "annotations": {"kubernetes.io/service-account.name": "robot"}}
    kind = {"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/service-account-token", "metadata": meta}
    space.kubectl("create", "-f", "-", input=json.dumps(kind))
    space.kubectl("wait", "--for=jsonpath={.data.token}", "secret/kept", "--timeout=60s")
    token = base64.b64decode(space.json("get", "secret", "kept")["data"]["token"]).decode()
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}}
    said = json.loads(space.text("create", "-o", "json", "-f", "-", input=json.dumps(review)))["status"]
    assert said["user"]["username"] == f"system:serviceaccount:{space.namespace}:robot"
    space.kubectl("delete", "serviceaccount", "robot")
    space.kubectl("wait", "--for=delete", "secret/kept", "--timeout=60s")
