from dataclasses import replace

import pytest

from coracle.kube.kubelet.admission import Refusal, refusal, sysctl_name, sysctl_patterns
from coracle.kube.kubelet.config import NodeConfig
from suites.attempts import a_pod

NODE = NodeConfig(name="n", address="192.0.2.2")
ARMOUR = {"appArmorProfile": {"type": "Localhost", "localhostProfile": "tight"}}


def sysctls(*names, **spec):
    return a_pod(securityContext={"sysctls": [{"name": name, "value": "1"} for name in names]}, **spec)


@pytest.mark.parametrize(
    ("pod", "expected"),
    [
        (a_pod(), None),
        (a_pod(hostUsers=True), None),
        (a_pod(hostUsers=False), None),
        (a_pod(os={"name": "linux"}), None),
        (a_pod(os={"name": "windows"}), "PodOSNotSupported"),
        (a_pod(securityContext={"appArmorProfile": {"type": "Unconfined"}}), None),
        (a_pod(securityContext={"appArmorProfile": {"type": "RuntimeDefault"}}), "AppArmor"),
        (a_pod(initContainers=[{"name": "i", "securityContext": ARMOUR}]), "AppArmor"),
        (sysctls("kernel.shm_rmid_forced", "net.ipv4.tcp_syncookies"), None),
        (sysctls("net/ipv4/tcp_syncookies"), None),
        (sysctls("kernel.msgmax"), "SysctlForbidden"),
        (sysctls("net.ipv4.tcp_syncookies", hostNetwork=True), "SysctlForbidden"),
        (sysctls("kernel.shm_rmid_forced", hostIPC=True), "SysctlForbidden"),
    ],
)
def test_refusal(pod, expected):
    refused = refusal(pod, NODE)
    assert (refused and refused.reason) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("net.ipv4.tcp_wmem", "net.ipv4.tcp_wmem"),
        ("net/ipv4/tcp_wmem", "net.ipv4.tcp_wmem"),
        ("net/ipv4/conf/eth0.1/rp_filter", "net.ipv4.conf.eth0/1.rp_filter"),
        ("net.ipv4.conf.eth0/1.rp_filter", "net.ipv4.conf.eth0/1.rp_filter"),
    ],
)
def test_names_of_sysctls(name, expected):
    assert sysctl_name(name) == expected


def test_why():
    said = 'forbidden sysctl: "kernel.msgmax" not allowlisted'
    assert refusal(sysctls("kernel.msgmax"), NODE) == Refusal("SysctlForbidden", said)


@pytest.mark.parametrize(
    ("pattern", "name", "allowed"),
    [
        ("kernel.msg*", "kernel.msgmax", True),
        ("kernel.msg*", "kernel.sem", False),
        ("net.core.somaxconn", "net/core/somaxconn", True),
        ("net.core.somaxconn", "net.core.somaxconn2", False),
    ],
)
def test_sysctls_that_the_node_allows(pattern, name, allowed):
    node = replace(NODE, unsafe_sysctls=sysctl_patterns([pattern]))
    assert (refusal(sysctls(name), node) is None) is allowed


@pytest.mark.parametrize("given", ["net.*", ["vm.swappiness"], ["*"], [1]])
def test_what_cannot_be_allowed(given):
    with pytest.raises(ValueError, match=r"must be a list|would change the host"):
        sysctl_patterns(given)


def test_a_host_with_apparmor_has_the_profiles_that_were_loaded_but_no_default():
    node = replace(NODE, apparmor=True)
    assert refusal(a_pod(securityContext=ARMOUR), node) is None
    assert refusal(a_pod(securityContext={"appArmorProfile": {"type": "RuntimeDefault"}}), node).reason == "AppArmor"
