"""What a container mounts where."""

import asyncio

import pytest

from coracle.core.errors import Invalid
from coracle.kube.kubelet.environment import ConfigError
from coracle.kube.kubelet.volumes.mounting import devices, mounts
from coracle.kube.kubelet.volumes.service import Volume
from coracle.runtime.api import Device, Mount
from suites.attempts import a_pod


class Parts:
    """In place of the volumes' service: says what it is asked to show."""

    async def part(self, pod, name, volume, below):
        if below == "bad":
            raise Invalid(message="it leads to nothing")
        return f"/shown/{name}{volume.path}/{below}"


def of(volume=None, **asked):
    container = {"name": "web", "volumeMounts": [{"name": "data", "mountPath": "/data", **asked}]}
    volumes = {"data": volume or Volume("/v")}
    return asyncio.run(mounts(a_pod(), container, volumes, {"N": "x", "UP": ".."}, Parts()))


@pytest.mark.parametrize(
    ("volume", "asked", "expected"),
    [
        (None, {}, Mount(target="/data", source="/v")),
        (None, {"mountPath": "data"}, Mount(target="/data", source="/v")),
        (None, {"readOnly": True}, Mount(target="/data", source="/v", read_only=True)),
        (Volume("/v", read_only=True), {}, Mount(target="/data", source="/v", read_only=True)),
        (
            None,
            {"mountPropagation": "HostToContainer"},
            Mount(target="/data", source="/v", options=("rbind", "rslave")),
        ),
        (
            None,
            {"readOnly": True, "recursiveReadOnly": "Enabled"},
            Mount(target="/data", source="/v", options=("rbind", "rprivate", "rro"), read_only=True),
        ),
        (None, {"subPath": "a/b"}, Mount(target="/data", source="/shown/web.0/v/a/b")),
        (None, {"subPathExpr": "$(N)/$$(N)"}, Mount(target="/data", source="/shown/web.0/v/x/$(N)")),
    ],
)
def test_mounts(volume, asked, expected):
    assert of(volume, **asked) == (expected,)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"name": "other"}, 'cannot find volume "other" to mount into container "web"'),
        (
            {"subPath": "bad"},
            'failed to prepare subPath for volumeMount "data" of container "web": it leads to nothing',
        ),
        ({"subPathExpr": "$(NOBODY)/$(ALSO)"}, "missing value for ALSO, NOBODY"),
        ({"subPathExpr": "a/$(UP)/b"}, "unable to provision SubPath `a/../b`: must not contain '..'"),
    ],
)
def test_what_cannot_be_mounted_is_named(asked, said):
    with pytest.raises(ConfigError) as raised:
        of(**asked)
    assert said in str(raised.value)


RAW = {"name": "web", "volumeDevices": [{"name": "data", "devicePath": "/dev/xvda"}]}


@pytest.mark.parametrize(("read_only", "access"), [(False, "rwm"), (True, "rm")])
def test_devices(read_only, access):
    volumes = {"data": Volume("/dev/loop7", read_only, device=True)}
    assert devices(RAW, volumes) == (Device(path="/dev/xvda", source="/dev/loop7", access=access),)


@pytest.mark.parametrize("volumes", [{}, {"data": Volume("/v")}])
def test_what_is_no_device_is_named(volumes):
    with pytest.raises(ConfigError, match='cannot find volume "data" to map into container "web"'):
        devices(RAW, volumes)
