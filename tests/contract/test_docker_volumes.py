"""Volumes and mounts through the real client: made, used, filled, shared, refused, pruned."""

import os
import re
import signal

import pytest

from coracle.testing.cloud import Cloud

RUN = ("run", "--rm")


@pytest.fixture(autouse=True)
def image(docker):
    docker("pull", "--quiet", "busybox")


def inspect(docker, name):
    return docker.inspect(name, "--type", "volume")


def names(docker, *words):
    return docker("volume", "ls", "--quiet", *words).split()


def test_a_volume_outlives_its_containers(docker):
    assert docker("volume", "create", "--label", "tier=db", "data") == "data"
    assert docker("volume", "create", "data") == "data"  # the same again
    docker(*RUN, "--volume", "data:/srv", "busybox", "sh", "-c", "echo kept > /srv/file")
    assert docker(*RUN, "--mount", "source=data,target=/srv,readonly", "busybox", "cat", "/srv/file") == "kept"
    found = inspect(docker, "data")
    assert (found["Driver"], found["Scope"], found["Labels"]) == ("local", "local", {"tier": "db"})
    assert found["Mountpoint"].endswith("/volumes/data/_data")
    assert docker("volume", "rm", "data") == "data"
    assert "get data: no such volume" in docker.refused("volume", "rm", "data")
    docker("volume", "rm", "--force", "data")


def test_what_is_used_stays(docker):
    id = docker("create", "--volume", "used:/srv", "busybox", "true")
    assert f"remove used: volume is in use - [{id}]" in docker.refused("volume", "rm", "used")
    docker("rm", id)
    docker("volume", "rm", "used")


def test_lists_are_filtered(docker):
    docker("volume", "create", "--label", "a=1", "first")
    docker("volume", "create", "--label", "a=2", "second")
    docker("create", "--volume", "first:/srv", "busybox", "true")
    assert names(docker, "--filter", "label=a=2") == ["second"]
    assert {*names(docker, "--filter", "label=a")} == {"first", "second"}
    assert names(docker, "--filter", "name=fir") == ["first"]
    assert "first" not in names(docker, "--filter", "dangling=true")
    assert names(docker, "--filter", "dangling=false", "--filter", "label=a") == ["first"]
    assert names(docker, "--filter", "driver=other") == []
    assert "invalid filter" in docker.refused("volume", "ls", "--filter", "nope=1")
    assert "invalid filter" in docker.refused("volume", "ls", "--filter", "dangling=perhaps")


def test_prune_takes_anonymous_ones_and_with_all_the_others(docker):
    docker("volume", "create", "named")
    [anonymous] = [docker("volume", "create")]
    assert re.fullmatch("[0-9a-f]{64}", anonymous)
    docker("create", "--volume", "/anonymous", "--name", "user", "busybox", "true")
    said = docker("volume", "prune", "--force")
    assert anonymous in said
    assert "named" in names(docker)
    docker(*RUN, "--volume", "named:/x", "busybox", "dd", "if=/dev/zero", "of=/x/y", "bs=1000", "count=5")
    docker("volume", "create", "--label", "keep=", "other")
    said = docker("volume", "prune", "--all", "--force", "--filter", "label!=keep")
    assert "named" in said
    assert "Total reclaimed space: 5kB" in said
    left = names(docker)
    assert "other" in left
    assert len(left) == 2  # and the one in use


def test_anonymous_volumes_go_with_their_container(docker):
    id = docker("create", "--volume", "/a", "--volume", "named:/b", "busybox", "true")
    [name] = [m["Name"] for m in docker.inspect(id)["Mounts"] if m["Destination"] == "/a"]
    assert inspect(docker, name)["Labels"] == {"com.docker.volume.anonymous": ""}
    docker("rm", "--volumes", id)
    assert names(docker) == ["named"]
    docker(*RUN, "--volume", "/a", "busybox", "true")
    docker.wait_for(lambda: names(docker) == ["named"])


def test_an_empty_volume_takes_over_what_the_image_has_there(docker):
    script = """
        mkdir -p /srv/d; echo x > /srv/f; ln -s f /srv/l; ln /srv/f /srv/h
        chown -h 7:8 /srv/f /srv/l; chmod 1750 /srv; chown 9:9 /srv
    """
    docker("run", "--name", "maker", "busybox", "sh", "-c", script)
    docker("commit", "maker", "filled")
    look = "stat -c '%n %a %u:%g %h' /srv /srv/f /srv/l; readlink /srv/l"
    seen = docker(*RUN, "--volume", "copy:/srv", "filled", "sh", "-c", look)
    assert seen.split("\n") == ["/srv 1750 9:9 3", "/srv/f 644 7:8 2", "/srv/l 777 7:8 1", "f"]
    assert docker(*RUN, "--volume", "empty:/srv:nocopy", "filled", "ls", "/srv") == ""
    docker(*RUN, "--volume", "copy:/srv", "filled", "rm", "/srv/f")
    assert "f" not in docker(*RUN, "--volume", "copy:/srv", "filled", "ls", "/srv").split()  # it is not empty
    assert "file exists" in docker.refused("create", "--volume", "other:/etc/passwd", "filled", "true")
    docker("rm", "maker")
    docker("rmi", "filled")


def test_file_systems_are_mounted_with_the_first_user_and_unmounted_with_the_last(docker):
    options = ("--opt", "type=tmpfs", "--opt", "device=tmpfs", "--opt", "o=size=1m,uid=1000")
    docker("volume", "create", *options, "memory")
    docker("run", "-d", "--name", "one", "--volume", "memory:/m", "busybox", "sleep", "1000")
    docker("exec", "one", "sh", "-c", "echo shared > /m/x")
    assert docker(*RUN, "--volume", "memory:/m", "busybox", "cat", "/m/x") == "shared"
    assert docker("exec", "one", "stat", "-c", "%u", "/m") == "1000"
    assert "No space" in docker.refused("exec", "one", "dd", "if=/dev/zero", "of=/m/y", "bs=1M", "count=2")
    docker("rm", "--force", "one")
    assert docker(*RUN, "--volume", "memory:/m", "busybox", "ls", "/m") == ""
    assert inspect(docker, "memory")["Options"] == {"type": "tmpfs", "device": "tmpfs", "o": "size=1m,uid=1000"}


def test_a_bind_as_a_volume_and_its_directory_stays(docker, tmp_path):
    (tmp_path / "kept").write_text("mine")
    docker("volume", "create", "--opt", "type=none", "--opt", f"device={tmp_path}", "--opt", "o=bind", "bound")
    assert docker(*RUN, "--volume", "bound:/m", "busybox", "cat", "/m/kept") == "mine"
    docker("volume", "rm", "bound")
    assert (tmp_path / "kept").read_text() == "mine"


def test_what_cannot_be_mounted_is_told(docker):
    docker("volume", "create", "--opt", "type=nope", "--opt", "device=x", "strange")
    said = docker.refused("run", "--volume", "strange:/m", "busybox", "true")
    assert "failed to mount local volume" in said
    assert "no file system 'nope'" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("../../etc",), '"../../etc" includes invalid characters for a local volume name, only'),
        (("x",), "volume name is too short"),
        (("--driver", "nope", "good"), 'plugin "nope" not found'),
        (("--opt", "nope=1", "good"), 'invalid option: "nope"'),
        (("--opt", "type=tmpfs", "good"), 'missing required option: "device"'),
        (("--opt", "size=1m", "good"), "quota size requested but no quota support"),
    ],
)
def test_bad_volumes_are_refused(docker, words, said):
    assert said in docker.refused("volume", "create", *words)
    assert "good" not in names(docker)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("-v", "no name:/x"), "includes invalid characters for a local volume name"),
        (("-v", "x:/y"), "volume name is too short"),
        (("-v", "/x:/y:nope"), "invalid mode: nope"),
        (("-v", "/tmp:y"), "invalid mount path: 'y' mount path must be absolute"),
        (("-v", "/tmp:/"), "destination can't be '/'"),
        (("-v", "/tmp:/x", "-v", "/var:/x"), "Duplicate mount point: /x"),
        (("--mount", "type=bind,source=/no/such,target=/x"), "bind source path does not exist: /no/such"),
        (("--mount", "type=volume,target=/x,readonly"), "must not set ReadOnly mode when using anonymous volumes"),
        (("--mount", "type=volume,source=aa,target=/x,volume-subpath=../.."), "subpath must be a relative path within"),
        (("--mount", "type=nope,source=aa,target=/x"), "mount type unknown"),
        (("--tmpfs", "/x:nope"), 'invalid tmpfs option ["nope" "nope"]'),
        (("--volumes-from", "nobody"), "No such container: nobody"),
    ],
)
def test_bad_mounts_are_refused_and_leave_nothing(docker, words, said):
    assert said in docker.refused("create", *words, "--volume", "/left/over", "busybox", "true")
    assert names(docker) == []


def test_binds_follow_their_options(docker, tmp_path):
    (tmp_path / "x").write_text("host")
    missing = tmp_path / "made" / "here"
    docker(
        "run", "-d", "--name", "binds", "-v", f"{tmp_path}:/ro:ro", "-v", f"{missing}:/made", "busybox", "sleep", "99"
    )
    assert docker("exec", "binds", "cat", "/ro/x") == "host"
    assert "Read-only file system" in docker.refused("exec", "binds", "touch", "/ro/y")
    docker("exec", "binds", "touch", "/made/file")
    assert (missing / "file").exists()
    shown = {mount["Destination"]: mount for mount in docker.inspect("binds")["Mounts"]}
    assert (shown["/ro"]["RW"], shown["/ro"]["Mode"], shown["/ro"]["Propagation"]) == (False, "ro", "rprivate")
    assert shown["/made"]["Source"] == str(missing)


def test_volumes_from_another_container(docker):
    docker("create", "--name", "lender", "--volume", "lent:/srv", "--volume", "/anonymous", "busybox", "true")
    docker(*RUN, "--volumes-from", "lender", "busybox", "sh", "-c", "echo a > /srv/x; echo b > /anonymous/y")
    assert docker(*RUN, "--volumes-from", "lender:ro", "busybox", "cat", "/srv/x", "/anonymous/y") == "a\nb"
    assert "Read-only" in docker.refused(*RUN, "--volumes-from", "lender:ro", "busybox", "touch", "/srv/z")


def test_a_part_of_a_volume_and_nothing_beside_it(docker):
    docker(
        *RUN,
        "-v",
        "whole:/w",
        "busybox",
        "sh",
        "-c",
        "mkdir -p /w/a/b; echo in > /w/a/b/f; ln -s /etc /w/out; ln -s ../../.. /w/up",
    )
    part = "type=volume,source=whole,target=/p,volume-subpath="
    assert docker(*RUN, "--mount", f"{part}a/b", "busybox", "cat", "/p/f") == "in"
    assert docker(*RUN, "--mount", f"{part}a/b/f", "busybox", "cat", "/p") == "in"
    assert docker(*RUN, "--mount", f"{part}up", "busybox", "ls", "/p").split() == [
        "a",
        "out",
        "up",
    ]  # the volume's root
    assert "no such file or directory" in docker.refused(*RUN, "--mount", f"{part}out", "busybox", "ls", "/p")
    assert "no such file or directory" in docker.refused(*RUN, "--mount", f"{part}nope", "busybox", "true")
    assert "File name too long" in docker.refused(*RUN, "--mount", f"{part}{'x' * 300}", "busybox", "true")


def test_an_image_is_mounted_read_only_or_not(docker):
    mount = "type=image,source=busybox,target=/i"
    assert "busybox" in docker(*RUN, "--mount", mount, "busybox", "ls", "/i/bin")
    assert docker(*RUN, "--mount", f"{mount},image-subpath=etc", "busybox", "ls", "/i/passwd") == "/i/passwd"


def test_tmpfs_has_its_size_and_mode(docker):
    seen = docker(*RUN, "--tmpfs", "/t:size=64k,exec", "--mount", "type=tmpfs,target=/u,tmpfs-mode=0700", "busybox",
                  "sh", "-c", "mount | grep -E ' /[tu] '; stat -c %a /u")  # fmt: skip
    *lines, mode = seen.split("\n")
    [first] = [line for line in lines if " /t " in line]
    [second] = [line for line in lines if " /u " in line]
    assert "size=64k" in first
    assert "nosuid" in first
    assert "noexec" not in first
    assert "noexec" in second
    assert mode == "700"


def test_volumes_survive_the_daemon(tmp_path):
    with Cloud.started(tmp_path) as own:

        def docker(*words):
            return own.docker(*words).stdout.strip()

        docker("volume", "create", "--opt", "type=tmpfs", "--opt", "device=tmpfs", "memory")
        docker("run", "-d", "--name", "user", "-v", "memory:/m", "-v", "kept:/k", "busybox", "sleep", "1000")
        docker("exec", "user", "sh", "-c", "echo a > /m/x; echo b > /k/y")
        os.kill(own.daemon_pid, signal.SIGKILL)
        own.up()
        assert docker("exec", "user", "cat", "/m/x", "/k/y") == "a\nb"
        assert "volume is in use" in own.docker("volume", "rm", "memory", check=False).stderr
        assert docker(*RUN, "-v", "memory:/m", "busybox", "cat", "/m/x") == "a"  # the same file system
        docker("rm", "--force", "user")
        assert docker(*RUN, "-v", "memory:/m", "busybox", "ls", "/m") == ""
        docker("volume", "rm", "memory", "kept")
