"""What monitoring reads of the kubelet."""

from coracle.core.object import Meta, Object
from coracle.kube.kubelet.summary import Use, Used, exposition, summary

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


def test_an_exposition_has_a_line_for_each_with_full_numbers():
    lines = exposition(USED).splitlines()
    assert 'container_cpu_usage_seconds_total{container="www",namespace="shop",pod="web"} 2.5' in lines
    assert 'pod_memory_working_set_bytes{namespace="shop",pod="web"} 2097152.0' in lines
    assert "node_memory_working_set_bytes 83886080.0" in lines
    assert "resource_scrape_error 0.0" in lines
