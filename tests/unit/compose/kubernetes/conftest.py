"""Conversions of files in memory; every manifest is held to Kubernetes' own schema."""

import functools
import json

import kubernetes_validate
import pytest

from coracle.compose.kubernetes.conversion import convert
from coracle.compose.kubernetes.setting import Options
from coracle.compose.loader import Request, load
from coracle.core.errors import NotFound


class Files:
    """A machine that has these files, and every directory around them."""

    def __init__(self, given):
        self.given = given

    def read(self, path):
        if path not in self.given:
            raise NotFound(f"open {path}: no such file or directory")
        return self.given[path]

    def sort_of(self, path):
        if path in self.given:
            return "other" if path.endswith(".sock") else "file"
        return "directory" if any(known.startswith(f"{path}/") for known in self.given) else "none"


class Outcome:
    def __init__(self, found):
        self.manifests, self.warnings = found.manifests, found.warnings

    @property
    def names(self):
        return [f"{one['kind']} {one['metadata']['name']}" for one in self.manifests]

    def get(self, kind, name):
        found = [one for one in self.manifests if (one["kind"], one["metadata"]["name"]) == (kind, name)]
        assert found, f"no {kind} {name} in {self.names}"
        return found[0]

    def workload(self, name="a"):
        kinds = ("Deployment", "ReplicationController", "DaemonSet", "Job")
        return next(one for one in self.manifests if one["kind"] in kinds and one["metadata"]["name"] == name)

    def pod(self, name="a"):
        return self.workload(name)["spec"]["template"]["spec"]

    def container(self, name="a"):
        return next(one for spec in self._pods() for one in spec["containers"] if one["name"] == name)

    def _pods(self):
        return [one["spec"]["template"]["spec"] for one in self.manifests if "template" in one.get("spec", {})]


@functools.cache  # the same manifests come again and again, and each costs 20 ms
def hold_to_schema(text):
    kubernetes_validate.validate(json.loads(text), "1.36", strict=True)


@pytest.fixture
def converted():
    def run(text, *, files=None, environment=None, **options):
        request = Request(
            environment=environment or {}, working_directory="/p", files=["compose.yaml"], project_name="p"
        )
        texts = {"/p/compose.yaml": text}

        def read(path):
            if path not in texts:
                raise NotFound(f"open {path}: no such file or directory")
            return texts[path]

        project = load(request, read)
        found = convert(project, Options(**options), Files({k: v.encode() for k, v in (files or {}).items()}))
        for manifest in found.manifests:
            hold_to_schema(json.dumps(manifest))
        return Outcome(found)

    return run


@pytest.fixture
def service(converted):
    """The conversion of one service `a` with these fields."""

    def run(text, more="", **options):
        lines = "".join(f"    {line}\n" for line in f"image: x\n{text}".splitlines())
        return converted(f"services:\n  a:\n{lines}{more}", **options)

    return run
