"""What a pod may do and shares, set by its manifest and read back from inside its containers."""

import json
import re
from pathlib import Path

import pytest
from tests.contract.conftest import Space


def box(name, command="sleep 1000", **more):
    return {
        "name": name,
        "image": "busybox",
        "imagePullPolicy": "IfNotPresent",
        "command": ["sh", "-c", command],
        **more,
    }


def pod(name, *containers, **spec):
    spec = {"terminationGracePeriodSeconds": 0, "containers": list(containers), **spec}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


def may(**context):
    return {"securityContext": context}


SIZES = {"limits": {"cpu": "200m", "memory": "64Mi"}, "requests": {"cpu": "100m", "memory": "32Mi"}}
VOLUMES = [
    {"name": "map", "configMap": {"name": "kube-root-ca.crt"}},
    {"name": "mine", "downwardAPI": {"items": [{"path": "name", "fieldRef": {"fieldPath": "metadata.name"}}]}},
    {"name": "disk", "emptyDir": {}},
    {"name": "memory", "emptyDir": {"medium": "Memory"}},
    {"name": "image", "image": {"reference": "busybox", "pullPolicy": "IfNotPresent"}},
]
MOUNTS = [
    *({"name": one["name"], "mountPath": f"/vol/{one['name']}"} for one in VOLUMES),
    {"name": "disk", "mountPath": "/vol/below", "subPath": "a/b"},
]
PODS = [
    pod(
        "user",
        box("plain"),
        box("root", **may(runAsUser=0, runAsGroup=0, capabilities={"add": ["NET_ADMIN"], "drop": ["CHOWN"]})),
        box("bare", **may(capabilities={"drop": ["ALL"]}, allowPrivilegeEscalation=False, readOnlyRootFilesystem=True)),
        box("open", **may(seccompProfile={"type": "Unconfined"})),
        box("all", **may(privileged=True, runAsUser=0)),
        securityContext={
            "runAsUser": 1000, "runAsGroup": 3000, "fsGroup": 2000, "supplementalGroups": [4000],
            "sysctls": [
                {"name": "net.ipv4.ip_unprivileged_port_start", "value": "100"},
                {"name": "kernel/shm_rmid_forced", "value": "1"},
            ],
        },
    ),
    pod("own-group", box("main"), securityContext={"runAsUser": 33, "runAsGroup": 3000, "supplementalGroups": [4000]}),
    pod("shares", box("one", "echo shared > /dev/shm/x; sleep 1001"), box("two", "sleep 1002"), shareProcessNamespace=True),
    pod("apart", box("one", "sleep 1001"), box("two", "sleep 1002")),
    pod("host", box("main"), hostNetwork=True, hostPID=True, hostIPC=True),
    pod(
        "named", box("main"), hostname="web", subdomain="sub", setHostnameAsFQDN=True,
        hostAliases=[{"ip": "10.1.2.3", "hostnames": ["foo", "bar.example"]}], dnsPolicy="None",
        dnsConfig={"nameservers": ["192.0.2.1"], "searches": ["my.dns"], "options": [{"name": "ndots", "value": "3"}]},
    ),
    pod("guaranteed", box("main", resources={"limits": {"cpu": "100m", "memory": "32Mi"}})),
    pod("sized", box("main", resources=SIZES), box("restarts", resources=SIZES, resizePolicy=[
        {"resourceName": "memory", "restartPolicy": "RestartContainer"}])),
    pod(
        "whole", box("main"), box("less", resources={"limits": {"cpu": "50m", "memory": "50Mi"}, "requests": {"cpu": "20m", "memory": "20Mi"}}),
        resources={"limits": {"cpu": "100m", "memory": "100Mi"}},
    ),
    pod("no-root", box("main"), securityContext={"runAsNonRoot": True}),
    pod("never-there", box("main") | {"image": "no-such-image", "imagePullPolicy": "Never"}),
    pod("unsafe", box("main"), securityContext={"sysctls": [{"name": "kernel.msgmax", "value": "65536"}]}),
    *(
        pod(
            name,
            box("main", "echo said > /dev/stdout; sleep 1000", workingDir="/made/here", volumeMounts=MOUNTS,
                **may(capabilities={"add": ["NET_ADMIN"]})),
            box("web", **may(runAsUser=33, runAsGroup=33)),
            hostUsers=False, volumes=VOLUMES,
            securityContext={"fsGroup": 200, "sysctls": [{"name": "kernel.shm_rmid_forced", "value": "1"}]},
        )
        for name in ("own-users", "others-users")
    ),
]  # fmt: skip
RUN = (
    "user",
    "own-group",
    "shares",
    "apart",
    "host",
    "named",
    "guaranteed",
    "sized",
    "whole",
    "own-users",
    "others-users",
)


@pytest.fixture(scope="module")
def room(cloud):
    cloud.kubectl("create", "namespace", "pod-security")
    room = Space(cloud, "pod-security")
    room.kubectl("create", "-f", "-", input=json.dumps({"apiVersion": "v1", "kind": "List", "items": PODS}))
    room.kubectl("wait", "--for=condition=Ready", "--timeout=120s", *(f"pod/{name}" for name in RUN))
    yield room
    cloud.kubectl("delete", "namespace", "pod-security", "--wait=false")


def inside(room, pod, command, container=None):
    where = ("-c", container) if container else ()
    done = room.kubectl("exec", pod, *where, "--", "sh", "-c", command, check=False)
    return (done.stdout + done.stderr).strip()


# The fourteen capabilities of the default set, as /proc/self/status writes them.
DEFAULT = 0xA80425FB
CAPABILITIES = "sed -n 's/^CapBnd:.//p' /proc/self/status"
STATUS = "sed -n 's/^{}:.//p' /proc/self/status"


@pytest.mark.parametrize(
    ("container", "command", "expected"),
    [
        ("plain", "id -u; id -g; id -G", "1000\n3000\n3000 2000 4000"),
        ("plain", "cat /proc/1/status | grep ^Uid", r"Uid:\s+1000\s+1000\s+1000\s+1000"),
        ("plain", CAPABILITIES, f"{DEFAULT:016x}"),
        ("plain", STATUS.format("NoNewPrivs"), "0"),
        ("plain", STATUS.format("Seccomp"), "2"),
        ("plain", "cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/kernel/shm_rmid_forced", "100\n1"),
        ("root", "id -u; id -g", "0\n0"),
        ("root", CAPABILITIES, f"{DEFAULT + (1 << 12) - 1:016x}"),
        ("root", "touch /dev/shm/x; chown 5 /dev/shm/x; true", "chown: /dev/shm/x: Operation not permitted"),
        ("bare", CAPABILITIES, f"{0:016x}"),
        ("bare", STATUS.format("NoNewPrivs"), "1"),
        ("bare", "touch /x; true", "touch: /x: Read-only file system"),
        ("open", STATUS.format("Seccomp"), "0"),
        ("all", CAPABILITIES, "000001ffffffffff|[0-9a-f]{10}[f7e][0-9a-f]{5}"),
        ("all", "ls /dev | grep -c .", r"[3-9]\d|\d{3,}"),
    ],
)
def test_who_a_program_is_and_what_it_may_do(room, container, command, expected):
    assert re.fullmatch(expected, inside(room, "user", command, container))


def test_users_of_a_pod_are_its_own(room):
    """Root inside is somebody else outside, in each pod another; a program may do inside what root does."""
    maps = [inside(room, name, "cat /proc/self/uid_map", "main").split() for name in ("own-users", "others-users")]
    assert [(zero, int(first) % 65536, count) for zero, first, count in maps] == [("0", 0, "65536")] * 2
    assert maps[0] != maps[1]
    assert inside(room, "user", "cat /proc/self/uid_map", "plain").split() == ["0", "0", "4294967295"]
    assert inside(room, "own-users", "id -u; echo heard > /dev/stdout", "web") == "33\nheard"
    assert inside(room, "own-users", "ip link add spare type veth && echo made", "main") == "made"


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        pytest.param("stat -c %u:%g / /etc /made /made/here /etc/hosts /dev/termination-log", "(0:0\n?)+", id="root"),
        pytest.param("stat -c %u:%g $(find /vol/map /vol/mine -type f)", "(0:200\n?)+", id="files of volumes"),
        pytest.param("stat -c %u:%g /vol/disk /vol/memory /vol/below", "(0:200\n?)+", id="directories of volumes"),
        pytest.param("stat -c %u:%g /vol/image/bin /vol/image/etc/passwd", "(0:0\n?)+", id="an image's files"),
        pytest.param("touch /vol/disk/x /made/x; stat -c %u:%g /vol/disk/x /made/x", "0:200\n0:0", id="what is made"),
        pytest.param("cat /var/run/secrets/kubernetes.io/serviceaccount/namespace", "pod-security", id="its token"),
        pytest.param("cat /proc/sys/kernel/shm_rmid_forced; echo x > /dev/shm/x; cat /dev/shm/x", "1\nx", id="memory"),
        pytest.param("echo heard > /dev/stderr", "heard", id="streams of exec"),
    ],
)
def test_what_a_pod_with_users_of_its_own_sees(room, command, expected):
    assert re.fullmatch(expected, inside(room, "own-users", command, "main"))


def test_a_program_with_users_of_its_own_writes_its_log(room):
    room.wait_for(lambda: room.text("logs", "own-users", "-c", "main") == "said\n")


def test_groups_of_the_image_count(room):
    assert inside(room, "own-group", "id -u; id -g").split() == ["33", "3000"]
    (status,) = room.json("get", "pod", "own-group")["status"]["containerStatuses"]
    groups = [int(number) for number in inside(room, "own-group", "id -G").split()]
    assert status["user"] == {"linux": {"uid": 33, "gid": 3000, "supplementalGroups": groups}}
    assert {"3000", "4000"} <= set(inside(room, "own-group", "id -G").split())


def test_containers_share_what_the_pod_says(room):
    seen = inside(room, "shares", "ps", "two")
    assert re.search("sleep 1001", seen)
    assert re.search(r"^\s*1 root .*sleep infinity", seen, re.MULTILINE)
    assert inside(room, "shares", "cat /dev/shm/x", "two") == "shared"
    apart = inside(room, "apart", "ps", "two")
    assert re.search("1 root .*sleep 1002", apart)
    assert "sleep 1001" not in apart


@pytest.mark.parametrize("name", ["ipc", "net"])
def test_containers_are_in_the_same_namespaces(room, name):
    link = f"readlink /proc/self/ns/{name}"
    assert inside(room, "apart", link, "one") == inside(room, "apart", link, "two")


def test_a_killed_container_takes_no_others_along(room):
    inside(room, "shares", "for p in /proc/[0-9]*; do grep -q 100[1] $p/cmdline && kill -9 ${p#/proc/}; done", "two")
    one = room.wait_for(lambda: [
        status for status in room.json("get", "pod", "shares")["status"]["containerStatuses"]
        if status["name"] == "one" and status["restartCount"] == 1
    ])  # fmt: skip
    assert one
    statuses = room.json("get", "pod", "shares")["status"]["containerStatuses"]
    assert [status["restartCount"] for status in statuses if status["name"] == "two"] == [0]


def test_a_pod_of_the_host_sees_it(room):
    assert int(inside(room, "host", "ls -d /proc/[0-9]* 2>/dev/null | wc -l")) > 10
    assert inside(room, "host", "head -n 1 /etc/hosts") == "# Kubernetes-managed hosts file (host network)."
    status = room.json("get", "pod", "host")["status"]
    assert status["podIP"] == status["hostIP"]
    host = room.json("get", "nodes")["items"][0]["metadata"]["name"]
    assert inside(room, "host", "hostname").lower() == host


def test_names(room):
    whole = "web.sub.pod-security.svc.cluster.local"
    address = room.json("get", "pod", "named")["status"]["podIP"]
    assert inside(room, "named", "hostname") == whole
    hosts = inside(room, "named", "cat /etc/hosts").splitlines()
    assert hosts[0] == "# Kubernetes-managed hosts file."
    assert [line.split("\t")[0] for line in hosts[3:7]] == ["fe00::0", "fe00::0", "fe00::1", "fe00::2"]
    assert f"{address}\t{whole}\tweb" in hosts
    assert hosts[-2:] == ["# Entries added by HostAliases.", "10.1.2.3\tfoo\tbar.example"]
    assert inside(room, "named", "cat /etc/resolv.conf") == "nameserver 192.0.2.1\nsearch my.dns\noptions ndots:3"


@pytest.mark.parametrize(
    ("name", "quality", "score"),
    [("user", "BestEffort", "1000"), ("guaranteed", "Guaranteed", "-997|0"), ("sized", "Burstable", r"\d{2,3}")],
)
def test_quality_of_service(room, name, quality, score):
    """A daemon that may not lower its own score gives no less."""
    container = room.json("get", "pod", name)["spec"]["containers"][0]["name"]
    assert room.json("get", "pod", name)["status"]["qosClass"] == quality
    assert re.fullmatch(score, inside(room, name, "cat /proc/1/oom_score_adj", container))


# -- resize


LIMIT = "cat /sys/fs/cgroup/memory.max 2>/dev/null || cat /sys/fs/cgroup/memory/memory.limit_in_bytes"


def resize(room, container, pod="sized", **amounts):
    change = {"spec": {"containers": [{"name": container, "resources": amounts}]}}
    return room.kubectl("patch", "pod", pod, "--subresource=resize", "-p", json.dumps(change), check=False)


def status_of(room, container):
    statuses = room.json("get", "pod", "sized")["status"]["containerStatuses"]
    return next(status for status in statuses if status["name"] == container)


def test_resize_in_place(room):
    done = resize(room, "main", limits={"memory": "96Mi"}, requests={"cpu": "150m"})
    assert done.returncode == 0, done.stderr
    room.wait_for(lambda: inside(room, "sized", LIMIT, "main") == str(96 << 20))
    room.wait_for(lambda: status_of(room, "main")["resources"]["limits"] == {"cpu": "200m", "memory": "96Mi"})
    assert status_of(room, "main")["allocatedResources"]["cpu"] == "150m"
    assert status_of(room, "main")["restartCount"] == 0


def test_resize_by_a_restart(room):
    assert resize(room, "restarts", limits={"memory": "80Mi"}).returncode == 0
    room.wait_for(lambda: status_of(room, "restarts")["restartCount"] == 1, 60)
    room.wait_for(lambda: inside(room, "sized", LIMIT, "restarts") == str(80 << 20))


def test_no_resize_below_what_is_used(room):
    assert resize(room, "main", limits={"memory": "10Ki"}, requests={"memory": "10Ki"}).returncode == 0

    def failed():
        conditions = room.json("get", "pod", "sized")["status"]["conditions"]
        return [
            one["message"] for one in conditions if (one["type"], one.get("reason")) == ("PodResizeInProgress", "Error")
        ]

    assert re.search(r"memory limit \(10240\) below current usage \(\d+\)", room.wait_for(failed)[0])
    assert inside(room, "sized", LIMIT, "main") == str(96 << 20)
    assert resize(room, "main", limits={"memory": "96Mi"}, requests={"memory": "32Mi"}).returncode == 0
    room.wait_for(lambda: not failed())


def group_limit(room):
    """What the containers of the pod may have together, seen on the node."""
    uid = room.json("get", "pod", "whole")["metadata"]["uid"]
    roots = (Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup"))
    found = [path for root in roots if root.exists() for path in root.glob(f"coracle/*/pod{uid}")]
    names = ("memory.limit_in_bytes", "memory.max")
    return next(int((path / name).read_text()) for path in found for name in names if (path / name).exists())


def test_a_pod_has_limits_as_a_whole(room):
    asked = {"limits": {"cpu": "100m", "memory": "100Mi"}, "requests": {"cpu": "20m", "memory": "20Mi"}}
    made = room.json("get", "pod", "whole")
    assert (made["spec"]["resources"], made["status"]["resources"]) == (asked, asked)
    assert (made["status"]["allocatedResources"], made["status"]["qosClass"]) == (asked["requests"], "Burstable")
    limits = [int(inside(room, "whole", LIMIT, container)) for container in ("main", "less")]
    assert ([number >> 20 for number in limits], group_limit(room) >> 20) == ([100, 50], 100)


def test_a_pod_is_resized_as_a_whole(room):
    change = {"spec": {"resources": {"limits": {"cpu": "200m", "memory": "80Mi"}, "requests": {"memory": "60Mi"}}}}
    room.kubectl("patch", "pod", "whole", "--subresource=resize", "-p", json.dumps(change))
    status = room.wait_for(lambda: [
        status for status in [room.json("get", "pod", "whole")["status"]] if status["resources"]["limits"]["cpu"] == "200m"
    ])[0]  # fmt: skip
    assert status["allocatedResources"] == {"cpu": "20m", "memory": "60Mi"}
    assert [int(inside(room, "whole", LIMIT, container)) >> 20 for container in ("main", "less")] == [80, 50]
    assert group_limit(room) >> 20 == 80


def test_resize_beyond_the_node(room):
    assert resize(room, "main", requests={"cpu": "150"}, limits={"cpu": "200"}).returncode == 0

    def infeasible():
        conditions = room.json("get", "pod", "sized")["status"]["conditions"]
        return [one for one in conditions if (one["type"], one.get("reason")) == ("PodResizePending", "Infeasible")]

    room.wait_for(infeasible)
    assert resize(room, "main", requests={"cpu": "100m"}, limits={"cpu": "200m"}).returncode == 0
    room.wait_for(lambda: not infeasible())


def test_what_may_not_be_resized(room):
    removed = resize(room, "restarts", limits={"memory": None})
    assert "spec.containers[1].resources.limits: Forbidden: resource limits cannot be removed" in removed.stderr
    other_class = resize(room, "main", "guaranteed", limits={"cpu": "200m"})
    assert "Pod QOS Class may not change as a result of resizing" in other_class.stderr
    plain = {"spec": {"containers": [{"name": "main", "resources": {"limits": {"memory": "70Mi"}}}]}}
    refused = room.kubectl("patch", "pod", "sized", "-p", json.dumps(plain), check=False)
    assert "pod updates may not change fields other than" in refused.stderr


# -- refused


@pytest.mark.parametrize(
    ("name", "reason", "message"),
    [
        ("no-root", "CreateContainerConfigError", r"container has runAsNonRoot and image will run as root \(pod: \"no-root_pod-security\(.*\)\", container: main\)"),
        ("never-there", "ErrImageNeverPull", r'Container image "no-such-image" is not present with pull policy of Never'),
    ],
)  # fmt: skip
def test_containers_that_wait_for_good(room, name, reason, message):
    def waiting():
        (status,) = room.json("get", "pod", name)["status"]["containerStatuses"]
        return status["state"]["waiting"]

    room.wait_for(lambda: waiting()["reason"] == reason)
    assert re.fullmatch(message, waiting()["message"])
    assert room.text("get", "pod", name, "--no-headers").split()[2] == reason


@pytest.mark.parametrize(
    ("name", "reason", "message"),
    [
        ("unsafe", "SysctlForbidden", 'Pod was rejected: forbidden sysctl: "kernel.msgmax" not allowlisted'),
    ],
)  # fmt: skip
def test_pods_that_the_node_refuses(room, name, reason, message):
    room.wait_for(lambda: room.json("get", "pod", name)["status"]["phase"] == "Failed")
    status = room.json("get", "pod", name)["status"]
    assert (status["reason"], status["message"]) == (reason, message)
    assert room.text("get", "pod", name, "--no-headers").split()[1:3] == ["0/1", reason]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"securityContext": {"runAsUser": -1}}, "spec.securityContext.runAsUser: Invalid value: -1"),
        ({"containers": [box("a", **may(privileged=True, allowPrivilegeEscalation=False))]}, "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"),
        ({"containers": [box("a", **may(procMount="Some"))]}, 'procMount: Unsupported value: "Some"'),
        ({"hostname": "not_a_name"}, "spec.hostname: Invalid value"),
        ({"dnsPolicy": "None"}, "must provide at least one DNS nameserver when `dnsPolicy` is None"),
        ({"hostAliases": [{"ip": "nowhere", "hostnames": ["x"]}]}, "spec.hostAliases[0].ip: Invalid value"),
        ({"shareProcessNamespace": True, "hostPID": True}, "ShareProcessNamespace and HostPID cannot both be enabled"),
        ({"securityContext": {"sysctls": [{"name": "not a sysctl", "value": "1"}]}}, "spec.securityContext.sysctls[0].name: Invalid value"),
        ({"securityContext": {"seccompProfile": {"type": "Localhost"}}}, "must be set when seccomp type is Localhost"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(room, change, said):
    manifest = pod("refused", box("a"))
    manifest["spec"] |= change
    refused = room.kubectl("create", "-f", "-", input=json.dumps(manifest), check=False)
    assert (refused.returncode, said in refused.stderr) == (1, True), refused.stderr
