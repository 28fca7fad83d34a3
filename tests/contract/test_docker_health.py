"""Health checks through the real client."""


def health(docker, name):
    return docker.inspect(name)["State"]["Health"]


def test_healthy_as_soon_as_it_is_ready(docker):
    check = ("--health-cmd", "test -f /ready && echo yes", "--health-interval", "10m", "--health-retries", "99")
    docker("run", "-d", "--name", "web", *check, "busybox", "sleep", "1000")
    assert "(health: starting)" in docker("ps", "--filter", "name=web", "--format", "{{.Status}}")
    docker("exec", "web", "touch", "/ready")
    docker.wait_for(lambda: health(docker, "web")["Status"] == "healthy")  # long before ten minutes are over
    assert "(healthy)" in docker("ps", "--filter", "health=healthy", "--format", "{{.Names}} {{.Status}}")
    last = health(docker, "web")["Log"][-1]
    assert (last["ExitCode"], last["Output"]) == (0, "yes\n")
    since = docker.inspect("web")["State"]["StartedAt"]
    words = (
        "events",
        "--since",
        since,
        "--until",
        "0s",
        "--filter",
        "event=health_status",
        "--filter",
        "container=web",
    )
    told = docker.wait_for(lambda: docker(*words, "--format", "{{.Action}}"))
    assert told == "health_status: healthy"


def test_unhealthy_after_its_retries(docker):
    times = ("--health-interval", "200ms", "--health-retries", "2", "--health-timeout", "30s")
    docker("run", "-d", "--name", "ill", "--health-cmd", "echo no; exit 1", *times, "busybox", "sleep", "1000")
    docker.wait_for(lambda: health(docker, "ill")["Status"] == "unhealthy")
    found = health(docker, "ill")
    assert found["FailingStreak"] >= 2
    assert found["Log"][-1]["Output"] == "no\n"
    assert len(found["Log"]) <= 5
    docker("exec", "ill", "true")


def test_a_check_that_takes_too_long_fails(docker):
    times = ("--health-interval", "100ms", "--health-retries", "1", "--health-timeout", "300ms")
    docker("run", "-d", "--name", "slow", "--health-cmd", "sleep 60", *times, "busybox", "sleep", "1000")
    docker.wait_for(lambda: health(docker, "slow")["Status"] == "unhealthy")
    assert "Health check exceeded timeout" in health(docker, "slow")["Log"][-1]["Output"]
    docker.wait_for(lambda: docker("exec", "slow", "ps").count("sleep 60") <= 1)


def test_no_check_no_health(docker):
    docker("run", "-d", "--name", "plain", "--no-healthcheck", "busybox", "sleep", "1000")
    assert "Health" not in docker.inspect("plain")["State"]
    assert docker("ps", "--filter", "health=none", "--filter", "name=plain", "--quiet")
    said = docker.refused("create", "--health-cmd", "true", "--health-interval", "10us", "busybox")
    assert "cannot be less than 1ms" in said
