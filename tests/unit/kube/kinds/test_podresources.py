"""What pods and their containers ask for and may have, and what they may do: rules and defaults, in tables."""

from __future__ import annotations

import pytest

from coracle.kube.kinds.podspec import amounts, changes, defaults, rules

HALF, ONE = {"cpu": "500m"}, {"cpu": "1", "memory": "64Mi"}


def asks(limits=None, **requests):
    given = {"requests": {name.replace("_", "-"): value for name, value in requests.items()}, "limits": limits}
    return {name: amounts for name, amounts in given.items() if amounts}


def a_spec(*containers, own=None, **more):
    made = [{"name": f"c{number}", "image": "x", "resources": one} for number, one in enumerate(containers or ({},))]
    return {"containers": made, **({"resources": own} if own is not None else {}), **more}


def said(spec):
    return [f"{problem.field}: {problem.text}" for problem in rules.problems(defaults.pod_spec(spec))]


AT, OWN = "spec.containers[0].resources", "spec.resources"


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        (asks({"example.com/a": "2"}), []),
        ({"requests": {"example.com/a": "2"}}, [f"{AT}.limits: Required value: Limit must be set for non overcommitable resources"]),
        (asks({"example.com/a": "1500m"}), [f"{AT}.{which}[example.com/a]: Invalid value: \"1500m\": must be an integer" for which in ("limits", "requests")]),
        ({"requests": {"example.com/a": "1"}, "limits": {"example.com/a": "2"}}, [f'{AT}.requests: Invalid value: "1": must be equal to example.com/a limit of 2']),
        (asks({"requests.a/b": "1"}), [f"{AT}.{which}[requests.a/b]: Invalid value: \"requests.a/b\": doesn't follow extended resource name standard" for which in ("limits", "requests")]),
        (asks({"hugepages-2Mi": "4Mi", "memory": "10Mi"}), []),
        (asks({"hugepages-2Mi": "3Mi", "memory": "10Mi"}), [f'{AT}.{which}[hugepages-2Mi]: Invalid value: "3Mi": 3Mi is not positive integer multiple of hugepages-2Mi' for which in ("limits", "requests")]),
        (asks({"hugepages-2Mi": "4Mi"}), [f"{AT}: Forbidden: HugePages require cpu or memory"]),
        ({"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}, [f'{AT}.requests: Invalid value: "2": must be less than or equal to cpu limit of 1']),
        (asks({"cpu": "-1"}), [f'{AT}.{which}[cpu]: Invalid value: "-1": must be greater than or equal to 0' for which in ("limits", "requests")]),
        ({"requests": {"cpu": "x"}}, [f"{AT}.requests[cpu]: Invalid value: \"x\": quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"]),
        (asks({"pods": "1"}), [f'{AT}.{which}[pods]: Invalid value: "pods": must be a standard resource for containers' for which in ("limits", "requests")]),
        ({"claims": [{"name": "gpu"}]}, [f'{AT}.claims[0]: Not found: "gpu": must be one of the names in pod.spec.resourceClaims which is empty']),
    ],
)  # fmt: skip
def test_containers(resources, expected):
    assert said(a_spec(resources)) == expected


@pytest.mark.parametrize(
    ("own", "containers", "expected"),
    [
        (asks(ONE), [asks({"cpu": "1"}), {}], []),
        (asks(ONE), [asks({"cpu": "2"}, cpu="1")], [f'{OWN}.containers[0][cpu].limits: Invalid value: "2": must be less than or equal to pod limits of 1']),
        (asks(cpu="1"), [asks(cpu="600m")] * 2, [f'{OWN}.requests[cpu]: Invalid value: "1": must be greater than or equal to aggregate container requests of 1200m']),
        (asks({"ephemeral-storage": "1Gi"}), [{}], [f'{OWN}.limits[ephemeral-storage]: Unsupported value: "ephemeral-storage": supported values: "cpu", "hugepages-", "memory"']),
        (asks({"example.com/a": "1"}), [{}], [f'{OWN}.limits[example.com/a]: Unsupported value: "example.com/a": supported values: "cpu", "hugepages-", "memory"']),
        ({"claims": [{"name": "gpu"}]}, [{}], [f"{OWN}.claims: Forbidden: claims cannot be set for Resources at pod-level"]),
        (asks({"cpu": "1"}, cpu="2"), [{}], [f'{OWN}.requests: Invalid value: "2": must be less than or equal to cpu limit of 1']),
    ],
)  # fmt: skip
def test_pods_as_a_whole(own, containers, expected):
    assert [line for line in said(a_spec(*containers, own=own)) if OWN in line] == expected


@pytest.mark.parametrize(
    ("own", "containers", "expected"),
    [
        pytest.param({}, [{}], None, id="nothing"),
        pytest.param(asks(ONE), [{}], asks(ONE, **ONE), id="no container asks"),
        pytest.param(asks(ONE), [asks(**HALF), asks(cpu="100m")], asks(ONE, cpu="600m", memory="64Mi"), id="some ask"),
        pytest.param(asks(ONE, cpu="900m"), [asks(**HALF)], asks(ONE, cpu="900m", memory="64Mi"), id="it says so itself"),
        pytest.param(asks(cpu="1"), [asks(memory="1Mi")], asks(cpu="1"), id="without limits it is left alone"),
        pytest.param(
            asks({"memory": "64Mi"}), [asks({"hugepages-2Mi": "4Mi", "memory": "8Mi"})],
            asks({"memory": "64Mi", "hugepages-2Mi": "4Mi"}, memory="8Mi") | {"requests": {"memory": "8Mi", "hugepages-2Mi": "4Mi"}},
            id="huge pages",
        ),
    ],
)  # fmt: skip
def test_what_a_pod_as_a_whole_asks_for_unless_it_says_so(own, containers, expected):
    spec = defaults.pod_spec(a_spec(*containers, own=own))
    assert spec.get("resources") == expected
    assert defaults.pod_spec(spec) == spec
    assert defaults.spec(a_spec(*containers, own=own)).get("resources", {}) == own


@pytest.mark.parametrize(
    ("own", "containers", "expected"),
    [
        (asks(ONE, **ONE), [{}, {}], "Guaranteed"),
        (asks(ONE, **ONE), [asks(**HALF)], "Guaranteed"),
        (asks(ONE, **HALF), [asks(ONE, **ONE)], "Burstable"),
        (asks(cpu="1"), [{}], "Burstable"),
        ({}, [asks(ONE, **ONE)], "Guaranteed"),
        ({}, [{}], "BestEffort"),
    ],
)
def test_the_class_of_a_pod_as_a_whole(own, containers, expected):
    assert amounts.qos_class(a_spec(*containers, own=own)) == expected


def may(**context):
    return {"containers": [{"name": "c", "image": "x", "securityContext": context}]}


def pods_may(**context):
    return {**a_spec(), "securityContext": context}


HERE, PODS = "spec.containers[0].securityContext", "spec.securityContext"


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (may(procMount="Unmasked"), [f'{HERE}.procMount: Invalid value: "Unmasked": `hostUsers` must be false to use `Unmasked`']),
        ({**may(procMount="Unmasked"), "hostUsers": False}, []),
        ({**a_spec(), "hostUsers": False, "hostNetwork": True, "hostPID": True, "hostIPC": True}, [f"spec.{name}: Forbidden: when `hostUsers` is false" for name in ("hostNetwork", "hostPID", "hostIPC")]),
        (may(appArmorProfile={"type": "RuntimeDefault"}), []),
        (may(appArmorProfile={}), [f"{HERE}.appArmorProfile.type: Required value: type is required when appArmorProfile is set"]),
        (may(appArmorProfile={"type": "Localhost"}), [f"{HERE}.appArmorProfile.localhostProfile: Required value: must be set when AppArmor type is Localhost"]),
        (pods_may(appArmorProfile={"type": "Localhost", "localhostProfile": " a"}), [f'{PODS}.appArmorProfile.localhostProfile: Invalid value: " a": must not be padded with whitespace']),
        (pods_may(appArmorProfile={"type": "Unconfined", "localhostProfile": "a"}), [f'{PODS}.appArmorProfile.localhostProfile: Invalid value: "a": can only be set when AppArmor type is Localhost']),
        (pods_may(appArmorProfile={"type": "Some"}), [f'{PODS}.appArmorProfile.type: Unsupported value: "Some": supported values: "Localhost", "RuntimeDefault", "Unconfined"']),
        (pods_may(seccompProfile={}), [f"{PODS}.seccompProfile.type: Required value: type is required when seccompProfile is set"]),
        (pods_may(seLinuxChangePolicy="Some"), [f'{PODS}.seLinuxChangePolicy: Unsupported value: "Some": supported values: "MountOption", "Recursive"']),
        ({**pods_may(sysctls=[{"name": "net/ipv4/tcp_wmem", "value": "1"}]), "hostNetwork": True}, [f"{PODS}.sysctls[0].name: Invalid value: \"net/ipv4/tcp_wmem\": may not be specified when 'hostNetwork' is true"]),
        ({**pods_may(sysctls=[{"name": "kernel.shm_rmid_forced", "value": "1"}]), "hostIPC": True}, [f"{PODS}.sysctls[0].name: Invalid value: \"kernel.shm_rmid_forced\": may not be specified when 'hostIPC' is true"]),
        ({**pods_may(runAsUser=1), "os": {"name": "windows"}}, [f"{PODS}.runAsUser: Forbidden: cannot be set for a windows pod"]),
        ({**may(windowsOptions={"runAsUserName": "x"}), "os": {"name": "linux"}}, [f"{HERE}.windowsOptions: Forbidden: windows options cannot be set for a linux pod"]),
        ({**a_spec(), "os": {"name": "plan9"}}, ['spec.os: Unsupported value: "plan9": supported values: "linux", "windows"']),
        ({**a_spec(), "os": {}}, []),
    ],
)  # fmt: skip
def test_what_a_pod_may_do(spec, expected):
    assert said(spec) == expected


def sized(name="c", sort="containers", **more):
    return {sort: [{"name": name, "image": "x", "resources": asks({"cpu": "1"}, cpu="1"), **more}]}


SIDE = sized("s", "initContainers", restartPolicy="Always")
LARGER = asks({"cpu": "2"}, cpu="2")
ONLY = "spec: Forbidden: only cpu and memory resources are mutable"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (sized(), sized(resources=LARGER), []),
        (sized(), sized(resources=asks({"cpu": "1", "memory": "2Mi"}, cpu="1", memory="1Mi")), []),
        ({**sized(), **SIDE}, {**sized(), **sized("s", "initContainers", restartPolicy="Always", resources=LARGER)}, []),
        (sized(), sized(resources={}), [f"spec.containers[0].resources.{which}: Forbidden: resource {which} cannot be removed" for which in ("limits", "requests")] + ['spec: Invalid value: "Burstable": Pod QOS Class may not change as a result of resizing']),
        (sized(), sized("other"), ["spec.containers[0].name: Forbidden: containers may not be renamed or reordered on resize"]),
        (sized(), sized(image="y"), [ONLY]),
        (sized(), {**sized(), "nodeSelector": {"a": "b"}}, [ONLY]),
        (sized(), {"containers": []}, ["spec.containers: Forbidden: containers may not be added or removed on resize"]),
        ({**sized(), **sized("i", "initContainers")}, {**sized(), **sized("i", "initContainers", resources=LARGER)}, ["spec: Forbidden: resources for non-sidecar init containers are immutable"]),
        ({**sized(), "resources": asks(cpu="2")}, {**sized(), "resources": asks(cpu="3")}, []),
        ({**sized(), "resources": asks(cpu="2", memory="1Mi")}, {**sized(), "resources": asks(cpu="3")}, ["spec.resources.requests: Forbidden: resource requests cannot be removed"]),
        ({**sized(), "os": {"name": "windows"}}, sized(resources=LARGER), [": Forbidden: windows pods cannot be resized"]),
    ],
)  # fmt: skip
def test_what_may_be_resized(old, new, expected):
    found = changes.resize_problems(new, old)
    assert [f"{problem.field}: {problem.text}" for problem in found] == expected
