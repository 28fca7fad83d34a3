"""Docker's networks through the real client: made, used, connected to, named, isolated, refused, pruned."""

import json
import os
import signal
import time

import pytest

from coracle.testing.cloud import Cloud

SERVE = ("busybox", "httpd", "-f", "-h", "/etc")


@pytest.fixture(autouse=True)
def image(docker):
    docker("pull", "--quiet", "busybox")


def network(docker, name):
    return docker.inspect(name, "--type", "network")


def plugged(docker, container):
    """NetworkSettings.Networks."""
    return docker.inspect(container)["NetworkSettings"]["Networks"]


def address(docker, container, name="bridge"):
    return plugged(docker, container)[name]["IPAddress"]


def finds(docker, on, name):
    """The addresses that a newcomer on that network finds under a name, in order."""
    done = docker.attempt("run", "--rm", "--network", on, "busybox", "nslookup", name)
    answer = done.stdout.split("\n\n", 1)[-1]
    return sorted(line.split()[-1] for line in answer.splitlines() if line.startswith("Address:"))


def reaches(docker, on, address):
    get = f"timeout 1 wget -qO- http://{address}/hostname; exit $?"  # not the first process, which no signal ends
    return docker.attempt("run", "--rm", "--network", on, "busybox", "sh", "-c", get).returncode == 0


def reaches_at_last(docker, on, address):
    """The same, once the server that has just started is ready."""
    return docker.wait_for(lambda: reaches(docker, on, address))


# -- made, shown, removed ----------------------------------------------------------------------------------------------


def test_there_are_three_from_the_beginning(docker):
    shown = docker("network", "ls", "--filter", "type=builtin", "--format", "{{.Name}} {{.Driver}} {{.Scope}}")
    assert {"bridge bridge local", "host host local", "none null local"} <= set(shown.splitlines())
    default = network(docker, "bridge")
    assert default["Options"]["com.docker.network.bridge.default_bridge"] == "true"
    for name in ("bridge", "host", "none", "pods"):
        assert f"{name} is a pre-defined network and cannot be removed" in docker.refused("network", "rm", name)
    for name in ("bridge", "host", "none"):
        assert f"not permitted on predefined {name} network" in docker.refused("network", "create", name)
    assert 'only one instance of "host" network' in docker.refused("network", "create", "-d", "host", "mine")


def test_a_network_is_made_as_asked(docker):
    id = docker(
        *("network", "create", "--subnet", "10.213.0.0/24", "--ip-range", "10.213.0.128/25"),
        *("--gateway", "10.213.0.254", "--aux-address", "printer=10.213.0.129", "--label", "tier=db", "--attachable"),
        *("--opt", "com.docker.network.driver.mtu=1400", "lan"),
    )
    found = network(docker, "lan")
    assert (found["Id"], found["Driver"], found["Scope"], found["Internal"]) == (id, "bridge", "local", False)
    assert found["IPAM"]["Config"] == [
        {
            "Subnet": "10.213.0.0/24",
            "IPRange": "10.213.0.128/25",
            "Gateway": "10.213.0.254",
            "AuxiliaryAddresses": {"printer": "10.213.0.129"},
        }
    ]
    assert (found["Labels"], found["Attachable"], found["EnableIPv6"]) == ({"tier": "db"}, True, False)
    shown = docker("run", "--rm", "--network", id[:12], "busybox", "ip", "addr", "show", "eth0")
    assert "mtu 1400" in shown
    assert any(f"10.213.0.{last}/" in shown for last in (128, 130))
    assert docker("network", "rm", "lan") == "lan"
    assert "network lan not found" in docker.refused("network", "inspect", "lan")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--subnet", "10.214.0.0/33"), "invalid"),
        (("--subnet", "10.214.0.0/24", "--gateway", "10.215.0.1"), "no matching subnet for gateway"),
        (("--driver", "overlay"), "This node is not a swarm manager"),
        (("--driver", "nope"), 'plugin "nope" not found'),
        (("--opt", "com.docker.network.bridge.enable_icc=perhaps"), "enable_icc"),
        (("--opt", "com.docker.network.driver.mtu=12"), "mtu"),
        (("--opt", "com.docker.network.bridge.name=much-too-long-for-a-link"), "bridge.name"),
        (("--opt", "com.docker.network.bridge.name=lo"), "lo"),
        (("--ingress",), "swarm manager"),
    ],
)
def test_what_cannot_be_is_refused_and_leaves_nothing(docker, words, said):
    assert said in docker.refused("network", "create", *words, "broken")
    assert "broken" not in docker("network", "ls", "--format", "{{.Name}}").split()


def test_names_and_subnets_are_not_shared(docker):
    docker("network", "create", "--subnet", "10.216.0.0/16", "one")
    assert "network with name one already exists" in docker.refused("network", "create", "one")
    said = docker.refused("network", "create", "--subnet", "10.216.4.0/24", "two")
    assert "Pool overlaps with other one on this address space (10.216.0.0/16 of network one)" in said


def test_lists_are_filtered_and_what_is_unused_is_pruned(docker):
    ids = [docker("network", "create", "--label", f"n={number}", f"net{number}") for number in (1, 2, 3)]
    docker("run", "--detach", "--network", "net1", *SERVE)

    def ls(*filters):
        words = [word for one in filters for word in ("--filter", one)]
        return docker("network", "ls", *words, "--format", "{{.Name}}").split()

    assert ls("label=n=2") == ["net2"]
    assert ls("label=n") == ls("type=custom") == ls("name=net", "driver=bridge") == ["net1", "net2", "net3"]
    assert ls(f"id={ids[2][:9]}") == ["net3"]
    assert ls("dangling=true") == ["net2", "net3"]
    assert ls("scope=swarm") == []
    assert "invalid filter" in docker.refused("network", "ls", "--filter", "type=odd")
    assert docker("network", "prune", "--force", "--filter", "label=n=2").split()[-1] == "net2"
    assert docker("network", "prune", "--force").split()[-1] == "net3"
    assert ls("type=custom") == ["net1"]


# -- used --------------------------------------------------------------------------------------------------------------


def test_members_find_each_other_by_name_alias_and_id(docker):
    docker("network", "create", "n1")
    id = docker("run", "-d", "--name", "web", "--network", "n1", "--network-alias", "www", "--hostname", "box", *SERVE)
    at = address(docker, "web", "n1")
    for name in ("web", "www", "box", id[:12]):
        assert finds(docker, "n1", name) == [at], name
    assert reaches_at_last(docker, "n1", "www")
    assert docker("run", "--rm", "--network", "n1", "busybox", "nslookup", at).count("web.n1") == 1
    assert sorted(plugged(docker, "web")["n1"]["DNSNames"]) == sorted(["web", "www", id[:12], "box"])
    docker("rename", "web", "shop")
    docker.wait_for(lambda: finds(docker, "n1", "shop") == [at] and not finds(docker, "n1", "web"))
    docker("rm", "--force", "shop")
    assert finds(docker, "n1", "shop") == []


def test_an_alias_of_several_is_all_of_them(docker):
    docker("network", "create", "n1")
    for name in ("web1", "web2"):
        docker("run", "--detach", "--name", name, "--network", "n1", "--network-alias", "web", *SERVE)
    assert finds(docker, "n1", "web") == sorted(address(docker, name, "n1") for name in ("web1", "web2"))


def test_networks_of_users_are_apart(docker):
    for name in ("n1", "n2"):
        docker("network", "create", name)
    docker("run", "--detach", "--name", "web", "--network", "n1", *SERVE)
    at = address(docker, "web", "n1")
    assert reaches_at_last(docker, "n1", at)
    assert not reaches(docker, "n2", at)
    assert not reaches(docker, "bridge", at)
    assert finds(docker, "n2", "web") == finds(docker, "bridge", "web") == []


def test_an_internal_network_has_no_way_out(docker):
    docker("network", "create", "--internal", "in")
    docker("run", "--detach", "--name", "web", "--network", "in", "--publish", "80", *SERVE)
    assert docker.inspect("web")["NetworkSettings"]["Ports"] == {"80/tcp": None}
    assert "default" not in docker("run", "--rm", "--network", "in", "busybox", "ip", "route")
    assert finds(docker, "in", "web") == [address(docker, "web", "in")]
    assert finds(docker, "in", "example.com") == []


def test_a_container_is_connected_and_disconnected_while_it_runs(docker):
    for name in ("n1", "n2"):
        docker("network", "create", name)
    docker("run", "--detach", "--name", "web", "--network", "n1", *SERVE)
    docker("network", "connect", "--alias", "second", "n2", "web")
    assert finds(docker, "n2", "second") == [address(docker, "web", "n2")]
    assert reaches_at_last(docker, "n2", address(docker, "web", "n2"))
    assert set(network(docker, "n2")["Containers"]) == {docker.inspect("web")["Id"]}
    said = docker.refused("network", "connect", "n2", "web")
    assert "endpoint with name web already exists in network n2" in said
    assert 'network n2 has active endpoints (name:"web"' in docker.refused("network", "rm", "n2")
    docker("network", "disconnect", "n2", "web")
    assert set(plugged(docker, "web")) == {"n1"}
    assert finds(docker, "n2", "second") == []
    assert "is not connected to the network n2" in docker.refused("network", "disconnect", "n2", "web")
    docker("network", "rm", "n2")


def test_what_is_stopped_is_connected_at_its_next_start(docker):
    docker("network", "create", "--subnet", "10.217.0.0/24", "n1")
    docker("create", "--name", "web", *SERVE)
    docker("network", "connect", "--ip", "10.217.0.77", "--alias", "fixed", "n1", "web")
    docker("network", "disconnect", "bridge", "web")
    docker("start", "web")
    assert set(plugged(docker, "web")) == {"n1"}
    assert finds(docker, "n1", "fixed") == ["10.217.0.77"]
    docker("restart", "--time", "0", "web")
    assert address(docker, "web", "n1") == "10.217.0.77"
    docker("stop", "--time", "0", "web")
    docker("network", "rm", "n1")
    assert "network n1 not found" in docker.refused("start", "web")


def test_fixed_addresses(docker):
    docker("network", "create", "--subnet", "10.218.0.0/24", "n1")
    docker("network", "create", "n2")
    docker(
        "run",
        "-d",
        "--name",
        "web",
        "--network",
        "n1",
        "--ip",
        "10.218.0.9",
        "--mac-address",
        "02:00:00:00:00:09",
        *SERVE,
    )
    assert plugged(docker, "web")["n1"]["MacAddress"] == "02:00:00:00:00:09"
    assert "02:00:00:00:00:09" in docker("exec", "web", "ip", "link", "show", "eth0")
    for words, said in (
        (("--network", "n1", "--ip", "10.218.0.9"), "Address already in use"),
        (
            ("--network", "n1", "--ip", "10.219.0.9"),
            "no configured subnet or ip-range contain the IP address 10.219.0.9",
        ),
        (("--network", "n2", "--ip", "10.219.0.9"), "only when connecting to networks with user configured subnets"),
        (("--ip", "172.17.0.9"), "user specified IP address is supported on user defined networks only"),
        (("--network-alias", "x"), "network-scoped aliases are only supported for user-defined networks"),
        (("--network", "n1", "--mac-address", "zz"), "not a valid mac address"),
    ):
        assert said in docker.refused("run", "--rm", *words, "busybox", "true")


def test_several_networks_at_once_and_which_leads_out(docker):
    for name in ("aa", "bb"):
        docker("network", "create", name)
    routes = docker("run", "--rm", "--network", "bb", "--network", "aa", "busybox", "ip", "route", "show", "default")
    assert network(docker, "aa")["IPAM"]["Config"][0]["Gateway"] in routes
    first = ("--network", "name=bb,gw-priority=1", "--network", "aa")
    routes = docker("run", "--rm", *first, "busybox", "ip", "route", "show", "default")
    assert network(docker, "bb")["IPAM"]["Config"][0]["Gateway"] in routes


def test_host_none_and_another_containers_network(docker):
    docker("run", "--detach", "--name", "alone", "--network", "none", "busybox", "sleep", "100")
    assert docker("exec", "alone", "ls", "/sys/class/net") == "lo"
    docker("run", "--detach", "--name", "guest", "--network", "container:alone", "busybox", "sleep", "100")
    docker("network", "create", "n1")
    assert "private (none) mode" in docker.refused("network", "connect", "n1", "alone")
    assert "sharing network namespace" in docker.refused("network", "connect", "n1", "guest")
    assert "cannot connect container to host network" in docker.refused("network", "connect", "host", "alone")
    docker("network", "disconnect", "none", "alone")
    docker("network", "connect", "n1", "alone")
    assert docker("exec", "guest", "ls", "/sys/class/net").split() == ["eth0", "lo"]
    docker("run", "--detach", "--name", "open", "--network", "host", "busybox", "sleep", "100")
    assert set(plugged(docker, "open")) == {"host"}
    assert docker("exec", "open", "readlink", "/proc/self/ns/net") == os.readlink("/proc/self/ns/net")
    assert "host network" in docker.refused("network", "disconnect", "host", "open")


def test_links_are_names_of_ones_own(docker):
    docker("network", "create", "n1")
    docker("run", "--detach", "--name", "db", "busybox", "sleep", "100")
    docker("run", "--detach", "--name", "db1", "--network", "n1", "busybox", "sleep", "100")
    run = ("run", "--rm", "--name", "web")
    assert docker(*run, "--link", "db:store", "busybox", "grep", "store", "/etc/hosts").split()[0] == address(
        docker, "db"
    )
    on_own = (*run, "--network", "n1", "--link", "db1:store", "busybox", "grep", "store", "/etc/hosts")
    assert docker(*on_own).split()[0] == address(docker, "db1", "n1")
    docker("stop", "--time", "0", "db")
    said = docker.refused(*run, "--link", "db:store", "busybox", "true")
    assert "Cannot link to a non running container: /db AS /web/store" in said
    assert "could not get container for nope" in docker.refused(*run, "--link", "nope:store", "busybox", "true")


def test_ipv6(docker):
    docker("network", "create", "--ipv6", "--subnet", "fd00:c0:ac1e::/64", "six")
    docker("run", "--detach", "--name", "web", "--network", "six", "--ip6", "fd00:c0:ac1e::77", *SERVE)
    found = plugged(docker, "web")["six"]
    assert (found["GlobalIPv6Address"], found["GlobalIPv6PrefixLen"]) == ("fd00:c0:ac1e::77", 64)
    assert found["IPv6Gateway"] == "fd00:c0:ac1e::1"
    assert finds(docker, "six", "web") == sorted([found["IPAddress"], "fd00:c0:ac1e::77"])
    docker("run", "--rm", "--network", "six", "busybox", "ping6", "-c", "1", "web")


def test_pods_and_containers_find_each_other(docker, space):
    docker("run", "--detach", "--name", "shop", *SERVE)
    space.kubectl("run", "cart", "--image=busybox", "--restart=Never", "--", "httpd", "-f", "-h", "/etc")
    space.kubectl("wait", "--for=condition=Ready", "pod/cart", "--timeout=60s")
    space.wait_for(lambda: space.text("exec", "cart", "--", "wget", "-qO-", "http://shop/hostname"))
    assert reaches_at_last(docker, "bridge", f"cart.{space.namespace}")
    pod = space.json("get", "pod", "cart")["status"]["podIP"]
    members = {one["Name"]: one["IPv4Address"] for one in network(docker, "pods")["Containers"].values()}
    assert members["cart"].startswith(f"{pod}/")


def test_the_api_says_more_than_the_command(docker, cloud):
    def get(path):
        return json.loads(
            cloud.run(["curl", "-gs", "--unix-socket", str(docker.socket), f"http://docker{path}"]).stdout
        )

    assert get("/networks/bridge?verbose=1")["Services"] == {}
    assert get("/networks/bridge?scope=swarm")["message"] == "network bridge not found"
    assert get("/networks/nope")["message"] == "network nope not found"
    assert get('/networks?filters={"driver":["null"]}')[0]["Name"] == "none"


def test_what_happens_is_told(docker):
    since = time.time()
    docker("network", "create", "n1")
    docker("run", "--rm", "--network", "n1", "busybox", "true")
    docker("create", "--name", "web", "busybox", "true")
    docker("network", "connect", "n1", "web")
    docker("network", "disconnect", "n1", "web")
    docker("network", "rm", "n1")
    words = ("--since", str(since), "--until", str(time.time()), "--filter", "type=network", "--filter", "network=n1")
    told = docker("events", *words, "--format", "{{.Action}}").split()
    assert told == ["create", "connect", "disconnect", "connect", "disconnect", "destroy"]


# -- across a crash ----------------------------------------------------------------------------------------------------


def test_networks_outlive_the_daemon(tmp_path):
    with Cloud.started(tmp_path) as cloud:

        def docker(*words):
            return cloud.docker(*words).stdout.strip()

        docker("pull", "--quiet", "busybox")
        id = docker("network", "create", "--label", "a=b", "n1")
        docker("run", "--detach", "--name", "web", "--network", "n1", *SERVE)
        before = docker("network", "inspect", "bridge", "n1")
        os.kill(cloud.daemon_pid, signal.SIGKILL)
        cloud.up()
        assert docker("network", "inspect", "bridge", "n1") == before
        docker("run", "--rm", "--network", id, "busybox", "wget", "-qO-", "http://web/hostname")
        cloud.down()
        cloud.up()
        assert (
            docker("network", "inspect", "n1", "--format", "{{.Id}} {{.Labels.a}} {{len .Containers}}") == f"{id} b 0"
        )
