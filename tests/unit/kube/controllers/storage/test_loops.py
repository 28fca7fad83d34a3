"""Storage's loops together, on virtual time."""

from __future__ import annotations

import pytest

from coracle.core.object import Key
from coracle.kube.controllers.storage.provisioning import STANDARD, ensure_class, new_volume, refused, sweep
from coracle.testing.autojump import run
from coracle.testing.kube import a_node, a_pod, place
from unit.kube.controllers.storage.house import Storage, a_claim, a_class, a_volume, for_claim

DATA = Key("default", "data")


def uses(name, claim):
    volume = {"name": "v", "persistentVolumeClaim": {"claimName": claim}}
    return a_pod(name, volumes=[volume])


def test_a_claim_is_provisioned_bound_kept_while_used_and_reclaimed():
    async def main():
        stage = Storage()
        await stage.rooms()
        await ensure_class(stage["StorageClass"])
        await stage["PersistentVolumeClaim"].create(a_claim())
        await stage.settle(1)
        claim = stage["PersistentVolumeClaim"].get(DATA)
        (volume,) = stage["PersistentVolume"].list()
        assert (claim.spec["storageClassName"], claim.spec["volumeName"]) == (STANDARD, volume.meta.name)
        assert (claim.status["phase"], volume.status["phase"]) == ("Bound", "Bound")
        assert volume.status["lastPhaseTransitionTime"]
        assert stage.shelf.names == {volume.meta.name}

        await stage["Pod"].create(uses("user", "data"))
        await place(stage, Key("default", "user"))
        await stage["PersistentVolumeClaim"].delete(DATA)
        await stage.settle(1)
        assert stage.phases("PersistentVolumeClaim") == {"data": "Bound"}
        await stage["PersistentVolume"].delete(volume.key)
        await stage.settle(1)
        assert stage.phases("PersistentVolume") == {volume.meta.name: "Bound"}  # a claim has it
        await stage["Pod"].change(Key("default", "user"), lambda pod: pod.with_status(phase="Succeeded"), "status")
        await stage["Pod"].delete(Key("default", "user"))
        await stage.settle(1)
        assert (stage.phases("PersistentVolumeClaim"), stage.phases("PersistentVolume")) == ({}, {})
        assert stage.shelf.names == set()

    run(main())


def test_a_kept_volume_is_released_and_free_again_when_somebody_says_so():
    async def main():
        stage = Storage()
        await stage.rooms()
        disk = await stage["PersistentVolume"].create(a_volume())
        await stage["PersistentVolumeClaim"].create(a_claim(storageClassName=""))
        await stage.settle(1)
        assert stage.phases("PersistentVolume") == {"disk": "Bound"}
        await stage["PersistentVolumeClaim"].delete(DATA)
        await stage["PersistentVolumeClaim"].create(a_claim("next", storageClassName=""))
        await stage.settle(1)
        assert stage.phases("PersistentVolume") == {"disk": "Released"}
        assert stage.phases("PersistentVolumeClaim") == {"next": "Pending"}

        def forgotten(volume):
            return volume.with_body(spec={name: value for name, value in volume.spec.items() if name != "claimRef"})

        await stage["PersistentVolume"].change(disk.key, forgotten)
        await stage.settle(1)
        assert stage.phases("PersistentVolumeClaim") == {"next": "Bound"}

    run(main())


def test_two_claims_never_have_one_volume():
    async def main():
        stage = Storage()
        await stage.rooms()
        for number in range(5):
            await stage["PersistentVolumeClaim"].create(a_claim(f"c{number}", storageClassName=""))
        for number in range(3):
            await stage["PersistentVolume"].create(a_volume(f"v{number}"))
        await stage.settle(1)
        taken = [one.spec["volumeName"] for one in stage["PersistentVolumeClaim"].list() if one.spec.get("volumeName")]
        assert sorted(taken) == ["v0", "v1", "v2"]
        refs = {one.meta.name: one.spec["claimRef"]["name"] for one in stage["PersistentVolume"].list()}
        assert {refs[name] for name in taken} == {
            one.meta.name for one in stage["PersistentVolumeClaim"].list() if one.spec.get("volumeName")
        }

    run(main())


def test_a_claim_waits_for_its_node_and_a_reserved_volume_does_not():
    async def main():
        stage = Storage()
        await stage.rooms()
        await stage["StorageClass"].create(a_class(volumeBindingMode="WaitForFirstConsumer"))
        await stage["PersistentVolume"].create(a_volume("free", storageClassName="fast"))
        claim = a_claim("kept", storageClassName="fast")
        reserved = for_claim(claim, uid=False)
        await stage["PersistentVolume"].create(a_volume("mine", storageClassName="fast", claimRef=reserved))
        for one in (claim, a_claim(storageClassName="fast")):
            await stage["PersistentVolumeClaim"].create(one)
        await stage.settle(1)
        assert stage.phases("PersistentVolumeClaim") == {"data": "Pending", "kept": "Bound"}
        await stage["Pod"].create(uses("user", "data"))
        await stage.settle(1)
        assert stage.said("WaitForPodScheduled") == ["waiting for pod user to be scheduled"]
        chosen = {"volume.kubernetes.io/selected-node": "n1"}
        await stage["PersistentVolumeClaim"].change(DATA, lambda now: now.with_meta(annotations=chosen))
        await stage.settle(1)
        assert stage.phases("PersistentVolumeClaim") == {"data": "Bound", "kept": "Bound"}

    run(main())


def test_a_pods_own_claims_are_made_with_it_and_not_taken_from_others():
    async def main():
        stage = Storage()
        await stage.rooms()
        await ensure_class(stage["StorageClass"])
        template = {"metadata": {"labels": {"a": "b"}}, "spec": a_claim().spec}
        volumes = [{"name": "cache", "ephemeral": {"volumeClaimTemplate": template}}]
        await stage["PersistentVolumeClaim"].create(a_claim("two-cache"))
        for name in ("one", "two"):
            await stage["Pod"].create(a_pod(name, volumes=volumes))
        await stage.settle(1)
        claim = stage["PersistentVolumeClaim"].get(Key("default", "one-cache"))
        assert [(owner.kind, owner.name) for owner in claim.meta.owners] == [("Pod", "one")]
        assert (claim.meta.labels, claim.status["phase"]) == ({"a": "b"}, "Bound")
        assert stage.said("EphemeralVolumeCreate") == [
            "PVC default/two-cache was not created for pod default/two (pod is not owner)"
        ]

    run(main())


def test_directories_of_which_nobody_knows_are_swept_away_at_start():
    async def main():
        stage = Storage()
        await stage.rooms()
        claim = await stage["PersistentVolumeClaim"].create(a_claim())
        kept = {f"pvc-{claim.meta.uid}", "disk"}
        await stage["PersistentVolume"].create(a_volume())
        stage.shelf.names = kept | {"pvc-gone"}
        await sweep(stage["PersistentVolume"], stage["PersistentVolumeClaim"], stage.shelf)
        assert stage.shelf.names == kept

    run(main())


@pytest.mark.parametrize(
    ("claim", "cls", "said"),
    [
        pytest.param(a_claim(), a_class(), "", id="a plain one"),
        pytest.param(a_claim(selector={}), a_class(), "", id="a selector that selects nothing"),
        pytest.param(a_claim(selector={"matchLabels": {"a": "b"}}), a_class(), "claim Selector is not supported", id="a selector"),
        pytest.param(a_claim(volumeAttributesClassName="gold"), a_class(), "VolumeAttributesClass gold: this provisioner knows no attributes of volumes", id="attributes"),
        pytest.param(a_claim(), a_class(mountOptions=["ro", "noatime"]), "", id="mount options"),
        pytest.param(a_claim(), a_class(mountOptions=["ro", "debug"]), "mount options of directories do not include debug", id="mount options of file systems"),
    ],
)  # fmt: skip
def test_what_is_not_made(claim, cls, said):
    assert refused(claim, cls) == said


def test_a_volume_is_made_where_and_as_its_class_says():
    within = [{"matchLabelExpressions": [{"key": "zone", "values": ["a", "b"]}]}]
    cls = a_class(mountOptions=["noatime"], allowedTopologies=within)
    spec = new_volume(a_claim(), cls, "/x").spec
    (term,) = spec["nodeAffinity"]["required"]["nodeSelectorTerms"]
    assert term == {"matchExpressions": [{"key": "zone", "operator": "In", "values": ["a", "b"]}]}
    assert spec["mountOptions"] == ["noatime"]


def block(name="data", size="1Gi", **spec):
    return a_claim(name, size, volumeMode="Block", **spec)


SOURCE = {"kind": "PersistentVolumeClaim", "name": "data"}


def test_a_block_volume_is_a_file_that_grows_with_its_claim():
    async def main():
        stage = Storage()
        await stage.rooms()
        await ensure_class(stage["StorageClass"])
        await stage["PersistentVolumeClaim"].create(block())
        await stage.settle(1)
        (volume,) = stage["PersistentVolume"].list()
        assert (volume.spec["hostPath"]["type"], volume.spec["volumeMode"]) == ("File", "Block")
        assert stage.shelf.sizes == {volume.meta.name: 2**30}
        stage.shelf.broken = "no space left"
        more = {"requests": {"storage": "2Gi"}}
        await stage["PersistentVolumeClaim"].change(DATA, lambda now: now.with_spec(resources=more))
        await stage.settle(1)
        status = stage["PersistentVolumeClaim"].get(DATA).status
        assert [one["type"] for one in status["conditions"]] == ["Resizing"]
        assert (status["capacity"], status["allocatedResources"]) == ({"storage": "1Gi"}, {"storage": "2Gi"})
        assert status["allocatedResourceStatuses"] == {"storage": "ControllerResizeInProgress"}
        assert "no space left" in stage.said("VolumeResizeFailed")[0]
        stage.shelf.broken = ""
        await stage.settle(60)
        status = stage["PersistentVolumeClaim"].get(DATA).status
        assert (status["capacity"], "conditions" in status) == ({"storage": "2Gi"}, False)
        assert "allocatedResourceStatuses" not in status
        assert stage.shelf.sizes == {volume.meta.name: 2**31}
        assert stage["PersistentVolume"].get(volume.key).spec["capacity"] == {"storage": "2Gi"}

    run(main())


def test_a_claim_of_a_volume_made_by_hand_waits_for_others_to_grow_it():
    async def main():
        stage = Storage()
        await stage.rooms()
        await stage["StorageClass"].create(a_class(allowVolumeExpansion=True))
        await stage["PersistentVolume"].create(a_volume(storageClassName="fast"))
        await stage["PersistentVolumeClaim"].create(a_claim(storageClassName="fast"))
        await stage.settle(1)
        more = {"requests": {"storage": "2Gi"}}
        await stage["PersistentVolumeClaim"].change(DATA, lambda now: now.with_spec(resources=more))
        await stage.settle(1)
        assert stage.said("ExternalExpanding") == ["waiting for an external controller to expand this PVC"]
        assert stage["PersistentVolumeClaim"].get(DATA).status["capacity"] == {"storage": "1Gi"}

    run(main())


@pytest.mark.parametrize("made", [a_claim, block], ids=["of files", "of blocks"])
def test_a_copy_waits_for_its_original_and_is_made_once(made):
    async def main():
        stage = Storage()
        await stage.rooms()
        await ensure_class(stage["StorageClass"])
        await stage["PersistentVolumeClaim"].create(made("copy", size="2Gi", dataSource=SOURCE))
        await stage.settle(1)
        assert stage.phases("PersistentVolumeClaim") == {"copy": "Pending"}
        assert stage.said("ProvisioningFailed")[0].endswith('persistentvolumeclaims "data" not found')
        await stage["PersistentVolumeClaim"].create(made())
        await stage.settle(1)
        names = {one.meta.name: one.spec["volumeName"] for one in stage["PersistentVolumeClaim"].list()}
        assert stage.shelf.copies == {names["copy"]: f"/shelf/{names['data']}"}
        if made is block:
            assert stage.shelf.sizes[names["copy"]] == 2**31

    run(main())


def test_what_comes_from_nobody_known_stays_pending():
    async def main():
        stage = Storage()
        await stage.rooms()
        await ensure_class(stage["StorageClass"])
        backup = {"apiGroup": "example.com", "kind": "Backup", "name": "a"}
        await stage["PersistentVolumeClaim"].create(a_claim(dataSourceRef=backup))
        await stage.settle(1)
        assert stage.phases("PersistentVolumeClaim") == {"data": "Pending"}
        assert len(stage.said("UnrecognizedDataSourceKind")) == 1

    run(main())


def test_a_path_of_the_host_is_emptied_and_free_again_or_removed_as_it_says():
    async def main():
        stage = Storage()
        await stage.rooms()
        recycled = {"persistentVolumeReclaimPolicy": "Recycle"}
        deleted = {"persistentVolumeReclaimPolicy": "Delete", "hostPath": {"path": "/tmp/a"}}
        await stage["PersistentVolume"].create(a_volume("again", modes=["ReadWriteMany"], **recycled))
        await stage["PersistentVolume"].create(a_volume("once", **deleted))
        for claim in (
            a_claim("one", storageClassName=""),
            a_claim("two", modes=["ReadWriteMany"], storageClassName=""),
        ):
            await stage["PersistentVolumeClaim"].create(claim)
        await stage.settle(1)
        assert stage.phases("PersistentVolume") == {"again": "Bound", "once": "Bound"}
        for name in ("one", "two"):
            await stage["PersistentVolumeClaim"].delete(Key("default", name))
        await stage.settle(1)
        assert stage.phases("PersistentVolume") == {"again": "Available"}
        assert (stage.shelf.scrubbed, stage.shelf.removed) == (["/x"], ["/tmp/a"])
        assert stage.said("VolumeRecycled") == ["Volume recycled"]
        assert not stage["PersistentVolume"].get(Key("", "again")).spec.get("claimRef")

    run(main())


def test_every_node_has_a_list_of_its_drivers():
    async def main():
        stage = Storage()
        await stage.rooms()
        node = await stage["Node"].create(a_node())
        await stage.settle(1)
        (made,) = stage["CSINode"].list()
        assert (made.meta.name, made.spec, made.meta.owners[0].uid) == ("n1", {"drivers": []}, node.meta.uid)
        await stage["CSINode"].delete(made.key)
        await stage.settle(1)
        assert [one.meta.name for one in stage["CSINode"].list()] == ["n1"]

    run(main())
