"""Archives and images that nobody should make: each is refused in words, and leaves nothing, in the cloud or outside."""

import gzip
import json
import lzma
import os
import sys
import tarfile
import zlib

import pytest

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

from contract.docker_api import Api
from contract.registries import running_registry
from coracle.image.config import ImageConfig, Settings
from coracle.image.digests import digest_of
from coracle.image.manifest import OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST, Platform
from suites.layers import entry, folder, hardlink, symlink, tar_of

DOCKER_SCHEMA_1 = "application/vnd.docker.distribution.manifest.v1+json"


def config_of(*layers, **settings):
    """An image's configuration, with anything at all in it."""
    doc = json.loads(ImageConfig(Platform(), Settings(), tuple(digest_of(layer) for layer in layers)).encode())
    return json.dumps({**doc, "config": settings}).encode()


def saved(*layers, config=None, packed=bytes, names=("bad:1",)):
    """What `docker save` would write of these layers."""
    listed = [{"Config": "c.json", "RepoTags": list(names), "Layers": [f"{at}.tar" for at in range(len(layers))]}]
    members = [entry(f"{at}.tar", packed(layer)) for at, layer in enumerate(layers)]
    config = config_of(*layers) if config is None else config
    return tar_of(*members, entry("c.json", config), entry("manifest.json", json.dumps(listed).encode()))


def layout(document, *blobs, media_type=OCI_MANIFEST, size=None):
    """An OCI layout whose index.json points to `document`."""
    one = {
        "mediaType": media_type,
        "digest": digest_of(document),
        "size": len(document) if size is None else size,
        "annotations": {"io.containerd.image.name": "docker.io/library/bad:1"},
    }
    index = {"schemaVersion": 2, "manifests": [one]}
    members = [entry(f"blobs/sha256/{digest_of(blob)[7:]}", blob) for blob in (document, *blobs)]
    return tar_of(*members, entry("index.json", json.dumps(index).encode()))


def manifest(config, *layers, **more):
    described = [{"mediaType": OCI_LAYER, "digest": digest_of(layer), "size": len(layer)} for layer in layers]
    whole = {"mediaType": OCI_CONFIG, "digest": digest_of(config), "size": len(config)}
    doc = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": whole, "layers": described, **more}
    return json.dumps(doc).encode()


def claiming(name, size, kind=tarfile.REGTYPE):
    """A tar with a header that claims a size, and nothing behind it."""
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, size
    return info.tobuf(tarfile.GNU_FORMAT) + b"x" * 512 + b"\0" * 1024


def forged(**attributes):
    headers = {f"SCHILY.xattr.{name.replace('__', '.')}": value for name, value in attributes.items()}
    return tar_of(folder("d", pax_headers=headers))


GOOD = tar_of(entry("f", b"good"))
LAYERS = {
    "a name that leads out": tar_of(entry("../evil", b"x")),
    "a name that leads out later": tar_of(entry("a/../../evil", b"x")),
    "a hard link to the host": tar_of(hardlink("l", "/etc/hostname")),
    "a hard link out": tar_of(hardlink("l", "../../../../etc/hostname")),
    "a whiteout of all": tar_of(entry(".wh..")),
    "a whiteout of what is above": tar_of(entry("d/.wh...")),
    "a nameless whiteout": tar_of(entry(".wh.")),
    "a forged mark for overlayfs": forged(trusted__overlay__opaque="y"),
    "a forged redirect": forged(trusted__overlay__redirect="/etc"),
    "a forged mark of users": forged(user__overlay__opaque="y"),
    "a name of 5,000 bytes": tar_of(entry("n" * 5000, b"x")),
    "an impossible owner": tar_of(entry("f", b"x", uid=1 << 33)),
    "a long name of 1 GB": claiming("././@LongLink", 1 << 30, tarfile.GNUTYPE_LONGNAME),
    "an extended header of 1 GB": claiming("x", 1 << 30, tarfile.XHDTYPE),
    "less than it claims": claiming("f", 5 << 20)[:1024],
    "no tar": b"x" * 4096,
    "a truncated tar": tar_of(entry("f", b"x" * 5000))[:2048],
}


@pytest.fixture(scope="module")
def api(cloud):
    return Api(cloud.docker_socket)


@pytest.fixture
def untouched(cloud, docker):
    """After the test there are the same images, blobs and layers as before, and nothing outside."""

    def left():
        homes = [cloud.root / "images" / "blobs", cloud.root / "images" / "ingest", *cloud.root.glob("snapshots/*")]
        return sorted(os.path.join(home.name, name) for home in homes for name in os.listdir(home))

    docker("image", "prune", "--force")
    before = left()
    yield
    docker.wait_for(lambda: left() == before)
    assert not any((root / "evil").exists() for root in (cloud.root, *cloud.root.parents))


def refused_load(api, tar):
    """The message: it comes in the stream, as dockerd's."""
    status, said = api("POST", "/images/load?quiet=1", body=tar)
    assert status == 200
    lines = said if isinstance(said, list) else [said]
    assert lines[-1]["errorDetail"]["message"] == lines[-1]["error"]
    return lines[-1]["error"]


def refused_import(api, tar):
    status, said = api("POST", "/images/create?fromSrc=-&repo=bad", body=tar)
    assert (status in (400, 404, 413), list(said)) == (True, ["message"]), said
    return said["message"]


@pytest.mark.parametrize("what", LAYERS)
def test_a_bad_layer_is_refused(api, untouched, what):
    assert refused_load(api, saved(LAYERS[what]))
    assert refused_import(api, LAYERS[what])


@pytest.mark.parametrize("target", ["/", "../../../../../.."])
def test_a_link_that_seems_to_lead_out_leads_to_the_layers_own_root(api, docker, untouched, target):
    tar = tar_of(symlink("l", target), entry("l/evil", b"x"))
    status, said = api("POST", "/images/create?fromSrc=-&repo=harmless", body=tar)
    assert status == 200, said
    copied = docker("create", "--name", "harmless", "harmless", "/x") and docker("cp", "harmless:/evil", "-")
    assert "evil" in copied
    docker("rm", "harmless")
    docker("rmi", "harmless")


PACKERS = {"gzip": lambda data: gzip.compress(data, 9), "xz": lzma.compress, "zstd": zstd.compress}


@pytest.mark.parametrize("form", PACKERS)
def test_a_bomb_does_not_go_off(api, untouched, form):
    """600 MB of zeros, as a small archive's worth of the same compressed megabyte again and again."""
    head = tarfile.TarInfo("zeros")
    head.size = 600 << 20
    pack = PACKERS[form]
    packed = pack(head.tobuf()) + pack(bytes(1 << 20)) * 600
    assert len(packed) < 1 << 20
    assert "unpacks to more than" in refused_import(api, packed)
    if form == "gzip":
        assert "layer unpacks to too many bytes" in refused_load(api, saved(GOOD, packed=lambda _: packed))


def test_a_dictionary_of_4_gb_is_not_made(api, untouched):
    packed = bytearray(lzma.compress(GOOD, filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 20}]))
    at = packed.index(b"\x21\x01", 12)  # the filter and the size of its properties; then the dictionary
    packed[at + 2] = 40  # the largest: 4 GiB - 1
    header = packed[12 : 12 + (packed[12] + 1) * 4 - 4]
    packed[12 + len(header) : 16 + len(header)] = zlib.crc32(header).to_bytes(4, "little")
    assert "cannot be unpacked" in refused_import(api, bytes(packed))


CONFIGS = {
    "a working directory in /proc": {"WorkingDir": "/proc/self/fd/7"},
    "a user beyond all numbers": {"User": "4294967296"},
    "a negative user": {"User": "-1"},
    "a group beyond all numbers": {"User": "0:99999999999"},
    "a user with a line break": {"User": "root\n"},
    "the root as a volume": {"Volumes": {"/": {}}},
    "a volume that leads out": {"Volumes": {"/a/../..": {}}},
    "a relative volume": {"Volumes": {"x": {}}},
    "an environment with NUL": {"Env": ["A=b\0c"]},
    "a nameless variable": {"Env": ["=b"]},
    "a number as a variable": {"Env": [5]},
    "100,000 variables": {"Env": [f"A{at}=b" for at in range(100_000)]},
    "numbers as a command": {"Cmd": [1, 2]},
    "a text as labels": {"Labels": "x"},
    "a port beyond all": {"ExposedPorts": {"x/y": {}}},
    "a health check of texts": {"Healthcheck": {"Test": ["CMD", "x"], "Interval": "1s"}},
}


@pytest.mark.parametrize("what", CONFIGS)
def test_a_bad_configuration_is_refused(api, untouched, what):
    said = refused_load(api, saved(GOOD, config=config_of(GOOD, **CONFIGS[what])))
    assert "image configuration" in said


CONFIG = config_of(GOOD)
DOCUMENTS = {
    "a layer that is not what its configuration says": saved(GOOD, config=config_of(tar_of(entry("g", b"x")))),
    "a manifest smaller than it says": layout(manifest(CONFIG, GOOD), CONFIG, GOOD, size=5),
    "a layer of another size": layout(
        manifest(CONFIG, GOOD).replace(f'"size": {len(GOOD)}'.encode(), b'"size": 7'), CONFIG, GOOD
    ),
    "a manifest of schema 1": layout(b'{"schemaVersion": 1, "fsLayers": []}', media_type=DOCKER_SCHEMA_1),
    "a manifest that is an index as well": layout(manifest(CONFIG, GOOD, manifests=[]), CONFIG, GOOD),
    "a manifest of another type than it says": layout(manifest(CONFIG, GOOD, mediaType=OCI_INDEX), CONFIG, GOOD),
    "10,000 manifests": layout(
        json.dumps({
            "schemaVersion": 2,
            "manifests": [{"mediaType": OCI_MANIFEST, "digest": digest_of(b""), "size": 1}] * 10_000,
        }).encode(),
        media_type=OCI_INDEX,
    ),
    "a digest of another kind": layout(manifest(CONFIG, GOOD).replace(b"sha256:", b"md5:"), CONFIG, GOOD),
    "a negative size": layout(
        manifest(CONFIG, GOOD).replace(f'"size": {len(GOOD)}'.encode(), b'"size": -1'), CONFIG, GOOD
    ),
    "a name that is none": saved(GOOD, names=("BAD NAME:1",)),
    "a name with a digest": saved(GOOD, names=(f"x@sha256:{'0' * 64}",)),
    "a configuration of 9 MB": saved(GOOD, config=CONFIG[:-1] + b" " * (9 << 20) + b"}"),
    "a configuration 100,000 deep": saved(GOOD, config=b'{"rootfs":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    "an index within an index": layout(
        (inner := json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [
            {"mediaType": OCI_INDEX, "digest": digest_of(b""), "size": 0}]}).encode()),
        media_type=OCI_INDEX,
    ),
    "nothing": b"",
}  # fmt: skip


@pytest.mark.parametrize("what", DOCUMENTS)
def test_a_document_that_lies_is_refused(api, untouched, what):
    assert refused_load(api, DOCUMENTS[what])


def test_the_address_of_a_foreign_layer_is_not_asked(docker, untouched, tmp_path):
    """A registry's image may say where its layers lie: only the registry is asked for them."""
    with running_registry(tmp_path) as address:
        layer = gzip.compress(GOOD)
        foreign = {
            "mediaType": "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
            "digest": digest_of(layer),
            "size": len(layer),
            "urls": ["http://127.0.0.1:1/layer"],
        }
        raw = manifest(CONFIG, layers=[foreign])
        data = tmp_path / "data/docker/registry/v2"
        for digest, content in ((digest_of(raw), raw), (digest_of(CONFIG), CONFIG)):
            blob = data / "blobs/sha256" / digest[7:9] / digest[7:]
            blob.mkdir(parents=True)
            (blob / "data").write_bytes(content)
            link = data / "repositories/x/_layers/sha256" / digest[7:]
            link.mkdir(parents=True)
            (link / "link").write_text(digest)
        for place in ("tags/latest/current", f"revisions/sha256/{digest_of(raw)[7:]}"):
            link = data / "repositories/x/_manifests" / place
            link.mkdir(parents=True)
            (link / "link").write_text(digest_of(raw))
        assert "unsupported layer type" in docker.refused("pull", f"{address}/x")


def test_a_good_one_is_taken(api, docker):
    status, said = api("POST", "/images/load", body=saved(GOOD, names=("good:1",)))
    assert (status, said[-1]) == (200, {"stream": "Loaded image: good:1\n"})
    docker("rmi", "good:1")
