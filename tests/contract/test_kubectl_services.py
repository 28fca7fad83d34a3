"""Services as users have them: every type, what is behind them, and their names, by kubectl and from inside pods.

Two pods serve for the whole file: by HTTP at 8080 (`who`: the pod's name and the client's address), and at 9090 a line
with their name.
"""

import json
import socket
import urllib.error
import urllib.request
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from contract.conftest import Space

SERVE = """
mkdir -p /www/cgi-bin
printf '#!/bin/sh\\necho; echo "$(hostname) $REMOTE_ADDR"\\n' > /www/cgi-bin/who
chmod +x /www/cgi-bin/who
httpd -p 8080 -h /www
exec nc -ll -p 9090 -e hostname
"""
TALK = """
import socket, threading
def lines():
    listener = socket.create_server(("", 9090))
    while True:
        line, _ = listener.accept()
        line.sendall(b"line")
        line.close()
threading.Thread(target=lines).start()
datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
datagrams.bind(("", 8080))
while True:
    _, client = datagrams.recvfrom(100)
    datagrams.sendto(b"datagram", client)
"""
ASK = """
import socket
asked = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
asked.settimeout(5)
asked.sendto(b"x", ("many", 53))
print(asked.recv(100).decode(), socket.create_connection(("many", 53), 5).recv(100).decode())
"""
PORTS = [{"name": "http", "containerPort": 8080}, {"name": "line", "containerPort": 9090}]
HTTP = {"name": "http", "port": 80, "targetPort": "http"}
WHO = "/cgi-bin/who"


def pod(name, labels, command=SERVE, ports=PORTS, /, *, ready="true", **spec):
    probe = {"exec": {"command": ["sh", "-c", ready]}, "periodSeconds": 1}
    main = {
        "name": "main",
        "image": "busybox",
        "command": ["sh", "-c", command],
        "ports": ports,
        "readinessProbe": probe,
    }
    spec = {"terminationGracePeriodSeconds": 0, "containers": [main], **spec}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels}, "spec": spec}


def service(name, ports=(HTTP,), /, **spec):
    spec = {"selector": {"app": "web"}, "ports": list(ports), **spec}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


class Town(Space):
    """A namespace with the pods `a` and `b` (app: web) and `client`."""

    def make(self, *objects):
        doc = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        self.kubectl("apply", "-f", "-", input=json.dumps(doc))

    def patch(self, name, /, **spec):
        self.kubectl("patch", "service", name, "-p", json.dumps({"spec": spec}))

    def spec(self, name):
        return self.json("get", "service", name)["spec"]

    def ip(self, pod):
        return self.json("get", "pod", pod)["status"]["podIP"]

    def inside(self, script, pod="client"):
        """What a script in a pod writes."""
        return self.text("exec", pod, "--", "sh", "-c", script)

    def who(self, at, pod="client", times=1):
        """The names of the pods that answer at `host:port`, with the addresses they see."""
        get = f"timeout 2 wget -qO- http://{at}{WHO} || echo none none"
        script = f"i=0; while [ $i -lt {times} ]; do {get}; i=$((i+1)); done"
        return [tuple(line.split()) for line in self.inside(script, pod).splitlines()]

    def names(self, at, pod="client", times=1):
        return {name for name, _seen in self.who(at, pod, times)}

    def until(self, at, *names, pod="client"):
        """Exactly these pods answer at `host:port`."""
        self.wait_for(lambda: self.names(at, pod, 12) == set(names), 30)

    def records(self, kind, name, pod="client"):
        """The answers of the name server, as nslookup prints them."""
        asked = name if kind == "ptr" else f"-type={kind} {name}"  # nslookup turns an address round by itself
        said = self.inside(f"nslookup {asked} 2>&1 || true", pod)
        return [line.strip() for line in said.split("\n\n", 1)[-1].splitlines() if line.strip()]

    def addresses(self, name, pod="client"):
        lines = self.records("a", name, pod)
        return sorted(line.removeprefix("Address: ") for line in lines if line.startswith("Address: "))


@pytest.fixture(scope="module")
def town(cloud):
    namespace = "services-" + uuid.uuid4().hex[:4]
    cloud.kubectl("create", "namespace", namespace)
    town = Town(cloud, namespace)
    town.make(
        pod("a", {"app": "web", "me": "a"}),
        pod("b", {"app": "web", "me": "b"}),
        pod("client", {"app": "client"}),
        service("web"),
    )
    town.kubectl("wait", "--for=condition=Ready", "pod", "--all", "--timeout=120s")
    town.until("web", "a", "b")
    yield town
    cloud.kubectl("delete", "namespace", namespace, "--wait=false")


def get(address, port, path=WHO):
    """Status and body of an HTTP request from the host; (0, "") where nobody listens."""
    try:
        with urllib.request.urlopen(f"http://{address}:{port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return 0, ""


# -- addresses and ports ---------------------------------------------------------------------------------------------


def test_several_ports_and_protocols(town):
    both = [
        {"name": "tcp", "port": 53, "targetPort": 9090},
        {"name": "udp", "port": 53, "targetPort": 8080, "protocol": "UDP"},
    ]
    talker = pod("talker", {"app": "talk"}, "true", [])
    talker["spec"]["containers"][0].update(image="python", command=["python3", "-c", TALK])
    town.make(talker, service("many", both, type="NodePort", selector={"app": "talk"}))
    one, two = (port["nodePort"] for port in town.spec("many")["ports"])
    assert one == two
    town.kubectl("wait", "--for=condition=Ready", "pod/talker", "--timeout=120s")
    asked = ("exec", "talker", "--", "python3", "-c", ASK)  # through the service, of itself
    assert town.wait_for(lambda: town.kubectl(*asked, check=False).stdout) == "datagram line\n"
    assert town.inside("nc -w 2 many 53 </dev/null") == "line"
    with socket.create_connection(("127.0.0.1", one), 5) as line:
        assert line.recv(10) == b"line"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        datagrams.settimeout(5)
        datagrams.sendto(b"x", ("127.0.0.1", one))
        assert datagrams.recv(10) == b"datagram"


def test_a_pod_reaches_itself_and_is_seen_under_its_address(town):
    assert ("a", "none") not in town.who("web", "a", 12)
    assert town.names("web", "a", 12) == {"a", "b"}
    assert {seen for _name, seen in town.who("web", "client", 6)} == {f"[::ffff:{town.ip('client')}]"}


def test_nobody_behind_is_refused_at_once(town):
    town.make(service("empty", selector={"app": "nobody"}))
    said = town.inside("timeout 5 wget -O- http://empty 2>&1 || true")
    assert "Connection refused" in said
    town.patch("empty", selector={"app": "web"})
    town.until("empty", "a", "b")


def test_node_ports_change(town):
    town.make(service("node", type="NodePort"))
    first = town.spec("node")["ports"][0]["nodePort"]
    town.wait_for(lambda: get("127.0.0.1", first)[0] == 200)
    second = 30011  # of those that are given to nobody unasked
    town.patch("node", ports=[{**HTTP, "nodePort": second}])
    town.wait_for(lambda: get("127.0.0.1", second)[0] == 200)
    town.wait_for(lambda: get("127.0.0.1", first)[0] == 0)
    town.patch("node", externalTrafficPolicy="Local")
    assert get("127.0.0.1", second)[0] == 200


def test_a_service_may_become_every_type(town):
    def kind(**spec):
        town.patch("tour", **spec)
        return town.json("get", "service", "tour")

    town.make(service("tour"))
    town.until("tour", "a", "b")
    node = kind(type="NodePort")["spec"]["ports"][0]["nodePort"]
    town.wait_for(lambda: get("127.0.0.1", node)[0] == 200)
    named = kind(type="ExternalName", externalName="web." + town.namespace + ".svc.cluster.local")["spec"]
    assert not {"clusterIP", "clusterIPs", "ipFamilies", "internalTrafficPolicy"} & named.keys()
    assert "nodePort" not in named["ports"][0]
    town.wait_for(lambda: get("127.0.0.1", node)[0] == 0)
    town.until("tour", "a", "b")  # by the other's name
    assert f"canonical name = web.{town.namespace}.svc.cluster.local" in " ".join(
        town.records("cname", f"tour.{town.namespace}.svc.cluster.local")
    )
    plain = kind(type="ClusterIP", externalName=None)["spec"]
    town.wait_for(lambda: town.addresses(f"tour.{town.namespace}.svc.cluster.local") == [plain["clusterIP"]])
    town.until("tour", "a", "b")
    kind(type="LoadBalancer")
    town.wait_for(lambda: town.json("get", "service", "tour")["status"]["loadBalancer"].get("ingress"))
    assert kind(type="ClusterIP")["status"] == {"loadBalancer": {}}


def test_load_balancers_have_addresses_of_this_machine(town):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        number = probe.getsockname()[1]
    port = {**HTTP, "port": number}
    town.make(*(service(name, [port], type="LoadBalancer") for name in ("lb1", "lb2")))

    def given(name):
        ingress = town.json("get", "service", name)["status"]["loadBalancer"].get("ingress")
        return ingress and ingress[0]

    one, two = (town.wait_for(lambda name=name: given(name)) for name in ("lb1", "lb2"))
    node = town.cloud.json("get", "nodes")["items"][0]["status"]["addresses"][0]["address"]
    assert one["ip"] != two["ip"]
    assert node in (one["ip"], two["ip"])
    assert one["ipMode"] == "VIP"
    for address in (one["ip"], two["ip"], "127.0.0.1"):
        town.wait_for(lambda address=address: get(address, number)[0] == 200)
    assert town.names(f"{one['ip']}:{number}") | town.names(f"{two['ip']}:{number}") <= {"a", "b"}
    town.patch("lb2", loadBalancerSourceRanges=[f"{town.ip('b')}/32"])
    town.wait_for(lambda: town.names(f"{two['ip']}:{number}") == {"none"})
    assert town.names(f"{two['ip']}:{number}", "b") <= {"a", "b"}
    assert get(two["ip"], number)[0] == 200
    assert one["ip"] in town.text("get", "service", "lb1")
    town.wait_for(lambda: "EnsuredLoadBalancer" in town.text("describe", "service", "lb1"))
    town.make(service("lb3", [port], type="LoadBalancer", loadBalancerIP="203.0.113.9"))
    town.wait_for(lambda: "SyncLoadBalancerFailed" in town.text("describe", "service", "lb3"))
    assert "<pending>" in town.text("get", "service", "lb3")
    town.make(service("lb4", [port], type="LoadBalancer", loadBalancerClass="example.org/theirs"))
    town.make(service("lb5", [port], type="LoadBalancer", allocateLoadBalancerNodePorts=False))
    five = town.wait_for(lambda: given("lb5"))
    assert "nodePort" not in town.spec("lb5")["ports"][0]
    town.wait_for(lambda: get(five["ip"], number)[0] == 200)
    assert given("lb4") is None
    status = {"status": {"loadBalancer": {"ingress": [{"ip": "203.0.113.1"}]}}}
    town.kubectl("patch", "service", "lb4", "--subresource=status", "-p", json.dumps(status))
    town.until(f"203.0.113.1:{number}", "a", "b")


def test_health_ports_say_whether_there_is_a_pod_here(town):
    local = {"type": "LoadBalancer", "externalTrafficPolicy": "Local"}
    town.make(service("healthy", [{**HTTP, "port": 8181}], **local))
    number = town.spec("healthy")["healthCheckNodePort"]
    said = town.wait_for(lambda: (found := get("127.0.0.1", number, "/healthz"))[0] == 200 and found)
    assert json.loads(said[1])["localEndpoints"] == 2
    town.patch("healthy", selector={"app": "nobody"})
    town.wait_for(lambda: get("127.0.0.1", number, "/healthz")[0] == 503)
    town.patch("healthy", externalTrafficPolicy="Cluster")
    town.wait_for(lambda: get("127.0.0.1", number, "/healthz")[0] == 0)
    assert "healthCheckNodePort" not in town.spec("healthy")


def test_external_addresses_and_policies(town):
    town.make(service("outside", externalIPs=["203.0.113.7"], internalTrafficPolicy="Local"))
    town.until("203.0.113.7", "a", "b")
    town.until("outside", "a", "b")
    assert "203.0.113.7" in town.text("get", "service", "outside")
    elsewhere = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": "far-1", "labels": {"kubernetes.io/service-name": "far"}},
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": 8080}],
        "endpoints": [{"addresses": [town.ip("a")], "nodeName": "another"}],
    }
    far = service("far", externalIPs=["203.0.113.8"], internalTrafficPolicy="Local")
    del far["spec"]["selector"]
    town.make(far, elsewhere)
    town.until("203.0.113.8", "a")
    assert town.names("far") == {"none"}
    town.patch("far", internalTrafficPolicy="Cluster")
    town.until("far", "a")


def test_policies_say_who_may_speak_to_whom(town):
    peer = {"podSelector": {"matchLabels": {"me": "b"}}}
    spec = {"podSelector": {"matchLabels": {"me": "a"}}, "ingress": [{"from": [peer], "ports": [{"port": "http"}]}]}
    policy = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "closed"},
        "spec": spec,
    }
    town.make(service("only-a", selector={"me": "a"}))
    town.until("only-a", "a")
    town.make(policy)
    town.wait_for(lambda: town.names("only-a") == {"none"})
    assert [town.names("only-a", one) for one in ("a", "b")] == [{"a"}, {"a"}]
    assert town.inside(f"nc -w 1 {town.ip('a')} 9090 </dev/null || echo none", "b") == "none\n"
    assert town.names(f"{town.ip('client')}:8080", "a") == {"client"}
    spec |= {"ingress": [{}], "egress": [{"to": [peer]}], "policyTypes": ["Ingress", "Egress"]}
    town.make(policy)
    town.until("only-a", "a")
    assert town.names(f"{town.ip('b')}:8080", "a") == {"b"}
    assert town.names(f"{town.ip('client')}:8080", "a") == {"none"}
    assert town.addresses("web", "a") == [town.spec("web")["clusterIP"]], "names are answered by the node"
    assert town.text("get", "netpol").split()[:4] == ["NAME", "POD-SELECTOR", "AGE", "closed"]
    town.kubectl("delete", "netpol", "closed")
    town.until("web", "a", "b", pod="a")


def test_clients_stay_with_their_pod(town):
    town.make(service("sticky", type="NodePort", sessionAffinity="ClientIP"))
    spec = town.spec("sticky")
    assert spec["sessionAffinityConfig"] == {"clientIP": {"timeoutSeconds": 10800}}
    node = spec["ports"][0]["nodePort"]
    town.wait_for(lambda: get("127.0.0.1", node)[0] == 200)
    assert len(town.names("sticky", times=12)) == 1
    assert len({get("127.0.0.1", node)[1].split()[0] for _ in range(12)}) == 1
    town.patch("sticky", sessionAffinity="None")
    town.until("sticky", "a", "b")
    assert "sessionAffinityConfig" not in town.spec("sticky")
    town.patch("sticky", sessionAffinity="ClientIP", sessionAffinityConfig={"clientIP": {"timeoutSeconds": 60}})
    town.wait_for(lambda: len(town.names("sticky", times=12)) == 1)


# -- what is behind --------------------------------------------------------------------------------------------------


def slices(town, name):
    return town.json("get", "endpointslices", "-l", f"kubernetes.io/service-name={name}")["items"]


def test_endpoints_without_a_selector_are_mirrored(town):
    bare = service("bare", [{"name": "http", "port": 80}])
    del bare["spec"]["selector"]
    subset = {"addresses": [{"ip": town.ip("a")}], "ports": [{"name": "http", "port": 8080}]}
    endpoints = {"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "bare"}, "subsets": [subset]}
    town.make(bare, endpoints)
    town.until("bare", "a")
    (mirror,) = slices(town, "bare")
    by = "endpointslice.kubernetes.io/managed-by"
    assert mirror["metadata"]["labels"][by] == "endpointslicemirroring-controller.k8s.io"
    moved = [{**subset, "addresses": [{"ip": town.ip("b")}], "notReadyAddresses": [{"ip": town.ip("a")}]}]
    town.kubectl("patch", "endpoints", "bare", "-p", json.dumps({"subsets": moved}))
    town.until("bare", "b")
    (mirror,) = slices(town, "bare")
    assert [one["conditions"]["ready"] for one in mirror["endpoints"]] == [True, False]
    town.kubectl("delete", "endpoints", "bare")
    town.wait_for(lambda: not slices(town, "bare"))
    town.until("bare", "none")


def test_slices_that_users_write(town):
    def written(name, pod, port_name, number):
        return {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {"name": name, "labels": {"kubernetes.io/service-name": "sliced"}},
            "addressType": "IPv4",
            "ports": [{"name": port_name, "port": number}],
            "endpoints": [{"addresses": [town.ip(pod)]}],
        }

    sliced = service("sliced", [{"name": "http", "port": 80}, {"name": "line", "port": 9}])
    del sliced["spec"]["selector"]
    town.make(
        sliced, written("s-1", "a", "http", 8080), written("s-2", "b", "http", 8080), written("s-3", "b", "line", 9090)
    )
    town.until("sliced", "a", "b")
    assert town.inside("nc -w 2 sliced 9 </dev/null").strip() == "b"


def test_pods_that_are_not_ready(town):
    town.make(
        pod("shy", {"app": "shy"}, ready="test -e /ready"),
        service("shy", selector={"app": "shy"}),
        service("bold", selector={"app": "shy"}, publishNotReadyAddresses=True),
    )
    town.until("bold", "shy")
    assert town.names("shy") == {"none"}
    slice = town.wait_for(lambda: slices(town, "shy")[0])
    assert slice["endpoints"][0]["conditions"] == {"ready": False, "serving": False, "terminating": False}
    subset = town.wait_for(lambda: town.json("get", "endpoints", "shy")["subsets"][0])
    assert [one["targetRef"]["name"] for one in subset["notReadyAddresses"]] == ["shy"]
    town.inside("touch /ready", "shy")
    town.until("shy", "shy")


def test_who_is_going_serves_until_it_is_gone(town):
    """One pod behind, which takes its time to end: not one request fails until it is replaced and gone."""
    linger = (
        "trap 'until [ -e /go ]; do sleep 0.1; done; exit' TERM; " + SERVE.replace("exec nc", "nc").rstrip() + " & wait"
    )
    town.make(
        pod("old", {"app": "slow"}, linger, terminationGracePeriodSeconds=60),
        service("slow", selector={"app": "slow"}),
    )
    town.until("slow", "old")
    town.kubectl("delete", "pod", "old", "--wait=false")
    town.wait_for(
        lambda: (
            slices(town, "slow")[0]["endpoints"][0]["conditions"]
            == {"ready": False, "serving": True, "terminating": True}
        )
    )
    town.wait_for(lambda: "subsets" not in town.json("get", "endpoints", "slow"))
    assert town.names("slow", times=6) == {"old"}
    town.make(pod("new", {"app": "slow"}))
    town.until("slow", "new")
    town.inside("touch /go", "old")
    town.kubectl("wait", "--for=delete", "pod/old", "--timeout=60s")
    assert town.names("slow", times=6) == {"new"}


def test_no_request_fails_while_pods_come_and_go(town):
    labels = {"app": "roll"}
    main = pod("x", labels)["spec"]["containers"][0]
    main["lifecycle"] = {"preStop": {"sleep": {"seconds": 1}}}
    template = {
        "metadata": {"labels": labels},
        "spec": {"terminationGracePeriodSeconds": 3, "containers": [main]},
    }
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "roll"},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": labels},
            "strategy": {"rollingUpdate": {"maxUnavailable": 0}},
            "template": template,
        },
    }
    town.make(deployment, service("roll", type="NodePort", selector=labels))
    town.kubectl("rollout", "status", "deployment/roll", "--timeout=60s")
    node = town.spec("roll")["ports"][0]["nodePort"]
    town.wait_for(lambda: get("127.0.0.1", node)[0] == 200)
    over = []

    def asking():
        answers = []
        while not over:
            answers.append(get("127.0.0.1", node)[0])
        return answers

    with ThreadPoolExecutor() as pool:
        askers = [pool.submit(asking) for _ in range(2)]
        try:
            town.kubectl("rollout", "restart", "deployment/roll")
            town.kubectl("rollout", "status", "deployment/roll", "--timeout=60s")
            town.kubectl("scale", "deployment/roll", "--replicas=1")
            town.wait_for(lambda: len(town.json("get", "pods", "-l", "app=roll")["items"]) == 1, 30)
        finally:
            over.append(True)
        answers = [answer for asker in askers for answer in asker.result()]
    assert len(answers) > 50
    assert {*answers} == {200}


# -- names -----------------------------------------------------------------------------------------------------------


def test_names_of_services_ports_and_pods(town):
    zone = f"{town.namespace}.svc.cluster.local"
    ip = town.spec("web")["clusterIP"]
    assert town.addresses(f"web.{zone}") == [ip]
    for short in ("web", f"web.{town.namespace}", f"web.{town.namespace}.svc", f"web.{zone}"):
        assert town.names(short) <= {"a", "b"}, short
    assert [line.split()[-1] for line in town.records("srv", f"_http._tcp.web.{zone}")] == [f"web.{zone}"]
    assert town.records("srv", f"_http._tcp.web.{zone}")[0].split()[-2] == "80"
    assert f"name = web.{zone}" in " ".join(town.records("ptr", ip))
    pod_ip = town.ip("a")
    assert town.addresses(f"{pod_ip.replace('.', '-')}.{town.namespace}.pod.cluster.local") == [pod_ip]
    assert "NXDOMAIN" in " ".join(town.records("a", f"nobody.{zone}"))
    assert town.addresses("kubernetes.default.svc.cluster.local")
    assert 'text = "1.1.0"' in " ".join(town.records("txt", "dns-version.cluster.local"))


def test_names_of_headless_sets(town):
    zone = f"set.{town.namespace}.svc.cluster.local"
    peers = [
        pod(name, {"app": "set"}, "exec sleep 10000", [], hostname=name, subdomain="set") for name in ("db-0", "db-1")
    ]
    port = {"name": "sql", "port": 5432}
    town.make(
        *peers,
        service("set", [port], clusterIP="None", selector={"app": "set"}),
        pod("late", {"app": "late"}, "exec sleep 10000", [], ready="false", hostname="late", subdomain="late"),
        service("late", [], clusterIP="None", selector={"app": "late"}, publishNotReadyAddresses=True),
    )
    town.kubectl("wait", "--for=condition=Ready", "pod", "-l", "app=set", "--timeout=60s")
    ips = {name: town.ip(name) for name in ("db-0", "db-1")}
    town.wait_for(lambda: town.addresses(zone) == sorted(ips.values()))
    for name, ip in ips.items():
        assert town.addresses(f"{name}.{zone}") == [ip]
        assert f"name = {name}.{zone}" in " ".join(town.records("ptr", ip))
    for asked in (f"_sql._tcp.{zone}", zone):
        served = sorted(line.split()[-3:] for line in town.records("srv", asked))
        assert served == [["50", "5432", f"{name}.{zone}"] for name in ("db-0", "db-1")], asked
    assert town.inside("hostname -f", "db-0").strip() == f"db-0.{zone}"
    late = f"late.{town.namespace}.svc.cluster.local"
    town.wait_for(lambda: town.addresses(f"late.{late}") == [town.ip("late")])
    town.kubectl("delete", "pod", "db-1")
    town.wait_for(lambda: town.addresses(zone) == [ips["db-0"]])
    assert "NXDOMAIN" in " ".join(town.records("a", f"db-1.{zone}"))


# -- the objects -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"type": "NodePort", "ports": [{"port": 80, "nodePort": 80}]}, "provided port is not in the valid range"),
        ({"clusterIP": "192.0.2.1"}, "IP 192.0.2.1: the provided network does not match the current range"),
        ({"ipFamilyPolicy": "RequireDualStack"}, "this cluster is not configured for dual-stack services"),
        ({"externalTrafficPolicy": "Local"}, "may only be set for externally-accessible services"),
        ({"type": "ExternalName"}, "spec.externalName: Required value"),
        ({"trafficDistribution": "Far"}, 'spec.trafficDistribution: Unsupported value: "Far"'),
        ({"loadBalancerClass": "a/b"}, "may only be used when `type` is 'LoadBalancer'"),
        ({"sessionAffinity": "Sticky"}, 'spec.sessionAffinity: Unsupported value: "Sticky"'),
    ],
)
def test_what_is_refused(town, spec, said):
    refused = town.kubectl("create", "-f", "-", input=json.dumps(service("bad", **spec)), check=False)
    assert refused.returncode == 1
    assert said in refused.stderr


def test_ranges_can_be_added_and_every_address_is_an_object(town):
    more = {"apiVersion": "networking.k8s.io/v1", "kind": "ServiceCIDR", "metadata": {"name": town.namespace}}
    town.make({**more, "spec": {"cidrs": ["203.0.113.64/26"]}})
    town.kubectl("wait", "--for=condition=Ready", "servicecidr/kubernetes", f"servicecidr/{town.namespace}")
    town.make(service("far-away", clusterIP="203.0.113.70"))
    town.until("far-away", "a", "b")
    town.wait_for(lambda: town.kubectl("get", "ip", "203.0.113.70", check=False).returncode == 0)
    assert f"services/{town.namespace}/far-away" in town.text("get", "ipaddresses", "203.0.113.70")
    town.kubectl("delete", "servicecidr", town.namespace, "--wait=false")
    town.kubectl("wait", "--for=condition=Ready=false", f"servicecidr/{town.namespace}")
    town.kubectl("delete", "service", "far-away")
    town.kubectl("wait", "--for=delete", f"servicecidr/{town.namespace}", "ipaddress/203.0.113.70")


def test_ingresses_are_kept_for_who_makes_them_true(town):
    default = {"annotations": {"ingressclass.kubernetes.io/is-default-class": "true"}, "name": town.namespace}
    kind = {"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "metadata": default}
    town.make({**kind, "spec": {"controller": "example.com/none"}})
    town.kubectl("create", "ingress", "front", "--rule=shop.example/cart*=web:http,tls=secret", "--rule=/=web:80")
    status = {"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.80"}]}}}
    town.kubectl("patch", "ingress", "front", "--subresource=status", "--type=merge", "-p", json.dumps(status))
    _, row = town.text("get", "ingresses").splitlines()
    assert row.split()[:5] == ["front", town.namespace, "shop.example", "192.0.2.80", "80,"]
    assert f"web:80 ({town.ip('a')}:8080" in town.text("describe", "ingress", "front")
    town.kubectl("delete", "ingress/front", f"ingressclass/{town.namespace}")


def test_everything_that_is_only_kept(town):
    port = {"name": "sctp", "port": 99, "protocol": "SCTP", "appProtocol": "example.org/x", "targetPort": 99}
    kept = {"trafficDistribution": "PreferClose", "ipFamilyPolicy": "PreferDualStack", "ports": [port]}
    town.make(service("kept", **kept))
    spec = town.spec("kept")
    assert {name: spec[name] for name in kept} == kept
    assert spec["ipFamilies"] == ["IPv4"]
    condition = {
        "type": "example.org/Known",
        "status": "True",
        "reason": "Said",
        "message": "",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    town.kubectl(
        "patch", "service", "kept", "--subresource=status", "-p", json.dumps({"status": {"conditions": [condition]}})
    )
    assert town.json("get", "service", "kept")["status"]["conditions"] == [condition]
    town.kubectl("label", "service", "kept", "tier=none")
    town.kubectl("delete", "services", "-l", "tier=none")
    assert town.kubectl("get", "service", "kept", check=False).returncode == 1
    town.wait_for(lambda: not slices(town, "kept"))
