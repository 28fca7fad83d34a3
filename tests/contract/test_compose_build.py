"""`coracle compose build`, `pull`, `push`, and what `create` does about images first; with a cloud and a registry."""

import base64
import json
import re
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from contract.registries import PASSWORD, USER, running_registry

OURS = Path(sys.executable).with_name("coracle")


class Project:
    """A directory with a Compose file, and `coracle compose` in it."""

    def __init__(self, docker, folder):
        self.docker, self.folder, self.name = docker, folder, "b" + uuid.uuid4().hex[:6]
        root, cloud = docker.cloud.root, docker.cloud.name
        self.words = [OURS, "--root", str(root), "--name", cloud, "compose", "--project-name", self.name]

    def files(self, **texts):
        for name, text in texts.items():
            path = self.folder / name.replace("__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def compose(self, text):
        self.files(**{"compose.yaml": text})

    def attempt(self, *words, **environment):
        return subprocess.run(
            [*self.words, *words],
            cwd=self.folder,
            env={**self.docker.environment, **environment},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def __call__(self, *words, **environment):
        done = self.attempt(*words, **environment)
        assert done.returncode == 0, f"{words} exited {done.returncode}\n{done.stdout}{done.stderr}"
        return done

    def id(self, image):
        return self.docker("images", "--quiet", "--no-trunc", image)

    def made(self):
        return self.docker(
            "ps", "--all", "--quiet", "--filter", f"label=com.docker.compose.project={self.name}"
        ).split()


@pytest.fixture
def project(docker, tmp_path):
    project = Project(docker, tmp_path)
    yield project
    project.attempt("down", "--volumes", "--timeout", "0")
    images = docker("images", "--format", "{{.Repository}}:{{.Tag}}", "--filter", f"reference={project.name}-*").split()
    if images:
        docker("rmi", "--force", *images)


BASE = "FROM busybox\n"


def test_everything_that_a_build_says(project):
    """Arguments, labels, target, tags, .dockerignore, a Dockerfile of the file, one from elsewhere."""
    name = project.name
    project.compose(f"""
services:
  full:
    image: {name}-full
    build:
      context: ctx
      args: {{A: from-file, B: over, NOT: }}
      labels: {{l: one}}
      target: middle
      tags: ["{name}-tag:1"]
      network: none
      shm_size: 32m
      extra_hosts: ["somewhere:10.1.2.3"]
      ulimits: {{nofile: 77}}
    depends_on: [base]
  base: {{build: {{context: ctx, dockerfile_inline: "FROM busybox\\nCOPY . /in\\n"}}, image: {name}-base}}
  outside: {{build: {{context: ctx, dockerfile: ../Other}}}}
""")
    project.files(
        Other="FROM busybox\nCOPY . /in\nRUN ls -A /in > /list\n",
        ctx__Dockerfile=f"FROM {name}-base AS first\nARG A\nARG B\nRUN echo $A-$B > /args && grep somewhere /etc/hosts > /hosts "
        "&& ulimit -n > /limit && df -k /dev/shm | tail -1 > /shm\nFROM first AS middle\nLABEL m=two\nFROM first AS last\nRUN false\n",
        ctx__kept="k",
        ctx__gone="g",
    )
    project.files(**{"ctx/.dockerignore": "gone\n"})
    done = project("build", "--build-arg", "B=from-option")
    steps = [line for line in done.stdout.splitlines() if line.startswith(("Step", "Successfully tagged"))]
    assert steps[0] == "Step 1/3 : FROM busybox"  # the base first
    assert f"Successfully tagged {name}-tag:1" in steps
    labels = project.docker.inspect(f"{name}-full")["Config"]["Labels"]
    assert labels == {"l": "one", "m": "two", "com.docker.compose.image.builder": "classic"}
    assert project.id(f"{name}-tag:1") == project.id(f"{name}-full")
    read = project.docker("run", "--rm", f"{name}-full", "sh", "-c", "cat /args /hosts /limit /shm; ls -A /in")
    assert re.match(r"from-file-from-option\n10\.1\.2\.3\s+somewhere\n77\n.* 32768 ", read), read
    assert read.splitlines()[4:] == [".dockerignore", "Dockerfile", "kept"]
    assert project.docker("run", "--rm", f"{name}-outside", "cat", "/list").split() == [
        ".dockerignore",
        "Dockerfile",
        "kept",
    ]


def test_what_is_built_when(project):
    image = f"{project.name}-web"
    project.compose(f"""
services:
  web: {{build: ., image: {image}, command: "true"}}
  other: {{image: busybox, command: "true"}}
  nameless: {{build: ., profiles: [more]}}
""")
    project.files(Dockerfile=BASE + "COPY f /f\n", f="1")
    done = project("create")
    assert "Step 1/" in done.stdout
    assert " web Pulling " in done.stderr  # it has a name by which it might be had
    first = project.id(image)
    assert "Step" not in project("create").stdout
    project.files(f="2")
    done = project("create", "--build")
    assert "Step 1/" in done.stdout
    assert "Pull" not in done.stderr
    assert project.id(image) != first
    assert project.docker.inspect(f"{project.name}-web-1")["Image"] == project.id(image)
    assert project("build", "--quiet").stdout == ""
    assert "Using cache" in project("build").stdout
    assert "Using cache" not in project("build", "--no-cache", "web").stdout
    project("down")
    project.docker("rmi", image)
    refused = project.attempt("create", "--no-build")
    assert refused.returncode == 18
    assert f'compose.yaml:3: service "web": pull access denied for {image}' in refused.stderr
    refused = project.attempt("create", "--no-build", "nameless")
    unbuilt = f"{project.name}-nameless"
    said = f'{project.folder}/compose.yaml:5: service "nameless": No such image: {unbuilt}\n'
    assert (refused.returncode, refused.stderr) == (1, said)
    assert not project.made()


FAILING = {
    "a step": ({"Dockerfile": BASE + "RUN echo no && exit 3\n"}, "", 17,
               r"compose.yaml:\d+: failed to build service web \(Dockerfile, step 2/3: RUN echo no && exit 3\): "
               r"The command '/bin/sh -c echo no && exit 3' returned a non-zero code: 3$"),
    "no Dockerfile": ({}, "", 17, r"compose.yaml:\d+: failed to build service web: unable to prepare context: .*/Dockerfile: no such file"),
    "no directory": ({}, "context: ./nope", 17, r'compose.yaml:\d+: failed to build service web: unable to prepare context: path ".*/nope" not'),
    "syntax": ({"Dockerfile": "FORM x\n"}, "", 17, r"compose.yaml:\d+: failed to build service web \(Dockerfile\): .*unknown instruction: FORM"),
    "git": ({}, "context: 'https://example.org/a.git'", 17, "only directories of this machine can be built from"),
    "ssh": ({"Dockerfile": BASE}, "context: ., ssh: [default]", 15, "services.web.build.ssh is not supported"),
    "a policy": ({"Dockerfile": BASE}, "", 15, "invalid pull_policy sometimesalways"),
    "an image": ({"Dockerfile": BASE}, "", 18, r'compose.yaml:\d+: service ".*": pull access denied for nosuchimage'),
    "a missing one": ({"Dockerfile": BASE}, "", 1, r'compose.yaml:\d+: service ".*": No such image: nosuchimage'),
}  # fmt: skip
OTHERS = {
    "a policy": "busybox, pull_policy: sometimesalways",
    "an image": "nosuchimage",
    "a missing one": "nosuchimage, pull_policy: never",
}


@pytest.mark.parametrize("wrong", FAILING)
def test_nothing_is_made_where_an_image_cannot_be_had(project, wrong):
    files, build, code, message = FAILING[wrong]
    project.compose(f"services:\n  web: {{build: {{{build}}}}}\n  other: {{image: {OTHERS.get(wrong, 'busybox')}}}\n")
    project.files(**files)
    done = project.attempt("up", "--detach")
    assert (done.returncode, bool(re.search(message, done.stderr, re.MULTILINE))) == (code, True), done.stderr
    assert not project.made()
    assert not project.docker("network", "ls", "--quiet", "--filter", f"name={project.name}_default")


def test_to_a_registry_and_back(project, tmp_path):
    """Pushed with the password of Docker's configuration, pulled by policy, pinned by digest."""
    with running_registry(tmp_path / "registry", guarded=True) as address:
        config = {"auths": {address: {"auth": base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()}}}
        (tmp_path / "config.json").write_text(json.dumps(config))
        known = {"DOCKER_CONFIG": str(tmp_path)}
        image = f"{address}/{project.name}-web:1"
        project.compose(f"""
services:
  web: {{image: "{image}", build: ., command: "true"}}
  plain: {{image: busybox}}
  same: {{image: "{image}", command: "true"}}
  local: {{build: .}}
""")
        project.files(Dockerfile=BASE + "COPY f /f\n", f="1")
        project("build", "web")
        refused = project.attempt("push", DOCKER_CONFIG="/nowhere")
        assert refused.returncode == 1
        assert " web Error " in refused.stderr
        said = project("push", **known).stderr.splitlines()
        assert {" plain Skipped ", " same Skipped ", " local Skipped ", " web Pushing ", " web Pushed "} <= set(said)
        pushed = project.id(image)
        project.docker("rmi", image)

        said = project("pull", **known).stderr.splitlines()
        assert " local Skipped - No image to be pulled " in said
        assert " web Skipped - Image is already being pulled by same " in said
        assert " same Pulled " in said
        assert project.id(image) == pushed
        again = project("pull", "--policy", "missing", "web", **known).stderr
        assert again == " web Skipped - Image is already present locally \n"
        assert project("pull", "--quiet", "--ignore-buildable", "web", **known).stderr == ""

        project.docker("rmi", image)
        assert " same Pulled " in project("create", "--no-build", "same", **known).stderr
        assert " same Pulled " in project("create", "--pull", "always", "same", **known).stderr
        assert "Pull" not in project("create", "same", **known).stderr
    project.docker("rmi", "--force", image)


def test_words_that_contradict(project):
    project.compose("services: {web: {build: .}}")
    project.files(Dockerfile=BASE)
    for words, code, said in (
        (("build", "nope"), 1, "no such service: nope"),
        (("build", "--ssh", "default"), 1, "--ssh is not supported"),
        (("build", "--memory", "5x"), 1, 'invalid argument "5x" for "-m, --memory" flag'),
        (("build", "--build-arg", "=x"), 1, 'invalid value "=x" for flag --build-arg'),
        (("pull", "--policy", "never"), 16, "'never' is not one of 'missing', 'always'"),
    ):
        done = project.attempt(*words)
        assert (done.returncode, said in done.stderr) == (code, True), done.stderr
