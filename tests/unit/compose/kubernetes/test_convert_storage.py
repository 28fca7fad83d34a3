"""Volumes, configs and secrets."""

import base64

import pytest

from coracle.compose.kubernetes import text
from coracle.core.errors import CloudError

TOP = "volumes: {v: {}, b: {driver_opts: {type: none, o: bind, device: /h}}, e: {external: true, name: theirs}, s: {name: own}}\n"


@pytest.mark.parametrize(
    ("text", "volume", "mount"),
    [
        ("volumes: ['v:/d:ro']", {"name": "v", "persistentVolumeClaim": {"claimName": "v"}}, {"readOnly": True}),
        ("volumes: ['s:/d']", {"name": "s", "persistentVolumeClaim": {"claimName": "own"}}, {}),
        ("volumes: ['e:/d']", {"name": "e", "persistentVolumeClaim": {"claimName": "theirs"}}, {}),
        ("volumes: ['b:/d']", {"name": "b", "hostPath": {"path": "/h", "type": "Directory"}}, {}),
        ("volumes: ['./x:/d']", {"name": "d", "hostPath": {"path": "/p/x", "type": "DirectoryOrCreate"}}, {}),
        ("volumes: ['./d.sock:/d']", {"name": "d", "hostPath": {"path": "/p/d.sock"}}, {}),
        ("volumes: ['./f:/d']", {"name": "d", "hostPath": {"path": "/p/f", "type": "File"}}, {}),
        (
            "volumes: [{type: bind, source: ./x, target: /d, bind: {create_host_path: false, propagation: rshared}}]\nprivileged: true",
            {"name": "d", "hostPath": {"path": "/p/x", "type": "Directory"}},
            {"mountPropagation": "Bidirectional"},
        ),
        (
            "volumes: [{type: bind, source: ./x, target: /d, bind: {propagation: shared}}]",
            {"name": "d", "hostPath": {"path": "/p/x", "type": "DirectoryOrCreate"}},
            {"mountPropagation": "HostToContainer"},
        ),
        ("volumes: [/d]", {"name": "d", "emptyDir": {}}, {}),
        ("tmpfs: '/d:size=64m'", {"name": "d", "emptyDir": {"medium": "Memory", "sizeLimit": "64Mi"}}, {}),
        (
            "volumes: [{type: volume, source: v, target: /d, volume: {subpath: x}}]",
            {"name": "v", "persistentVolumeClaim": {"claimName": "v"}},
            {"subPath": "x"},
        ),
        (
            "volumes: [{type: image, source: i, target: /d}]",
            {"name": "d", "image": {"reference": "i", "pullPolicy": "IfNotPresent"}},
            {},
        ),
    ],
)
def test_a_mount_becomes(service, text, volume, mount):
    made = service(text, TOP, files={"/p/f": "x", "/p/d.sock": ""})
    assert made.pod()["volumes"] == [volume]
    assert made.container()["volumeMounts"] == [{"name": volume["name"], "mountPath": "/d", **mount}]


def test_shared_memory_is_a_volume_of_memory(service):
    made = service("shm_size: 128m")
    assert made.pod()["volumes"] == [{"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "128Mi"}}]
    assert made.container()["volumeMounts"] == [{"name": "shm", "mountPath": "/dev/shm"}]


def test_named_volumes_are_claims_unless_they_are_somewhere_already(service):
    made = service("volumes: ['v:/1', 'b:/2', 'e:/3', 's:/4']", TOP, volume_size="5Gi")
    claims = [name for name in made.names if "Claim" in name]
    assert claims == ["PersistentVolumeClaim own", "PersistentVolumeClaim v"]
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "5Gi"}}}
    assert made.get("PersistentVolumeClaim", "v")["spec"] == spec


def test_a_file_server_and_memory_are_no_claims(service):
    more = "volumes: {n: {driver_opts: {type: nfs, o: 'addr=h,rw', device: ':/x'}}, m: {driver_opts: {type: tmpfs, o: size=1m}}}\n"
    volumes = service("volumes: ['n:/n', 'm:/m']", more).pod()["volumes"]
    assert volumes == [
        {"name": "n", "nfs": {"server": "h", "path": "/x"}},
        {"name": "m", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}},
    ]


def test_a_volume_of_several_pods_is_warned_of(converted):
    made = converted("services: {a: {image: x, volumes: ['v:/d']}, b: {image: x, volumes_from: [a]}}\nvolumes: {v: }")
    assert made.container("b")["volumeMounts"] == [{"name": "v", "mountPath": "/d"}]
    made = converted("services: {a: {image: x, volumes: ['v:/d']}, b: {image: x, volumes: ['v:/e']}}\nvolumes: {v: }")
    assert any("volumes.v: several pods share it (a, b)" in said for said in made.warnings)


FILES = (
    "services: {a: {image: x, configs: [c, {source: f, target: /etc/f.conf, mode: 0400}], secrets: [{source: s, target: pw}]}}\n"
    "configs: {c: {content: 'one\n\n  two'}, f: {file: ./f}}\n"
    "secrets: {s: {environment: PW}}\n"
)


def test_configs_and_secrets_are_single_files(converted):
    made = converted(FILES, files={"/p/f": "text"}, environment={"PW": "p$w"})
    assert made.get("ConfigMap", "f")["data"] == {"f": "text"}
    assert made.get("Secret", "s")["data"] == {"s": base64.b64encode(b"p$w").decode()}
    assert [(one["mountPath"], one["subPath"]) for one in made.container()["volumeMounts"]] == [
        ("/c", "c"),
        ("/etc/f.conf", "f"),
        ("/run/secrets/pw", "s"),
    ]
    assert [
        volume[kind]["items"][0]["mode"] for volume in made.pod()["volumes"] for kind in volume if kind != "name"
    ] == [
        0o444,
        0o400,
        0o444,
    ]


FILL = """ls -A /volume | grep -qvx 'lost+found' || [ ! -d "$0" ] || cp -a "$0/." /volume"""


def test_new_volumes_can_begin_with_what_the_image_has(service):
    text = "volumes: ['v:/1', /2, 'b:/3', './x:/4', {type: volume, source: s, target: /5, volume: {nocopy: true}}]"
    said = [line for line in service(text, TOP).warnings if "a new volume is empty" in line]
    assert [line.partition("image has in ")[2].split()[0] for line in said] == ["/1", "/2"]
    made = service(text, TOP, fill_volumes=True)
    assert not [line for line in made.warnings if "a new volume is empty" in line]
    first, second = made.pod()["initContainers"]
    assert first == {
        "name": "fill-v",
        "image": "x",
        "imagePullPolicy": "IfNotPresent",
        "command": ["sh", "-c", FILL, "/1"],
        "securityContext": {"runAsUser": 0},
        "volumeMounts": [{"name": "v", "mountPath": "/volume"}],
    }
    assert (second["command"][-1], second["volumeMounts"][0]["name"]) == ("/2", "2")


def test_other_content_makes_new_pods(converted):
    def digest(**given):
        made = converted(FILES, **{"files": {"/p/f": "text"}, "environment": {"PW": "x"}, **given})
        return made.workload()["spec"]["template"]["metadata"]["annotations"]["io.coracle.compose/files"]

    assert digest() == digest()
    assert len({digest(), digest(files={"/p/f": "other"}), digest(environment={"PW": "y"})}) == 3


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"environment": {"PW": "x"}}, "open /p/f: no such file or directory"),
        ({"files": {"/p/f": "x"}}, 'environment variable "PW" required by secret "s" is not set'),
        (
            {"files": {"/p/f": "x" * (1 << 20) + "y"}, "environment": {"PW": "x"}},
            "configs.f: a ConfigMap holds 1 MiB at most",
        ),
    ],
)
def test_content_that_cannot_be_had_is_refused(converted, given, message):
    with pytest.raises(CloudError, match=message.replace(".", r"\.")):
        converted(FILES, **given)


def test_content_that_apply_cannot_note_is_warned_of(converted):
    made = converted(FILES, files={"/p/f": "x" * 300_000}, environment={"PW": "x"})
    assert any("configs.f: is large: `kubectl apply` needs --server-side" in said for said in made.warnings)


@pytest.mark.parametrize(
    "value", ["yes", "on", "1e3", "0x10", "1_0", "12:30:45", "null", "~", "", "0o17", "a: b", "- x", "é\n  x\n"]
)
def test_text_stays_text_for_every_reader_of_yaml(service, value):
    import yaml

    made = service("environment: {A: x}")
    made.container()["env"][0]["value"] = value
    written = text.as_yaml(made.manifests)
    (line,) = [line for line in written.splitlines() if line.lstrip().startswith("value:")] or [""]
    documents = list(yaml.safe_load_all(written))
    assert documents[-1]["spec"]["template"]["spec"]["containers"][0]["env"][0]["value"] == value
    assert line.split("value: ")[1][0] in "\"'|"


def test_json_is_one_list(service):
    import json

    assert [one["kind"] for one in json.loads(text.as_json(service("tty: true").manifests))["items"]] == [
        "Service",
        "Deployment",
    ]
