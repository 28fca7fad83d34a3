"""Which probes of a container look, by what is known of it."""

import pytest

from coracle.kube.kubelet.notes import Health
from coracle.kube.kubelet.probes import due

PLAIN = {"livenessProbe": {}, "readinessProbe": {}}
SLOW = {"startupProbe": {}, **PLAIN}


@pytest.mark.parametrize(
    ("container", "health", "ending", "expected"),
    [
        pytest.param({}, Health(), False, [], id="none"),
        pytest.param(PLAIN, Health(), False, ["liveness", "readiness"], id="both from the beginning"),
        pytest.param(SLOW, Health(), False, ["startup"], id="that of the start alone"),
        pytest.param(SLOW, Health(started=True), False, ["liveness", "readiness"], id="both once it has started"),
        pytest.param(PLAIN, Health(), True, ["readiness"], id="while its pod ends"),
        pytest.param(SLOW, Health(), True, [], id="while its pod ends that it never began with"),
        pytest.param(PLAIN, Health(failed="liveness probe"), False, ["readiness"], id="while it is ended by itself"),
        pytest.param(SLOW, Health(failed="startup probe"), False, [], id="while it is ended since it did not start"),
    ],
)
def test_due(container, health, ending, expected):
    assert due(container, health, ending=ending) == expected
