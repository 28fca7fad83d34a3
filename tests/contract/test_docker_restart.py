"""Restart policies through the real client."""


def restarts(docker, name):
    return docker.inspect(name)["RestartCount"]


def test_always_restarts_with_growing_delays_until_it_is_stopped(docker):
    docker("run", "-d", "--name", "again", "--restart", "always", "busybox", "sh", "-c", "exit 3")
    docker.wait_for(lambda: restarts(docker, "again") >= 2)
    state = docker.inspect("again")["State"]
    assert state["Running"]
    assert state["ExitCode"] in (0, 3)
    shown = ("ps", "--filter", "status=restarting", "--format", "{{.Names}} {{.Status}}")
    docker.wait_for(lambda: docker(*shown).startswith("again Restarting (3)"))
    docker("stop", "again")
    stopped = docker.inspect("again")
    assert stopped["State"]["Status"] == "exited"
    docker("start", "again")
    docker.wait_for(lambda: restarts(docker, "again") >= 1)
    docker("rm", "--force", "again")


def test_on_failure_stops_after_its_tries(docker):
    docker("run", "-d", "--name", "tries", "--restart", "on-failure:2", "busybox", "sh", "-c", "exit 9")
    docker.wait_for(lambda: docker.inspect("tries")["State"]["Status"] == "exited")
    tries = docker.inspect("tries")
    assert (tries["RestartCount"], tries["State"]["ExitCode"]) == (2, 9)


def test_on_failure_lets_success_rest(docker):
    docker("run", "-d", "--name", "fine", "--restart", "on-failure", "busybox", "true")
    docker("wait", "fine")
    fine = docker.inspect("fine")
    assert (fine["State"]["Status"], fine["RestartCount"]) == ("exited", 0)


def test_a_killed_one_stays_down_and_a_crashed_one_comes_back(docker):
    docker("run", "-d", "--name", "main", "--restart", "unless-stopped", "busybox", "sleep", "1000")
    pid = docker.inspect("main")["State"]["Pid"]
    docker("exec", "main", "sh", "-c", "kill -9 -1; true")
    docker("kill", "main")
    assert docker.wait_for(lambda: docker.inspect("main")["State"]["Status"] == "exited")
    docker("start", "main")
    assert docker.inspect("main")["State"]["Pid"] != pid


def test_restart_and_remove_exclude_each_other(docker):
    assert "conflicting options" in docker.refused("run", "--rm", "--restart", "always", "busybox", "true")
    docker("run", "-d", "--rm", "--name", "brief", "busybox", "sleep", "1000")
    docker("restart", "--time", "0", "brief")  # --rm waits for the real end
    assert docker.inspect("brief")["State"]["Status"] == "running"
    said = docker.refused("update", "--restart", "always", "brief")
    assert "Restart policy cannot be updated because AutoRemove is enabled for the container" in said
    docker("stop", "--time", "0", "brief")
    assert "No such" in docker.refused("inspect", "brief")


def test_its_port_and_address_are_free_between_two_runs(docker):
    docker("run", "-d", "--name", "one", "-p", "127.0.0.1:18080:80", "busybox", "true")
    docker("wait", "one")
    docker("run", "-d", "--name", "two", "-p", "127.0.0.1:18080:80", "busybox", "sleep", "1000")
    said = docker.refused("start", "one")
    assert "port is already allocated" in said
    assert "container two" in said
    docker("rm", "--force", "two")
    docker("start", "one")
