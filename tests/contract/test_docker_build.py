"""docker build, with the real client: the classic builder's words, its language, its cache, and what it must refuse."""

import functools
import hashlib
import http.client
import http.server
import importlib
import io
import json
import os
import re
import signal
import socket
import subprocess
import tarfile
import threading
import uuid
from pathlib import Path
from urllib.parse import urlencode

import pytest

from contract.registries import PASSWORD, USER
from coracle.testing.cloud import Cloud


class Project:
    """A directory to build, and the client."""

    def __init__(self, docker, path):
        self.docker, self.path = docker, path
        self.tag = f"built-{uuid.uuid4().hex[:8]}"

    def file(self, name, content="", mode=0o644):
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        path.chmod(mode)
        return path

    def build(self, dockerfile=None, *words):
        """What it said."""
        if dockerfile is not None:
            self.file("Dockerfile", dockerfile)
        return self.docker("build", "-t", self.tag, *words, str(self.path))

    def refused(self, dockerfile, *words):
        """What it said, all of it."""
        self.file("Dockerfile", dockerfile)
        done = self.docker.attempt("build", "-t", self.tag, *words, str(self.path))
        assert done.returncode != 0, done.stdout
        return done.stdout + done.stderr

    def run(self, *words):
        return self.docker("run", "--rm", self.tag, *words)

    def config(self):
        return self.docker.inspect(self.tag)["Config"]


@pytest.fixture
def project(docker, tmp_path):
    left = leftovers(docker)
    yield Project(docker, tmp_path)
    assert leftovers(docker) == left


def leftovers(docker):
    """What builds could leave behind."""
    root = docker.cloud.root
    folders = [root / "builds", root / "snapshots" / "containers", root / "sandboxes", root / "snapshots" / "tmp"]
    return {str(folder): sorted(os.listdir(folder)) if folder.is_dir() else [] for folder in folders}


def without_ids(said):
    return re.sub(r"[0-9a-f]{12}", "<id>", said)


def test_a_build_is_told_in_the_classic_words(project):
    project.docker("pull", "--quiet", "busybox")
    text = 'FROM busybox\nRUN echo hello > /x && cat /x; echo oh >&2\nCMD ["cat","/x"]\n'
    said = without_ids(project.build(text, "--iidfile", str(project.path / "id")))
    assert said.splitlines()[2:] == [
        "Step 1/3 : FROM busybox",
        " ---> <id>",
        "Step 2/3 : RUN echo hello > /x && cat /x; echo oh >&2",
        " ---> Running in <id>",
        "hello",
        "\x1b[91moh",
        "\x1b[0m ---> Removed intermediate container <id>",
        " ---> <id>",
        'Step 3/3 : CMD ["cat","/x"]',
        " ---> <id>",
        "Successfully built <id>",
        f"Successfully tagged {project.tag}:latest",
    ]
    image = project.docker.inspect(project.tag)
    assert (project.path / "id").read_text() == image["Id"]
    assert project.run() == "hello"
    again = project.build(None)
    assert again.count(" ---> Using cache") == 2
    assert project.docker.inspect(project.tag)["Id"] == image["Id"]
    assert project.docker("build", "-q", str(project.path)) == image["Id"]


MULTI = """\
ARG BASE=busybox
FROM $BASE AS tools
ARG VERSION=1
RUN mkdir /out && echo "tool $VERSION on $(uname -s)" > /out/tool

FROM busybox AS docs
RUN echo docs > /docs

FROM busybox AS broken
RUN exit 1

FROM scratch AS both
COPY --from=tools /out/ /
COPY --from=docs /docs /
COPY --from=busybox /bin/busybox /bin/cat
ENTRYPOINT ["/bin/cat"]
CMD ["/tool"]
"""


def test_stages_that_are_not_needed_are_not_built(project):
    said = project.build(MULTI, "--build-arg", "VERSION=2", "--label", "team=a b")
    assert "broken" not in said
    assert project.run() == "tool 2 on Linux"
    assert project.run("/docs") == "docs"
    assert project.config()["Labels"] == {"team": "a b"}
    steps = re.findall(r"^Step (\d+)/(\d+)", said, re.MULTILINE)
    assert [int(number) for number, _ in steps] == list(range(1, len(steps) + 1))
    assert {total for _, total in steps} == {str(len(steps))}
    assert project.build(None, "--build-arg", "VERSION=2", "--label", "team=a b").count("Using cache") == len(steps) - 4


def test_a_target_and_a_stage_that_fails(project):
    project.build(MULTI, "--target", "tools")
    assert project.run("cat", "/out/tool") == "tool 1 on Linux"
    said = project.refused(MULTI, "--target", "BROKEN")
    assert "The command '/bin/sh -c exit 1' returned a non-zero code: 1" in said
    assert 'target stage "nope" could not be found' in project.refused(MULTI, "--target", "nope")


def test_settings_end_up_in_the_image(project):
    project.build(
        "FROM busybox\nENV A=1 B='x y'\nENV C $A$B\nWORKDIR /srv\nWORKDIR app\nUSER 1000:50\nEXPOSE 80 90/udp\n"
        'VOLUME /data\nLABEL a="b c"\nSTOPSIGNAL SIGINT\nHEALTHCHECK --interval=3s --retries=2 CMD true\n'
        'ONBUILD RUN echo x\nMAINTAINER me\nSHELL ["/bin/sh", "-ec"]\nENTRYPOINT top -b\nCMD x'
    )
    config = project.config()
    assert config["Env"][-3:] == ["A=1", "B=x y", "C=1x y"]
    assert (config["WorkingDir"], config["User"], config["StopSignal"]) == ("/srv/app", "1000:50", "SIGINT")
    assert (sorted(config["ExposedPorts"]), list(config["Volumes"])) == (["80/tcp", "90/udp"], ["/data"])
    assert config["Labels"] == {"a": "b c"}
    assert config["Healthcheck"] == {"Test": ["CMD-SHELL", "true"], "Interval": 3_000_000_000, "Retries": 2}
    assert (config["OnBuild"], config["Shell"]) == (["RUN echo x"], ["/bin/sh", "-ec"])
    assert (config["Entrypoint"], config["Cmd"]) == (["/bin/sh", "-ec", "top -b"], ["/bin/sh", "-ec", "x"])
    assert project.docker.inspect(project.tag)["Author"] == "me"


def test_programs_run_as_their_user_in_their_directory_with_their_arguments(project):
    said = project.build(
        "FROM busybox\nARG A=1\nARG P\nENV E=env\nWORKDIR /w\nRUN chown 1000 /w\nUSER 1000\n"
        "RUN echo $(id -u) $(pwd) $A/$P/$E/$HTTP_PROXY $(hostname | wc -c) > f && cat f",
        *("--build-arg", "P=p", "--build-arg", "HTTP_PROXY=http://proxy", "--build-arg", "UNUSED=1"),
    )
    assert "\n1000 /w 1/p/env/http://proxy 13\n" in said
    assert "[Warning] One or more build-args [UNUSED] were not consumed" in said
    assert not any("PROXY" in one for one in project.config()["Env"])
    history = project.docker("history", "--no-trunc", "--format", "{{.CreatedBy}}", project.tag)
    assert history.splitlines()[0].startswith("|2 A=1 P=p /bin/sh -c echo")


def test_copies(project):
    project.file("a.txt", "a", 0o640)
    project.file("d/one", "1", 0o755)
    project.file("d/sub/two", "2")
    project.file("d/skip.log", "no")
    (project.path / "d" / "link").symlink_to("one")
    (project.path / "outside").symlink_to("/etc/hostname")
    project.build(
        "FROM busybox\nWORKDIR /w\nRUN ln -s /real /alias && mkdir /real\n"
        "COPY a.txt ./\nCOPY a.txt named\nCOPY a.txt d/one /many/\nCOPY d /tree\nCOPY d/ /alias\n"
        "COPY --chown=3:4 --chmod=600 a.* /owned/\nCOPY --chown=7 d /seven\nCOPY --exclude=d/*.log d /some\n"
        'COPY ["a.txt", "/with space"]\nCOPY d/s* /globbed/\n'
    )
    listed = project.run(
        "sh", "-c", "cd /; find w many tree real owned seven some with* globbed -exec stat -c '%n %a %u:%g %F' {} +"
    )
    found = set(listed.splitlines())
    expected = {
        "w/a.txt 640 0:0 regular file",
        "w/named 640 0:0 regular file",
        "many/one 755 0:0 regular file",
        "tree/link 777 0:0 symbolic link",
        "tree/sub/two 644 0:0 regular file",
        "real/one 755 0:0 regular file",
        "owned 755 3:4 directory",
        "owned/a.txt 600 3:4 regular file",
        "seven 755 7:7 directory",
        "seven/sub/two 644 7:7 regular file",
        "some/one 755 0:0 regular file",
        "with space 640 0:0 regular file",
        "globbed/skip.log 644 0:0 regular file",
        "globbed/two 644 0:0 regular file",
    }
    assert expected - found == set()
    assert not any("some/skip.log" in line for line in found)


def test_links_of_the_context_lead_nowhere_else(project):
    project.file("in/secret-less", "fine")
    (project.path / "up").symlink_to("../../../../../../../../../etc")
    (project.path / "abs").symlink_to("/etc/shadow")
    said = project.refused("FROM busybox\nCOPY up/shadow /\n")
    assert "COPY failed: file not found in build context or excluded by .dockerignore: stat up/shadow" in said
    assert "COPY failed" in project.refused("FROM busybox\nCOPY abs /\n")
    assert "ADD failed" in project.refused("FROM busybox\nADD abs /\n")


def test_adding_archives_and_addresses(project, web):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:xz") as archive:
        member = tarfile.TarInfo("inner/file")
        member.size, member.uid, member.mode = 2, 42, 0o600
        archive.addfile(member, io.BytesIO(b"hi"))
    project.file("files.tar.xz", out.getvalue())
    project.file("served", "from the web")
    checksum = "sha256:" + hashlib.sha256(b"from the web").hexdigest()
    project.build(
        f"FROM busybox\nADD files.tar.xz /unpacked\nCOPY files.tar.xz /\nADD {web}/served /web/\n"
        f"ADD --checksum={checksum} --chmod=644 {web}/served /named\n"
    )
    listed = project.run(
        "sh", "-c", "stat -c '%n %a %u' /unpacked/inner/file /files.tar.xz /web/served /named; cat /named"
    )
    assert listed.splitlines() == [
        "/unpacked/inner/file 600 42",
        "/files.tar.xz 644 0",
        "/web/served 600 0",
        "/named 644 0",
        "from the web",
    ]
    assert "digest mismatch" in project.refused(f"FROM busybox\nADD --checksum=sha256:{'0' * 64} {web}/served /x\n")
    assert "with status 404" in project.refused(f"FROM busybox\nADD {web}/nope /x\n")


@pytest.fixture
def web(tmp_path):
    handler = functools.partial(Quiet, directory=str(tmp_path))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def test_mounts_and_here_documents(project):
    project.file("d/f", "from the context\n")
    said = project.build(
        "FROM busybox AS other\nRUN echo staged > /s\n"
        "FROM busybox\nENV N=name\n"
        "RUN --mount=type=cache,target=/cache,id=k echo x >> /cache/n; wc -l < /cache/n\n"
        "RUN --mount=type=cache,target=/c2,id=k echo y >> /c2/n; wc -l < /c2/n\n"
        "RUN --mount=type=tmpfs,target=/t,size=1m df /t | grep -c tmpfs\n"
        "RUN --mount=target=/ctx,source=d --mount=from=other,target=/o cat /ctx/f; cat /o/s; touch /ctx/x || true\n"
        "RUN --mount=target=/ctx,rw touch /ctx/x && echo written\n"
        "RUN --network=none ip -o link | wc -l\n"
        "RUN <<EOF\necho one $N\necho two\nEOF\n"
        "RUN <<-EOF cat\n\ttabs\n\tEOF\n"
        "RUN <<EOF\n#!/bin/cat\nscript\nEOF\n"
        "COPY <<a <<\"b\" /docs/\n$N 'q'\na\n$N\nb\n"
    )
    for line in ("1", "2", "from the context", "staged", "written", "one name", "two", "tabs", "script"):
        assert f"\n{line}\n" in said, line
    assert "Read-only file system" in said
    assert project.run("cat", "/docs/a", "/docs/b").splitlines() == ["name 'q'", "$N"]


def test_mounts_in_mounts(project):
    """As people write it for Go: files of the context at their places, a cache below them; nothing of it stays."""
    project.file("go.mod", "module x\n")
    project.file("main", "main\n")
    text = (
        "FROM --platform=amd64 busybox AS base\nWORKDIR /src/\n"
        "RUN --mount=type=cache,target=/src/cache --mount=type=bind,source=.,target=. "
        "--mount=type=tmpfs,target=/go/ cat go.mod main && touch /src/cache/x\n"
        "RUN --mount=source=go.mod,target=go.mod cat go.mod; ls /src | wc -l\n"
        "COPY . /copied\nRUN ls /copied\nWORKDIR /a/b\nRUN --mount=type=tmpfs,target=/a pwd\n"
    )
    said = project.build(text)
    assert "\nmodule x\nmain\n" in said
    assert "\nmodule x\n1\n" in said
    assert "\nDockerfile\ngo.mod\nmain\n ---> Removed" in said
    assert "\n/a/b\n" in said
    assert project.build(text).count("Using cache") == 7
    assert project.run("sh", "-c", "ls /src /go 2>/dev/null | wc -w") == "1"  # "/src:"


def test_what_the_runtime_mounts_on_does_not_stay(project):
    """Places that were made for mounts are no part of the layer."""
    project.build("FROM busybox\nRUN --mount=type=tmpfs,target=/only/here true\n")
    layers = project.docker.inspect(project.tag)["RootFS"]["Layers"]
    names = [name for layer in layers[1:] for name in layer_names(project.docker.cloud.root, layer)]
    assert not {"only", "only/here", "etc/resolv.conf", "etc/hosts", "proc", "sys", "dev"} & set(names)


def layer_names(root, diff_id):
    with tarfile.open(root / "images" / "blobs" / "sha256" / diff_id.removeprefix("sha256:")) as archive:
        return archive.getnames()


def test_triggers_are_for_the_next_image_only(project):
    project.build("FROM busybox\nONBUILD COPY f /f\nONBUILD RUN echo triggered > /t\n")
    base, project.tag = project.tag, project.tag + "-child"
    project.file("f", "content")
    said = project.build(f"FROM {base}\nRUN cat /t /f\n")
    assert "# Executing 2 build triggers" in said
    assert "triggered" in said
    assert not project.config().get("OnBuild")


# -- the cache -------------------------------------------------------------------------------------------------------


def test_a_changed_file_is_noticed_and_a_touched_one_is_not(project):
    text = "FROM busybox\nRUN echo first\nCOPY f /f\nRUN cat /f\n"
    project.file("f", "one")
    project.build(text)
    os.utime(project.path / "f", (1, 1))
    assert project.build(text).count("Using cache") == 3
    project.file("f", "two")
    assert project.build(text).count("Using cache") == 1
    (project.path / "f").chmod(0o600)
    assert project.build(text).count("Using cache") == 1
    assert project.build(text, "--no-cache").count("Using cache") == 0


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("HEALTHCHECK CMD true", "HEALTHCHECK CMD false"),
        ("HEALTHCHECK CMD true", "LABEL a=b"),
        ("ONBUILD RUN a", "ONBUILD RUN b"),
        ("ENV A=1", "ENV A=2"),
        ("USER 1", "USER 2"),
    ],
)
def test_twins_that_differ_in_a_setting_share_nothing(project, one, other):
    """CVE-2024-24557: what comes after must not be taken from the other."""
    project.build(f"FROM scratch\n{one}\nLABEL end=1\n")
    first = project.config()
    said = project.build(f"FROM scratch\n{other}\nLABEL end=1\n")
    assert "Using cache" not in said or one == "HEALTHCHECK CMD true"
    assert project.config() != first


def test_arguments_that_are_used_are_part_of_the_key(project):
    text = "FROM busybox\nARG V\nRUN echo v=$V\n"
    project.build(text, "--build-arg", "V=1")
    assert "v=2" in project.build(text, "--build-arg", "V=2")
    assert project.build(text, "--build-arg", "V=1").count("Using cache") == 2
    assert project.build(text, "--build-arg", "V=1", "--build-arg", "HTTP_PROXY=x").count("Using cache") == 2


def test_pruning_gives_the_space_back(project):
    project.build("FROM busybox\nRUN dd if=/dev/zero of=/big bs=1M count=5 2>/dev/null\n")
    project.docker("rmi", project.tag)
    assert project.build(None).count("Using cache") == 1  # the cache outlives the image
    project.docker("rmi", project.tag)
    sizes = [row["Size"] for row in usage(project.docker)["BuildCache"]]
    assert max(sizes) > 5 << 20
    said = project.docker("builder", "prune", "-f")
    assert float(re.search(r"Total reclaimed space: ([\d.]+)MB", said)[1]) >= 5
    assert usage(project.docker)["BuildCache"] == []
    blobs = project.docker.cloud.root / "images" / "blobs" / "sha256"
    assert not [path for path in blobs.iterdir() if 5 << 20 < path.stat().st_size < 6 << 20]
    assert "Using cache" not in project.build(None)


def usage(docker):
    return json.loads(post(docker, "GET", "/system/df")[1])


# -- contexts --------------------------------------------------------------------------------------------------------


def post(docker, method, path, body=b"", **query):
    """(status, body) of a request to the socket."""
    connection = http.client.HTTPConnection("docker")
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect(str(docker.socket))
    try:
        connection.request(method, f"{path}?{urlencode(query, doseq=True)}", body)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def tar_of(*members):
    """A tar of (name, content or TarInfo's fields)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", errors="surrogateescape") as archive:
        for name, content in members:
            member = tarfile.TarInfo(name)
            if isinstance(content, dict):
                for field, value in content.items():
                    setattr(member, field, value)
                archive.addfile(member)
            else:
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
    return out.getvalue()


PLAIN = ("Dockerfile", b"FROM scratch\nLABEL a=b\n")


def test_a_dockerfile_on_standard_input(docker):
    said = docker("build", "-t", "from-stdin", "-", input="FROM busybox\nRUN echo read from stdin\n")
    assert "\nread from stdin\n" in said
    assert "Successfully tagged from-stdin:latest" in said


def test_another_dockerfile_outside_of_the_context(project, tmp_path_factory):
    other = tmp_path_factory.mktemp("other") / "Other"
    other.write_text("FROM busybox\nCOPY f /\nRUN cat /f\n")
    project.file("f", "inside\n")
    assert "\ninside\n" in project.docker("build", "-f", str(other), str(project.path))


@pytest.mark.parametrize("packed", ["gzip", "bz2", "xz", "zstd", ""])
def test_contexts_may_be_packed(docker, packed):
    plain = tar_of(PLAIN)
    if packed == "zstd":
        data = subprocess.run(["zstd", "-c"], input=plain, capture_output=True, check=True).stdout
    else:
        data = importlib.import_module({"xz": "lzma"}.get(packed, packed)).compress(plain) if packed else plain
    status, said = post(docker, "POST", "/build", data, t="packed", q="1")
    assert status == 200
    assert re.search(r'"stream":"sha256:[0-9a-f]{64}\\n"', said)


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ([("../evil", b"x"), PLAIN], "leads out of it"),
        ([("a/../../evil", b"x"), PLAIN], "leads out of it"),
        ([PLAIN, ("l", {"type": tarfile.LNKTYPE, "linkname": "/etc/shadow"})], "link to nothing"),
        ([PLAIN, ("l", {"type": tarfile.LNKTYPE, "linkname": "../../etc/shadow"})], "leads out of it"),
        ([PLAIN, ("l", {"type": tarfile.SYMTYPE, "linkname": "/etc"}), ("l/evil", b"x")], "cannot be unpacked"),
        ([PLAIN, ("d/f", b"x"), ("d", b"x")], "a file where there is a directory"),
        ([PLAIN, ("x" * 5000, b"x")], "impossible name"),
        ([("other", b"x")], "Cannot locate specified Dockerfile: Dockerfile"),
        (
            [("Dockerfile", {"type": tarfile.SYMTYPE, "linkname": "/etc/hostname"})],
            "Cannot locate specified Dockerfile",
        ),
        ([("Dockerfile", {"type": tarfile.FIFOTYPE})], "Cannot locate specified Dockerfile"),
    ],
)
def test_hostile_contexts(project, members, said):
    status, answer = post(project.docker, "POST", "/build", tar_of(*members))
    assert (status, said in answer) == (400, True), answer
    assert not Path("/etc/evil").exists()


@pytest.mark.parametrize(
    ("query", "status", "said"),
    [
        ({"dockerfile": "../Dockerfile"}, 400, "the Dockerfile (../Dockerfile) must be within the build context"),
        ({"dockerfile": "/etc/passwd"}, 400, "the Dockerfile (/etc/passwd) must be within the build context"),
        ({"dockerfile": "nope"}, 400, "Cannot locate specified Dockerfile: nope"),
        ({"t": "UPPER"}, 400, "must be lowercase"),
        ({"t": "a:..b"}, 400, "invalid reference format"),
        ({"buildargs": "[1]"}, 400, "error reading build args"),
        ({"buildargs": '{"a": 1}'}, 400, "error reading build args"),
        ({"labels": "x"}, 400, "error reading labels"),
        ({"memory": "1"}, 400, "Minimum memory limit allowed is 6MB"),
        ({"platform": "a/b/c/d"}, 400, "platform"),
        ({"squash": "1"}, 400, "squash is only supported with experimental mode"),
        ({"version": "2"}, 501, "classic builder"),
        ({"networkmode": "nope"}, 404, "network nope not found"),
        ({"remote": "--upload-pack=touch /tmp/x"}, 400, "unable to determine the type of the remote context"),
        ({"remote": "git://x#:../.."}, 501, "git repository"),
        ({"remote": "https://github.com/a/b.git"}, 501, "git repository"),
        ({"extrahosts": "nope"}, 400, "bad format for add-host"),
        ({"ulimits": '[{"Name":"nofile","Soft":2,"Hard":1}]'}, 400, "ulimit soft limit must be less"),
        ({"target": "nope"}, 400, r"target stage \"nope\" could not be found"),
    ],
)
def test_bad_requests(project, query, status, said):
    found, answer = post(project.docker, "POST", "/build", tar_of(PLAIN), **query)
    assert (found, said in answer) == (status, True), answer


def test_what_is_no_archive(project):
    for body in (b"not a tar at all" * 100, b"\x1f\x8bnot gzip", tar_of(("Dockerfile", b"x" * 9000))[:3000]):
        status, answer = post(project.docker, "POST", "/build", body)
        assert (status, "damaged" in answer) == (400, True), answer
    assert post(project.docker, "POST", "/build", b"") == (
        400,
        '{"message":"Cannot locate specified Dockerfile: Dockerfile"}',
    )


def test_a_context_from_an_address(docker, project, web):
    project.file("Plain", "FROM busybox\nRUN echo from the web\n")
    assert "from the web" in post(docker, "POST", "/build", remote=f"{web}/Plain")[1]
    project.file("ctx.tar", tar_of(("Dockerfile", b"FROM busybox\nCOPY f /\nRUN cat /f\n"), ("f", b"packed")))
    assert "packed" in post(docker, "POST", "/build", remote=f"{web}/ctx.tar")[1]
    assert post(docker, "POST", "/build", remote=f"{web}/nope")[0] == 400


def test_names_and_texts_that_are_not_utf8(docker):
    dockerfile = b"FROM busybox\nCOPY d /d\nRUN ls /d | wc -l; echo gr\xfc\xdfe\n"
    status, said = post(docker, "POST", "/build", tar_of(("Dockerfile", dockerfile), ("d/\udcff\udcfe", b"x")), t="odd")
    assert (status, '"stream":"1\\n' in said, "Successfully tagged odd" in said) == (200, True, True), said
    assert docker("run", "--rm", "odd", "sh", "-c", "cat /d/* && ls /d | wc -c") == "x3"
    status, said = post(
        docker, "POST", "/build", tar_of(("Dockerfile", b"FROM busybox\nCOPY \xff* /\n"), ("\udcff", b"x"))
    )
    assert status == 200
    assert "no source files were specified" in said


def test_ignored_files(project):
    project.file(".dockerignore", "*.log\n!keep.log\n**/secret\nDockerfile\n.dockerignore\n")
    for name in ("a.log", "keep.log", "d/secret", "d/public"):
        project.file(name, "x")
    project.build("FROM busybox\nCOPY . /c\n")
    listed = project.run("find", "/c", "-type", "f")
    assert sorted(listed.splitlines()) == ["/c/d/public", "/c/keep.log"]


# -- failures --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("FOO x", "dockerfile parse error on line 2: unknown instruction: FOO"),
        ("RUN exit 3", "The command '/bin/sh -c exit 3' returned a non-zero code: 3"),
        ('RUN ["nosuch"]', 'exec: "nosuch": executable file not found in $PATH'),
        ("USER ghost\nRUN id", "unable to find user ghost: no matching entries in passwd file"),
        ("COPY nope /", "file not found in build context or excluded by .dockerignore: stat nope: file does not exist"),
        ("COPY ../x /", "COPY failed: forbidden path outside the build context: ../x ()"),
        ("COPY no* /", "COPY failed: no source files were specified"),
        ("COPY Dockerfile Dockerfile /x", "the destination must be a directory and end with a /"),
        ("COPY --chown=ghost Dockerfile /", "unable to convert uid/gid chown string to host mapping"),
        ("COPY --chmod=888 Dockerfile /", "invalid chmod parameter: '888'"),
        ("COPY --from=0 /x /", "refers to current build stage"),
        ("COPY --from=7 /x /", "invalid stage index"),
        ("COPY --from=nobody-has-made-this /x /", "pull access denied for nobody-has-made-this"),
        ("WORKDIR /proc/self/fd/8", "WorkingDir may not be /proc/self/fd/8"),
        ("RUN --mount=type=secret,id=s cat", "--mount=type=secret needs a BuildKit session"),
        ("RUN --security=insecure id", "security.insecure is not allowed"),
        ("RUN --network=host id", "network.host is not allowed"),
        ("ADD http://127.0.0.1:9/x /", "failed to GET http://127.0.0.1:9/x"),
        ("ENV A=${B", 'failed to process "${B"'),
        ("EXPOSE 99999", "invalid containerPort: 99999"),
    ],
)
def test_mistakes(project, text, said):
    assert said in project.refused(f"FROM busybox\n{text}\n")


def test_bases_that_are_not_there(project):
    assert "base name (${UNSET}) should not be blank" in project.refused("FROM ${UNSET}\n")
    said = project.refused("FROM nobody-has-made-this\n")
    assert (
        "pull access denied for nobody-has-made-this, repository does not exist or may require 'docker login'" in said
    )
    assert "Successfully" not in said
    assert "no build stage in Dockerfile" in project.refused("ARG x\n")


def test_a_build_that_is_cut_off_leaves_nothing(project):
    project.file("Dockerfile", "FROM busybox\nRUN echo begun; sleep 1000\n")
    command = ["docker", "build", str(project.path)]
    client = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=project.docker.environment
    )
    [id] = project.docker.wait_for(lambda: project.docker("ps", "--quiet", "--filter", "name=build_").split())
    assert project.docker("exec", id, "hostname") == id
    client.send_signal(signal.SIGKILL)
    client.wait()
    project.docker.wait_for(lambda: project.docker("ps", "--all", "--quiet", "--filter", "name=build_") == "")
    project.docker.wait_for(lambda: not os.listdir(project.docker.cloud.root / "builds"))


def test_a_build_can_be_cancelled_by_its_name(project):
    answer = []
    archive = tar_of(("Dockerfile", b"FROM busybox\nRUN sleep 1000\n"))
    thread = threading.Thread(
        target=lambda: answer.append(post(project.docker, "POST", "/build", archive, buildid="b1"))
    )
    thread.start()
    project.docker.wait_for(lambda: project.docker("ps", "--quiet", "--filter", "name=build_"))
    assert post(project.docker, "POST", "/build/cancel", id="b1")[0] == 204
    thread.join()
    assert '"error":"build cancelled"' in answer[0][1]
    assert post(project.docker, "POST", "/build/cancel")[0] == 400


def test_the_same_built_by_several_at_once(project):
    project.file("Dockerfile", "FROM busybox\nRUN echo $((1+1)) > /sum\nRUN cat /sum\n")
    command = ["docker", "build", "-q", "--no-cache", str(project.path)]
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "env": project.docker.environment}
    clients = [subprocess.Popen(command, **options) for _ in range(4)]
    said = [client.communicate() for client in clients]
    assert [client.returncode for client in clients] == [0] * 4, said
    for id in {out.strip() for out, _ in said}:
        assert project.docker("run", "--rm", id, "cat", "/sum") == "2"


def test_networks_of_a_build(project):
    project.docker("network", "create", "for-builds")
    said = project.build(
        "FROM busybox\nRUN ip -4 -o address show eth0; cat /etc/hosts\n",
        *("--network", "for-builds", "--add-host", "other:10.9.8.7", "--add-host", "me:host-gateway"),
    )
    network = project.docker.inspect("for-builds")["IPAM"]["Config"][0]["Subnet"]
    assert f"inet {network.rpartition('.')[0]}." in said
    assert "10.9.8.7\tother" in said
    assert re.search(r"\n[0-9.]+\tme\n", said)
    assert "eth0" not in project.build("FROM busybox\nRUN ip -o link\n", "--network", "none").partition("Running in")[2]


def test_another_machines_image_is_not_taken_for_ours(project):
    said = project.refused("FROM --platform=linux/s390x busybox\n")
    assert "busybox" in said
    assert "Successfully" not in said


def test_bases_from_a_registry_that_wants_a_password(project, guarded):
    docker, name = project.docker, f"{guarded}/base:1"
    docker("login", "-u", USER, "--password-stdin", guarded, input=PASSWORD)
    project.build("FROM busybox\nRUN echo built here > /x\n", "-t", name)
    docker("push", name)
    docker("rmi", name)
    docker("logout", guarded)
    assert "no basic auth credentials" in project.refused(f"FROM {name}\nRUN cat /x\n")
    docker("login", "-u", USER, "--password-stdin", guarded, input=PASSWORD)
    assert "\nbuilt here\n" in project.build(f"FROM {name}\nRUN cat /x\n")
    said = project.build(f"FROM {name}\nRUN cat /x\n", "--pull")
    assert "1: Pulling from base" in said
    assert said.count("Using cache") == 1
    docker("logout", guarded)
    docker("rmi", "--force", name)


def test_what_was_built_runs_in_a_pod(docker, tmp_path, space):
    project = Project(docker, tmp_path)
    project.build('FROM busybox\nCMD ["echo", "built for a pod"]\n')
    space.kubectl("run", "built", f"--image={project.tag}", "--image-pull-policy=IfNotPresent", "--restart=Never")
    space.wait_for(lambda: space.json("get", "pod", "built")["status"]["phase"] == "Succeeded")
    assert space.text("logs", "built") == "built for a pod\n"


def test_a_daemon_that_dies_in_the_middle(tmp_path):
    """What was kept before stays kept; nothing else is left."""
    context = tmp_path / "context"
    context.mkdir()
    (context / "Done").write_text("FROM busybox\nRUN echo kept > /kept\n")
    (context / "Dockerfile").write_text(
        "FROM busybox\nRUN echo kept > /kept\nRUN dd if=/dev/zero of=/lost bs=1M count=3\nRUN sleep 1000\n"
    )
    with Cloud.started(tmp_path / "cloud") as cloud:
        cloud.docker("build", "-f", str(context / "Done"), str(context))
        blobs = cloud.root / "images" / "blobs" / "sha256"
        before = sorted(os.listdir(blobs))
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        client = subprocess.Popen(["docker", "build", str(context)], **quiet, env=cloud.environment)
        cloud.wait_for(lambda: "sleep" in cloud.docker("ps", "--filter", "name=build_").stdout)
        assert sorted(os.listdir(blobs)) != before
        os.kill(cloud.daemon_pid, signal.SIGKILL)
        client.wait()
        cloud.wait_for(lambda: cloud.coracle("up", "--no-kubeconfig", check=False).returncode == 0)
        assert cloud.docker("ps", "--all", "--quiet").stdout == ""
        for folder in ("snapshots/containers", "sandboxes", "snapshots/tmp", "images/ingest"):
            assert os.listdir(cloud.root / folder) == []
        assert not (cloud.root / "builds").exists()
        assert sorted(os.listdir(blobs)) == before
        assert cloud.docker("build", "-f", str(context / "Done"), str(context)).stdout.count("Using cache") == 1
