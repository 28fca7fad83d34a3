"""What a KubeletConfiguration says, and what is said where it cannot be meant."""

from __future__ import annotations

import pytest

from coracle.core.errors import Malformed
from coracle.core.quantity import parse
from coracle.kube.kubelet.config import NodeConfig
from coracle.kube.kubelet.configuration import Settings, duration_s, parse_configuration
from coracle.kube.kubelet.configz import configz
from coracle.kube.kubelet.thresholds import MEMORY, PIDS, Amount, Stock, Threshold
from coracle.node.kubelet import read_kubelet

MI, GI = 1 << 20, 1 << 30
DISK, INODES = "nodefs.available", "nodefs.inodesFree"


def stocks(disk_bytes=100 * GI, inodes=1 << 20):
    return {
        MEMORY: Stock(8 * GI, GI),
        DISK: Stock(disk_bytes, GI),
        INODES: Stock(inodes, 1),
        PIDS: Stock(32768, 30000),
    }


def amounts(settings, there=None):
    return {one.signal: one.amount.units for one in settings.thresholds(there or stocks())}


@pytest.mark.parametrize(
    ("there", "expected"),
    [
        (stocks(), {MEMORY: 100 * MI, DISK: 512 * MI, INODES: 20_000, PIDS: 256}),
        (stocks(500 * MI, 1000), {MEMORY: 100 * MI, DISK: 50 * MI, INODES: 50, PIDS: 256}),
    ],
    ids=["a large disk", "a small one"],
)
def test_ours(there, expected):
    assert amounts(Settings(), there) == expected


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({}, {MEMORY: 100 * MI, DISK: 512 * MI, INODES: 20_000, PIDS: 256}),
        ({"evictionHard": {MEMORY: "1Gi"}}, {MEMORY: GI}),
        ({"evictionHard": {MEMORY: "0%", DISK: "100%"}}, {}),
        ({"evictionHard": {MEMORY: "1Gi"}, "mergeDefaultEvictionSettings": True}, {MEMORY: GI, DISK: 512 * MI, INODES: 20_000, PIDS: 256}),
    ],
    ids=["nothing", "one takes the place of all", "none", "one beside ours"],
)  # fmt: skip
def test_hard(said, expected):
    assert amounts(parse_configuration(said)) == expected


def test_the_whole():
    found = parse_configuration(
        {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "evictionHard": {DISK: "10%"},
            "evictionSoft": {MEMORY: "1Gi"},
            "evictionSoftGracePeriod": {MEMORY: "1m30s"},
            "evictionMinimumReclaim": {DISK: "500Mi"},
            "evictionPressureTransitionPeriod": "5m",
            "evictionMaxPodGracePeriod": 7,
            "nodeLeaseDurationSeconds": 20,
            "nodeStatusReportFrequency": "1m",
            "maxPods": 50,
            "systemReserved": {"cpu": "100m", "memory": "1Gi"},
            "kubeReserved": {"memory": "1Gi"},
        }
    )
    assert found.hard == (Threshold(DISK, Amount(share=0.1), reclaim=Amount(500 * MI)),)
    assert found.soft == (Threshold(MEMORY, Amount(GI), grace_s=90.0),)
    assert (found.transition_s, found.max_grace_s, found.heartbeat_s, found.pods) == (300, 7, 60, 50)
    assert found.period_s == 5  # a quarter of the lease
    assert dict(found.reserved) == {"cpu": parse("100m"), "memory": parse("2Gi")}


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ([], "must be a KubeletConfiguration"),
        ({"kind": "Pod"}, "must have apiVersion: kubelet.config.k8s.io/v1beta1 and kind: KubeletConfiguration"),
        ({"evictionHard": {"memory": "1Gi"}}, "evictionHard: unsupported eviction signal memory"),
        ({"evictionHard": {MEMORY: "plenty"}}, "evictionHard: memory.available: quantities must match"),
        ({"evictionHard": {MEMORY: "-1Gi"}}, 'evictionHard: memory.available: "-1Gi" must be positive'),
        ({"evictionHard": {MEMORY: "120%"}}, 'evictionHard: memory.available: "120%" must be between 0% and 100%'),
        ({"evictionHard": "all"}, "evictionHard: must be a map"),
        ({"evictionSoft": {MEMORY: "1Gi"}}, "grace period must be specified for the soft eviction threshold memory.available"),
        ({"evictionPressureTransitionPeriod": "soon"}, 'evictionPressureTransitionPeriod: time: invalid duration "soon"'),
        ({"maxPods": 0}, "maxPods: must be a whole number, 1 or more"),
        ({"maxPods": True}, "maxPods: must be a whole number, 1 or more"),
        ({"nodeStatusUpdateFrequency": "1ms"}, "nodeStatusUpdateFrequency: must be a second or more"),
        ({"systemReserved": {"disk": "1Gi"}}, "systemReserved: disk cannot be reserved"),
        ({"mergeDefaultEvictionSettings": "yes"}, "mergeDefaultEvictionSettings: must be true or false"),
        ({"evictionhard": {}}, 'field "evictionhard" is not known here; known are allowedUnsafeSysctls,'),
    ],
)  # fmt: skip
def test_refused(said, message):
    with pytest.raises(Malformed) as caught:
        parse_configuration(said)
    assert str(caught.value).startswith(message)


def test_it_is_told_with_what_was_left_out():
    said = {"evictionHard": {DISK: "10%"}, "evictionSoft": {MEMORY: "1Gi"}, "evictionSoftGracePeriod": {MEMORY: "90s"}}
    config = NodeConfig(name="n1", address="192.0.2.1", cluster_dns="100.64.0.10")
    told = configz(config, parse_configuration(said), stocks())["kubeletconfig"]
    assert (told["kind"], told["evictionHard"]) == ("KubeletConfiguration", {DISK: "10%"})
    assert (told["evictionSoft"], told["evictionSoftGracePeriod"]) == ({MEMORY: str(GI)}, {MEMORY: "1m30s"})
    assert (told["nodeLeaseDurationSeconds"], told["nodeStatusReportFrequency"], told["maxPods"]) == (40, "5m0s", 110)
    ours = configz(config, Settings(), stocks())["kubeletconfig"]
    assert "evictionSoft" not in ours
    assert parse_configuration({"evictionHard": ours["evictionHard"]}).hard == tuple(Settings().thresholds(stocks()))


@pytest.mark.parametrize(("text", "expected"), [("0", 0), ("90s", 90), ("1h2m3s", 3723), ("1.5m", 90), ("250ms", 0.25)])
def test_durations(text, expected):
    assert duration_s(text) == expected


def test_the_file_is_named_where_it_is_wrong(tmp_path):
    assert read_kubelet(tmp_path) == Settings()
    file = tmp_path / "kubelet.yaml"
    for text, said in (("maxPods: 7", None), ("maxPods: many", "maxPods: must be"), ("a: [", "while parsing")):
        file.write_text(text)
        if said is None:
            assert read_kubelet(tmp_path).pods == 7
            continue
        with pytest.raises(Malformed, match=said) as caught:
            read_kubelet(tmp_path)
        assert str(caught.value).startswith(str(file))
