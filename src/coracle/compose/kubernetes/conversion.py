"""The way from a project to its manifests: the order of the steps."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Any

from coracle.compose.kubernetes import attached, storage
from coracle.compose.kubernetes.fields import Fields, Notes
from coracle.compose.kubernetes.services import services
from coracle.compose.kubernetes.setting import Machine, Options, Setting, ThisMachine, with_names
from coracle.compose.kubernetes.units import Unit, units
from coracle.compose.kubernetes.unsaid import UNSAID
from coracle.compose.kubernetes.workloads import workload
from coracle.compose.project import Project


@dataclass(frozen=True)
class Converted:
    """Manifests in the order in which they are best applied, and what they could not say."""

    manifests: list[dict[str, Any]]
    warnings: tuple[str, ...]


def convert(project: Project, options: Options | None = None, machine: Machine | None = None) -> Converted:
    """The project in Kubernetes' words.

    Raises Malformed (names that clash, a config that is too large, a variable that is not set), NotFound (a config's
    file).
    """
    notes = Notes(project.places)
    setting = with_names(Setting(project, options or Options(), machine or ThisMachine(), notes))
    pods = units(setting)
    by_service = {one.service: one for unit in pods for one in unit.together}
    workloads = [workload(unit, by_service, setting) for unit in pods]
    found = [
        *_namespace(setting),
        *attached.objects(setting),
        *storage.claims(setting),
        *services(pods, setting),
        *workloads,
    ]
    _finish(by_service, setting)
    return Converted([_placed(one, setting) for one in found], tuple(notes.said))


def _namespace(setting: Setting) -> list[dict[str, Any]]:
    name = setting.options.namespace
    return [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}] if name else []


def _placed(manifest: dict[str, Any], setting: Setting) -> dict[str, Any]:
    """The manifest in the namespace that was asked for."""
    namespace, metadata = setting.options.namespace, manifest["metadata"]
    if not namespace or manifest["kind"] == "Namespace":
        return manifest
    return {**manifest, "metadata": {"name": metadata["name"], "namespace": namespace, **metadata}}


def _finish(by_service: dict[str, Unit], setting: Setting) -> None:
    """Warn of what nobody has taken."""
    for one in by_service.values():
        one.fields.take("links")
        one.fields.finish()
    networks = {name: Fields(given, ("networks", name), setting.notes) for name, given in _networks(setting).items()}
    for network in networks.values():
        network.finish()
    for key in ("models",):
        if setting.project.model.get(key):
            setting.notes.warn((key,), UNSAID[key])
    _apart(by_service, setting)


def _networks(setting: Setting) -> dict[str, dict[str, Any]]:
    return setting.project.model.get("networks") or {}


def _apart(by_service: dict[str, Unit], setting: Setting) -> None:
    """Say that Kubernetes does not keep services apart that share no network."""
    of = {name: set(one.fields.given.get("networks") or ()) for name, one in by_service.items()}
    for (one, its), (other, theirs) in combinations(of.items(), 2):
        if its and theirs and not its & theirs:
            said = f"pods all reach each other, {one} and {other} too, which share no network: use a NetworkPolicy"
            setting.notes.warn(("networks",), said)
            return
