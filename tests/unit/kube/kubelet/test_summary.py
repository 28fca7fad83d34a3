"""What monitoring reads of the kubelet."""

from dataclasses import replace

from coracle.core.object import Meta, Object
from coracle.kube.kubelet.summary import Use, Used, exposition, probes_exposition, summary, volumes_exposition
from coracle.kube.kubelet.thresholds import SIGNALS, Stock
from coracle.kube.kubelet.volumes.metering import VolumeUse

MIB = 1 << 20
POD = Object(
    "Pod",
    Meta(name="web", namespace="shop", uid="u1"),
    {
        "status": {
            "startTime": "2026-01-01T00:00:00Z",
            "containerStatuses": [{"name": "www", "state": {"running": {"startedAt": "2026-01-01T00:00:02Z"}}}],
        }
    },
)
USED = Used(
    "n1", 0.0, Use(9_000_000_000, 5, 80 * MIB), ((POD, {"www": Use(2_500_000_000, 7, MIB), "side": Use(10, 1, MIB)}),)
)


def test_a_summary_has_the_node_and_each_pod_with_its_containers():
    told = summary(USED)
    assert told["node"]["nodeName"] == "n1"
    assert told["node"]["cpu"] == {
        "time": "1970-01-01T00:00:00Z",
        "usageNanoCores": 5,
        "usageCoreNanoSeconds": 9 * 10**9,
    }
    (pod,) = told["pods"]
    assert pod["podRef"] == {"name": "web", "namespace": "shop", "uid": "u1"}
    assert [(one["name"], one["startTime"]) for one in pod["containers"]] == [
        ("www", "2026-01-01T00:00:02Z"), ("side", None),
    ]  # fmt: skip
    assert (pod["memory"]["workingSetBytes"], pod["cpu"]["usageNanoCores"]) == (2 * MIB, 8)


def test_a_summary_says_what_is_left_of_the_machine():
    stocks = {name: Stock(100, 60) for name in SIGNALS}
    node = summary(replace(USED, stocks=stocks))["node"]
    assert node["memory"]["availableBytes"] == 60
    assert (node["fs"]["usedBytes"], node["fs"]["inodesUsed"]) == (40, 40)
    assert node["runtime"] == {"imageFs": node["fs"], "containerFs": node["fs"]}
    assert (node["rlimit"]["maxpid"], node["rlimit"]["curproc"]) == (100, 40)


def test_an_exposition_has_a_line_for_each_with_full_numbers():
    lines = exposition(USED).splitlines()
    assert 'container_cpu_usage_seconds_total{container="www",namespace="shop",pod="web"} 2.5' in lines
    assert 'pod_memory_working_set_bytes{namespace="shop",pod="web"} 2097152.0' in lines
    assert "node_memory_working_set_bytes 83886080.0" in lines
    assert "resource_scrape_error 0.0" in lines


FULL = VolumeUse("data", capacity_bytes=100, available_bytes=60, used_bytes=30, inodes=10, inodes_free=4, claim="disk")


def test_a_pods_volumes_are_told_with_their_claims():
    (pod,) = summary(replace(USED, volumes={"u1": [FULL, replace(FULL, name="tmp", claim="")]}))["pods"]
    amounts = {"availableBytes": 60, "capacityBytes": 100, "usedBytes": 30}
    inodes = {"inodes": 10, "inodesFree": 4, "inodesUsed": 6}
    said = {"time": "1970-01-01T00:00:00Z", **amounts, **inodes}
    assert pod["volume"] == [
        {**said, "name": "data", "pvcRef": {"name": "disk", "namespace": "shop"}},
        {**said, "name": "tmp"},
    ]


def test_claims_are_exposed_by_their_names_and_nothing_where_there_are_none():
    assert volumes_exposition([]) == ""
    lines = volumes_exposition([("shop", FULL)]).splitlines()
    assert 'kubelet_volume_stats_used_bytes{namespace="shop",persistentvolumeclaim="disk"} 30.0' in lines
    assert sum(line.startswith("# TYPE kubelet_volume_stats_") for line in lines) == 6


def test_probes_are_counted_by_what_they_found():
    assert probes_exposition([(POD, {})]) == ""
    lines = probes_exposition([(POD, {("www", "Readiness", "failed"): 2})]).splitlines()
    assert lines[1:] == [
        "# TYPE prober_probe_total counter",
        'prober_probe_total{container="www",namespace="shop",pod="web",pod_uid="u1",probe_type="Readiness",'
        'result="failed"} 2.0',
    ]
