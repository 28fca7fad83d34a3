"""What metadata instructions change: for builds, `commit --change` and import."""

import pytest

from coracle.core.errors import CloudError
from coracle.image.config import Healthcheck, Settings
from coracle.image.dockerfile.parse import parse_changes
from coracle.image.dockerfile.settings import changed

BEFORE = Settings(env=("PATH=/bin", "A=1"), workdir="/srv", entrypoint=("/e",), cmd=("c",), ports=("80/tcp",))


def after(*lines):
    return changed(BEFORE, parse_changes(lines))


@pytest.mark.parametrize(
    ("line", "field", "value"),
    [
        ("CMD echo hi", "cmd", ("/bin/sh", "-c", "echo hi")),
        ('CMD ["a", "b"]', "cmd", ("a", "b")),
        ("ENV A=2 B=$A", "env", ("PATH=/bin", "A=2", "B=1")),
        ("ENV PATH $PATH:/x y", "env", ("PATH=/bin:/x y", "A=1")),
        ("EXPOSE 80 443/tcp 7000-7001/udp", "ports", ("443/tcp", "7000/udp", "7001/udp", "80/tcp")),
        ('LABEL a="x y" b=$A', "labels", {"a": "x y", "b": "1"}),
        ("USER web:www", "user", "web:www"),
        ("VOLUME /a /b", "volumes", ("/a", "/b")),
        ("WORKDIR x/../y", "workdir", "/srv/y"),
        ("WORKDIR /", "workdir", "/"),
        ("STOPSIGNAL SIGINT", "stop_signal", "SIGINT"),
        ("ONBUILD RUN x", "on_build", ("RUN x",)),
        ("HEALTHCHECK --interval=1m30s CMD ok", "healthcheck", Healthcheck(("CMD-SHELL", "ok"), 90_000_000_000)),
        ("HEALTHCHECK NONE", "healthcheck", Healthcheck(("NONE",))),
    ],
)
def test_a_change(line, field, value):
    assert getattr(after(line), field) == value


def test_an_entrypoint_takes_the_images_command_away():
    found = after('ENTRYPOINT ["x"]')
    assert (found.entrypoint, found.cmd) == (("x",), ())


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("FROM x", "FROM is not a valid change command"),
        ("RUN x", "RUN is not a valid change command"),
        ("NOPE", "dockerfile parse error on line 1: unknown instruction: NOPE"),
        ("EXPOSE 0", "invalid containerPort: 0"),
        ("EXPOSE 90-80", "invalid containerPort: 90-80"),
        ("EXPOSE 70000", "invalid containerPort: 70000"),
        ("EXPOSE x", "invalid containerPort: x"),
        ("STOPSIGNAL ;", "invalid signal: ;"),
        ("STOPSIGNAL NOPE", "invalid signal: NOPE"),
        ("USER 4294967296", "image configuration: '4294967296' cannot be a user"),
        ("WORKDIR /proc/self/fd/7", "image configuration: WorkingDir may not be /proc/self/fd/7"),
        ("VOLUME /", "image configuration: '/' cannot be a volume"),
    ],
)
def test_a_change_that_cannot_be(line, said):
    with pytest.raises(CloudError) as told:
        after(line)
    assert str(told.value) == said
