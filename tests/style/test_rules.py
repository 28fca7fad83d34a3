"""The repository's rules that a machine can hold: see CONTRIBUTING.md and docs/adr/."""

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "src").rglob("*.py"))
TREES = {path: ast.parse(path.read_text()) for path in SOURCES}

# call -> (who may, the reason and what to do instead)
BANNED = {
    "asyncio.shield": ((), "it hides cancellation; make the step short, or undo it in `finally`"),
    "asyncio.create_task": ((), "nobody waits for it; use a TaskGroup"),
    "asyncio.ensure_future": ((), "nobody waits for it; use a TaskGroup"),
    "time.time": (("core/clock.py",), "tests cannot move it; be handed a Clock"),
    "datetime.now": (("core/clock.py",), "tests cannot move it; be handed a Clock"),
    "os.system": ((), "a shell is in the way; use subprocess with a list"),
    "os.environ.get": (("node/", "image/"), "configuration is read in node/config.py, and passed"),
}
NAMES = ("utils", "helpers", "common", "misc", "manager", "base")


def dotted(node):
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


@pytest.mark.parametrize("banned", BANNED)
def test_banned_calls(banned):
    allowed, reason = BANNED[banned]
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path, tree in TREES.items()
        if not any(f"coracle/{place}" in str(path) for place in allowed)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and dotted(node.func) == banned
    ]
    assert not found, f"{banned}: {reason}"


def test_a_protocol_has_at_most_twelve_methods():
    sizes = {
        f"{path.name}:{node.name}": sum(isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef)) for n in node.body)
        for path, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        and any(dotted(base) in ("Protocol", "typing.Protocol") for base in node.bases)
    }
    assert sizes
    assert {name: size for name, size in sizes.items() if size > 12} == {}


def test_nothing_is_swallowed():
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ExceptHandler) and (node.type is None or dotted(node.type) == "BaseException")
        if not any(isinstance(inner, ast.Raise) for inner in ast.walk(node))
    ]
    assert not found, "a bare except hides cancellation: name what is expected, or raise again"


def test_modules_are_named_after_an_idea():
    assert [path for path in SOURCES if path.stem in NAMES] == []


def test_every_module_says_what_it_is():
    silent = [
        str(path.relative_to(ROOT)) for path, tree in TREES.items() if not (ast.get_docstring(tree) or "").strip(".")
    ]
    assert silent == []


def test_the_loop_that_a_kind_names_exists():
    named = {
        node.value.value
        for path, tree in TREES.items()
        if "kinds" in path.parts
        for node in ast.walk(tree)
        if isinstance(node, ast.keyword) and node.arg == "loop" and isinstance(node.value, ast.Constant)
    }
    assert named
    for text in named:
        module, _, name = text.partition(":")
        assert hasattr(importlib.import_module(module), name), text


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("life-of-*.md")), ids=lambda page: page.name)
def test_the_walks_name_what_exists(page):
    walked = re.findall(r"`([a-z_/]+) : ([A-Za-z_.]+)", page.read_text())
    assert walked
    for module, name in walked:
        thing = importlib.import_module("coracle." + module.replace("/", "."))
        for part in name.split("."):
            thing = getattr(thing, part)


def test_the_command_line_imports_little():
    code = "import sys, coracle.cli.main; print('\\n'.join(sys.modules))"
    loaded = set(
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    )
    heavy = {"aiohttp", "cryptography", "pyroute2", "apsw", "asyncio", "yaml"}
    assert loaded & heavy == set()


def test_no_path_of_a_machine_and_no_package_host_is_named():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    hosts = re.compile(
        "|".join(["deb" + r"\.debian\.org", "pypi" + r"\.org", "registry" + r"\.npmjs", "/work" + "/main"])
    )
    found = [
        name for name in listed if (ROOT / name).is_file() and hosts.search((ROOT / name).read_text(errors="ignore"))
    ]
    assert found == []
