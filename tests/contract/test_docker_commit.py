"""Images of what containers have become, through the real client."""

import json
import os
import signal
import threading

import pytest

from coracle.testing.cloud import Cloud


@pytest.fixture
def box(docker):
    docker("pull", "--quiet", "busybox")
    docker("run", "-d", "--name", "box", "--env", "KEPT=1", "--volume", "data:/data", "busybox", "sleep", "1000")
    docker("exec", "box", "sh", "-c", "echo made > /made; rm /bin/vi; mkdir /new; echo v > /data/x")
    yield "box"
    docker.attempt("rm", "--force", "box")
    images = docker("images", "--quiet", "--no-trunc", "--filter", "label=test=commit").split()
    docker.attempt("rmi", "--force", *images)


def test_a_committed_container_runs_again(docker, space, box):
    id = docker("commit", "--message", "why", "--author", "who", "--change", "LABEL test=commit", box, "made:v1")
    assert docker("run", "--rm", "made:v1", "cat", "/made") == "made"
    assert "No such file" in docker.refused("run", "--rm", "made:v1", "ls", "/bin/vi")
    assert docker("run", "--rm", "made:v1", "ls", "/data") == ""  # volumes are no part of it
    image = docker.inspect("made:v1", "--type", "image")
    assert (image["Id"], image["Comment"], image["Author"]) == (id, "why", "who")
    assert image["Config"]["Cmd"] == ["sleep", "1000"]
    assert "KEPT=1" in image["Config"]["Env"]
    assert len(image["RootFS"]["Layers"]) == 1 + len(docker.inspect("busybox", "--type", "image")["RootFS"]["Layers"])
    first = docker("history", "--no-trunc", "--format", "{{json .}}", "made:v1").split("\n")[0]
    assert (json.loads(first)["CreatedBy"], json.loads(first)["Comment"]) == ("sleep 1000", "why")
    manifest = {"spec": {"restartPolicy": "Never"}}
    space.kubectl(
        "run", "pod", "--image=made:v1", "--image-pull-policy=IfNotPresent", f"--overrides={json.dumps(manifest)}",
        "--restart=Never", "--", "cat", "/made",
    )  # fmt: skip
    space.wait_for(lambda: space.text("logs", "pod").strip() == "made")


def test_changes_are_instructions(docker, box):
    words = ('CMD ["echo","changed"]', "ENV A=b", "EXPOSE 80/tcp", "LABEL test=commit", "USER 5", "WORKDIR /new",
             "VOLUME /v", 'ENTRYPOINT ["env"]', "ONBUILD RUN x")  # fmt: skip
    docker("commit", *(part for word in words for part in ("--change", word)), box, "made:v2")
    config = docker.inspect("made:v2", "--type", "image")["Config"]
    assert (config["Entrypoint"], config["User"], config["WorkingDir"]) == (["env"], "5", "/new")
    assert (config["ExposedPorts"], config["OnBuild"]) == ({"80/tcp": {}}, ["RUN x"])
    assert {"/v"} <= {*config["Volumes"]}
    assert {"KEPT=1", "A=b"} <= {*config["Env"]}


def test_bad_commits_are_refused(docker, box):
    assert "FROM is not a valid change command" in docker.refused("commit", "--change", "FROM x", box)
    assert "invalid reference format" in docker.refused("commit", box, "Upper:case")
    assert "No such container: nobody" in docker.refused("commit", "nobody")


def test_it_is_paused_only_while_it_is_committed(docker, box):
    docker("commit", "--change", "LABEL test=commit", box)
    assert docker.inspect(box)["State"]["Paused"] is False
    docker("pause", box)
    docker("commit", "--change", "LABEL test=commit", box)
    assert docker.inspect(box)["State"]["Paused"] is True
    docker("unpause", box)


def test_a_container_does_not_stay_paused_when_the_daemon_dies_meanwhile(tmp_path):
    with Cloud.started(tmp_path) as own:

        def docker(*words, check=True):
            return own.docker(*words, check=check).stdout.strip()

        docker("run", "-d", "--name", "box", "busybox", "sleep", "1000")
        docker("exec", "box", "truncate", "-s", "200M", "/big")
        committing = threading.Thread(target=lambda: docker("commit", "box", check=False))
        committing.start()
        own.wait_for(lambda: docker("inspect", "--format", "{{.State.Paused}}", "box") == "true")
        os.kill(own.daemon_pid, signal.SIGKILL)
        committing.join()
        own.up()
        assert docker("inspect", "--format", "{{.State.Paused}}", "box") == "false"
        assert docker("exec", "box", "echo", "alive") == "alive"
        assert docker("images", "--quiet", "--filter", "dangling=true") == ""
        docker("rm", "--force", "box")
