from coracle.core.object import Meta, Object
from coracle.docker.images.shapes import history, inspection, layers_bytes, shared_bytes, summary
from coracle.docker.versions import Version
from coracle.image.config import History, ImageConfig, Settings
from coracle.image.manifest import Platform

NEW, OLD = Version(1, 50), Version(1, 41)


def image(id="sha256:1", tags=(), layers=("l1",), sizes=(5,), parent="", created="2026-01-01T00:00:00Z"):
    spec = {
        "id": id, "references": list(tags), "digests": [], "parent": parent, "created": created, "named": "",
        "chain_ids": list(layers), "layer_bytes": list(sizes), "size_bytes": sum(sizes), "config": {},
    }  # fmt: skip
    return Object("Image", Meta(name=id), {"spec": spec})


def config(*steps, **settings):
    return ImageConfig(Platform(), Settings(**settings), (), tuple(steps), "2026-01-01T00:00:00Z")


def test_a_nameless_image_is_shown_as_its_reader_knows_it():
    new, old = (summary(image(), version, tags=[], digests=[]) for version in (NEW, OLD))
    assert (new["RepoTags"], new["RepoDigests"]) == ([], [])
    assert (old["RepoTags"], old["RepoDigests"]) == (["<none>:<none>"], ["<none>@<none>"])
    assert ("VirtualSize" in new, old["VirtualSize"]) == (False, 5)
    assert (new["Containers"], new["SharedSize"], new["Labels"]) == (-1, -1, None)


def test_what_images_share():
    one, two = image("1", layers=("a", "b"), sizes=(10, 1)), image("2", layers=("a", "c"), sizes=(10, 2))
    assert shared_bytes([one, two, image("3", layers=("d",))]) == {"1": 10, "2": 10, "3": 0}
    assert layers_bytes([one, two]) == 13
    assert shared_bytes([image("4", layers=("a", "b"), sizes=(1, 1))]) == {"4": 0}


def test_an_images_settings_as_older_and_newer_clients_read_them():
    whole = config(cmd=("sh",), ports=("80/tcp",), volumes=("/data",))
    new, old = (inspection(image(), whole, version)["Config"] for version in (NEW, OLD))
    assert (new["Cmd"], new["ExposedPorts"], new["Volumes"]) == (["sh"], {"80/tcp": {}}, {"/data": {}})
    assert ("Hostname" in new, old["Hostname"], old["Cmd"]) == (False, "", ["sh"])


def test_a_creation_time_that_is_not_said():
    silent = ImageConfig(Platform("linux", "arm", "v7"), Settings(), ())
    assert "Created" not in inspection(image(created=""), silent, NEW)
    shown = inspection(image(created=""), silent, OLD)
    assert (shown["Created"], shown["Variant"]) == ("0001-01-01T00:00:00Z", "v7")


def test_history_knows_the_sizes_of_layers_and_the_parents_that_are_here():
    steps = [History("2026-01-01T00:00:00Z", "first"), History(created_by="ENV", empty_layer=True), History(created_by="last")]  # fmt: skip
    base = image("sha256:base", ["base:1"])
    shown = history(
        image("sha256:it", ["it:1"], layers=("a", "b"), sizes=(7, 3), parent="sha256:base"),
        config(*steps),
        {"sha256:base": base}.get,
    )
    rows = [(row["Id"], row["CreatedBy"], row["Size"], row["Tags"]) for row in shown]
    assert rows == [
        ("sha256:it", "last", 3, ["it:1"]),
        ("sha256:base", "ENV", 0, ["base:1"]),
        ("<missing>", "first", 7, None),
    ]
    assert shown[2]["Created"] == 1_767_225_600
