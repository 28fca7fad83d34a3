import re
import subprocess
from dataclasses import replace

import pytest

from coracle.core.errors import Invalid, Malformed
from coracle.image.catalogue import File, Recipe, inherit, package_recipe, parse_catalogue, read_catalogue, tags_of
from coracle.image.config import Settings
from coracle.image.references import parse_reference

NAMES = {"id": "debian", "codename": "bookworm", "version": "12"}


def find(text, catalogue=None):
    recipe = (catalogue or read_catalogue()).find(parse_reference(text), NAMES)
    return recipe and recipe.name


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("nginx", "nginx"),
        ("nginx:latest", "nginx"),
        ("docker.io/library/redis", "redis"),
        ("httpd:2.4", "httpd"),
        ("debian:bookworm", "debian"),
        ("debian:12", "debian"),
        ("busybox", "busybox"),
        ("docker/whalesay", "docker/whalesay"),
        ("nginx:1.0", None),
        ("debian:trixie", None),
        ("whalesay", None),
        ("quay.io/nginx", None),
        ("localhost:5000/library/nginx", None),
        (f"nginx@sha256:{'0' * 64}", None),
    ],
)
def test_the_catalogue_answers_to(asked, found):
    assert find(asked) == found


def test_a_users_entries_win_and_add(tmp_path):
    mine = tmp_path / "mine.toml"
    mine.write_text("""
        [image.nginx]
        base = "debian"
        packages = ["nginx-light"]
        tags = ["mine"]
        [image."me/tool"]
        base = "nginx"
        cmd = ["tool"]
        env.A = "b"
        files."/etc/x" = { content = "x", mode = 0o600 }
    """)
    catalogue = read_catalogue(mine)
    assert (find("nginx:mine", catalogue), find("nginx", catalogue), find("redis", catalogue)) == (
        "nginx",
        None,
        "redis",
    )
    tool = catalogue.find(parse_reference("me/tool"), NAMES)
    assert (tool.settings, tool.files) == (Settings(cmd=("tool",), env=("A=b",)), {"/etc/x": File("x", 0o600)})
    assert catalogue.base_of(tool).packages == ("nginx-light",)


def test_without_a_users_file_ours_stands(tmp_path):
    assert find("nginx", read_catalogue(tmp_path / "missing.toml")) == "nginx"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x", "the file"),
        ("a = 1", r"\[image.NAME\]"),
        ("image = 5", r"\[image.NAME\]"),
        ('[image.a]\nbase = "debian"\nnope = 1', "unknown field 'nope'"),
        ("[image.a]", "one of base and from"),
        ('[image.a]\nbase = "debian"\nfrom = "unpack"', "one of base and from"),
        ('[image.a]\nfrom = "magic"', "must be bootstrap or unpack"),
        ('[image.a]\nbase = "debian"\npackages = ["--option"]', "must be a package name"),
        ('[image.a]\nbase = "debian"\npackages = ["a;b"]', "must be a package name"),
        ('[image.a]\nbase = "debian"\npackages = "a"', "list of texts"),
        ('[image.a]\nbase = "debian"\nlinks."/a/../../b" = "x"', "absolute path"),
        ('[image.a]\nbase = "debian"\nremove = ["/"]', "absolute path"),
        ('[image.a]\nbase = "debian"\nfiles."/a" = "x"', "content, mode"),
        ('[image.a]\nbase = "debian"\nfiles."/a" = { mode = 0o100000 }', "mode"),
        ('[image.a]\nbase = "debian"\nuser = "-1"', "cannot be a user"),
        ('[image.A]\nbase = "debian"', "lowercase"),
    ],
)
def test_a_mistake_is_named_with_its_place(text, message):
    with pytest.raises((Malformed, Invalid), match=message) as caught:
        parse_catalogue(text, "the file")
    assert caught.value.message.startswith("the file")


def test_images_may_not_stand_on_each_other(tmp_path):
    mine = tmp_path / "mine.toml"
    mine.write_text('[image.debian]\nbase = "nginx"')
    with pytest.raises(Invalid, match="circle"):
        read_catalogue(mine)


def test_packages_become_a_recipe():
    recipe = package_recipe("tools:1", ["curl", "jq=1.6-2.1", "g++"])
    assert (recipe.name, recipe.tags, recipe.base, recipe.packages[1]) == ("tools", ("1",), "debian", "jq=1.6-2.1")
    for name, packages in (("quay.io/x", ["a"]), ("X", ["a"]), ("x", ["-o"]), ("x", ["a b"]), ("x", [""])):
        with pytest.raises((Malformed, Invalid)):
            package_recipe(name, packages)


def test_equal_recipes_are_one_image_whatever_their_name():
    assert package_recipe("a:1", ["curl"]).key_text() == package_recipe("b:2", ["curl"]).key_text()
    assert package_recipe("a", ["curl"]).key_text() != package_recipe("a", ["jq"]).key_text()


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        pytest.param(Settings(), Settings(("e",), ("c",), ("A=1", "B=2"), "u", "/w", ("80/tcp",), labels={"l": "1"}),
                     id="everything is inherited"),
        pytest.param(Settings(cmd=("x",), env=("A=3",), ports=("81/tcp",)),
                     Settings((), ("x",), ("B=2", "A=3"), "u", "/w", ("80/tcp", "81/tcp"), labels={"l": "1"}),
                     id="a command drops the entrypoint, names add up"),
        pytest.param(Settings(entrypoint=("y",), user="v", labels={"m": "2"}),
                     Settings(("y",), (), ("A=1", "B=2"), "v", "/w", ("80/tcp",), labels={"l": "1", "m": "2"}),
                     id="an entrypoint drops the command"),
    ],
)  # fmt: skip
def test_settings_are_inherited(own, expected):
    base = Settings(("e",), ("c",), ("A=1", "B=2"), "u", "/w", ("80/tcp",), labels={"l": "1"})
    assert inherit(own, base) == expected


def test_everything_of_ours_is_described_and_its_scripts_can_be_read():
    for recipe in read_catalogue().list():
        assert recipe.description, recipe.name
        for path, file in recipe.files.items():
            shell = re.match(r"\s*#!/bin/(sh|bash)\n", file.content)
            if shell:
                checked = subprocess.run(
                    [shell[1], "-n"], input=file.content, text=True, capture_output=True, check=False
                )
                assert (checked.returncode, checked.stderr) == (0, ""), f"{recipe.name}: {path}"
        if recipe.settings.entrypoint:
            assert any(path.endswith(recipe.settings.entrypoint[0]) for path in recipe.files), recipe.name


def test_a_description_is_not_part_of_what_is_built():
    one = Recipe("x", base="debian", description="one")
    assert one.key_text() == replace(one, description="other").key_text()


def test_tags_speak_of_the_packages_version_where_it_is_known():
    recipe = Recipe("x", base="debian", tags=("latest", "{major}-{codename}", "{minor}"), version_from="x")
    assert tags_of(recipe, NAMES) == ("latest",)
    assert tags_of(recipe, {**NAMES, "major": "3", "minor": "3.11"}) == ("latest", "3-bookworm", "3.11")
    assert recipe.key_text() == replace(recipe, version_from="", tags=()).key_text()


@pytest.mark.parametrize(
    ("image", "begins", "hides"),
    [
        ("postgres", "pg_ctl .* start$", r"unix_socket_directories=\$PGHOST"),
        ("mariadb", '"\\$@" --skip-networking .*&$', r"--socket=/run/mysqld/init\.sock"),
    ],
)
def test_the_server_that_prepares_a_database_answers_no_health_check(image, begins, hides):
    script = read_catalogue().named(image).files["/usr/local/bin/docker-entrypoint.sh"].content
    (line,) = re.findall(rf"^.*{begins}", script, re.MULTILINE)
    assert re.search(hides, line)
