"""Pushing, pulling and logging in with the docker command, against Debian's docker-registry."""

import json
import shutil
from urllib.parse import quote

import pytest

from contract.docker_api import Api
from contract.registries import PASSWORD, USER, running_registry, write_certificates
from coracle.testing.cloud import Cloud


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    with running_registry(tmp_path_factory.mktemp("plain")) as address:
        yield address


@pytest.fixture
def busybox(docker):
    """busybox is here; names of other registries that the test gave are taken away."""
    docker("pull", "--quiet", "busybox")
    yield "busybox"
    names = docker("images", "--format", "{{.Repository}}:{{.Tag}}").split()
    gone = [name for name in names if name.startswith("127.0.0.1")]
    if gone:
        docker("rmi", "--force", *gone)


def statuses(text):
    return [line.partition(": ")[2] for line in text.splitlines() if line[:12].isalnum() and line[12:14] == ": "]


def test_what_is_pushed_can_be_pulled_elsewhere(docker, busybox, plain):
    name = f"{plain}/some/box:1"
    flat = f"docker export $(docker create {busybox}) | docker import - {name}"  # a layer that nothing else stands on
    docker.cloud.run(["sh", "-c", flat])
    said = docker("push", name)
    assert said.splitlines()[0] == f"The push refers to repository [{plain}/some/box]"
    assert statuses(said)[-1] == "Pushed"
    digest = docker.inspect(name)["RepoDigests"][-1].partition("@")[2]
    assert f"1: digest: {digest} size: " in said
    assert statuses(docker("push", name))[-1] == "Layer already exists"

    docker("rmi", name)
    said = docker("pull", name)
    assert statuses(said) == ["Pulling fs layer", "Verifying Checksum", "Download complete", "Pull complete"]
    assert said.splitlines()[-3:] == [f"Digest: {digest}", f"Status: Downloaded newer image for {name}", name]
    assert docker("run", "--rm", name, "echo", "here") == "here"
    assert f"Status: Image is up to date for {name}" in docker("pull", name)
    by_digest = f"{plain}/some/box@{digest}"
    docker("rmi", name)
    assert f"Status: Downloaded newer image for {by_digest}" in docker("pull", by_digest)
    assert docker.inspect(by_digest)["RepoTags"] == []
    docker("rmi", by_digest)


def test_layers_are_taken_over_from_other_repositories(docker, busybox, plain):
    for name in (f"{plain}/one", f"{plain}/two"):
        docker("tag", busybox, name)
    docker("push", f"{plain}/one")
    assert statuses(docker("push", f"{plain}/two"))[-1].startswith("Mounted from ")


def test_a_pushed_image_is_described_without_fetching_it(docker, busybox, plain):
    name = f"{plain}/described:1"
    docker("tag", busybox, name)
    docker("push", "--quiet", name)
    shown = json.loads(docker("manifest", "inspect", "--insecure", name))
    assert shown["config"]["digest"] == docker.inspect(name)["Id"]
    status, described = Api(docker.socket)("GET", f"/distribution/{name}/json")
    assert (status, described["Descriptor"]["mediaType"]) == (200, shown["mediaType"])
    assert described["Platforms"] == [{"architecture": docker.inspect(name)["Architecture"], "os": "linux"}]
    assert Api(docker.socket)("GET", f"/distribution/{plain}/nothing:1/json")[0] == 404


def test_all_tags_at_once(docker, busybox, plain):
    names = [f"{plain}/many:{tag}" for tag in ("1", "2")]
    for name in names:
        docker("tag", busybox, name)
    docker("push", "--all-tags", f"{plain}/many")
    docker("rmi", *names)
    docker("pull", "--all-tags", f"{plain}/many")
    assert sorted(docker.inspect(names[0])["RepoTags"]) == sorted(["busybox:latest", *names])


def test_what_is_pulled_runs_in_a_pod_at_once(docker, busybox, plain, space):
    name = f"{plain}/forpods:1"
    docker("tag", busybox, name)
    docker("push", "--quiet", name)
    docker("rmi", name)
    docker("pull", "--quiet", name)
    space.kubectl("run", "it", f"--image={name}", "--restart=Never", "--image-pull-policy=Never", "--", "echo", "hi")
    space.wait_for(lambda: space.text("logs", "it") == "hi\n")


def test_a_password_is_asked_for_and_remembered(docker, busybox, guarded):
    name = f"{guarded}/mine:1"
    docker("tag", busybox, name)
    assert "no basic auth credentials" in docker.refused("push", name)
    said = docker.refused("login", "-u", USER, "--password-stdin", guarded, input="wrong")
    assert "unauthorized: incorrect username or password" in said
    assert "Login Succeeded" in docker("login", "-u", USER, "--password-stdin", guarded, input=PASSWORD)
    assert statuses(docker("push", name))[-1] == "Pushed"
    docker("rmi", name)
    docker("pull", name)
    docker("logout", guarded)
    docker("rmi", name)
    assert "no basic auth credentials" in docker.refused("pull", name)


def test_a_password_is_wanted_of_who_pulls_for_a_pod_too(docker, guarded, space):
    space.kubectl("run", "it", f"--image={guarded}/mine:1", "--image-pull-policy=Always")
    space.wait_for(lambda: "no basic auth credentials" in space.text("get", "events"))


def test_a_pod_has_its_own_password(docker, guarded, space):
    words = (f"--docker-server={guarded}", f"--docker-username={USER}", f"--docker-password={PASSWORD}")
    space.kubectl("create", "secret", "docker-registry", "mine", *words)
    secrets = {"spec": {"imagePullSecrets": [{"name": "none"}, {"name": "mine"}]}}
    image = (f"--image={guarded}/mine:1", "--image-pull-policy=Always", "--restart=Never")
    space.kubectl("run", "known", *image, f"--overrides={json.dumps(secrets)}", "--", "echo", "hi")
    space.wait_for(lambda: space.text("logs", "known", check=False) == "hi\n")
    said = "Unable to retrieve some image pull secrets (none); attempting to pull the image may not succeed."
    assert said in space.text("get", "events")
    for policy in ("IfNotPresent", "Never"):  # the image is here now, but not for everybody
        space.kubectl("run", policy.lower(), f"--image={guarded}/mine:1", f"--image-pull-policy={policy}")
    for reason in ("Error: ErrImagePull", "Error: ErrImageNeverPull"):
        space.wait_for(lambda reason=reason: reason in space.text("get", "events"))


def test_an_authority_that_is_not_ours_is_not_believed(docker, busybox, guarded, cloud, tmp_path):
    other = f"localhost:{guarded.rpartition(':')[2]}"
    write_certificates(tmp_path)
    place = cloud.root / "certs.d" / other
    place.mkdir()
    shutil.copy(tmp_path / "ca.crt", place)
    assert "has no valid certificate" in docker.refused("pull", f"{other}/mine:1")


def test_refusals_in_dockers_words(docker, busybox, plain):
    assert docker.refused("pull", f"{plain}/nothing") == (
        f"Error response from daemon: manifest for {plain}/nothing:latest not found: manifest unknown: manifest unknown"
    )
    assert "pull access denied for nobody/knows, repository does not exist or may require 'docker login'" in (
        docker.refused("pull", "nobody/knows")
    )
    assert "manifest for busybox:0.0 not found" in docker.refused("pull", "busybox:0.0")
    said = docker.refused("push", f"{plain}/not/here")
    assert said.endswith(f"An image does not exist locally with the tag: {plain}/not/here")
    docker("tag", busybox, f"{plain}/here:1")
    assert docker.refused("push", f"{plain}/here:2").endswith(f"tag does not exist: {plain}/here:2")
    assert "cannot be reached" in docker.refused("pull", "127.0.0.1:1/x")
    assert docker.refused("pull", f"{plain}/x@sha256:{'0' * 64}").endswith("manifest unknown: manifest unknown")


@pytest.mark.parametrize(
    "name", ["A:", "a:..", "UPPER", "a@sha256:../../x", "a@md5:" + "0" * 32, "x:" + "t" * 129, "localhost:99999/x"]
)
def test_names_that_are_none(docker, name):
    api = Api(docker.socket)
    status, said = api("POST", f"/images/create?fromImage={quote(name, safe='')}")
    assert (status, list(said)) == (400, ["message"])
    assert api("POST", f"/images/busybox/tag?repo={quote(name, safe='')}")[0] in (400, 404)


def test_mirrors_are_asked_in_order_and_the_catalogue_where_none_knows(docker, busybox, plain, tmp_path):
    docker("tag", busybox, f"{plain}/library/mirrored:1")
    docker("push", "--quiet", f"{plain}/library/mirrored:1")
    endpoints = f'["http://127.0.0.1:1", "http://{plain}"]'
    (tmp_path / "registries.toml").write_text(f'[[registry]]\nname = "docker.io"\nendpoints = {endpoints}\n')
    with Cloud.started(tmp_path) as own:
        assert "Status: Downloaded newer image for mirrored:1" in own.docker("pull", "mirrored:1").stdout
        assert "Status: Downloaded newer image for busybox:latest" in own.docker("pull", "busybox").stdout
        refused = own.docker("pull", "nobody/knows", check=False)
        assert refused.returncode != 0
