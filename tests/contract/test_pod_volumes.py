"""What a pod finds in its files: set in one pod, read back from inside (mode, owner, content), a table of features."""

import json
import os
import stat

import pytest

from contract.mounting import OBJECTS, VOLUMES, WAIT, a_pod, amount, create, field, inside, ready

# what is looked at -> what is found: permissions, owner and group, content
FILES = {
    "/v/settings/plain.txt": "644 0:0 hello",
    "/v/settings/second": "644 0:0 two",
    "/v/chosen/deep/er/file": "755 0:0 hello",
    "/v/chosen/two": "400 0:0 two",
    "/v/keys/password": "440 0:0 s3cret",
    "/v/about/labels": '644 0:0 app="look"\ntier="front"',
    "/v/about/annotations": '644 0:0 example.org/note="two\\nlines"',
    "/v/about/app": "644 0:0 look",
    "/v/about/name": "644 0:0 reads",
    "/v/about/cpu": "644 0:0 250",
    "/v/about/memory": "644 0:0 16",
    "/v/all/from/map": "444 0:0 two",
    "/v/all/from/secret": "400 0:0 s3cret",
    "/etc/single": "644 0:0 hello",
}


def looked_at(space, pod, paths):
    """`mode uid:gid content` by path."""
    script = "; ".join(f'stat -L -c "%a %u:%g" {path}; cat {path}; printf "\\001"' for path in paths)
    found = inside(space, pod, script).stdout.split("\1")
    return {path: text.replace("\n", " ", 1) for path, text in zip(paths, found, strict=False)}


def scratch_of(space, cloud, pod):
    return cloud.root / "scratch" / f"pod-{space.json('get', 'pod', pod)['metadata']['uid']}"


def failures(space, pod):
    events = space.json("get", "events", "--field-selector", f"involvedObject.name={pod},reason=FailedMount")
    return [event["message"] for event in events["items"]]


def test_files_are_as_the_volumes_say_and_follow_their_sources(space, cloud):
    space.kubectl("apply", "-f", "-", input=OBJECTS)
    resources = {"limits": {"cpu": "250m", "memory": "32Mi"}, "requests": {"memory": "16Mi"}}
    single = {"name": "settings", "mountPath": "/etc/single", "subPath": "plain.txt"}
    create(space, a_pod("reads", VOLUMES, [single], {"resources": resources}))
    ready(space, "reads")
    assert looked_at(space, "reads", FILES) == FILES
    assert looked_at(space, "reads", ["/v/all/from/pod"]) == {"/v/all/from/pod": f"444 0:0 {space.namespace}"}
    said = inside(
        space,
        "reads",
        "ls /v/absent; readlink /v/settings/second; stat -c %a /v/disk; touch /v/settings/x /v/keys/x; "
        "grep ' /v/memory ' /proc/mounts; grep ' /v/keys ' /proc/mounts; od -An -tx1 /v/settings/bytes",
        check=False,
    )
    assert "..data/second\n777\n" in said.stdout
    assert "tmpfs /v/memory tmpfs rw" in said.stdout
    assert "size=2048k" in said.stdout
    assert "tmpfs /v/keys tmpfs ro" in said.stdout
    assert said.stdout.endswith(" 00 01 02 03\n")
    assert said.stderr.count("Read-only file system") == 2

    space.kubectl("patch", "configmap", "settings", "-p", '{"data":{"plain.txt":"changed","second":null,"third":"3"}}')
    space.kubectl("create", "configmap", "absent", "--from-literal=now=there")
    space.kubectl("label", "pod", "reads", "tier=back", "--overwrite")
    space.wait_for(lambda: "changed" in inside(space, "reads", "cat /v/settings/plain.txt").stdout)
    space.wait_for(lambda: "back" in inside(space, "reads", "cat /v/about/labels").stdout)
    space.wait_for(lambda: "there" in inside(space, "reads", "cat /v/absent/now").stdout)
    assert inside(space, "reads", "cat /etc/single").stdout == "hello"  # a subPath stays what it was
    assert inside(space, "reads", "ls -A /v/settings | grep -v ^[.][.]2").stdout.split() == [
        "..data", "bytes", "plain.txt", "third",
    ]  # fmt: skip
    space.wait_for(lambda: any("non-existent config key: second" in said for said in failures(space, "reads")))

    where = scratch_of(space, cloud, "reads")
    assert where.is_dir()
    space.kubectl("delete", "pod", "reads", "--timeout=60s")
    assert not where.exists()


def test_a_group_owns_its_volumes(space):
    space.kubectl("apply", "-f", "-", input=OBJECTS)
    context = {"securityContext": {"fsGroup": 2000, "runAsUser": 1000, "runAsGroup": 1000}}
    volumes = {name: VOLUMES[name] for name in ("settings", "keys", "chosen", "disk", "memory")}
    create(space, a_pod("grouped", volumes, **context))
    ready(space, "grouped")
    script = (
        "id -G; stat -c '%a %u:%g' /v/disk /v/memory; touch /v/disk/mine; stat -c '%u:%g' /v/disk/mine; "
        "stat -L -c '%a %u:%g' /v/keys/password /v/chosen/two; cat /v/chosen/two"
    )
    assert inside(space, "grouped", script).stdout.splitlines() == [
        "1000 2000", "2777 0:2000", "2777 0:2000", "1000:2000", "440 0:2000", "440 0:2000", "two",
    ]  # fmt: skip


def test_parts_of_volumes_are_shown_and_links_lead_nowhere(space, cloud, tmp_path):
    (tmp_path / "secret").write_text("of the host")
    shared = tmp_path / "shared"
    shared.mkdir()
    os.symlink(tmp_path, shared / "out")
    mounts = [
        {"name": "data", "mountPath": "/sub", "subPath": "a/b"},
        {"name": "data", "mountPath": "/expr", "subPathExpr": "$(WHO)/$(POD)"},
        {"name": "data", "mountPath": "/read", "readOnly": True, "recursiveReadOnly": "Enabled"},
    ]
    pod = {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}
    env = {"env": [{"name": "WHO", "value": "me"}, pod]}
    host = {"hostPath": {"path": str(shared), "type": "Directory"}}
    leads_out = [{"name": "data", "mountPath": "/out", "subPath": "out"}]
    create(
        space,
        a_pod("parts", {"data": {"emptyDir": {}}}, mounts, env),
        a_pod("leads-out", {"data": host}, leads_out),
        a_pod("unknown", {"data": {"emptyDir": {}}}, [{"name": "data", "mountPath": "/x", "subPathExpr": "$(NOBODY)"}]),
    )
    ready(space, "parts")
    said = inside(space, "parts", "touch /sub/1 /expr/2; find /v/data -type f | sort; touch /read/no", check=False)
    assert said.stdout.split() == ["/v/data/a/b/1", "/v/data/me/parts/2"]
    assert "Read-only file system" in said.stderr
    for name, expected in (("leads-out", "failed to prepare subPath"), ("unknown", "missing value for")):
        space.wait_for(lambda name=name, expected=expected: expected in space.text("get", "pod", name, "-o", "yaml"))
    assert stat.S_IMODE((tmp_path / "secret").stat().st_mode) == 0o644


def test_mounts_in_a_path_of_the_host_pass_from_pod_to_pod_and_not_to_the_host(space, tmp_path):
    def a_user(name, propagation, **more):
        mount = {"name": "data", "mountPath": "/v", **({"mountPropagation": propagation} if propagation else {})}
        pod = a_pod(name, {"data": {"hostPath": {"path": str(tmp_path)}}})
        pod["spec"]["containers"] = [
            {"name": "c", "image": "busybox", "command": WAIT, "volumeMounts": [mount], **more}
        ]
        return pod

    privileged = {"securityContext": {"privileged": True}}
    create(
        space,
        a_user("takes", "HostToContainer"),
        a_user("gives", "Bidirectional", **privileged),
        a_user("keeps-out", None),
    )
    ready(space, "takes", "gives", "keeps-out")
    inside(space, "gives", "mkdir /v/in; mount -t tmpfs none /v/in; touch /v/in/file")
    found = {name: inside(space, name, "ls /v/in").stdout for name in ("takes", "keeps-out")}
    assert (found, os.listdir(tmp_path / "in")) == ({"takes": "file\n", "keeps-out": ""}, [])
    inside(space, "gives", "umount /v/in")
    assert inside(space, "takes", "ls /v/in").stdout == ""


def test_mounts_pass_from_one_container_to_those_that_ask(space, cloud):
    def one(name, propagation, **more):
        mount = {"name": "v", "mountPath": "/v", **({"mountPropagation": propagation} if propagation else {})}
        return {"name": name, "image": "busybox", "command": WAIT, "volumeMounts": [mount], **more}

    giver = one("gives", "Bidirectional", securityContext={"privileged": True})
    pod = a_pod("passes", {"v": {"emptyDir": {}}})
    pod["spec"]["containers"] = [giver, one("takes", "HostToContainer"), one("keeps-out", None)]
    create(space, pod)
    ready(space, "passes")
    mounted = "mkdir /v/in; mount -t tmpfs none /v/in; touch /v/in/file"
    space.kubectl("exec", "passes", "-c", "gives", "--", "sh", "-c", mounted)
    found = {name: space.text("exec", "passes", "-c", name, "--", "ls", "/v/in") for name in ("takes", "keeps-out")}
    assert found == {"takes": "file\n", "keeps-out": ""}
    where = scratch_of(space, cloud, "passes")
    space.kubectl("delete", "pod", "passes", "--timeout=60s")
    assert not where.exists()

    giver["securityContext"] = {}
    done = space.kubectl("create", "--dry-run=server", "-f", "-", input=json.dumps(pod), check=False)
    assert "Bidirectional mount propagation is available only to privileged containers" in done.stderr


HOST_PATHS = {
    "directory": ("Directory", "file", "hostPath type check failed: {} is not a directory"),
    "file": ("File", "directory", "hostPath type check failed: {} is not a file"),
    "socket": ("Socket", "file", "hostPath type check failed: {} is not a socket"),
    "device": ("CharDevice", "file", "hostPath type check failed: {} is not a character device"),
    "missing": ("File", "none", "hostPath type check failed: {} is not a file"),
}


def test_paths_of_the_host_are_what_their_type_says(space, tmp_path):
    (tmp_path / "file").write_text("x")
    (tmp_path / "directory").mkdir()
    good = {
        "made": {"hostPath": {"path": str(tmp_path / "made/deep"), "type": "DirectoryOrCreate"}},
        "untyped": {"hostPath": {"path": str(tmp_path / "untyped")}},
        "a-file": {"hostPath": {"path": str(tmp_path / "new"), "type": "FileOrCreate"}},
        "device": {"hostPath": {"path": "/dev/null", "type": "CharDevice"}},
    }
    bad = [
        a_pod(f"bad-{name}", {"v": {"hostPath": {"path": str(tmp_path / there), "type": type}}})
        for name, (type, there, _) in HOST_PATHS.items()
    ]
    create(space, a_pod("good", good), *bad)
    ready(space, "good")
    inside(space, "good", "echo 1 > /v/made/1; echo 2 > /v/untyped/2; echo 3 > /v/a-file; echo 4 > /v/device")
    assert (tmp_path / "made/deep/1").read_text() == "1\n"
    assert (tmp_path / "untyped/2").read_text() == "2\n"
    assert (tmp_path / "new").read_text() == "3\n"
    for name, (_, there, said) in HOST_PATHS.items():
        expected = f'MountVolume.SetUp failed for volume "v" : {said.format(tmp_path / there)}'
        space.wait_for(lambda name=name, expected=expected: expected in failures(space, f"bad-{name}"))


def test_an_image_is_a_volume(space, cloud):
    volumes = {"image": {"image": {"reference": "debian"}}}
    create(space, a_pod("image", volumes, [{"name": "image", "mountPath": "/etc2", "subPath": "etc"}]))
    ready(space, "image")
    said = inside(space, "image", "cat /etc2/debian_version; touch /v/image/x; /v/image/bin/true", check=False)
    assert said.stdout.strip()
    assert "Read-only file system" in said.stderr
    assert "Permission denied" in said.stderr
    uid = space.json("get", "pod", "image")["metadata"]["uid"]
    views = cloud.root / "snapshots" / "containers"
    assert any(uid in view.name for view in views.iterdir())
    space.kubectl("delete", "pod", "image", "--timeout=60s")
    assert not any(uid in view.name for view in views.iterdir())


def test_a_pod_waits_for_what_its_volumes_are_made_of(space):
    volumes = {"a": {"configMap": {"name": "later"}}, "b": {"secret": {"secretName": "later"}}}
    create(space, a_pod("waits", volumes))
    space.wait_for(
        lambda: 'MountVolume.SetUp failed for volume "a" : configmap "later" not found' in failures(space, "waits")
    )
    assert "ContainerCreating" in space.text("get", "pod", "waits")
    space.kubectl("create", "configmap", "later", "--from-literal=k=v")
    space.wait_for(
        lambda: 'MountVolume.SetUp failed for volume "b" : secret "later" not found' in failures(space, "waits")
    )
    space.kubectl("create", "secret", "generic", "later", "--from-literal=k=v")
    ready(space, "waits")


def test_a_part_that_is_not_there_yet_is_waited_for(space):
    space.kubectl("apply", "-f", "-", input=OBJECTS)
    part = [{"name": "settings", "mountPath": "/etc/late", "subPath": "late.txt"}]
    create(space, a_pod("late", {"settings": VOLUMES["settings"]}, part))
    said = 'failed to prepare subPath for volumeMount "settings" of container "c": no such file or directory: late.txt'
    space.wait_for(lambda: said in json.dumps(space.json("get", "pod", "late")["status"]).replace("\\", ""))
    space.kubectl("patch", "configmap", "settings", "-p", '{"data":{"late.txt":"now"}}')
    ready(space, "late")
    assert inside(space, "late", "cat /etc/late").stdout == "now"


def test_what_is_immutable_stays_and_what_is_too_large_is_refused(space, tmp_path):
    space.kubectl("apply", "-f", "-", input=OBJECTS)
    done = space.kubectl("patch", "configmap", "fixed", "-p", '{"data":{"a":"2"}}', check=False)
    assert "data: Forbidden: field is immutable when `immutable` is set" in done.stderr
    (tmp_path / "large").write_bytes(b"x" * (1024 * 1024 + 1))
    for kind in (("configmap",), ("secret", "generic")):
        done = space.kubectl("create", *kind, "large", f"--from-file={tmp_path / 'large'}", check=False)
        assert "Too long: may not be more than 1048576 bytes" in done.stderr


@pytest.mark.parametrize(
    ("volume", "said"),
    [
        ({"configMap": {}}, "configMap.name: Required value"),
        ({"secret": {"secretName": "a", "defaultMode": 0o1000}}, "must be a number between 0 and 0777 (octal), both inclusive"),
        ({"configMap": {"name": "a", "items": [{"key": "a", "path": "../x"}]}}, "must not contain '..'"),
        ({"configMap": {"name": "a", "items": [{"key": "a", "path": "/x"}]}}, "must be a relative path"),
        ({"configMap": {"name": "a", "items": [{"key": "a", "path": "..x"}]}}, "must not start with '..'"),
        ({"downwardAPI": {"items": [{"path": "a"}]}}, "one of fieldRef and resourceFieldRef is required"),
        ({"downwardAPI": {"items": [field("a", "status.podIP")]}}, 'fieldPath: Unsupported value: "status.podIP"'),
        ({"downwardAPI": {"items": [amount("a", "limits.cpu", "1Mi")]}}, "only divisor's values 1m, 1 are supported with the cpu resource"),
        ({"hostPath": {"path": "/a/../b"}}, "must not contain '..'"),
        ({"emptyDir": {}, "hostPath": {"path": "/a"}}, "may not specify more than 1 volume type"),
        ({"emptyDir": {"sizeLimit": "-1"}}, "SizeLimit field must be a valid resource quantity"),
        ({"projected": {"sources": [{"serviceAccountToken": {"path": "t", "expirationSeconds": 60}}]}}, "may not specify a duration less than 10 minutes"),
        ({"projected": {"sources": [{"downwardAPI": {"items": [field("a", "metadata.name"), field("a", "metadata.uid")]}}]}}, "conflicting duplicate paths"),
    ],
)  # fmt: skip
def test_what_a_volume_may_not_say(space, volume, said):
    bad = json.dumps(a_pod("bad", {"v": volume}))
    done = space.kubectl("create", "--dry-run=server", "-f", "-", input=bad, check=False)
    assert done.returncode == 1
    assert said in done.stderr
