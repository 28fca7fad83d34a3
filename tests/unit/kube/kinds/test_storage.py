"""Volumes, claims, classes and what drivers say of themselves: what is filled in, refused and kept."""

from __future__ import annotations

import pytest

from coracle.core.object import Meta, Object
from coracle.kube.kinds import (
    csidriver,
    csinode,
    csistoragecapacity,
    persistentvolume,
    persistentvolumeclaim,
    storageclass,
    volumeattachment,
    volumeattributesclass,
)
from coracle.kube.kinds.podspec import volumes
from coracle.kube.kinds.storagerules import default_class
from coracle.kube.kinds.warnings import warnings

GIB = {"storage": "1Gi"}
NOT_A_NAME = "a lowercase RFC 1123 subdomain must consist of"


def claim(**spec):
    return {"spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": GIB}, **spec}}


def made(kind, body):
    return kind.default(Object(kind.name, Meta(name="x"), body, kind.api))


def problems(kind, body):
    return {problem.field: problem.text for problem in kind.validate(made(kind, body))}


def said(found, field, text):
    assert field in found, found
    assert text in found[field]


# -- PersistentVolume --------------------------------------------------------------------------------------------------


def volume(source, **more):
    return {"spec": {"accessModes": ["ReadWriteOnce"], "capacity": GIB, **source, **more}}


IQN = "iqn.2026-01.org.example:disk"


@pytest.mark.parametrize(
    ("source", "field", "text"),
    [
        ({"nfs": {"path": "data"}}, "spec.nfs.server", "Required value"),
        ({"nfs": {"server": "a", "path": "data"}}, "spec.nfs.path", "must be an absolute path"),
        ({"csi": {"driver": "a_b", "volumeHandle": "x"}}, "spec.csi.driver", NOT_A_NAME),
        ({"csi": {"driver": "a" * 64, "volumeHandle": "x"}}, "spec.csi.driver", "may not be more than 63 bytes"),
        ({"csi": {"driver": "a"}}, "spec.csi.volumeHandle", "Required value"),
        ({"csi": {"driver": "a", "volumeHandle": "b", "nodePublishSecretRef": {"name": "c"}}}, "spec.csi.nodePublishSecretRef.namespace", "Required value"),
        ({"iscsi": {"targetPortal": "a", "iqn": "disk", "lun": 0}}, "spec.iscsi.iqn", "must be valid format starting with iqn, eui, or naa"),
        ({"iscsi": {"targetPortal": "a", "iqn": IQN, "lun": 256}}, "spec.iscsi.lun", "must be between 0 and 255, inclusive"),
        ({"iscsi": {"targetPortal": "a", "iqn": IQN, "lun": 0, "chapAuthSession": True}}, "spec.iscsi.secretRef", "Required value"),
        ({"fc": {}}, "spec.fc.targetWWNs", "must specify either targetWWNs or wwids, but not both"),
        ({"fc": {"targetWWNs": ["a"]}}, "spec.fc.lun", "lun is required if targetWWNs is specified"),
        ({"rbd": {"monitors": ["a"]}}, "spec.rbd.image", "Required value"),
        ({"flexVolume": {"driver": "a", "options": {"x.kubernetes.io/y": "z"}}}, "spec.flexVolume.options[x.kubernetes.io/y]", "are reserved"),
        ({"hostPath": {"path": "/a"}, "nfs": {"server": "a", "path": "/"}}, "spec.nfs", "may not specify more than 1 volume type"),
        ({"local": {"path": "/a"}}, "spec.nodeAffinity", "Local volume requires node affinity"),
        ({"local": {"path": "/a"}, "nodeAffinity": {}}, "spec.nodeAffinity.required", "must specify required node constraints"),
        ({"local": {"path": "/a"}, "nodeAffinity": {"required": {}}}, "spec.nodeAffinity.required", "must specify required node constraints"),
        ({"local": {"path": "/a"}, "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [{"key": "a", "operator": "In"}]}]}}}, "spec.nodeAffinity.required.nodeSelectorTerms[0].matchExpressions[0].values", "Required value"),
        ({"hostPath": {"path": "/"}, "persistentVolumeReclaimPolicy": "Recycle"}, "spec.persistentVolumeReclaimPolicy", "may not be 'recycle' for a hostPath mount of '/'"),
        ({"hostPath": {"path": "/a"}, "volumeAttributesClassName": "gold"}, "spec.csi", "has to be specified when using volumeAttributesClassName"),
        ({}, "spec", "must specify a volume type"),
    ],
)  # fmt: skip
def test_what_a_volume_may_not_say(source, field, text):
    said(problems(persistentvolume.KIND, volume(source)), field, text)


def test_sources_say_what_they_leave_out():
    shown = made(persistentvolume.KIND, volume({"iscsi": {"targetPortal": "a", "iqn": IQN, "lun": 0}})).spec
    assert shown["iscsi"]["iscsiInterface"] == "default"
    assert (shown["persistentVolumeReclaimPolicy"], shown["volumeMode"]) == ("Retain", "Filesystem")


CSI = {"driver": "a.example", "volumeHandle": "b"}
SECRET = {"name": "s", "namespace": "n"}


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        pytest.param({"csi": CSI}, {"csi": {**CSI, "volumeHandle": "c"}}, "spec.persistentvolumesource", id="its source"),
        pytest.param({"csi": CSI}, {"csi": {**CSI, "controllerExpandSecretRef": SECRET}}, "", id="a secret to grow with is added"),
        pytest.param({"csi": {**CSI, "controllerExpandSecretRef": SECRET}}, {"csi": CSI}, "spec.persistentvolumesource", id="that secret goes again"),
        pytest.param({"csi": CSI}, {"csi": CSI, "volumeMode": "Block"}, "volumeMode", id="its mode"),
        pytest.param({"csi": CSI, "nodeAffinity": {"required": {}}}, {"csi": CSI}, "nodeAffinity", id="where it is"),
        pytest.param({"csi": CSI}, {"csi": CSI, "nodeAffinity": {"required": {}}}, "", id="where it is, said late"),
        pytest.param({"csi": CSI, "volumeAttributesClassName": "a"}, {"csi": CSI}, "spec.volumeAttributesClassName", id="its attributes go"),
        pytest.param({"csi": CSI}, {"csi": CSI, "persistentVolumeReclaimPolicy": "Delete"}, "", id="its policy"),
    ],
)  # fmt: skip
def test_what_of_a_volume_stays(old, new, field):
    kind = persistentvolume.KIND
    found = kind.validate_change(made(kind, volume(new)), made(kind, volume(old)), "main")
    assert [problem.field for problem in found] == ([field] if field else [])


@pytest.mark.parametrize(
    ("source", "field", "text"),
    [
        ({"nfs": {}}, "v[0].nfs.server", "Required value"),
        ({"csi": {}}, "v[0].csi.driver", NOT_A_NAME),
        ({"gitRepo": {"repository": "a", "directory": "../b"}}, "v[0].gitRepo.directory", "must not contain '..'"),
        ({"cephfs": {}}, "v[0].cephfs.monitors", "Required value"),
        ({"ephemeral": {"volumeClaimTemplate": {"metadata": {"name": "b"}, **claim()}}}, "v[0].ephemeral.volumeClaimTemplate.metadata.name", "Forbidden: cannot be set"),
        ({"flocker": {}}, "v[0].flocker", "one of datasetName and datasetUUID is required"),
        ({"gcePersistentDisk": {"pdName": "a", "partition": 256}}, "v[0].gcePersistentDisk.partition", "must be an integer between 0 and 255"),
        ({"storageos": {"volumeName": "A"}}, "v[0].storageos.volumeName", "a lowercase RFC 1123 label"),
    ],
)  # fmt: skip
def test_what_a_pods_volume_from_elsewhere_may_not_say(source, field, text):
    found = {problem.field: problem.text for problem in volumes.problems("v", [{"name": "a", **source}])}
    said(found, field, text)


CLAIMED = [{"name": "raw", "persistentVolumeClaim": {"claimName": "a"}}, {"name": "dir", "emptyDir": {}}]


@pytest.mark.parametrize(
    ("devices", "mounted", "field", "text"),
    [
        ([{"devicePath": "/d"}], [], "d[0].name", "Required value"),
        ([{"name": "raw"}], [], "d[0].devicePath", "Required value"),
        ([{"name": "nobody", "devicePath": "/d"}], [], "d[0].name", "Not found"),
        ([{"name": "dir", "devicePath": "/d"}], [], "d[0].name", "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode"),
        ([{"name": "raw", "devicePath": "/d/../e"}], [], "d[0].devicePath", "can not contain backsteps ('..')"),
        ([{"name": "raw", "devicePath": "/d"}, {"name": "raw", "devicePath": "/e"}], [], "d[1].name", "must be unique"),
        ([{"name": "raw", "devicePath": "/d"}, {"name": "raw", "devicePath": "/d"}], [], "d[1].devicePath", "must be unique"),
        ([{"name": "raw", "devicePath": "/d"}], [{"name": "raw", "mountPath": "/e"}], "d[0].name", "must not already exist in volumeMounts"),
        ([{"name": "raw", "devicePath": "/d"}], [{"name": "dir", "mountPath": "/d"}], "d[0].devicePath", "must not already exist as a path in volumeMounts"),
    ],
)  # fmt: skip
def test_what_a_containers_devices_may_not_say(devices, mounted, field, text):
    found = volumes.devices("d", {"volumeDevices": devices, "volumeMounts": mounted}, CLAIMED)
    assert any(problem.field == field and text in problem.text for problem in found), found


# -- PersistentVolumeClaim ---------------------------------------------------------------------------------------------


OTHER = {"kind": "PersistentVolumeClaim", "name": "a"}
SNAPSHOT = {"apiGroup": "snapshot.storage.k8s.io", "kind": "VolumeSnapshot", "name": "a"}
OWN = {"apiGroup": "example.com", "kind": "Backup", "name": "a"}


@pytest.mark.parametrize(
    ("given", "old", "new"),
    [
        pytest.param({"dataSource": OTHER}, OTHER, OTHER, id="a claim"),
        pytest.param({"dataSourceRef": SNAPSHOT}, SNAPSHOT, SNAPSHOT, id="a snapshot, in the newer field"),
        pytest.param({"dataSource": OWN}, None, None, id="the older field knows nothing else"),
        pytest.param({"dataSourceRef": OWN}, OWN, OWN, id="the newer one does"),
        pytest.param({"dataSourceRef": {**OTHER, "namespace": "b"}}, OTHER, OTHER, id="other namespaces are closed"),
        pytest.param({}, None, None, id="from nothing"),
    ],
)
def test_where_a_claims_data_comes_from_is_said_twice(given, old, new):
    spec = made(persistentvolumeclaim.KIND, claim(**given)).spec
    assert (spec.get("dataSource"), spec.get("dataSourceRef")) == (old, new)


@pytest.mark.parametrize(
    ("spec", "field", "text"),
    [
        ({"dataSource": {"kind": "PersistentVolumeClaim"}}, "spec.dataSource.name", "Required value"),
        ({"dataSourceRef": {"kind": "Backup", "name": "a"}}, "spec.dataSourceRef", "must be 'PersistentVolumeClaim' when referencing the default apiGroup"),
        ({"dataSourceRef": {**OWN, "apiGroup": "a_b"}}, "spec.dataSourceRef.apiGroup", NOT_A_NAME),
        ({"dataSource": OTHER, "dataSourceRef": OWN}, "spec", "must match dataSourceRef"),
        ({"volumeAttributesClassName": "A"}, "spec.volumeAttributesClassName", NOT_A_NAME),
        ({"resources": {}}, "spec.resources[storage]", "Required value"),
        ({"accessModes": []}, "spec.accessModes", "at least 1 access mode is required"),
    ],
)  # fmt: skip
def test_what_a_claim_may_not_ask(spec, field, text):
    said(problems(persistentvolumeclaim.KIND, claim(**spec)), field, text)


@pytest.mark.parametrize(
    ("old", "new", "fields"),
    [
        pytest.param({}, {"volumeAttributesClassName": "a"}, [], id="attributes are asked for late"),
        pytest.param({"volumeAttributesClassName": "a"}, {"volumeAttributesClassName": "b"}, [], id="other attributes"),
        pytest.param({"volumeAttributesClassName": "a"}, {}, ["spec.volumeAttributesClassName"], id="attributes go"),
        pytest.param({}, {"resources": {"requests": {"storage": "2Gi"}}}, ["spec"], id="more, before it has anything"),
        pytest.param({"storageClassName": "a"}, {"storageClassName": "b"}, ["spec"], id="another class"),
    ],
)
def test_what_of_a_claim_stays(old, new, fields):
    kind = persistentvolumeclaim.KIND
    found = kind.validate_change(made(kind, claim(**new)), made(kind, claim(**old)), "main")
    assert [problem.field for problem in found] == fields


# -- classes -----------------------------------------------------------------------------------------------------------


def topology(*needs):
    return {"matchLabelExpressions": [{"key": key, "values": values} for key, values in needs]}


@pytest.mark.parametrize(
    ("body", "field", "text"),
    [
        ({}, "provisioner", "Required value"),
        ({"provisioner": "a/b/c"}, "provisioner", "Invalid value"),
        ({"parameters": {str(number): "" for number in range(513)}}, "parameters", "may not be more than 512 bytes"),
        ({"parameters": {"a": "x" * 262144}}, "parameters", "may not be more than 262144 bytes"),
        ({"reclaimPolicy": "Recycle"}, "reclaimPolicy", 'supported values: "Delete", "Retain"'),
        ({"volumeBindingMode": "Later"}, "volumeBindingMode", 'supported values: "Immediate", "WaitForFirstConsumer"'),
        ({"allowedTopologies": [topology(("zone", []))]}, "allowedTopologies[0].matchLabelExpressions[0].values", "Required value"),
        ({"allowedTopologies": [topology(("zone", ["a", "a"]))]}, "allowedTopologies[0].matchLabelExpressions[0].values[1]", "Duplicate value"),
        ({"allowedTopologies": [topology(("zone", ["a"]), ("zone", ["b"]))]}, "allowedTopologies[0].matchLabelExpressions[1].key", "Duplicate value"),
        ({"allowedTopologies": [topology(("z", ["a", "b"])), topology(("z", ["b", "a"]))]}, "allowedTopologies[1].matchLabelExpressions", "Duplicate value"),
    ],
)  # fmt: skip
def test_what_a_storage_class_may_not_say(body, field, text):
    said(problems(storageclass.KIND, {"provisioner": "a", **body} if body else {}), field, text)


@pytest.mark.parametrize(
    ("body", "field", "text"),
    [
        ({"parameters": {"a": "b"}}, "driverName", "Required value"),
        ({"driverName": "a"}, "parameters", "must contain at least one key/value pair"),
        ({"driverName": "a b", "parameters": {"a": "b"}}, "driverName", "Invalid value"),
    ],
)
def test_what_a_class_of_attributes_may_not_say(body, field, text):
    said(problems(volumeattributesclass.KIND, body), field, text)


def test_a_class_of_attributes_stays_as_it_is():
    old, new = ({"driverName": name, "parameters": {"a": name}} for name in "ab")
    kind = volumeattributesclass.KIND
    found = kind.validate_change(made(kind, new), made(kind, old), "main")
    assert [str(problem.text) for problem in found] == [
        "Forbidden: updates to driverName are forbidden.",
        "Forbidden: updates to parameters are forbidden.",
    ]


# -- drivers -----------------------------------------------------------------------------------------------------------


def test_a_driver_says_what_it_leaves_out():
    assert made(csidriver.KIND, {"spec": {"attachRequired": False}}).spec == {
        "attachRequired": False,
        "fsGroupPolicy": "ReadWriteOnceWithFSType",
        "podInfoOnMount": False,
        "requiresRepublish": False,
        "seLinuxMount": False,
        "storageCapacity": False,
        "volumeLifecycleModes": ["Persistent"],
    }


@pytest.mark.parametrize(
    ("spec", "field", "text"),
    [
        ({"fsGroupPolicy": "Never"}, "spec.fsGroupPolicy", 'supported values: "File", "None", "ReadWriteOnceWithFSType"'),
        ({"volumeLifecycleModes": ["Always"]}, "spec.volumeLifecycleModes", "Unsupported value"),
        ({"tokenRequests": [{"audience": "a"}, {"audience": "a"}]}, "spec.tokenRequests[1].audience", "Duplicate value"),
        ({"tokenRequests": [{"audience": "a", "expirationSeconds": 599}]}, "spec.tokenRequests[0].expirationSeconds", "less than 10 minutes"),
        ({"nodeAllocatableUpdatePeriodSeconds": 9}, "spec.nodeAllocatableUpdatePeriodSeconds", "greater than or equal to 10 seconds"),
        ({"serviceAccountTokenInSecrets": True}, "spec.serviceAccountTokenInSecrets", "Forbidden"),
    ],
)  # fmt: skip
def test_what_a_driver_may_not_say(spec, field, text):
    said(problems(csidriver.KIND, {"spec": spec}), field, text)


def test_a_driver_keeps_its_word_on_attaching_and_modes():
    kind = csidriver.KIND
    old, new = {}, {"attachRequired": False, "volumeLifecycleModes": ["Ephemeral"], "podInfoOnMount": True}
    found = kind.validate_change(made(kind, {"spec": new}), made(kind, {"spec": old}), "main")
    assert [problem.field for problem in found] == ["spec.attachedRequired", "spec.volumeLifecycleModes"]


DRIVER = {"name": "a.example", "nodeID": "1"}


@pytest.mark.parametrize(
    ("drivers", "field", "text"),
    [
        ([{**DRIVER, "name": "a_b"}], "spec.drivers[0].name", NOT_A_NAME),
        ([{**DRIVER, "nodeID": ""}], "spec.drivers[0].nodeID", "Required value"),
        ([{**DRIVER, "nodeID": "x" * 257}], "spec.drivers[0].nodeID", "must be 256 characters or less"),
        ([{**DRIVER, "allocatable": {"count": -1}}], "spec.drivers[0].allocatable.count", "greater than or equal to 0"),
        ([{**DRIVER, "topologyKeys": ["a", "a"]}], "spec.drivers[0]", "Duplicate value"),
        ([DRIVER, DRIVER], "spec.drivers[1].name", "Duplicate value"),
    ],
)
def test_what_a_node_may_not_say_of_its_drivers(drivers, field, text):
    said(problems(csinode.KIND, {"spec": {"drivers": drivers}}), field, text)


@pytest.mark.parametrize(
    ("new", "wrong"),
    [
        pytest.param([{**DRIVER, "allocatable": {"count": 3}}], 0, id="how many volumes it takes may change"),
        pytest.param([{**DRIVER, "nodeID": "2"}], 1, id="what it calls the node may not"),
        pytest.param([DRIVER, {**DRIVER, "name": "b.example"}], 0, id="another comes"),
        pytest.param([], 0, id="it goes"),
    ],
)
def test_what_of_a_nodes_drivers_stays(new, wrong):
    kind = csinode.KIND
    old = made(kind, {"spec": {"drivers": [DRIVER]}})
    assert len(kind.validate_change(made(kind, {"spec": {"drivers": new}}), old, "main")) == wrong


@pytest.mark.parametrize(
    ("body", "field", "text"),
    [
        ({}, "storageClassName", NOT_A_NAME),
        ({"storageClassName": "a", "capacity": "-1"}, "capacity", "must be greater than or equal to 0"),
        ({"storageClassName": "a", "nodeTopology": {"matchLabels": {"a b": "c"}}}, "nodeTopology.matchLabels", "Invalid value"),
    ],
)  # fmt: skip
def test_what_a_capacity_may_not_say(body, field, text):
    said(problems(csistoragecapacity.KIND, body), field, text)


def attachment(**source):
    return {"spec": {"attacher": "a.example", "nodeName": "n", "source": source}}


INLINE = {"accessModes": ["ReadWriteOnce"], "csi": CSI}


@pytest.mark.parametrize(
    ("body", "field", "text"),
    [
        (attachment(), "spec.source", "must specify exactly one of inlineVolumeSpec and persistentVolumeName"),
        (attachment(persistentVolumeName="a", inlineVolumeSpec=INLINE), "spec.source", "must specify exactly one"),
        (attachment(persistentVolumeName=""), "spec.source.persistentVolumeName", "must specify non empty"),
        (attachment(inlineVolumeSpec={**INLINE, "capacity": GIB}), "spec.source.inlineVolumeSpec.capacity", "in the context of inline volumes"),
        (attachment(inlineVolumeSpec={"accessModes": ["ReadWriteOnce"], "nfs": {"server": "a", "path": "/"}}), "spec.source.inlineVolumeSpec.csi", "has to be specified"),
        ({"spec": {"source": {"persistentVolumeName": "a"}}}, "spec.attacher", "Required value"),
    ],
)  # fmt: skip
def test_what_an_attachment_may_not_say(body, field, text):
    kind = volumeattachment.KIND
    found = kind.validate(Object(kind.name, Meta(name="x"), body, kind.api))
    assert any(problem.field == field and text in problem.text for problem in found), found


def test_an_attachment_stays_and_its_errors_are_short():
    kind = volumeattachment.KIND
    old, new = (Object(kind.name, Meta(name="x"), attachment(persistentVolumeName=name), kind.api) for name in "ab")
    assert [problem.field for problem in kind.validate_change(new, old, "main")] == ["spec"]
    long = old.with_body(status={"attached": False, "attachError": {"message": "x" * 1025}})
    assert [problem.field for problem in kind.validate(long)] == ["status.attachError.message"]


# -- warnings ----------------------------------------------------------------------------------------------------------

OLD_ZONE = "failure-domain.beta.kubernetes.io/zone"
OLD = f'{OLD_ZONE} is deprecated since v1.17; use "topology.kubernetes.io/zone" instead'
IN_OLD_ZONE = {"nodeSelectorTerms": [{"matchExpressions": [{"key": OLD_ZONE, "operator": "Exists"}]}]}


@pytest.mark.parametrize(
    ("kind", "body", "annotations", "said"),
    [
        (persistentvolume.KIND, volume({"hostPath": {"path": "/a"}}), {}, []),
        (persistentvolume.KIND, volume({"hostPath": {"path": "/a"}}, persistentVolumeReclaimPolicy="Recycle"), {}, ["spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the recommended approach is to use dynamic provisioning."]),
        (persistentvolume.KIND, volume({"cephfs": {"monitors": ["a"]}}), {}, ["spec.cephfs: deprecated in v1.28, non-functional in v1.31+"]),
        (persistentvolume.KIND, volume({"csi": CSI}, nodeAffinity={"required": IN_OLD_ZONE}), {}, [f"spec.nodeAffinity.required.nodeSelectorTerms[0].matchExpressions[0].key: {OLD}"]),
        (persistentvolume.KIND, volume({"csi": CSI}), {"volume.beta.kubernetes.io/mount-options": "ro"}, ['metadata.annotations[volume.beta.kubernetes.io/mount-options]: deprecated since v1.31; use "mountOptions" attribute instead']),
        (persistentvolumeclaim.KIND, claim(), {"volume.beta.kubernetes.io/storage-class": "a"}, ['metadata.annotations[volume.beta.kubernetes.io/storage-class]: deprecated since v1.8; use "storageClassName" attribute instead']),
        (persistentvolumeclaim.KIND, claim(resources={"requests": {"storage": "500m"}}), {}, ['spec.resources.requests[storage]: fractional byte value "500m" is invalid, must be an integer']),
        (storageclass.KIND, {"allowedTopologies": [topology((OLD_ZONE, ["a"]))]}, {}, [f"allowedTopologies[0].matchLabelExpressions[0].key: {OLD}"]),
        (csistoragecapacity.KIND, {"nodeTopology": IN_OLD_ZONE["nodeSelectorTerms"][0]}, {}, [f"nodeTopology.matchExpressions[0].key: {OLD}"]),
    ],
)  # fmt: skip
def test_what_is_warned_of(kind, body, annotations, said):
    assert warnings(made(kind, body).with_meta(annotations=annotations)) == said


@pytest.mark.parametrize(
    "name", ["storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"]
)
def test_the_default_class_is_marked_in_two_ways(name):
    plain, marked = (
        made(storageclass.KIND, {"provisioner": "a"}).with_meta(annotations=notes) for notes in ({}, {name: "true"})
    )
    assert (default_class([plain]), default_class([plain, marked])) == (None, marked)
    assert storageclass.KIND.columns[0].cell(marked, 0.0) == "x (default)"
