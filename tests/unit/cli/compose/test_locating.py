"""Refusals of the daemon lead to the line of the file."""

import pytest

from coracle.cli.compose.locating import located
from coracle.compose.loader import Request, load

FILE = """\
services:
  web:
    image: x
    ports:
      - 80:80
    networks: [far]
    volumes: [there:/there]
    container_name: fixed
networks:
  far: {external: true, name: faraway}
volumes:
  there:
    external: true
"""


@pytest.mark.parametrize(
    ("message", "line"),
    [
        ('service "web": Bind for 0.0.0.0:80 failed: port is already allocated (by container x)', 4),
        ('service "web" publishes port 80/tcp of this machine: it cannot be scaled to 2', 4),
        ('the "web" service is using the custom container name "fixed"', 8),
        ('service "web": No such image: x', 3),
        ('service "web": something else', 2),
        ("network faraway declared as external, but could not be found", 10),
        ('external volume "there" not found', 12),
        ("network far: invalid pool request", 10),
        ("volume there: no such driver", 12),
    ],
)
def test_the_line_of_a_refusal(message, line):
    project = load(
        Request(environment={}, working_directory="/p", files=["c.yaml"]), lambda path: FILE if "c.y" in path else ""
    )
    assert located(message, project) == f"/p/c.yaml:{line}: {message}"


@pytest.mark.parametrize("message", ['service "gone": what', "network other declared as external", "anything"])
def test_what_is_about_nothing_of_the_files_stays_as_it_is(message):
    project = load(
        Request(environment={}, working_directory="/p", files=["c.yaml"]), lambda path: FILE if "c.y" in path else ""
    )
    assert located(message, project).endswith(message)
    assert located(message, None) == message
