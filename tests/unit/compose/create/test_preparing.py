"""What is put into a model before it is declared, and what is refused or warned of, with file and line."""

import json
import re
from pathlib import Path

import pytest

from coracle.compose.create.preparing import prepared
from coracle.compose.create.support import RULES, check_build
from coracle.compose.loader import Request, load
from coracle.core.errors import Malformed, NotFound

ROOT = Path(__file__).parents[4]


def project(web, rest="", **environment):
    text = f"name: demo\nservices:\n  web:\n    image: x\n    {web}\n{rest}"
    return load(Request(environment, "/p", files=["compose.yaml"]), lambda path: text)


def test_contents_come_from_the_users_side():
    rest = "secrets: {s: {environment: S}, f: {file: ./f}}\nconfigs: {c: {content: hello}, e: {environment: S}}\n"
    made = prepared(project("secrets: [s, f]\n    configs: [c, e]", rest, S="1"))
    assert made.model["secrets"] == {"s": {"name": "demo_s", "content": "1"}, "f": {"name": "demo_f", "file": "/p/f"}}
    contents = {key: thing["content"] for key, thing in made.model["configs"].items()}
    assert contents == {"c": "hello", "e": "1"}
    assert made.warnings == ()


def test_a_seccomp_profile_is_sent_as_its_text():
    given = project("security_opt: ['seccomp:./p.json', 'seccomp=unconfined', 'label:disable']")
    read = {"/p/./p.json": '{\n "defaultAction": "SCMP_ACT_ALLOW"\n}'}.__getitem__
    options = prepared(given, read).services["web"]["security_opt"]
    assert options == ['seccomp={"defaultAction":"SCMP_ACT_ALLOW"}', "seccomp=unconfined", "label:disable"]


CONTENT = "configs: {s: {content: c}}"


def missing(path):
    raise NotFound(f"open {path}: no such file or directory")


@pytest.mark.parametrize(
    ("web", "rest", "message"),
    [
        ("gpus: all", "", r"/p/compose.yaml:5: services.web.gpus is not supported: no driver is here that gives GPUs"),
        ("provider: {type: x}", "", "5: services.web.provider is not supported"),
        ("isolation: hyperv", "", "5: services.web.isolation is not supported: hyperv: only Windows has it"),
        ("volumes: [{type: npipe, source: a, target: b}]", "", "services.web.volumes.0.type is not supported: npipe"),
        ("deploy: {resources: {reservations: {devices: [{capabilities: [gpu]}]}}}", "", "reservations.devices is not"),
        ("secrets: [s]", "secrets: {s: {external: true}}", "6: secrets.s.external is not supported: there is no store"),
        ("configs: [s]", "configs: {s: {file: f, template_driver: x}}", "configs.s.template_driver is not supported"),
        (
            "secrets: [s]",
            "secrets: {s: {environment: S}}",
            'environment variable "S" required by secret "demo_s" is not',
        ),
        ("configs: [{source: s, uid: me}]", CONTENT, "5: services.web.configs.0.uid: me is not a number of a user"),
        ("configs: [{source: s, gid: '4294967295'}]", CONTENT, "gid: 4294967295 is not a number of a user"),
        (
            "read_only: true\n    configs: [s]",
            CONTENT,
            "6: services.web.configs.0: nothing can be copied into a read-only",
        ),
        ("security_opt: ['seccomp=p.json']", "", r"opening seccomp profile \(p.json\) failed: open /p/p.json: no such"),
    ],
)
def test_what_cannot_be_had(web, rest, message):
    with pytest.raises((Malformed, NotFound), match=message):
        prepared(project(web, rest), missing)


def test_services_that_take_no_part_are_in_nobodys_way():
    rest = (
        "  gpu: {image: x, gpus: all, secrets: [s], security_opt: ['seccomp=p.json']}\n"
        "secrets: {s: {environment: S}, f: {file: ./f}}\nnetworks: {n: }\n"
    )
    given = project("secrets: [f]", rest)
    made = prepared(given, missing, only={"web"})
    assert (list(made.model["secrets"]), list(made.services)) == (["f"], ["gpu", "web"])
    with pytest.raises(Malformed, match=r"services\.gpu\.gpus is not supported"):
        prepared(given, missing, only={"web", "gpu"})


def test_a_profile_that_is_no_json():
    with pytest.raises(Malformed, match="compacting json for seccomp profile"):
        prepared(project("security_opt: ['seccomp=p.json']"), lambda path: "{")


@pytest.mark.parametrize(
    ("web", "rest", "message"),
    [
        ("deploy: {mode: global}", "", "5: services.web.deploy.mode has no effect: global: it is for clusters"),
        ("deploy: {update_config: {parallelism: 2}}", "", "services.web.deploy.update_config has no effect"),
        ("cgroup_parent: /x", "", "5: services.web.cgroup_parent has no effect"),
        ("configs: [{source: c, mode: 0400, uid: '1'}]", "configs: {c: {file: f}}",
         "services.web.configs.0: uid, mode have no effect: a file of the host is mounted as it is"),
    ],
)  # fmt: skip
def test_what_has_no_effect(web, rest, message):
    (said,) = prepared(project(web, rest)).warnings
    assert message in said


@pytest.mark.parametrize(
    "web", ["deploy: {mode: replicated}", "isolation: default", "volumes: [/a]", "deploy: {labels: {}}", "tty: true"]
)
def test_what_is_usual_is_not_complained_of(web):
    assert prepared(project(web)).warnings == ()


def test_a_build_is_judged_when_it_is_built():
    given = project("build: {context: ., ssh: [default]}")
    assert prepared(given).warnings == ()
    with pytest.raises(Malformed, match=r"5: services.web.build.ssh is not supported: images are built by the classic"):
        check_build(given, "web")
    (said,) = check_build(project("build: {context: ., cache_from: [a], platforms: [linux/amd64]}"), "web")
    assert "services.web.build.cache_from has no effect" in said
    with pytest.raises(Malformed, match="platforms is not supported"):
        check_build(project("build: {context: ., platforms: [linux/amd64, linux/arm64]}"), "web")


# ------------------------------------------------- the table in the documentation -------------------------------------


def schema_keys():
    """section -> the keys that the specification has there; "[]" is any entry of a list, "*" any key."""
    schema = json.loads((ROOT / "src/coracle/compose/compose-spec.json").read_text())
    found = {}

    def walk(node, path):
        while "$ref" in node:
            node = schema["definitions"][node["$ref"].rpartition("/")[2]]
        for other in (*node.get("oneOf", ()), *node.get("anyOf", ())):
            walk(other, path)
        for key, inner in (node.get("properties") or {}).items():
            found.setdefault(path, set()).add(key)
            walk(inner, f"{path}.{key}" if path else key)
        for pattern, inner in (node.get("patternProperties") or {}).items():
            if not pattern.startswith("^x-") and isinstance(inner, dict):
                walk(inner, f"{path}.*")
        if isinstance(node.get("items"), dict):
            walk(node["items"], f"{path}.[]")

    walk(schema, "")
    return found


def judged(path):
    """What becomes of a key, by the rule for it or for what is around it."""
    rules = {rule.path: rule.verdict for rule in RULES if rule.when is None}
    parts = path.split(".")
    around = (".".join(parts[:length]) for length in range(1, len(parts) + 1))
    return next((rules[known] for known in around if known in rules), "supported")


def expected_rows():
    rows = {}
    for section, keys in schema_keys().items():
        if section and judged(section) != "supported":
            continue
        columns = {"supported": [], "warned": [], "refused": []}
        for key in sorted(keys):
            columns[judged(f"{section}.{key}" if section else key)].append(key)
        rows[section] = tuple(columns.values())
    return rows


def documented_rows():
    text = (ROOT / "docs/compose.md").read_text()
    table = re.findall(r"^\| `([^`]*)` \|(.*)\|(.*)\|(.*)\|$", text, re.MULTILINE)
    return {
        section.removeprefix("top"): tuple(list(re.findall(r"[\w-]+", cell)) for cell in cells)
        for section, *cells in table
    }


def test_the_documentation_has_every_key_of_the_specification():
    assert documented_rows() == expected_rows()


def test_every_rule_is_about_a_key_that_there_is():
    known = {f"{section}.{key}" if section else key for section, keys in schema_keys().items() for key in keys}
    assert {rule.path for rule in RULES} <= known
