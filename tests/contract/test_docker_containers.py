"""Containers through the real client: created, listed, inspected, renamed, changed, ended, removed."""

import json
import threading
from pathlib import Path

import pytest


def test_run_prints_what_the_program_says_and_ends_as_it_ends(docker):
    docker("pull", "--quiet", "busybox")
    done = docker.attempt("run", "--rm", "busybox", "sh", "-c", "echo out; echo err >&2; exit 3")
    assert (done.returncode, done.stdout, done.stderr) == (3, "out\n", "err\n")
    assert docker.made()["container"] == []


def test_a_program_that_cannot_be_run_gives_dockers_exit_codes(docker):
    missing = docker.attempt("run", "--rm", "busybox", "nope")
    assert missing.returncode == 127
    assert 'exec: "nope": executable file not found in $PATH: unknown' in missing.stderr
    plain = docker.attempt("run", "--rm", "busybox", "/etc/passwd")
    assert plain.returncode == 126
    assert 'exec: "/etc/passwd": permission denied: unknown' in plain.stderr
    docker.attempt("run", "--name", "broken", "--entrypoint", "/no/such", "busybox")
    state = docker.inspect("broken")["State"]
    assert (state["Status"], state["ExitCode"]) == ("created", 127)
    assert "stat /no/such: no such file or directory" in state["Error"]
    nothing = docker.attempt("run", "--rm", "busybox", "")
    assert nothing.returncode == 127
    assert 'exec: "": executable file not found in $PATH: unknown' in nothing.stderr


def test_life_of_a_container(docker):
    id = docker("create", "--name", "life", "busybox", "sh", "-c", "trap 'exit 5' TERM; while :; do sleep 0.1; done")
    assert docker("ps", "--all", "--filter", f"id={id}", "--format", "{{.Status}}") == "Created"
    docker("start", "life")
    first = docker.inspect("life")
    assert first["State"]["Status"] == "running"
    assert first["State"]["Pid"] > 0
    docker("start", "life")  # not modified
    docker("stop", "life")
    assert docker.inspect("life")["State"]["ExitCode"] == 5
    docker("stop", "life")  # not modified
    docker("restart", "life")
    assert docker.inspect("life")["State"]["Pid"] not in (0, first["State"]["Pid"])
    docker("kill", "--signal", "TERM", "life")
    assert docker("wait", "life") == "5"
    assert "is not running" in docker.refused("kill", "life")
    assert docker("rm", "life") == "life"
    assert "No such container: life" in docker.refused("start", "life")


def test_pause_and_unpause(docker):
    docker("run", "-d", "--name", "still", "busybox", "sleep", "1000")
    docker("pause", "still")
    assert docker("ps", "--filter", "name=still", "--format", "{{.Status}} {{.State}}").endswith("(Paused) paused")
    assert "is already paused" in docker.refused("pause", "still")
    assert "container is paused and must be unpaused first" in docker.refused("rm", "still")
    docker("unpause", "still")
    assert "is not paused" in docker.refused("unpause", "still")
    docker("pause", "still")
    docker("rm", "--force", "still")


def test_names_are_unique_and_can_be_changed(docker):
    first = docker("create", "--name", "first", "busybox")
    docker("create", "--name", "second", "busybox")
    said = docker.refused("create", "--name", "first", "busybox")
    assert f'Conflict. The container name "/first" is already in use by container "{first}"' in said
    assert "You have to remove (or rename) that container to be able to reuse that name." in said
    said = docker.refused("rename", "first", "second")
    assert 'Error when allocating new name: Conflict. The container name "/second" is already in use' in said
    docker("rename", "first", "third")
    assert docker.inspect(first)["Name"] == "/third"
    assert docker.inspect("/third")["Id"] == first
    docker("create", "--name", "first", "busybox")
    docker("rm", "second")
    docker("rename", "third", "second")
    assert docker.inspect("second")["Id"] == first


@pytest.mark.parametrize("name", ["-x", "a", "x/y", "ü1", "a b", "x" * 300, "..", "%2e%2e"])
def test_bad_names_are_refused(docker, name):
    said = docker.refused("create", f"--name={name}", "busybox")
    assert "Invalid container name" in said
    assert "only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed" in said


def test_two_that_want_one_name_at_once(docker):
    outcomes = []

    def create():
        outcomes.append(docker.attempt("create", "--name", "contested", "busybox").returncode)

    threads = [threading.Thread(target=create) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == [0, 1, 1, 1]


def test_containers_are_found_by_the_beginning_of_their_id(docker):
    id = docker("create", "busybox")
    assert docker.inspect(id[:12])["Id"] == id
    others = [docker("create", "busybox") for _ in range(17)]
    first = next(digit for digit in "0123456789abcdef" if sum(one[0] == digit for one in [id, *others]) > 1)
    assert f"multiple IDs found with provided prefix: {first}" in docker.refused("start", first)


def test_entrypoint_command_environment_and_labels_over_the_images(docker):
    docker(
        "create", "--name", "web", "-e", "FOO=1", "--label", "a=b", "--entrypoint", "/bin/echo", "busybox", "x", "y z"
    )
    web = docker.inspect("web")
    assert (web["Path"], web["Args"]) == ("/bin/echo", ["x", "y z"])
    assert web["Config"]["Entrypoint"] == ["/bin/echo"]
    assert "FOO=1" in web["Config"]["Env"]
    assert any(entry.startswith("PATH=") for entry in web["Config"]["Env"])
    assert web["Config"]["Labels"]["a"] == "b"
    assert docker("start", "--attach", "web") == "x y z"
    assert docker("ps", "--all", "--filter", "name=web", "--no-trunc", "--format", "{{.Command}}") == (
        "\"/bin/echo x 'y z'\""
    )


def test_the_program_sees_what_was_asked_for(docker):
    script = "hostname; id -u; id -g; pwd; cat /etc/hosts /etc/resolv.conf; ulimit -n; cat /proc/sys/net/core/somaxconn"
    said = docker(
        "run", "--rm", "--hostname", "ship", "--user", "1000:2000", "--workdir", "/tmp/deep/er", "--add-host",
        "db:10.9.9.9", "--dns-search", "lan", "--ulimit", "nofile=100:200", "--sysctl", "net.core.somaxconn=77",
        "busybox", "sh", "-c", script,
    ).splitlines()  # fmt: skip
    assert said[:4] == ["ship", "1000", "2000", "/tmp/deep/er"]
    assert any(line.split() == ["10.9.9.9", "db"] for line in said)
    assert any(line.split()[1:] == ["ship"] for line in said[4:])
    assert "search lan" in said
    assert said[-2:] == ["100", "77"]
    assert docker("run", "--rm", "--user", "1000:2000", "busybox", "id", "-G") == "2000"
    assert docker("run", "--rm", "--env", "A=1", "busybox", "env").splitlines()[-2:] == ["A=1", "HOME=/root"]
    assert docker("run", "--rm", "--network", "host", "--hostname", "ship", "busybox", "hostname") == "ship"
    assert docker("run", "--rm", "--hostname", "a.b.c", "busybox", "hostname", "-f") == "a.b.c"
    assert "\ta.b.c a" in docker("run", "--rm", "--hostname", "a.b.c", "busybox", "cat", "/etc/hosts")


def test_a_program_can_see_that_it_is_in_a_container(docker):
    docker("run", "--name", "box", "busybox", "sh", "-c", "test -f /.dockerenv && touch /made")
    assert docker("diff", "box") == "A /made"


def test_limits(docker):
    script = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/cpu/cpu.cfs_quota_us"
    newer = "cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max; cut -d' ' -f1 /sys/fs/cgroup/cpu.max"
    options = ("--memory", "64m", "--pids-limit", "50", "--cpus", "0.5")
    docker("run", "-d", "--name", "held", *options, "busybox", "sleep", "1000")
    told = docker("exec", "held", "sh", "-c", f"{script} 2>/dev/null || {{ {newer}; }}").split()
    assert told == [str(64 << 20), "50", "50000"]
    docker("update", "--memory", "32m", "--memory-swap", "64m", "--cpus", "0.25", "--restart", "on-failure:3", "held")
    told = docker("exec", "held", "sh", "-c", f"{script} 2>/dev/null || {{ {newer}; }}").split()
    assert told == [str(32 << 20), "50", "25000"]
    host = docker.inspect("held")["HostConfig"]
    assert (host["Memory"], host["NanoCpus"], host["PidsLimit"]) == (32 << 20, 250_000_000, 50)
    assert host["RestartPolicy"] == {"Name": "on-failure", "MaximumRetryCount": 3}


def test_a_container_over_its_memory_is_killed_and_says_so(docker):
    done = docker.attempt(
        "run", "--name", "greedy", "--memory", "8m", "--memory-swap", "8m", "busybox", "tail", "/dev/zero"
    )
    assert done.returncode == 137
    assert docker.inspect("greedy")["State"]["OOMKilled"] is True


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--memory", "1m"], "Minimum memory limit allowed is 6MB"),
        (["--memory", "20m", "--memory-swap", "10m"], "Minimum memoryswap limit should be larger than memory limit"),
        (["--memory-swap", "10m"], "You should always set the Memory limit when using Memoryswap limit"),
        (["--cpus", "4096"], "Range of CPUs is from 0.01 to"),
        (["--cpus", "1", "--cpu-quota", "5000"], "Conflicting options: Nano CPUs and CPU Quota cannot both be set"),
        (["--cpuset-cpus", "4096"], "Requested CPUs are not available"),
        (["--restart", "always:3"], "maximum retry count"),
        (["--restart", "sometimes"], "invalid restart policy: unknown policy 'sometimes'"),
        (["--security-opt", "what=ever"], "invalid --security-opt 2"),
        (["--cap-add", "FLY"], 'invalid CapAdd: unknown capability: "CAP_FLY"'),
        (["--log-driver", "syslog"], 'error looking up logging plugin syslog: plugin "syslog" not found'),
        (["--log-opt", "colour=red"], "unknown log opt 'colour' for json-file log driver"),
        (["--gpus", "all"], 'could not select device driver "" with capabilities: [[gpu]]'),
        (["--storage-opt", "size=1g"], "--storage-opt is not supported"),
        (["--workdir", "relative"], "the working directory 'relative' is invalid, it needs to be an absolute path"),
        (["--stop-signal", "FISH"], "invalid signal: FISH"),
        (["--oom-score-adj", "5000"], "range for oom score adj is [-1000, 1000]"),
        (["--ipc", "what"], "invalid IPC mode: what"),
        (["--network", "host", "--uts", "host", "--hostname", "x"], "conflicting options: hostname and the UTS mode"),
        (["--network", "container:nobody"], "No such container: nobody"),
        (["--volumes-from", "nobody"], "No such container: nobody"),
        (["--runtime", "kata"], "unknown or invalid runtime name: kata"),
    ],
)
def test_what_makes_no_sense_is_refused_and_leaves_nothing(docker, options, said):
    assert said in docker.refused("create", *options, "busybox")
    assert not any(docker.made()[kind] for kind in ("container", "volume"))


def test_list_and_its_filters(docker):
    web = docker("run", "-d", "--name", "web", "--label", "tier=front", "--label", "x", "--expose", "81", "-p", "80",
                 "busybox", "sleep", "1000")  # fmt: skip
    base = docker(
        "run", "-d", "--name", "base", "--label", "tier=back", "-v", "stuff:/data", "busybox", "sleep", "1000"
    )
    assert docker.attempt("run", "--name", "done", "busybox", "sh", "-c", "exit 4").returncode == 4

    def names(*filters):
        words = [word for one in filters for word in ("--filter", one)]
        return sorted(docker("ps", "--all", *words, "--format", "{{.Names}}").split())

    assert {"web", "base", "done"} <= set(names())
    assert names("name=we") == ["web"]
    assert names("name=^/base$") == ["base"]
    assert names(f"id={base[:10]}") == ["base"]
    assert names("label=tier") == ["base", "web"]
    assert names("label=tier=front", "label=x") == ["web"]
    assert names("status=exited", "exited=4") == ["done"]
    assert names("status=running", "label=tier=back") == ["base"]
    assert names("ancestor=busybox", "before=base", "label=tier") == ["web"]
    assert names("since=web", "ancestor=busybox:latest") == ["base", "done"]
    assert names("volume=stuff") == ["base"] == names("volume=/data")
    assert names("publish=80") == ["web"] == names("expose=81/tcp")
    assert names("network=bridge", "name=web") == ["web"]
    assert names("health=none", "name=web") == ["web"]
    assert "invalid filter 'colour'" in docker.refused("ps", "--filter", "colour=red")
    assert "invalid filter 'status=odd'" in docker.refused("ps", "--filter", "status=odd")
    row = json.loads(docker("ps", "--filter", f"id={web}", "--no-trunc", "--format", "json"))
    assert (row["Image"], row["Command"], row["State"]) == ("busybox", '"sleep 1000"', "running")
    assert row["Status"].startswith("Up ")
    assert "81/tcp" in row["Ports"]
    assert "->80/tcp" in row["Ports"]
    assert docker("ps", "--quiet", "--no-trunc", "--last", "1") == docker.inspect("done")["Id"]
    assert "Exited (4)" in docker("ps", "--all", "--filter", "name=done", "--format", "{{.Status}}")


def test_prune_removes_what_has_ended(docker):
    docker("run", "-d", "--name", "runs", "busybox", "sleep", "1000")
    docker("run", "--name", "ended", "--label", "keep=yes", "busybox", "true")
    other = docker("create", "busybox")
    assert other in docker("container", "prune", "--force", "--filter", "label!=keep")
    assert docker.inspect("ended")
    assert docker("container", "prune", "--force", "--filter", "until=1h").startswith("Total reclaimed space")
    docker("container", "prune", "--force")
    assert docker("ps", "--all", "--format", "{{.Names}}", "--filter", "name=ended") == ""
    assert docker.inspect("runs")


def test_a_running_one_is_not_removed_without_force(docker):
    id = docker("run", "-d", "--name", "busy", "busybox", "sleep", "1000")
    assert (
        'cannot remove container "/busy": container is running: stop the container before removing or force remove'
        in docker.refused("rm", "busy")
    )
    docker("rm", "--force", id[:12])
    docker("rm", "--force", "busy")  # it is gone already


def test_removing_itself_takes_its_anonymous_volumes(docker):
    before = docker("volume", "ls", "--quiet").split()
    docker("run", "--rm", "-v", "/data", "busybox", "touch", "/data/x")
    assert docker("volume", "ls", "--quiet").split() == before
    docker("run", "--name", "keeps", "-v", "/data", "busybox", "true")
    docker("rm", "keeps")
    kept = set(docker("volume", "ls", "--quiet").split()) - set(before)
    assert len(kept) == 1


def test_waiting(docker):
    docker("create", "--name", "later", "busybox", "sh", "-c", "sleep 0.3; exit 6")
    assert docker("wait", "later") == "0"  # it does not run
    docker("start", "later")
    assert docker("wait", "later") == "6"
    assert "No such container" in docker.refused("wait", "nobody")


def test_another_containers_network_and_processes(docker):
    docker("create", "--name", "owner", "--hostname", "owner", "busybox", "sh", "-c", "httpd -f -p 8000 -h /etc")
    ask = "until wget -qO- 127.0.0.1:8000/passwd 2>/dev/null; do sleep 0.05; done"
    docker("create", "--name", "guest", "--network", "container:owner", "busybox", "sh", "-c", ask)
    assert "cannot join network of a non running container: owner" in docker.refused("start", "guest")
    docker("start", "owner")
    assert docker("start", "--attach", "guest").startswith("root:x:0:0")
    assert "httpd" in docker("run", "--rm", "--pid", "container:owner", "busybox", "ps")
    assert "conflicting options" in docker.refused("create", "--network", "container:owner", "-p", "80:80", "busybox")
    for option in ("--network=container:nobody", "--pid=container:nobody", "--volumes-from=nobody"):
        said = docker.refused("run", option, "busybox")
        assert "No such container: nobody" in said
        assert "Unable to find image" not in said


def test_pods_show_with_their_labels_and_obey(docker, space):
    space.kubectl("run", "boat", "--image=busybox", "--", "sleep", "1000")
    label = f"label=io.kubernetes.pod.namespace={space.namespace}"
    id = docker.wait_for(lambda: docker("ps", "--quiet", "--filter", label))
    row = json.loads(docker("ps", "--filter", label, "--format", "json"))
    assert row["Names"].startswith(f"k8s_boat_boat_{space.namespace}_")
    assert docker("exec", id, "hostname") == "boat"
    assert docker.inspect(id)["Config"]["Labels"]["io.kubernetes.pod.name"] == "boat"
    assert "its name cannot be changed" in docker.refused("rename", id, "mine")
    docker("stop", "--time", "0", id)
    again = docker.wait_for(lambda: docker("ps", "--quiet", "--filter", label))
    assert again != id
    docker.wait_for(lambda: space.json("get", "pod", "boat")["status"]["containerStatuses"][0]["restartCount"] == 1)


def test_an_image_that_is_not_there_is_fetched_or_refused(docker):
    said = docker.refused("run", "--pull=never", "no/such:image")
    assert "No such image: no/such:image" in said
    assert "invalid reference format" in docker.refused("create", "UPPER:x")


def test_limits_that_this_machine_cannot_keep_are_warned_of(docker, cloud):
    """What the kernel's control groups lack is said in dockerd's words, and nothing where they have it."""
    has_weight = any(Path("/sys/fs/cgroup", name).exists() for name in ("blkio/blkio.weight", "init.scope/io.weight"))
    said = docker.attempt("create", "--blkio-weight", "300", "busybox").stderr
    assert ("does not support Block I/O weight" in said) is not has_weight
    assert docker.attempt("create", "--memory", "64m", "busybox").stderr == ""


def test_pruning_says_what_it_gave_back(docker):
    docker("run", "--name", "wrote", "busybox", "sh", "-c", "head -c 2000000 /dev/zero > /big")
    said = docker("container", "prune", "--force")
    assert "2MB" in said or "2.0" in said
