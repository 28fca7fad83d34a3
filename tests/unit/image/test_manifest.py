import orjson
import pytest

from coracle.core.errors import Invalid, Malformed, NotFound
from coracle.image import manifest as m
from coracle.image.digests import digest_of

ONE = digest_of(b"one")


def descriptor(kind=m.OCI_LAYER, size=5, **more):
    return {"mediaType": kind, "digest": ONE, "size": size, **more}


def image(**changes):
    return {"schemaVersion": 2, "mediaType": m.OCI_MANIFEST, "config": descriptor(m.OCI_CONFIG),
            "layers": [descriptor()], **changes}  # fmt: skip


def index(*platforms):
    listed = [descriptor(m.OCI_MANIFEST, at, platform=platform) for at, platform in enumerate(platforms)]
    return {"schemaVersion": 2, "manifests": listed}


def parse(doc, kind=""):
    return m.parse_manifest(orjson.dumps(doc), kind)


def test_a_manifest_survives_the_round_trip():
    found = parse(image(annotations={"a": "b"}))
    assert m.parse_manifest(found.encode()) == found
    assert (found.size_bytes, [blob.media_type for blob in found.blobs]) == (10, [m.OCI_CONFIG, m.OCI_LAYER])


def test_docker_manifests_are_read():
    found = parse(
        image(mediaType=m.DOCKER_MANIFEST, config=descriptor(m.DOCKER_CONFIG), layers=[descriptor(m.DOCKER_LAYER)]),
        m.DOCKER_MANIFEST,
    )
    assert m.compression_of(found.layers[0]) == "gzip"


@pytest.mark.parametrize(
    ("doc", "kind"),
    [
        pytest.param(image(manifests=[]), "", id="both an image and an index"),
        pytest.param(image(), m.OCI_INDEX, id="sent as an index"),
        pytest.param(image(mediaType=m.OCI_INDEX), "", id="an image that calls itself an index"),
        pytest.param({**index(), "mediaType": m.OCI_MANIFEST}, "", id="an index that calls itself an image"),
        pytest.param({"schemaVersion": 1, "fsLayers": []}, "", id="schema 1"),
        pytest.param({"schemaVersion": 2}, "", id="neither"),
        pytest.param(image(mediaType="text/html"), "", id="another type"),
        pytest.param(image(layers=[descriptor("text/html")]), "", id="a layer of another type"),
        pytest.param(image(layers=[descriptor()] * 501), "", id="too many layers"),
        pytest.param(index(*[None] * 1001), "", id="too many manifests"),
        pytest.param([], "", id="a list"),
        pytest.param(image(config=None), "", id="no config"),
        pytest.param(image(layers={}), "", id="layers as an object"),
        pytest.param(image(layers=["x"]), "", id="a layer as a text"),
        pytest.param(image(layers=[descriptor(size=-1)]), "", id="a negative size"),
        pytest.param(image(layers=[descriptor(size=2**63)]), "", id="a size no disk has"),
        pytest.param(image(layers=[descriptor(size="5")]), "", id="a size as a text"),
        pytest.param(image(layers=[{**descriptor(), "digest": "sha256:../x"}]), "", id="a path as a digest"),
        pytest.param(image(annotations=[]), "", id="annotations as a list"),
        pytest.param(index({"os": 5, "architecture": "x"}), "", id="a number as an os"),
        pytest.param(index("linux"), "", id="a text as a platform"),
    ],
)
def test_what_is_no_manifest_is_refused(doc, kind):
    with pytest.raises((Malformed, Invalid)):
        parse(doc, kind)


def test_nonsense_is_refused():
    for raw in (b"", b"{", b"\xff", b"[" * 100_000):
        with pytest.raises(Malformed):
            m.parse_manifest(raw)


ARM7 = {"os": "linux", "architecture": "arm", "variant": "v7"}
ARM6 = {"os": "linux", "architecture": "arm", "variant": "v6"}
AMD = {"os": "linux", "architecture": "amd64"}


@pytest.mark.parametrize(
    ("platforms", "wanted", "chosen"),
    [
        pytest.param([ARM7, AMD], m.Platform(), 1, id="the architecture"),
        pytest.param([ARM6, ARM7], m.Platform("linux", "arm", "v7"), 1, id="the variant"),
        pytest.param([ARM6, AMD], m.Platform("linux", "arm", "v8"), 0, id="any variant rather than none"),
        pytest.param([None], m.Platform(), 0, id="the only one, which does not say"),
    ],
)
def test_the_platform_is_chosen(platforms, wanted, chosen):
    assert m.choose_platform(parse(index(*platforms)), wanted).size_bytes == chosen


def test_a_missing_platform_is_said():
    with pytest.raises(NotFound, match="no matching manifest for linux/arm64 in the manifest list entries"):
        m.choose_platform(parse(index(AMD)), m.Platform("linux", "arm64"))


def test_platforms_are_written_and_read():
    assert str(m.parse_platform("linux/arm/v7")) == "linux/arm/v7"
    for text in ("", "linux", "linux/", "a/b/c/d", "linux/../x"):
        with pytest.raises(Malformed):
            m.parse_platform(text)
