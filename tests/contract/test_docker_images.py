"""Docker's images with the docker command: listing, naming, removing, and carrying them in files."""

import functools
import gzip
import json
import socket
import tarfile
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from contract.docker_api import Api
from suites.layers import entry, tar_of


@pytest.fixture
def api(docker):
    return Api(docker.socket)


@pytest.fixture
def busybox(docker):
    """busybox is here, and afterwards no image that the test made."""
    before = {"busybox:latest", *docker("images", "--format", "{{.Repository}}:{{.Tag}}").split()}
    ids = set(docker("images", "--all", "--quiet", "--no-trunc").split())
    docker("pull", "--quiet", "busybox")
    yield docker.inspect("busybox")["Id"]
    made = set(docker("images", "--format", "{{.Repository}}:{{.Tag}}").split()) - before
    for name in made:
        if "<none>" not in name:
            docker.attempt("rmi", "--force", name)
    for id in set(docker("images", "--all", "--quiet", "--no-trunc").split()) - ids:
        if id != docker.inspect("busybox")["Id"]:
            docker.attempt("rmi", "--force", id)


def bundle(tmp_path, text="one"):
    """A tar of a root file system."""
    path = tmp_path / f"{text}.tar"
    path.write_bytes(tar_of(entry("hello", text.encode())))
    return str(path)


def test_what_there_is_is_listed_by_its_names(docker, busybox):
    docker("tag", "busybox", "list/one:1")
    docker("tag", "busybox", "list/two")
    rows = docker("images", "--no-trunc", "--format", "{{.Repository}} {{.Tag}} {{.ID}}").splitlines()
    assert {f"busybox latest {busybox}", f"list/one 1 {busybox}", f"list/two latest {busybox}"} <= set(rows)
    for pattern, found in (("list/*", 2), ("list/*:1", 1), ("*", 0), ("*/two", 1), ("list/one:2", 0)):
        names = docker("images", "--format", "{{.Repository}}", f"--filter=reference={pattern}").split()
        assert len([name for name in names if name.startswith("list/")]) == found, pattern
    assert docker("images", "list/one", "--format", "{{.Tag}}") == "1"
    assert "sha256:" in docker("images", "--digests", "busybox")


def test_filters_by_label_and_age(docker, busybox, tmp_path):
    labelled = docker("import", "--change", "LABEL who=me", bundle(tmp_path), "labelled")
    query = ("images", "--quiet", "--no-trunc", "--filter")
    assert docker(*query, "label=who") == docker(*query, "label=who=me") == labelled
    assert docker(*query, "label=who=you") == ""
    assert labelled in docker(*query, "since=busybox").split()
    assert busybox in docker(*query, "before=labelled").split()
    assert labelled not in docker(*query, "until=24h").split()
    assert "invalid filter" in docker.refused("images", "--filter", "nonsense=1")
    assert "No such image: nothing:latest" in docker.refused("images", "--filter", "before=nothing")


def test_what_one_image_is(docker, busybox, api):
    shown = docker.inspect("busybox")
    assert shown["Config"]["Cmd"] == ["sh"]
    assert shown["RootFS"]["Type"] == "layers"
    assert (shown["Os"], shown["Size"] > 1_000_000) == ("linux", True)
    assert docker.inspect(busybox[7:19])["Id"] == docker.inspect(busybox)["Id"] == busybox
    status, old = api("GET", "/v1.43/images/busybox/json")
    assert (status, old["VirtualSize"], old["Config"]["Hostname"]) == (200, shown["Size"], "")
    assert "VirtualSize" not in shown
    assert "Volumes" in shown["ContainerConfig"]  # docker-compose 1.29 looks there
    assert docker.refused("image", "inspect", "nothing").endswith("No such image: nothing:latest")
    assert "was found but does not provide" in docker.refused("image", "inspect", "--platform=linux/s390x", "busybox")


def test_its_history_is_told(docker, busybox):
    (row,) = docker("history", "--format", "{{.CreatedBy}}|{{.Size}}", "--human=false", "busybox").splitlines()
    assert row == f"coracle: busybox-static|{docker.inspect('busybox')['Size']}"


def test_lists_for_older_clients(docker, busybox, tmp_path, api):
    id = docker("import", bundle(tmp_path))
    rows = {row["Id"]: row for row in api("GET", "/v1.42/images/json")[1]}
    assert (rows[id]["RepoTags"], rows[id]["VirtualSize"]) == (["<none>:<none>"], rows[id]["Size"])
    row = next(row for row in api("GET", "/v1.44/images/json?shared-size=1")[1] if row["Id"] == id)
    assert (row["RepoTags"], row["SharedSize"], row["Containers"]) == ([], 0, -1)
    assert "VirtualSize" not in row


def test_names_move(docker, busybox, tmp_path):
    old = docker("import", bundle(tmp_path, "old"), "moving:1")
    new = docker("import", bundle(tmp_path, "new"), "moving:1")
    assert docker.inspect("moving:1")["Id"] == new
    assert docker("images", "--quiet", "--no-trunc", "--filter", "dangling=true").split() == [old]
    assert docker.inspect(old)["RepoTags"] == []


def test_removing_takes_names_first(docker, busybox, tmp_path):
    id = docker("import", bundle(tmp_path), "gone:1")
    docker("tag", "gone:1", "gone:2")
    assert docker("rmi", "gone:1") == "Untagged: gone:1"
    assert "is referenced in multiple repositories" not in docker("rmi", "gone:2")
    assert docker.refused("rmi", "gone:2").endswith("No such image: gone:2")
    assert id not in docker("images", "--all", "--quiet", "--no-trunc")


def test_an_image_of_several_repositories_goes_by_id_only_when_forced(docker, busybox, tmp_path):
    id = docker("import", bundle(tmp_path), "several:1")
    docker("tag", id, "other:1")
    said = docker.refused("rmi", id)
    assert f"conflict: unable to delete {id[7:19]} (must be forced) - image is referenced in multiple" in said
    lines = docker("rmi", "--force", id).splitlines()
    assert lines[:3] == ["Untagged: several:1", "Untagged: other:1", f"Deleted: {id}"]


def test_an_image_in_use_stays(docker, busybox):
    docker("tag", "busybox", "used:1")
    running = docker("run", "--detach", "--stop-timeout=0", "used:1", "sleep", "1000")
    short = busybox[7:19]
    docker("rmi", "used:1")  # it has another name
    said = f'unable to remove repository reference "busybox:latest" (must force) - container {running[:12]} is using'
    assert said in docker.refused("rmi", "busybox")
    said = f"unable to delete {short} (cannot be forced) - image is being used by running container {running[:12]}"
    assert said in docker.refused("rmi", "--force", short)
    docker("kill", running)
    docker("wait", running)
    assert "(must be forced) - image is being used by stopped container" in docker.refused("rmi", short)


def test_pruning_takes_what_nobody_names_or_uses(docker, busybox, tmp_path):
    nameless = docker("import", bundle(tmp_path, "nameless"))
    labelled = docker("import", "--change", "LABEL keep=me", bundle(tmp_path, "kept"))
    said = docker("image", "prune", "--force", "--filter", "label!=keep")
    assert f"deleted: {nameless}" in said
    assert said.splitlines()[-1] == "Total reclaimed space: 8B"
    assert docker("image", "prune", "--force", "--filter", "until=1h") == "Total reclaimed space: 0B"
    assert f"deleted: {labelled}" in docker("image", "prune", "--force")
    assert docker("image", "prune", "--force") == "Total reclaimed space: 0B"


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "compressed"])
def test_what_is_saved_is_loaded(docker, busybox, tmp_path, packed):
    docker("tag", "busybox", "carried:1")
    docker("tag", "busybox", "carried:2")
    path = tmp_path / "saved.tar"
    docker("save", "--output", str(path), "carried")
    with tarfile.open(path) as archive:
        (listed,) = json.load(archive.extractfile("manifest.json"))
        assert sorted(listed["RepoTags"]) == ["carried:1", "carried:2"]
        assert archive.extractfile(listed["Config"]) is not None
        assert all(archive.extractfile(layer) is not None for layer in listed["Layers"])
    if packed:
        path.write_bytes(gzip.compress(path.read_bytes(), 1))
    docker("rmi", "carried:1", "carried:2")
    assert sorted(docker("load", "--input", str(path)).splitlines()) == [
        "Loaded image: carried:1",
        "Loaded image: carried:2",
    ]
    assert docker.inspect("carried:1")["Id"] == busybox
    assert docker("run", "--rm", "carried:2", "echo", "here") == "here"


def test_an_image_without_a_name_is_carried_by_its_id(docker, busybox, tmp_path):
    id = docker("import", bundle(tmp_path))
    docker("save", "--output", str(tmp_path / "saved.tar"), id)
    docker("rmi", id)
    assert docker("load", "--input", str(tmp_path / "saved.tar")) == f"Loaded image ID: {id}"


def test_a_name_that_another_image_had_is_told(docker, busybox, tmp_path):
    first = docker("import", bundle(tmp_path, "first"), "same:1")
    docker("save", "--output", str(tmp_path / "saved.tar"), "same:1")
    second = docker("import", bundle(tmp_path, "second"), "same:1")
    assert docker("load", "--input", str(tmp_path / "saved.tar")).splitlines() == [
        f"The image same:1 already exists, renaming the old one with ID {second} to empty string",
        "Loaded image: same:1",
    ]
    assert docker.inspect("same:1")["Id"] == first


def test_a_file_system_becomes_an_image(docker, busybox, tmp_path):
    changes = ("--change", 'CMD ["/hello"]', "--change", "ENV A=b", "--change", "EXPOSE 80")
    id = docker("import", "--message", "from a test", *changes, bundle(tmp_path, "content"), "made:1")
    shown = docker.inspect("made:1")
    assert (shown["Id"], shown["Comment"]) == (id, "from a test")
    config = shown["Config"]
    assert (config["Cmd"], config["ExposedPorts"]) == (["/hello"], {"80/tcp": {}})
    assert "A=b" in config["Env"]
    container = docker("create", "made:1")
    copied = docker.cloud.run(["docker", "export", "--output", str(tmp_path / "out.tar"), container])
    assert copied.returncode == 0
    with tarfile.open(tmp_path / "out.tar") as archive:
        assert archive.extractfile("hello").read() == b"content"
    assert "is not a valid change command" in docker.refused("import", "--change", "RUN x", bundle(tmp_path), "x")


def test_tags_that_are_none(docker, busybox, api):
    assert api("POST", "/images/busybox/tag?repo=x&tag=a%20b") == (400, {"message": "invalid tag format: 'a b'"})
    assert api("POST", f"/images/busybox/tag?repo=x@sha256:{'0' * 64}")[0] == 400
    assert api("POST", "/images/busybox/tag?repo=")[0] == 400
    assert api("POST", "/images/nothing/tag?repo=x") == (404, {"message": "No such image: nothing:latest"})
    assert "invalid reference format" in docker.refused("tag", "busybox", "x:" + "t" * 129)
    for path in ("/images/..%2f..%2fetc/json", "/images/a%00b/json", "/images/%2e%2e/json"):
        assert api("GET", path)[0] in (400, 404)


def test_the_catalogue_is_searched(docker):
    rows = docker("search", "--format", "{{.Name}} {{.IsOfficial}}", "whale").splitlines()
    assert [row.strip() for row in rows] == ["docker/whalesay"]
    assert "nginx [OK]" in docker("search", "--format", "{{.Name}} {{.IsOfficial}}", "nginx").splitlines()
    assert docker("search", "--filter", "is-official=true", "--format", "{{.Name}}", "whale") == ""
    assert docker("search", "--limit", "1", "--format", "{{.Name}}", "e").count("\n") == 0
    assert docker("search", "--format", "{{.Name}}", "no such thing at all") == ""


def test_an_image_named_here_runs_in_a_pod_at_once(docker, busybox, space):
    docker("tag", "busybox", "forpods")
    image = ("--image=docker.io/library/forpods:latest", "--image-pull-policy=IfNotPresent")
    space.kubectl("run", "it", *image, "--restart=Never", "--", "echo", "hi")
    space.wait_for(lambda: space.text("logs", "it") == "hi\n")
    assert "already present on machine and can be accessed by the pod" in space.text("get", "events")


def test_what_happens_to_images_is_told(docker, busybox, tmp_path):
    since = docker("info", "--format", "{{.SystemTime}}")
    id = docker("import", bundle(tmp_path), "told:1")
    docker("tag", "told:1", "told:2")
    docker("save", "--output", str(tmp_path / "x.tar"), "told:1")
    docker("rmi", "told:1", "told:2")
    until = docker("info", "--format", "{{.SystemTime}}")
    events = docker("events", "--since", since, "--until", until, "--filter", "type=image", "--format", "json")
    told = [(event["Action"], event["Actor"]["ID"]) for event in map(json.loads, events.splitlines())]
    assert told == [(action, id) for action in ("import", "tag", "save", "untag", "untag", "delete")]


def test_a_client_that_leaves_while_loading_leaves_nothing(docker, busybox, cloud):
    """Half an archive, and then nobody: no image, no blob."""
    before = sorted(path.name for path in (cloud.root / "images").rglob("*"))
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(docker.socket))
        client.sendall(b"POST /images/load HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\n")
        data = tar_of(entry("manifest.json", b"x" * 70_000))[:65_536]
        client.sendall(b"%x\r\n%s\r\n" % (len(data), data))
    docker.wait_for(lambda: sorted(path.name for path in (cloud.root / "images").rglob("*")) == before)


def test_a_file_system_is_imported_from_an_address(docker, busybox, tmp_path):
    bundle(tmp_path, "web")
    handler = functools.partial(QuietHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        serving.start()
        try:
            url = f"http://127.0.0.1:{server.server_address[1]}"
            said = docker("import", f"{url}/web.tar", "web:1").splitlines()
            assert said == [f"Downloading from {url}/web.tar", docker.inspect("web:1")["Id"]]
            assert "answers 404" in docker.refused("import", f"{url}/nothing.tar", "web:2")
        finally:
            server.shutdown()
            serving.join()
    assert "cannot be fetched" in docker.refused("import", f"{url}/web.tar", "web:2")


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass
