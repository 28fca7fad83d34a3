"""What the comparison with Compose v2 (tests/contract/test_compose_bodies.py) cannot show: made anew, shared, one-off."""

import io
import tarfile

import pytest

from coracle.compose.create import labels
from coracle.compose.create.attaching import Other
from coracle.compose.create.containers import (
    OneOff,
    Origin,
    container_body,
    container_name,
    joined_services,
    wanted_hash,
)
from coracle.compose.create.files import archive
from coracle.compose.create.networks import network_body
from coracle.compose.create.volumes import volume_body
from coracle.compose.loader import Request, load

OTHERS = {"db": [Other("d" * 64, "demo-db-1"), Other("e" * 64, "demo-db-2")]}


def model_of(web, rest=""):
    text = f"name: demo\nservices:\n  db: {{image: y}}\n  web: {web}\n{rest}"
    return load(Request({}, "/p", files=["compose.yaml"]), lambda path: text).model


def body_of(web, rest="", number=1, replaces="", **options):
    model = model_of(web, rest)
    made = {"image": "x", "image_id": "sha256:1", "hash": "h", "directory": "/p", "files": ["/p/compose.yaml"]}
    return container_body(model, "web", number, Origin(**made, replaces=replaces), **{"others": OTHERS, **options})


def host(web, rest="", **options):
    return body_of(web, rest, **options)["HostConfig"]


OLD = [
    {"Type": "volume", "Name": "a" * 64, "Source": "/v", "Destination": "/anonymous", "RW": True},
    {"Type": "volume", "Name": "b" * 64, "Source": "/v", "Destination": "/image", "RW": True},
    {"Type": "volume", "Name": "demo_data", "Source": "/v", "Destination": "/data", "RW": True},
    {"Type": "bind", "Source": "/src", "Destination": "/gone", "RW": False},
]


@pytest.mark.parametrize(
    ("volumes", "mounts"),
    [
        ("[/anonymous]", {"/anonymous": "a" * 64, "/image": "b" * 64}),
        ("[]", {"/image": "b" * 64}),
        ("[/new]", {"/new": None, "/image": "b" * 64}),
        ("['data:/data', 'data:/image']", {"/data": "demo_data", "/image": "demo_data"}),
    ],
)
def test_anonymous_volumes_go_over(volumes, mounts):
    web = f"{{image: x, volumes: {volumes}}}"
    made = host(web, "volumes: {data: }", inherited=OLD, image_volumes={"/image": {}}, replaces="o" * 64)
    assert {mount["Target"]: mount.get("Source") for mount in made["Mounts"]} == mounts


def test_one_that_replaces_another_says_so():
    assert body_of("{image: x}", replaces="o" * 64)["Labels"][labels.REPLACE] == "o" * 64
    assert labels.REPLACE not in body_of("{image: x}")["Labels"]


@pytest.mark.parametrize(
    ("web", "field", "value"),
    [
        ("{image: x, network_mode: 'service:db'}", "NetworkMode", "container:" + "d" * 64),
        ("{image: x, ipc: 'service:db'}", "IpcMode", "container:" + "d" * 64),
        ("{image: x, pid: 'service:db'}", "PidMode", "container:" + "d" * 64),
        ("{image: x, volumes_from: ['db:ro', 'container:c:rw']}", "VolumesFrom", ["d" * 64 + ":ro", "c:rw"]),
        ("{image: x, cpus: 0.29}", "NanoCpus", 290_000_000),
        ("{image: x, volumes: [{type: image, source: y, target: /i, image: {subpath: a}}]}", "Mounts",
         [{"Type": "image", "Source": "y", "Target": "/i", "ImageOptions": {"Subpath": "a"}}]),
        ("{image: x, volumes: [{type: bind, source: '/a:b', target: /c, bind: {create_host_path: true}}]}", "Mounts",
         [{"Type": "bind", "Source": "/a:b", "Target": "/c", "BindOptions": {"CreateMountpoint": True}}]),
        ("{image: x, volumes: [{type: bind, source: /a, target: /c, bind: {recursive: disabled}}]}", "Mounts",
         [{"Type": "bind", "Source": "/a", "Target": "/c", "BindOptions": {"NonRecursive": True}}]),
        ("{image: x, volumes: [{type: volume, target: /c, volume: {labels: {a: b}}}]}", "Mounts",
         [{"Type": "volume", "Target": "/c", "VolumeOptions": {"Labels": {"a": "b"}}}]),
    ],
)  # fmt: skip
def test_fields(web, field, value):
    assert host(web)[field] == value


def test_links_name_every_container_of_the_other_service():
    made = body_of("{image: x, links: ['db:data']}", number=2)
    names = ("data", "db-2", "demo-db-2")
    links = [f"{container}:{name}" for container in ("demo-db-1", "demo-db-2") for name in names]
    assert made["HostConfig"]["Links"] == links
    assert made["NetworkingConfig"]["EndpointsConfig"]["demo_default"]["Links"] == links


def test_an_interface_has_its_name():
    made = body_of("{image: x, networks: {default: {interface_name: lan0, gw_priority: 5}}}")
    assert made["NetworkingConfig"]["EndpointsConfig"]["demo_default"] == {
        "Aliases": ["demo-web-1", "web"],
        "DriverOpts": {"com.docker.network.endpoint.ifname": "lan0"},
        "GwPriority": 5,
    }


WEB = "{image: x, restart: always, depends_on: [db], stdin_open: true, networks: {default: {aliases: [a]}}}"


@pytest.mark.parametrize(
    ("one_off", "aliases"), [(False, ["demo-web-run-1", "web", "a"]), (True, ["demo-web-run-1", "web", "a"])]
)
def test_a_one_off(one_off, aliases):
    run = OneOff("demo-web-run-1", "s" * 64, auto_remove=True, attach_stdin=True, use_aliases=one_off)
    made = body_of(WEB, one_off=run)
    marks = made["Labels"]
    assert (marks[labels.ONE_OFF], marks[labels.SLUG], marks[labels.DEPENDS_ON]) == ("True", "s" * 64, "")
    assert made["StdinOnce"]
    assert made["AttachStdin"]
    assert made["HostConfig"]["AutoRemove"]
    assert "RestartPolicy" not in made["HostConfig"]
    known = made["NetworkingConfig"]["EndpointsConfig"]["demo_default"]["Aliases"]
    assert known == (aliases if one_off else aliases[:1])


def test_a_usual_one_is_neither_attached_to_nor_removed():
    made = body_of(WEB)
    assert not {"StdinOnce", "AttachStdin"} & set(made)
    assert made["HostConfig"]["RestartPolicy"] == {"Name": "always"}
    assert made["Labels"][labels.ONE_OFF] == "False"


def test_names():
    assert container_name(model_of("{image: x}"), "web", 3) == "demo-web-3"
    assert container_name(model_of("{image: x, container_name: own}"), "web", 1) == "own"


def test_whom_it_is_made_of():
    web = "{image: x, pid: 'service:db', volumes_from: ['container:c'], ipc: host}"
    assert joined_services(model_of(web)["services"]["web"]) == {"db"}


REST = "networks: {n: {driver: bridge}}\nvolumes: {v: {}}\nconfigs: {c: {content: one}}\n"
ALL = "{image: x, networks: [n], volumes: ['v:/v'], configs: [c]}"


@pytest.mark.parametrize(
    ("web", "rest", "same"),
    [
        (ALL, REST, True),
        (ALL[:-1] + ", depends_on: [db], pull_policy: never, scale: 3}", REST, True),
        (ALL[:-1] + ", user: me}", REST, False),
        (ALL, REST.replace("bridge", "other"), False),
        (ALL, REST.replace("v: {}", "v: {driver_opts: {a: b}}"), False),
        (ALL, REST.replace("one", "two"), False),
        (ALL, REST + "x-other: 1\n", True),
    ],
)
def test_when_a_container_is_out_of_date(web, rest, same):
    before = wanted_hash(model_of(ALL, REST), "web", "sha256:1")
    assert (wanted_hash(model_of(web, rest), "web", "sha256:1") == before) is same
    assert wanted_hash(model_of(web, rest), "web", "sha256:2") != before


def test_networks_and_volumes_of_others_are_not_made():
    model = model_of(ALL, "networks: {n: {external: true}}\nvolumes: {v: {external: true}}\nconfigs: {c: {content: x}}")
    assert network_body(model, "n") is None
    assert volume_body(model, "v") is None
    assert "EnableIPv4" not in network_body(model_of(ALL, REST), "n")
    assert network_body(model_of(ALL, REST.replace("driver: bridge", "enable_ipv4: false")), "n")["EnableIPv4"] is False


def test_copied_files_have_owner_and_mode():
    web = "{image: x, configs: [{source: c, target: etc/c}, {source: c, target: /d, uid: '7', gid: '8', mode: 0400}]}"
    with tarfile.open(fileobj=io.BytesIO(archive(model_of(web, REST), "web", 7.5))) as tar:
        found = {one.name: (one.uid, one.gid, one.mode, one.mtime, tar.extractfile(one).read()) for one in tar}
    assert found == {"etc/c": (0, 0, 0o444, 7, b"one"), "d": (7, 8, 0o400, 7, b"one")}
