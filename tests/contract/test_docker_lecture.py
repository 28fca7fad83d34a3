"""The lecture's Docker part, word for word, with the real client; and that it is one store with Kubernetes."""

import json
import subprocess
import urllib.request

import pytest

DOCKERFILE = """\
FROM docker/whalesay:latest
RUN apt-get -y update && apt-get install -y fortunes
CMD /usr/games/fortune -a | cowsay
"""


def page(port):
    return urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5).read().decode()


def test_env_leads_the_client_here(cloud):
    said = cloud.coracle("env").stdout
    assert f"export DOCKER_HOST=unix://{cloud.docker_socket}\n" in said
    script = f"{said}\ndocker version --format '{{{{.Server.Platform.Name}}}}'"
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("Coracle ")


def test_a_whale_says_hello(docker):
    said = docker("run", "docker/whalesay", "cowsay", "hello", "world")
    assert "< hello world >" in said
    assert "___|" in said  # the whale's load


@pytest.mark.slow
def test_a_whale_that_tells_fortunes(docker, space, tmp_path):
    """Built from the slide's Dockerfile, run by docker, and in a pod at once."""
    (tmp_path / "Dockerfile").write_text(DOCKERFILE)
    done = docker.cloud.run(["sh", "-c", f"cd {tmp_path} && docker build -t docker-whale ."])
    assert "Step 3/3 : CMD /usr/games/fortune -a | cowsay" in done.stdout
    assert "Successfully built" in done.stdout
    assert "Successfully tagged docker-whale:latest" in done.stdout
    assert "___|" in docker("run", "docker-whale")
    space.kubectl("run", "whale", "--image=docker-whale", "--image-pull-policy=IfNotPresent", "--restart=Never")
    space.wait_for(lambda: space.json("get", "pod", "whale")["status"]["phase"] == "Succeeded")
    assert "___|" in space.text("logs", "whale")


def test_two_web_servers_side_by_side(docker):
    """Both listen on port 80, each in its own container."""
    for name, port in (("image1", 8001), ("image2", 8002)):
        docker("run", "-d", "--name", name, "-p", f"{port}:80", "nginx")
        docker("exec", name, "sh", "-c", f"echo {name} > /usr/share/nginx/html/index.html")
    for name, port in (("image1", 8001), ("image2", 8002)):
        docker.wait_for(lambda name=name, port=port: _answers(port) == f"{name}\n")
    assert docker("port", "image1", "80").splitlines()[0] == "0.0.0.0:8001"


def _answers(port):
    try:
        return page(port)
    except OSError:
        return None


def test_docker_shows_pods(docker, space):
    """Their containers are listed with their Kubernetes labels, and can be looked into."""
    space.kubectl("run", "web", "--image=nginx")
    space.wait_for(lambda: space.json("get", "pod", "web")["status"]["phase"] == "Running")
    label = f"label=io.kubernetes.pod.namespace={space.namespace}"
    form = '{{.Names}} {{.Image}} {{.Label "io.kubernetes.container.name"}} {{.State}}'
    names, image, container, state = docker("ps", "--filter", label, "--format", form).split()
    assert names.startswith(f"k8s_web_web_{space.namespace}_")
    assert (container, state) == ("web", "running")
    assert image.startswith("nginx")
    assert "nginx" in docker("exec", names, "cat", "/proc/1/cmdline")


def test_a_port_belongs_to_one_api(docker, space):
    """A container's published port is refused to a NodePort by its name, and the other way round."""
    docker("run", "-d", "--name", "taker", "-p", "30023:80", "busybox", "sleep", "100")
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "late"},
        "spec": {"type": "NodePort", "selector": {"a": "b"}, "ports": [{"port": 80, "nodePort": 30023}]},
    }
    space.kubectl("create", "-f", "-", input=json.dumps(service))
    said = space.wait_for(lambda: "taker" in (text := space.text("get", "events")) and text)
    assert "30023" in said
    service["metadata"]["name"], service["spec"]["ports"][0]["nodePort"] = "early", 30024
    space.kubectl("create", "-f", "-", input=json.dumps(service))
    refusal = space.wait_for(
        lambda: (said := docker.attempt("run", "--rm", "-p", "30024:80", "busybox", "true").stderr) and said
    )
    assert "port is already allocated" in refusal
    assert f"Service {space.namespace}/early" in refusal
