"""What keeps the pods, how they are found, and what they wait for."""

import pytest

ROLL = {"type": "RollingUpdate"}


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("tty: true", "Deployment"),
        ("restart: always", "Deployment"),
        ("restart: unless-stopped", "Deployment"),
        ("restart: 'no'", "Job"),
        ("restart: on-failure:3", "Job"),
        ("deploy: {mode: global}", "DaemonSet"),
        ("deploy: {mode: replicated-job}", "Job"),
        ("restart: 'no'\ndeploy: {restart_policy: {condition: any}}", "Deployment"),
        ("deploy: {restart_policy: {condition: none}}", "Job"),
    ],
)
def test_a_service_is_kept_by(service, text, kind):
    assert service(text).workload()["kind"] == kind


def test_the_controller_can_be_chosen(service):
    made = service("scale: 3", controller="replicationcontroller").get("ReplicationController", "a")
    assert made["spec"]["selector"] == made["spec"]["template"]["metadata"]["labels"]
    assert made["spec"]["replicas"] == 3
    assert service("tty: true", controller="daemonset").workload()["kind"] == "DaemonSet"
    assert service("restart: 'no'", controller="daemonset").workload()["kind"] == "Job"


@pytest.mark.parametrize(
    ("text", "backoff", "policy"),
    [
        ("restart: 'no'", 0, "Never"),
        ("deploy: {mode: replicated-job}", 2147483647, "OnFailure"),
        ("restart: on-failure:3", 3, "OnFailure"),
        ("restart: on-failure", 2147483647, "OnFailure"),
        ("deploy: {restart_policy: {condition: on-failure, max_attempts: 4}}", 4, "OnFailure"),
    ],
)
def test_a_job_tries_again_as_often_as_compose(service, text, backoff, policy):
    made = service(text).workload()
    assert (made["spec"]["backoffLimit"], made["spec"]["template"]["spec"]["restartPolicy"]) == (backoff, policy)


@pytest.mark.parametrize(
    ("text", "strategy"),
    [
        ("tty: true", None),
        ("expose: ['80']", None),
        ("ports: ['80:80']", {"type": "Recreate"}),
        ("volumes: ['v:/d']", {"type": "Recreate"}),
        (
            "deploy: {update_config: {parallelism: 2, order: start-first}}",
            {**ROLL, "rollingUpdate": {"maxSurge": 2, "maxUnavailable": 0}},
        ),
        (
            "deploy: {update_config: {parallelism: 0}}",
            {**ROLL, "rollingUpdate": {"maxSurge": 0, "maxUnavailable": "100%"}},
        ),
        (
            "ports: ['80:80']\ndeploy: {update_config: {order: start-first}}",
            {**ROLL, "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}},
        ),
    ],
)
def test_new_pods_replace_old_ones_by(service, text, strategy):
    assert service(text, "volumes: {v: }\n").workload()["spec"].get("strategy") == strategy


@pytest.mark.parametrize(("text", "number"), [("tty: true", 1), ("scale: 0", 0), ("deploy: {replicas: 4}", 4)])
def test_there_are_as_many_pods(service, text, number):
    assert service(text).workload()["spec"]["replicas"] == number


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("tty: true", {"clusterIP": "None"}),
        ("expose: ['80']", {"ports": [{"name": "tcp-80", "port": 80, "targetPort": 80, "protocol": "TCP"}]}),
        ("ports: ['81:80']", {"ports": [{"name": "tcp-80", "port": 80, "targetPort": 80, "protocol": "TCP"}]}),
        (
            "ports: [{target: 80, name: web, app_protocol: http}]",
            {
                "type": "NodePort",
                "ports": [{"name": "web", "port": 80, "targetPort": 80, "protocol": "TCP", "appProtocol": "http"}],
            },
        ),
        (
            "expose: ['80-81/udp']\ndeploy: {endpoint_mode: dnsrr}",
            {
                "clusterIP": "None",
                "ports": [
                    {"name": f"udp-{number}", "port": number, "targetPort": number, "protocol": "UDP"}
                    for number in (80, 81)
                ],
            },
        ),
    ],
)
def test_a_service_is_found_by(service, text, spec):
    found = service(text).get("Service", "a")["spec"]
    found.pop("selector")
    assert found == spec


def test_ports_of_one_name_are_told_apart(service):
    text = "ports: [{target: 53, name: dns}, {target: 53, name: dns, protocol: udp}]"
    assert [port["name"] for port in service(text).get("Service", "a")["spec"]["ports"]] == ["dns", "udp-53"]


def test_published_ports_can_be_at_a_balancer_or_on_every_node(service):
    made = service("ports: ['8080:80']", publish="balancer")
    assert made.get("Service", "a-published")["spec"]["ports"] == [
        {"name": "tcp-8080", "port": 8080, "targetPort": 80, "protocol": "TCP"}
    ]
    assert "hostPort" not in made.container()["ports"][0]
    made = service("ports: ['30080:80', '8081:81']", publish="node")
    assert [port.get("nodePort") for port in made.get("Service", "a")["spec"]["ports"]] == [30080, None]
    assert any("nodes publish 30000 to 32767 only" in said for said in made.warnings)


def test_other_names_lead_to_the_same_pods(converted):
    made = converted(
        "services:\n"
        "  a: {image: x, container_name: box, networks: {default: {aliases: [second, B_ad, a]}}}\n"
        "  c: {image: x, links: ['a:linked', 'd:second']}\n"
        "  d: {image: x}\n"
    )
    selector = made.get("Service", "a")["spec"]["selector"]
    for name in ("box", "second", "linked"):
        assert made.get("Service", name)["spec"]["selector"] == selector
    said = "\n".join(made.warnings)
    assert "services.a.networks.default.aliases: B_ad cannot be a name in Kubernetes" in said
    assert "services.c.links: second leads to another service already" in said


def test_a_name_that_kubernetes_does_not_take_is_changed_and_told(converted):
    made = converted("services: {my_Db: {image: x}, 7up: {image: x}}")
    assert [name for name in made.names if name.startswith("Service")] == ["Service x-7up", "Service my-db"]
    assert len(made.warnings) == 2


def test_names_may_not_become_one(converted):
    with pytest.raises(Exception, match=r"services\.a_b would be called a-b in Kubernetes, as a\.b is"):
        converted("services: {a.b: {image: x}, a_b: {image: x}}")


HEALTHY = "services: {a: {image: x, depends_on: {b: {condition: service_healthy}}}, b: {image: y, %s}}"


@pytest.mark.parametrize(
    ("other", "command"),
    [
        ("healthcheck: {test: ok}, expose: ['90']", "until nc -w 2 b 90 -e true; do sleep 1; done"),
        (
            "healthcheck: {test: ok}",
            'until nslookup "b.$NAMESPACE.svc.cluster.local" >/dev/null; do sleep 1; done',
        ),
    ],
)
def test_what_waits_for_a_healthy_service_has_an_init_container(converted, other, command):
    (waits,) = converted(HEALTHY % other).pod()["initContainers"]
    assert (waits["name"], waits["command"]) == ("wait-for-b", ["sh", "-c", command])


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        (HEALTHY % "tty: true", "depends_on.b.condition: b says no health check here"),
        (
            "services: {a: {image: x, depends_on: {b: {condition: service_completed_successfully}}}, b: {image: y}}",
            "depends_on.b.condition: Kubernetes does not wait for a Job",
        ),
    ],
)
def test_what_cannot_be_waited_for_is_warned_of(converted, text, warning):
    made = converted(text)
    assert "initContainers" not in made.pod()
    assert any(warning in said for said in made.warnings)


def test_what_others_wait_for_to_end_is_a_job(converted):
    text = "services: {a: {image: x, depends_on: {b: {condition: service_completed_successfully}}}, b: {image: y}}"
    assert converted(text).workload("b")["kind"] == "Job"


def test_dependencies_that_links_imply_are_not_warned_of(converted):
    assert converted("services: {a: {image: x, links: [b]}, b: {image: y}}").warnings == ()


def test_services_apart_are_told_that_they_are_not(converted):
    made = converted("services: {a: {image: x, networks: [m]}, b: {image: x, networks: [n]}}\nnetworks: {m: {}, n: {}}")
    assert any("networks: pods all reach each other, a and b too" in said for said in made.warnings)


def test_everything_is_in_the_namespace_that_is_made_first(service):
    made = service("volumes: ['v:/d']\nconfigs: [c]", "volumes: {v: }\nconfigs: {c: {content: x}}\n", namespace="shop")
    assert made.names == ["Namespace shop", "ConfigMap c", "PersistentVolumeClaim v", "Service a", "Deployment a"]
    assert {one["metadata"].get("namespace") for one in made.manifests[1:]} == {"shop"}
