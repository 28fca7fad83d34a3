"""What a container and its pod become, field by field."""

import pytest

READY = {"timeoutSeconds": 30, "periodSeconds": 30, "failureThreshold": 3}
SHELL = {"exec": {"command": ["/bin/sh", "-c", "ok"]}}


@pytest.mark.parametrize(
    ("text", "field", "expected"),
    [
        ("command: a b", "args", ["a", "b"]),
        ("entrypoint: a b", "command", ["a", "b"]),
        ("entrypoint: []\ncommand: [a, b]", "command", ["a", "b"]),
        ("entrypoint: []\ncommand: [a, b]", "args", None),
        ("command: ['$$(X)', '$$X', '$$$$', 'a$$']", "args", ["$$(X)", "$X", "$$$$", "a$"]),
        ("environment: {A: 'x $$(B)', C: }", "env", [{"name": "A", "value": "x $$(B)"}]),
        ("environment: {A: ''}", "env", [{"name": "A"}]),
        ("working_dir: /w", "workingDir", "/w"),
        ("pull_policy: never", "imagePullPolicy", "Never"),
        ("pull_policy: daily", "imagePullPolicy", "Always"),
        ("build: .", "imagePullPolicy", "IfNotPresent"),
        ("ports: ['8080:80']", "ports", [{"containerPort": 80, "protocol": "TCP", "hostPort": 8080}]),
        (
            "ports: ['127.0.0.1:53:53/udp']",
            "ports",
            [{"containerPort": 53, "protocol": "UDP", "hostPort": 53, "hostIP": "127.0.0.1"}],
        ),
        ("ports: ['80']", "ports", [{"containerPort": 80, "protocol": "TCP"}]),
        ("ports: ['81:80']\nexpose: ['80']", "ports", [{"containerPort": 80, "protocol": "TCP", "hostPort": 81}]),
        ("mem_limit: 64m", "resources", {"limits": {"memory": "64Mi"}, "requests": {"memory": "0"}}),
        ("mem_reservation: 1000", "resources", {"requests": {"memory": "1000"}}),
        ("cpus: 0.25", "resources", {"limits": {"cpu": "250m"}, "requests": {"cpu": "0"}}),
        ("cpu_quota: 150000", "resources", {"limits": {"cpu": "1500m"}, "requests": {"cpu": "0"}}),
        (
            "deploy: {resources: {limits: {cpus: '2', memory: 1g}, reservations: {cpus: '0.5'}}}",
            "resources",
            {"limits": {"cpu": "2", "memory": "1Gi"}, "requests": {"cpu": "500m", "memory": "0"}},
        ),
        ("gpus: [{count: 2}]", "resources", {"limits": {"nvidia.com/gpu": "2"}}),
        ("user: '1000:50'", "securityContext", {"runAsUser": 1000, "runAsGroup": 50}),
        ("user: www-data", "securityContext", None),
        ("cap_add: [CAP_NET_ADMIN, sys_time]", "securityContext", {"capabilities": {"add": ["NET_ADMIN", "SYS_TIME"]}}),
        ("privileged: true\nread_only: true", "securityContext", {"privileged": True, "readOnlyRootFilesystem": True}),
        ("security_opt: [no-new-privileges]", "securityContext", {"allowPrivilegeEscalation": False}),
        ("security_opt: [no-new-privileges:true]\nprivileged: true", "securityContext", {"privileged": True}),
        ("network_mode: host\nports: ['80:8080']", "ports", [{"containerPort": 8080, "protocol": "TCP"}]),
        ("security_opt: ['seccomp:unconfined']", "securityContext", {"seccompProfile": {"type": "Unconfined"}}),
        (
            "security_opt: ['label=level:s0', 'label=type:x_t']",
            "securityContext",
            {"seLinuxOptions": {"level": "s0", "type": "x_t"}},
        ),
        ("healthcheck: {test: ok}", "readinessProbe", {**SHELL, **READY}),
        ("healthcheck: {test: [CMD, ok, '$$(X)']}", "readinessProbe", {"exec": {"command": ["ok", "$(X)"]}, **READY}),
        ("healthcheck: {test: [NONE]}", "readinessProbe", None),
        ("healthcheck: {test: ok, disable: true}", "readinessProbe", None),
        ("healthcheck: {test: ok}", "livenessProbe", None),
        (
            "healthcheck: {test: ok, interval: 1m30s, timeout: 1500ms, retries: 5}",
            "readinessProbe",
            {**SHELL, "periodSeconds": 90, "timeoutSeconds": 2, "failureThreshold": 5},
        ),
        (
            "healthcheck: {test: ok, start_period: 1m, start_interval: 2s}",
            "startupProbe",
            {**SHELL, "periodSeconds": 2, "timeoutSeconds": 30, "failureThreshold": 2147483647},
        ),
        ("post_start: [{command: a b}]", "lifecycle", {"postStart": {"exec": {"command": ["a", "b"]}}}),
        ("stop_signal: INT", "lifecycle", {"stopSignal": "SIGINT"}),
        ("stdin_open: true\ntty: true", "stdin", True),
    ],
)
def test_a_container_says(service, text, field, expected):
    assert service(text).container().get(field) == expected


@pytest.mark.parametrize(
    ("text", "field", "expected"),
    [
        ("tty: true", "enableServiceLinks", False),
        ("tty: true", "terminationGracePeriodSeconds", 10),
        ("stop_grace_period: 1m30s", "terminationGracePeriodSeconds", 90),
        ("stop_signal: SIGINT", "os", {"name": "linux"}),
        ("hostname: h", "hostname", "h"),
        ("hostname: h.org", "hostname", None),
        (
            "extra_hosts: ['a=1.1.1.1', 'b=1.1.1.1', 'c=::1']",
            "hostAliases",
            [{"ip": "1.1.1.1", "hostnames": ["a", "b"]}, {"ip": "::1", "hostnames": ["c"]}],
        ),
        (
            "dns: 1.1.1.1\ndns_search: x.org\ndns_opt: [ndots:2, rotate]",
            "dnsConfig",
            {
                "nameservers": ["1.1.1.1"],
                "searches": ["x.org"],
                "options": [{"name": "ndots", "value": "2"}, {"name": "rotate"}],
            },
        ),
        ("network_mode: host", "hostNetwork", True),
        ("network_mode: host", "dnsPolicy", "ClusterFirstWithHostNet"),
        ("pid: host", "hostPID", True),
        ("ipc: host", "hostIPC", True),
        ("group_add: ['5', audio]", "securityContext", {"supplementalGroups": [5]}),
        (
            "sysctls: {net.core.somaxconn: 1024}",
            "securityContext",
            {"sysctls": [{"name": "net.core.somaxconn", "value": "1024"}]},
        ),
        ("user: '7'\nvolumes: [/d]", "securityContext", {"fsGroup": 7}),
        ("user: '0'\nvolumes: [/d]", "securityContext", None),
        ("platform: linux/arm64/v8", "nodeSelector", {"kubernetes.io/os": "linux", "kubernetes.io/arch": "arm64"}),
        (
            "deploy: {placement: {constraints: [node.hostname==n1, node.labels.disk==ssd]}}",
            "nodeSelector",
            {"kubernetes.io/hostname": "n1", "disk": "ssd"},
        ),
        ("network_mode: host\nports: ['80:8080']", "hostNetwork", True),
        ("runtime: kata", "runtimeClassName", "kata"),
        ("runtime: runc", "runtimeClassName", None),
    ],
)
def test_a_pod_says(service, text, field, expected):
    assert service(text).pod().get(field) == expected


def test_constraints_that_exclude_and_spreads_are_affinities(service):
    said = "{constraints: [node.role!=manager, node.labels.a != b], max_replicas_per_node: 1, preferences: [{spread: node.labels.zone}]}"
    pod = service(f"deploy: {{placement: {said}}}").pod()
    needs = pod["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    assert needs[0]["matchExpressions"] == [
        {"key": "node-role.kubernetes.io/control-plane", "operator": "DoesNotExist"},
        {"key": "a", "operator": "NotIn", "values": ["b"]},
    ]
    assert "podAntiAffinity" in pod["affinity"]
    assert [spread["topologyKey"] for spread in pod["topologySpreadConstraints"]] == ["zone"]


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        ("user: www-data", "4: services.a.user: Kubernetes takes numbers only"),
        ("healthcheck: {interval: 5s}", "healthcheck: Kubernetes does not read the image's health check"),
        ("healthcheck: {test: ok, interval: 500ms}", "healthcheck.interval: Kubernetes counts whole seconds"),
        ("command: []", "command: the image's own arguments cannot be taken away"),
        ("entrypoint: []", "entrypoint: the image's own entrypoint cannot be taken away"),
        ("extra_hosts: ['h:host-gateway']", "extra_hosts: h=host-gateway"),
        ("hostname: H_1", "hostname: H_1 is no host name of a pod"),
        ("network_mode: none", "network_mode: none"),
        ("pid: 'container:x'", "pid: container:x"),
        ("post_start: [{command: a}, {command: b}]", "post_start: Kubernetes runs one command"),
        ("stop_signal: '2'", "stop_signal: Kubernetes takes names"),
        ("security_opt: ['seccomp:/p.json']", "security_opt: seccomp:/p.json"),
        ("security_opt: ['systempaths=unconfined']", "security_opt: systempaths=unconfined"),
        ("security_opt: [no-new-privileges]\nprivileged: true", "a privileged container cannot be kept"),
        ("network_mode: host\nports: ['80:80']", "ports: published ports are discarded when using host network mode"),
        ("scale: 3\ndeploy: {mode: global}", "scale: a DaemonSet has one pod on each node, not 3"),
        ("security_opt: ['label:disable']", "security_opt: label:disable"),
        ("sysctls: {net.core.somaxconn: 1}", "sysctls: net.core.somaxconn: every node's kubelet must allow it"),
        ("labels: {'a b': c}", "labels: a b cannot be the key of an annotation"),
        ("pull_policy: weekly", "pull_policy: weekly"),
        ("gpus: all", "gpus.0: ask for a number of GPUs"),
        ("tmpfs: '/run:mode=700'", "tmpfs: mode=700"),
        ("volumes: ['/s:/d']", "volumes.0.source: /s is of the pod's machine"),
        (
            "volumes: [{type: bind, source: /s, target: /d, bind: {propagation: rshared}}]",
            "bind.propagation: only what a privileged container mounts is seen outside",
        ),
        ("volumes_from: ['container:x']", "volumes_from: container:x"),
        ("ports: ['80-82:80']", "ports.0.published: a pod cannot choose from 80-82: 80 is taken"),
        ("scale: 2\nports: ['80:80']", "ports: a port of a machine is one pod's"),
        ("deploy: {placement: {constraints: [engine.labels.a==b]}}", "constraints: engine.labels.a==b"),
        ("deploy: {placement: {max_replicas_per_node: 2}}", "max_replicas_per_node: a number of pods for each node"),
    ],
)
def test_it_is_warned_of(service, text, warning):
    said = service(text).warnings
    assert any(warning in line for line in said), said


@pytest.mark.parametrize(
    "text",
    ["pids_limit: 0", "init: false", "restart: always", "runtime: runc", "ipc: shareable", "tmpfs: '/run:rw,noexec'"],
)
def test_there_is_nothing_to_warn_of(service, text):
    assert service(text).warnings == ()


def test_labels_are_annotations_of_the_pods_and_those_of_deploy_of_the_deployment(service):
    made = service("labels: {a.b/c: 'Host(`x`)'}\nannotations: {d: e}\ndeploy: {labels: {f: g}}").workload()
    assert made["spec"]["template"]["metadata"]["annotations"] == {"a.b/c": "Host(`x`)", "d": "e"}
    assert made["metadata"]["annotations"] == {"f": "g"}


def test_services_that_share_a_network_are_containers_of_one_pod(converted):
    made = converted(
        "services:\n"
        "  vpn: {image: v, ports: ['80:80'], cap_add: [NET_ADMIN], dns: 1.1.1.1}\n"
        "  app: {image: a, network_mode: 'service:vpn', pid: 'service:vpn', expose: ['90'], volumes: [d:/d], hostname: h, restart: 'no'}\n"
        "volumes: {d: }\n"
    )
    assert "Deployment app" not in made.names
    assert [one["name"] for one in made.pod("vpn")["containers"]] == ["vpn", "app"]
    assert made.pod("vpn")["shareProcessNamespace"] is True
    assert made.get("Service", "app")["spec"]["selector"]["app.kubernetes.io/name"] == "vpn"
    for key in ("hostname", "restart"):
        assert any(f"services.app.{key}: is the pod's, which is vpn's" in said for said in made.warnings)
