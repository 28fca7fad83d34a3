"""How full volumes are."""

import asyncio
from types import SimpleNamespace

from coracle.core.object import Meta, Object
from coracle.engine.scratch import Scratch
from coracle.kube.kubelet.records import sandbox_name
from coracle.kube.kubelet.volumes.metering import VolumeMeter
from coracle.testing.kube import a_pod

NAMES = ("data", "tmp", "host", "unused", "lost")
VOLUMES = [
    {"name": "data", "persistentVolumeClaim": {"claimName": "disk"}},
    {"name": "tmp", "emptyDir": {}},
    {"name": "host", "hostPath": {"path": "/"}},
    {"name": "unused", "emptyDir": {}},
    {"name": "lost", "emptyDir": {}},
]


class Objects:
    """In place of the store: a claim and its volume."""

    def __init__(self, path):
        claim = {"spec": {"volumeName": "pv"}, "status": {"phase": "Bound"}}
        volume = {"spec": {"local": {"path": str(path)}}}
        self.kept = {
            "PersistentVolumeClaim": Object("PersistentVolumeClaim", Meta(name="disk", namespace="default"), claim),
            "PersistentVolume": Object("PersistentVolume", Meta(name="pv"), volume),
        }

    def find(self, type, key):
        found = self.kept.get(type)
        return SimpleNamespace(object=lambda: found) if found is not None else None


def test_what_is_used_and_there_is_measured(tmp_path):
    async def main():
        scratch = Scratch(root_path=str(tmp_path))
        mounts = [{"name": name, "mountPath": f"/{name}"} for name in NAMES if name != "unused"]
        pod = a_pod("web", containers=[{"name": "c", "volumeMounts": mounts}], volumes=VOLUMES).with_meta(uid="u")
        path = await scratch.scratch(sandbox_name("u"), "tmp")
        with open(f"{path}/file", "wb") as file:  # noqa: ASYNC230
            file.write(b"x" * 65536)
        return await VolumeMeter(scratch, Objects(tmp_path)).measured(pod)

    data, tmp = asyncio.run(main())
    assert (data.name, data.claim, tmp.name, tmp.claim) == ("data", "disk", "tmp", "")
    assert 65536 <= tmp.used_bytes < 2**20
    assert data.capacity_bytes == tmp.capacity_bytes > data.available_bytes > 0
