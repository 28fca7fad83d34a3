"""What becomes of things whose owner or namespace goes, through the real kubectl."""

import json

HELD = """
apiVersion: v1
kind: Pod
metadata: {name: held, finalizers: [example.com/hold]}
spec:
  schedulerName: nobody
  containers: [{name: main, image: busybox}]
"""


def names(space):
    found = [item["metadata"]["name"] for item in space.json("get", "configmaps")["items"]]
    return sorted(name for name in found if name != "kube-root-ca.crt")


def own(space, name, owner):
    """Have one ConfigMap own another, which it is not to outlive."""
    uid = space.json("get", "configmap", owner)["metadata"]["uid"]
    ref = {"apiVersion": "v1", "kind": "ConfigMap", "name": owner, "uid": uid, "blockOwnerDeletion": True}
    space.kubectl("patch", "configmap", name, "--patch", json.dumps({"metadata": {"ownerReferences": [ref]}}))


def test_what_is_owned_goes_or_stays_as_it_is_asked(space):
    for name in ("a", "b", "c", "d"):
        space.kubectl("create", "configmap", name)
    for name, owner in (("b", "a"), ("c", "b"), ("a", "c")):
        own(space, name, owner)
    space.kubectl("delete", "configmap", "a", "--cascade=foreground", "--timeout=60s")  # which are in a circle
    space.wait_for(lambda: names(space) == ["d"])
    for name in ("e", "f", "g"):
        space.kubectl("create", "configmap", name)
    own(space, "g", "f")
    space.kubectl("patch", "configmap", "g", "--patch", '{"metadata":{"finalizers":["example.com/hold"]}}')
    space.kubectl("delete", "configmap", "f", "--cascade=foreground", "--wait=false")
    space.wait_for(lambda: "deletionTimestamp" in space.json("get", "configmap", "g")["metadata"])
    assert names(space) == ["d", "e", "f", "g"]  # which goes when what it owns has gone
    space.kubectl("patch", "configmap", "g", "--patch", '{"metadata":{"finalizers":null}}')
    space.wait_for(lambda: names(space) == ["d", "e"])
    own(space, "e", "d")
    space.kubectl("delete", "configmap", "d", "--cascade=orphan", "--timeout=60s")
    assert "ownerReferences" not in space.json("get", "configmap", "e")["metadata"]


def test_an_owner_of_another_namespace_is_none(space, cloud):
    uid = cloud.json("--namespace", "kube-system", "get", "configmap", "kube-root-ca.crt")["metadata"]["uid"]
    ref = {"apiVersion": "v1", "kind": "ConfigMap", "name": "kube-root-ca.crt", "uid": uid}
    space.kubectl("create", "configmap", "a")
    space.kubectl("patch", "configmap", "a", "--patch", json.dumps({"metadata": {"ownerReferences": [ref]}}))
    space.wait_for(lambda: names(space) == [])
    space.wait_for(lambda: "OwnerRefInvalidNamespace" in space.text("get", "events"))


def test_pods_go_before_all_else_of_their_namespace(cloud, space):
    room = f"{space.namespace}-more"
    cloud.kubectl("create", "namespace", room)
    cloud.kubectl("--namespace", room, "create", "configmap", "kept")
    cloud.kubectl("--namespace", room, "apply", "-f", "-", input=HELD)
    cloud.kubectl("delete", "namespace", room, "--wait=false")

    def conditions():
        found = cloud.json("get", "namespace", room)["status"].get("conditions") or ()
        return {one["type"]: one["message"] for one in found}

    cloud.wait_for(lambda: "NamespaceContentRemaining" in conditions())
    assert conditions()["NamespaceContentRemaining"] == ("Some resources are remaining: pods. has 1 resource instances")
    assert cloud.json("--namespace", room, "get", "pod", "held")["metadata"]["deletionTimestamp"]
    assert "deletionTimestamp" not in cloud.json("--namespace", room, "get", "configmap", "kept")["metadata"]
    cloud.kubectl("--namespace", room, "patch", "pod", "held", "--patch", '{"metadata":{"finalizers":null}}')
    cloud.kubectl("wait", "--for=delete", f"namespace/{room}", "--timeout=60s")
