import pytest

from coracle.core.object import Meta, Object
from coracle.engine.kinds.container import Security
from coracle.engine.kinds.sandbox import DnsConfig
from coracle.kube.kubelet.config import NodeConfig
from coracle.kube.kubelet.environment import ConfigError
from coracle.kube.kubelet.resources import group, limits, oom_score_adj, quality
from coracle.kube.kubelet.security import groups, security, user
from coracle.kube.kubelet.specs import Ingredients, container_spec, dns, sandbox_spec
from coracle.runtime.api import Resources
from suites.attempts import a_pod

HOST = DnsConfig(servers=("192.0.2.53",), searches=("example.com",), options=("edns0",))
NODE = NodeConfig(name="node", address="192.0.2.2", cluster_dns="10.32.0.1", host_dns=HOST, memory_bytes=1 << 30)
DNS = ("10.32.0.1",)
SEARCHES = ("default.svc.cluster.local", "svc.cluster.local", "cluster.local", "example.com")
CLUSTER = DnsConfig(servers=DNS, searches=SEARCHES, options=("ndots:5",))


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        pytest.param({}, CLUSTER, id="the cluster first"),
        pytest.param({"dnsPolicy": "Default"}, HOST, id="as the host"),
        pytest.param({"hostNetwork": True}, HOST, id="in the host's network as the host"),
        pytest.param(
            {"hostNetwork": True, "dnsPolicy": "ClusterFirstWithHostNet"},
            CLUSTER,
            id="in the host's network, the cluster first",
        ),
        pytest.param(
            {"dnsPolicy": "None", "dnsConfig": {"nameservers": ["192.0.2.1"], "searches": ["a.b"]}},
            DnsConfig(servers=("192.0.2.1",), searches=("a.b",)),
            id="its own only",
        ),
        pytest.param(
            {"dnsConfig": {"options": [{"name": "ndots", "value": "2"}, {"name": "rotate"}], "searches": ["x.y"]}},
            DnsConfig(servers=DNS, searches=(*SEARCHES, "x.y"), options=("ndots:2", "rotate")),
            id="its own on top",
        ),
    ],
)
def test_dns(spec, expected):
    assert dns(a_pod(**spec), NODE) == expected


def test_sandbox():
    pod = a_pod(hostAliases=[{"ip": "192.0.2.9", "hostnames": ["a", "b"]}], shareProcessNamespace=True)
    pod.spec["securityContext"] = {"sysctls": [{"name": "net.core.somaxconn", "value": "1024"}]}
    made = sandbox_spec(pod, NODE)
    assert (made.name, made.hostname, made.owner, made.share_pid) == ("pod-u", "p", "Pod default/p", True)
    assert (made.hosts, made.sysctls) == ((("192.0.2.9", "a", "b"),), {"net.core.somaxconn": "1024"})
    assert sandbox_spec(a_pod(hostname="db-0"), NODE).hostname == "db-0"


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, ("p", "")),
        ({"subdomain": "sub"}, ("p", "sub.default.svc.cluster.local")),
        ({"hostname": "h", "subdomain": "sub"}, ("h", "sub.default.svc.cluster.local")),
        (
            {"subdomain": "sub", "setHostnameAsFQDN": True},
            ("p.sub.default.svc.cluster.local", ""),
        ),
        ({"subdomain": "sub", "hostNetwork": True}, ("p", "")),
    ],
)
def test_names(spec, expected):
    made = sandbox_spec(a_pod(**spec), NODE)
    assert (made.hostname, made.domain) == expected


@pytest.mark.parametrize(
    ("spec", "expected"),
    [({}, False), ({"hostUsers": True}, False), ({"hostUsers": None}, False), ({"hostUsers": False}, True)],
)
def test_whose_users_a_pod_has(spec, expected):
    assert sandbox_spec(a_pod(**spec), NODE).own_users is expected


@pytest.mark.parametrize(
    ("spec", "beside", "expected"),
    [
        ({}, "", ("", "", True, "all")),
        ({"hostPID": True, "hostIPC": True}, "", ("host", "host", False, "all")),
        ({"hostPID": True}, "abc", ("container:abc", "", True, "all")),
        ({"securityContext": {"supplementalGroupsPolicy": "Strict"}}, "", ("", "", True, "none")),
    ],
)
def test_what_containers_share(spec, beside, expected):
    image = Object("Image", Meta(name="i"), {"spec": {"config": {"cmd": ["serve"]}}})
    pod = a_pod(**spec)
    made = container_spec(pod, pod.spec["containers"][0], Ingredients(image, beside=beside), NODE)
    shared = sandbox_spec(pod, NODE).share_ipc
    assert (made.pid_mode, made.ipc_mode, shared, made.memberships) == expected


def test_container():
    config = {"entrypoint": ["/entry"], "cmd": ["serve"]}
    image = Object("Image", Meta(name="i"), {"spec": {"config": config}})
    pod = a_pod(terminationGracePeriodSeconds=5)
    container = {**pod.spec["containers"][0], "args": ["--name=$(NAME)"], "workingDir": "/srv", "tty": True}
    made = container_spec(pod, container, Ingredients(image, 2, 20.0, {"NAME": "x"}), NODE)
    assert (made.name, made.argv) == ("k8s_web_p_default_u_2", ("/entry", "--name=x"))
    assert (made.env, made.workdir, made.tty, made.oom_score_adj) == (("NAME=x",), "/srv", True, 1000)
    assert made.labels == {
        "io.kubernetes.pod.name": "p",
        "io.kubernetes.pod.namespace": "default",
        "io.kubernetes.pod.uid": "u",
        "io.kubernetes.container.name": "web",
        "io.kubernetes.container.restartCount": "2",
        "io.coracle.container.backoffSeconds": "20",
        "io.kubernetes.pod.terminationGracePeriod": "5",
    }


@pytest.mark.parametrize(
    ("resources", "expected", "sort", "score"),
    [
        ({}, Resources(cpu_shares=2), "BestEffort", 1000),
        (
            {"limits": {"cpu": "500m", "memory": "64Mi"}, "requests": {"cpu": "500m", "memory": "64Mi"}},
            Resources(memory_bytes=64 << 20, memory_swap_bytes=64 << 20, cpu_quota_us=50_000, cpu_shares=512),
            "Guaranteed",
            -997,
        ),
        ({"requests": {"cpu": "1500m", "memory": "256Mi"}}, Resources(cpu_shares=1536), "Burstable", 750),
        ({"limits": {"cpu": "1m"}}, Resources(cpu_quota_us=1000, cpu_shares=2), "Burstable", 999),
    ],
)
def test_resources(resources, expected, sort, score):
    pod = a_pod()
    container = pod.spec["containers"][0]
    container["resources"] = resources
    assert (limits(pod, container), quality(pod), oom_score_adj(pod, container, 1 << 30)) == (expected, sort, score)


OWN = {"limits": {"cpu": "1", "memory": "512Mi"}, "requests": {"memory": "256Mi"}}


@pytest.mark.parametrize(
    ("container", "own", "score"),
    [
        pytest.param({}, (512 << 20, 100_000, 1024), 875, id="a container without limits has the pod's"),
        pytest.param(
            {"limits": {"cpu": "500m"}, "requests": {"cpu": "250m", "memory": "128Mi"}},
            (512 << 20, 50_000, 256), 813, id="its own limit comes first, what is left of the request is shared",
        ),
    ],
)  # fmt: skip
def test_resources_of_a_pod_as_a_whole(container, own, score):
    web, other = {"name": "web", "resources": container}, {"name": "other"}
    pod = a_pod().with_spec(containers=[web, other], resources=OWN)
    found = limits(pod, web)
    assert (found.memory_bytes, found.cpu_quota_us, found.cpu_shares) == own
    together = group(pod)
    assert (together.name, together.resources.memory_bytes, together.resources.cpu_quota_us) == (
        "podu",
        512 << 20,
        100_000,
    )
    assert (quality(pod), oom_score_adj(pod, web, 1 << 30)) == ("Burstable", score)
    assert group(a_pod()) is None


def test_a_sidecar_goes_no_sooner_than_the_container_that_asks_for_least_and_a_critical_pod_last():
    sidecar = {"name": "s", "restartPolicy": "Always"}
    web = {"name": "web", "resources": {"requests": {"memory": "256Mi"}}}
    pod = a_pod().with_spec(containers=[web], initContainers=[sidecar])
    assert oom_score_adj(pod, sidecar, 1 << 30) == oom_score_adj(pod, web, 1 << 30) == 750
    assert oom_score_adj(pod.with_spec(priority=2_000_001_000), web, 1 << 30) == -997


@pytest.mark.parametrize(
    ("context", "expected"),
    [
        ({}, Security()),
        ({"privileged": True}, Security(privileged=True)),
        ({"capabilities": {"add": ["NET_ADMIN"], "drop": ["ALL"]}}, Security(add=("NET_ADMIN",), drop=("ALL",))),
        ({"allowPrivilegeEscalation": False}, Security(no_new_privileges=True)),
        ({"readOnlyRootFilesystem": True}, Security(read_only_root=True)),
        ({"seccompProfile": {"type": "Unconfined"}}, Security(seccomp="unconfined")),
        ({"appArmorProfile": {"type": "Localhost", "localhostProfile": "tight"}}, Security(apparmor="tight")),
        ({"appArmorProfile": {"type": "Unconfined"}}, Security()),
        ({"procMount": "Unmasked"}, Security(masked_paths=(), read_only_paths=())),
    ],
)
def test_security(context, expected):
    assert security(a_pod(), {"name": "web", "securityContext": context}) == expected


@pytest.mark.parametrize(
    ("context", "pod_context", "image_user", "expected"),
    [
        ({}, {}, "www", ""),
        ({"runAsUser": 1000}, {}, "", "1000"),
        ({"runAsUser": 0}, {"runAsUser": 1000}, "", "0"),
        ({}, {"runAsUser": 1000, "runAsGroup": 50}, "", "1000:50"),
        ({"runAsGroup": 50}, {}, "www:7", "www:50"),
        ({"runAsNonRoot": True}, {}, "1000", ""),
    ],
)
def test_user(context, pod_context, image_user, expected):
    pod = a_pod(securityContext=pod_context)
    assert user(pod, {"name": "web", "securityContext": context}, {"user": image_user}) == expected


@pytest.mark.parametrize(
    ("context", "image_user", "said"),
    [
        ({"runAsNonRoot": True}, "", "container has runAsNonRoot and image will run as root"),
        ({"runAsNonRoot": True}, "www", "container has runAsNonRoot and image has non-numeric user"),
        ({"runAsNonRoot": True, "runAsUser": 0}, "www", "container's runAsUser breaks non-root policy"),
    ],
)
def test_root_is_refused(context, image_user, said):
    with pytest.raises(ConfigError, match=said):
        user(a_pod(), {"name": "web", "securityContext": context}, {"user": image_user})


def test_a_seccomp_profile_may_not_be_anywhere():
    profile = {"seccompProfile": {"type": "Localhost", "localhostProfile": "../../etc/shadow"}}
    with pytest.raises(ConfigError):
        security(a_pod(), {"name": "web", "securityContext": profile})


def test_groups():
    assert groups(a_pod(securityContext={"fsGroup": 7, "supplementalGroups": [5, 7]})) == ("5", "7")


def test_who_names_no_seccomp_profile_has_what_the_node_says():
    container = {"name": "web", "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}}}
    assert security(a_pod(), {"name": "web"}, seccomp_default=False).seccomp == "unconfined"
    assert security(a_pod(), container, seccomp_default=False).seccomp == "default"
