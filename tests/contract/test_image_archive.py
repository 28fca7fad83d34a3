"""Archives: what we write others read, what others write we read, and what nobody should write is refused."""

from __future__ import annotations

import gzip
import io
import json
import subprocess
import tarfile

import pytest

from coracle.core.errors import CloudError, Invalid
from coracle.image.archive import Stored, load, save
from coracle.image.blobs import BlobStore
from coracle.image.config import ImageConfig, Settings
from coracle.image.digests import digest_of
from coracle.image.layout import Layout, copy_image, has_all, read_config, read_manifest
from coracle.image.manifest import OCI_CONFIG, OCI_LAYER, OCI_MANIFEST, Descriptor, Manifest, Platform
from suites.layers import entry, hardlink, symlink, tar_of

NAME = "docker.io/library/it:1"


def put_image(blobs, *contents):
    tars = [tar_of(entry("f", content)) for content in contents]
    layers = tuple(Descriptor(OCI_LAYER, *_put(blobs, tar)) for tar in tars)
    config = ImageConfig(Platform(), Settings(cmd=("x",)), tuple(digest_of(tar) for tar in tars)).encode()
    manifest = Manifest(Descriptor(OCI_CONFIG, *_put(blobs, config)), layers)
    return Descriptor(OCI_MANIFEST, *_put(blobs, manifest.encode()))


def _put(blobs, data):
    blob = blobs.put(data)
    return blob.digest, blob.size_bytes


@pytest.fixture
def blobs(tmp_path):
    return BlobStore(tmp_path / "ours")


@pytest.fixture
def theirs(tmp_path):
    return BlobStore(tmp_path / "theirs")


@pytest.fixture
def saved(blobs, tmp_path):
    """An archive of one image under two names, and the image."""
    image = put_image(blobs, b"one", b"two")
    path = tmp_path / "saved.tar"
    with path.open("wb") as out:
        save(blobs, [Stored(image, (NAME, "docker.io/library/it:latest"))], out)
    return path, image


def test_what_is_saved_is_loaded(saved, theirs):
    path, image = saved
    with path.open("rb") as file:
        (found,) = load(file, theirs)
    assert found.names == (NAME, "docker.io/library/it:latest")
    assert found.image.digest == image.digest
    assert has_all(theirs, image)


def test_saving_twice_gives_the_same_bytes(saved, blobs):
    path, image = saved
    out = io.BytesIO()
    save(blobs, [Stored(image, (NAME, "docker.io/library/it:latest"))], out)
    assert out.getvalue() == path.read_bytes()


@pytest.mark.parametrize("kind", ["docker-archive", "oci-archive"])
def test_skopeo_reads_what_we_write(saved, kind, tmp_path):
    path, image = saved
    if kind == "oci-archive":
        argv = ["skopeo", "inspect", "--raw", f"oci-archive:{path}:1"]
        raw = subprocess.run(argv, check=True, capture_output=True).stdout
        assert digest_of(raw) == image.digest
    argv = ["skopeo", "copy", "-q", "--insecure-policy", f"{kind}:{path}:{NAME if kind[0] == 'd' else '1'}"]
    subprocess.run([*argv, f"oci:{tmp_path}/out:it"], check=True)
    assert Layout(tmp_path / "out").find("it")


@pytest.mark.parametrize("kind", ["docker-archive", "oci-archive"])
def test_we_read_what_skopeo_writes(blobs, theirs, kind, tmp_path):
    layout = Layout(tmp_path / "layout")
    image = put_image(blobs, b"one")
    copy_image(blobs, layout.blobs, image)
    layout.set("it", image)
    target = f"{kind}:{tmp_path}/out.tar:{'it:1' if kind == 'docker-archive' else '1'}"
    argv = ["skopeo", "copy", "-q", "--insecure-policy", f"oci:{tmp_path}/layout:it", target]
    subprocess.run(argv, check=True)
    with (tmp_path / "out.tar").open("rb") as file:
        (found,) = load(file, theirs)
    assert has_all(theirs, found.image)
    assert read_config(theirs, found.image).settings == Settings(cmd=("x",))
    assert found.names == ((NAME,) if kind == "docker-archive" else ("1",))


LAYER = tar_of(entry("f", b"x"))
CONFIG = ImageConfig(Platform(), Settings(), (digest_of(LAYER),)).encode()


def docker(*members, layers=("layer.tar",), config="config.json", names=("a:1",)):
    listed = json.dumps([{"Config": config, "RepoTags": names, "Layers": layers}]).encode()
    return tar_of(*members, entry("manifest.json", listed))


def test_an_old_archive_with_links_is_loaded(theirs):
    tar = docker(
        entry("abc/layer.tar", LAYER), symlink("def/layer.tar", "../abc/layer.tar"), hardlink("ghi", "abc/layer.tar"),
        entry("config.json", ImageConfig(Platform(), Settings(), (digest_of(LAYER),) * 3).encode()),
        layers=["abc/layer.tar", "def/layer.tar", "./ghi"],
    )  # fmt: skip
    (found,) = load(io.BytesIO(tar), theirs)
    assert has_all(theirs, found.image)


def test_packed_layers_are_known_by_their_first_bytes(theirs):
    tar = docker(entry("layer.tar", gzip.compress(LAYER)), entry("config.json", CONFIG))
    (found,) = load(io.BytesIO(tar), theirs)
    assert read_manifest(theirs, found.image).layers[0].media_type == f"{OCI_LAYER}+gzip"


def layout(index, *members):
    return tar_of(*members, entry("index.json", json.dumps(index).encode()))


ONE = {"mediaType": OCI_MANIFEST, "digest": digest_of(b"x"), "size": 1}


@pytest.mark.parametrize(
    "tar",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"x" * 10_000, id="no tar"),
        pytest.param(tar_of(entry("x", b"")), id="neither form"),
        pytest.param(docker(entry("config.json", CONFIG)), id="a missing layer"),
        pytest.param(docker(entry("layer.tar", LAYER)), id="a missing configuration"),
        pytest.param(docker(entry("layer.tar", b"x"), entry("config.json", CONFIG)), id="another layer"),
        pytest.param(docker(entry("config.json", CONFIG), layers=[]), id="fewer layers"),
        pytest.param(docker(entry("config.json", CONFIG), layers=["/etc/passwd"]), id="a file of the host"),
        pytest.param(
            docker(symlink("layer.tar", "/etc/passwd"), entry("config.json", CONFIG)), id="a link to the host"
        ),
        pytest.param(docker(symlink("layer.tar", "layer.tar"), entry("config.json", CONFIG)), id="a link to itself"),
        pytest.param(docker(layers=5), id="a number as layers"),
        pytest.param(docker(names=[5]), id="a number as a name"),
        pytest.param(docker(config={"x": 1}), id="an object as a configuration"),
        pytest.param(tar_of(entry("manifest.json", b"{")), id="broken JSON"),
        pytest.param(tar_of(entry("manifest.json", b"[5]")), id="a number as an image"),
        pytest.param(tar_of(entry("manifest.json", b" " * (9 << 20))), id="an endless manifest"),
        pytest.param(layout({"schemaVersion": 2, "manifests": [ONE]}), id="a missing manifest"),
        pytest.param(
            layout({"schemaVersion": 2, "manifests": [ONE]}, entry(f"blobs/sha256/{ONE['digest'][7:]}", b"y")),
            id="another manifest",
        ),
        pytest.param(
            layout({"schemaVersion": 2, "manifests": [{**ONE, "digest": "sha256:../../x"}]}), id="a path as a digest"
        ),
        pytest.param(layout({"schemaVersion": 2, "config": {}, "layers": []}), id="an index that is none"),
        pytest.param(tar_of(*(entry(f"f{at}") for at in range(10_001))), id="too many members"),
    ],
)
def test_what_is_no_archive_is_refused(theirs, tar):
    with pytest.raises(CloudError):
        load(io.BytesIO(tar), theirs)


def test_a_truncated_archive_is_refused(saved, theirs):
    raw = saved[0].read_bytes()
    with tarfile.open(saved[0]) as archive:
        last = archive.getmember("index.json").offset
    for size in range(0, last, 1500):
        with pytest.raises(CloudError):
            load(io.BytesIO(raw[:size]), theirs)


def test_a_damaged_blob_is_not_saved_twice(blobs, theirs):
    image = put_image(blobs, b"one")
    layer = read_manifest(blobs, image).layers[0].digest
    blobs.path(layer).write_bytes(b"x" * blobs.size_bytes(layer))
    with pytest.raises(Invalid):
        copy_image(blobs, theirs, image)
    assert not theirs.has(image.digest)


def test_the_archive_is_a_tar_that_tar_reads(saved):
    with tarfile.open(saved[0]) as archive:
        names = archive.getnames()
    assert names[-3:] == ["index.json", "manifest.json", "oci-layout"]
    assert all(name.startswith("blobs/sha256/") for name in names[:-3])
