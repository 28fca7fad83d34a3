"""Storage's loops together, on virtual time."""

from __future__ import annotations

import pytest

from coracle.core.object import Key
from coracle.kube.controllers.storage.provisioning import STANDARD, ensure_class, refused, sweep
from coracle.testing.autojump import run
from coracle.testing.kube import a_pod, place
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
    ("claim", "said"),
    [
        (a_claim(), ""),
        (a_claim(volumeMode="Block"), "block volumes are not supported: ask for volumeMode Filesystem"),
        (a_claim(dataSource={"kind": "VolumeSnapshot"}), "volumes made from a VolumeSnapshot are not supported"),
    ],
)
def test_what_no_directory_can_be(claim, said):
    assert refused(claim) == said
