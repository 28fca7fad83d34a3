import pytest

from coracle.kube.kubelet.admission import Refusal, refusal, sysctl_name
from coracle.kube.kubelet.notes import Notes
from coracle.kube.kubelet.status import status
from coracle.kube.kubelet.view import View
from suites.attempts import NOW_S, a_pod, there

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
    refused = refusal(pod)
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


def test_a_refused_pod_has_failed_and_nothing_was_made():
    pod = sysctls("kernel.msgmax")
    assert refusal(pod) == Refusal("SysctlForbidden", 'forbidden sysctl: "kernel.msgmax" not allowlisted')
    said = status(View(pod, there(sandbox=None), Notes("u"), NOW_S, "192.0.2.2"))
    assert (said["phase"], said["reason"]) == ("Failed", "SysctlForbidden")
    assert said["message"] == 'Pod was rejected: forbidden sysctl: "kernel.msgmax" not allowlisted'
    assert "containerStatuses" not in said
