from coracle.core.errors import NotFound
from coracle.core.object import Meta, Object
from coracle.docker.networks.settings import network_settings
from coracle.engine.kinds import network as networks
from coracle.engine.kinds.network import NetworkSpec

ID = "c" * 64


def lookup(name):
    if name == "gone":
        raise NotFound("network gone not found")
    return networks.to_record(name[0] * 64, NetworkSpec(name=name))


def container(mode="n1", endpoints=None, ports=None, **config):
    details = {
        "Config": config,
        "HostConfig": {"NetworkMode": mode},
        "NetworkingConfig": {"EndpointsConfig": {"n1": {}} if endpoints is None else endpoints},
    }
    status = {"started_at": "2026-11-23T12:00:00Z", "details": {"Ports": ports} if ports else {}}
    return Object("Container", Meta(name=ID), {"spec": {"name": "web", "details": details}, "status": status})


def sandbox(*names, state="ready"):
    endpoints = [
        {
            "network": name, "address": f"10.1.{number}.9", "prefix": 24, "gateway": f"10.1.{number}.1", "address6": "",
            "prefix6": 0, "gateway6": "", "mac": f"02:42:0a:01:0{number}:09", "interface": f"eth{number}", "state": state,
        }
        for number, name in enumerate(names)
    ]  # fmt: skip
    status = {"endpoints": endpoints, "netns_path": "/run/netns/c"}
    return Object("Sandbox", Meta(name=ID), {"spec": {}, "status": status})


def test_what_runs_is_shown_as_it_is():
    settings = network_settings(container(endpoints={"n1": {"Aliases": ["www"]}}), sandbox("n1"), lookup)
    n1 = settings["Networks"]["n1"]
    assert (n1["IPAddress"], n1["IPPrefixLen"], n1["Gateway"]) == ("10.1.0.9", 24, "10.1.0.1")
    assert (n1["MacAddress"], n1["NetworkID"], n1["Aliases"]) == ("02:42:0a:01:00:09", "n" * 64, ["www"])
    assert n1["DNSNames"] == ["web", "www", ID[:12]]
    assert len(n1["EndpointID"]) == 64
    assert (settings["SandboxID"], settings["SandboxKey"]) == (ID, "/run/netns/c")
    assert settings["IPAddress"] == ""  # at the top only the default network is shown


def test_the_default_network_is_shown_at_the_top_too():
    settings = network_settings(container("default", {"bridge": {}}), sandbox("bridge"), lookup)
    assert settings["IPAddress"] == settings["Networks"]["bridge"]["IPAddress"] == "10.1.0.9"
    assert settings["EndpointID"] == settings["Networks"]["bridge"]["EndpointID"]
    assert settings["Networks"]["bridge"]["DNSNames"] is None


def test_what_is_stopped_is_shown_as_it_will_be():
    asked = {"IPAMConfig": {"IPv4Address": "10.1.0.7"}, "GwPriority": 2, "MacAddress": "02:00:00:00:00:01"}
    settings = network_settings(container(endpoints={"n1": asked, "gone": {}}, Hostname="box"), None, lookup)
    n1 = settings["Networks"]["n1"]
    assert (n1["IPAddress"], n1["EndpointID"], n1["NetworkID"]) == ("", "", "n" * 64)
    assert n1["MacAddress"] == "02:00:00:00:00:01"
    assert (n1["IPAMConfig"], n1["GwPriority"]) == ({"IPv4Address": "10.1.0.7"}, 2)
    assert n1["DNSNames"] == ["web", ID[:12], "box"]
    assert settings["Networks"]["gone"]["NetworkID"] == ""
    assert (settings["Ports"], settings["SandboxKey"]) == ({}, "")


def test_ports_are_shown_while_it_runs():
    bound = {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8001"}]}
    web = container(ports=bound, ExposedPorts={"80/tcp": {}, "81/tcp": {}})
    assert network_settings(web, sandbox("n1"), lookup)["Ports"] == {**bound, "81/tcp": None}
    assert network_settings(web, None, lookup)["Ports"] == {}


def test_what_leaves_is_not_shown_any_more():
    settings = network_settings(container(), sandbox("n1", state="leaving"), lookup)
    assert settings["Networks"]["n1"]["IPAddress"] == ""


def test_the_modes_without_a_network_of_their_own():
    assert network_settings(container("container:web", {}), sandbox("n1"), lookup)["Networks"] == {}
    host = sandbox()
    host = host.with_status(netns_path="host")
    settings = network_settings(container("host", {"host": {}}), host, lookup)
    assert settings["SandboxKey"] == "/var/run/docker/netns/default"
    assert (list(settings["Networks"]), settings["Ports"]) == (["host"], {})
    assert settings["Networks"]["host"]["EndpointID"]


def test_a_pods_container_has_what_its_sandbox_has():
    bare = Object("Container", Meta(name=ID), {"spec": {"name": "k8s_web", "details": {}}, "status": {}})
    assert network_settings(bare, sandbox("pods"), lookup)["Networks"]["pods"]["IPAddress"] == "10.1.0.9"
