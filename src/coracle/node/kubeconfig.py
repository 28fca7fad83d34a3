"""The kubeconfig that `kubectl` finds our API with, in its own file and merged into the user's.

The user's file is rewritten under a lock by an atomic rename; what is not ours in it stays as it is.

Source: Kubernetes documentation, "Organizing Cluster Access Using kubeconfig Files".
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import os
import pwd
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from coracle.core.errors import Conflict
from coracle.node.files import write_whole
from coracle.node.pki import Pki

Config = dict[str, Any]


def render_kubeconfig(context: str, url: str, pki: Pki) -> Config:
    """A complete kubeconfig with one cluster, one user and one context, all named `context`; certificates inside."""

    def data(path: Path) -> str:
        return base64.b64encode(path.read_bytes()).decode()

    certificate, key = pki.admin
    user = {"client-certificate-data": data(certificate), "client-key-data": data(key)}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": context, "cluster": {"server": url, "certificate-authority-data": data(pki.authority)}}],
        "users": [{"name": context, "user": user}],
        "contexts": [{"name": context, "context": {"cluster": context, "user": context}}],
        "current-context": context,
    }


def merged(into: Config, ours: Config, *, switch: bool = True) -> Config:
    """`into` with our entries in place of those of the same name; with `switch`, our context is current.  Pure.

    What people have chosen within our context, such as its namespace, stays.
    """
    current = ours["current-context"] if switch else into.get("current-context") or ""
    result = {"apiVersion": "v1", "kind": "Config", **into, "current-context": current}
    for part in ("clusters", "users", "contexts"):
        before = {entry.get("name"): entry for entry in into.get(part) or []}
        fresh = {entry["name"]: entry for entry in ours[part]}
        if part == "contexts":
            fresh = {name: _chosen(entry, before.get(name) or {}) for name, entry in fresh.items()}
        result[part] = [e for e in into.get(part) or [] if e.get("name") not in fresh] + [*fresh.values()]
    return result


def _chosen(context: Config, before: Config) -> Config:
    return {**context, "context": {**(before.get("context") or {}), **context["context"]}}


def without(config: Config, context: str) -> Config:
    """`config` less everything named `context`.  Pure."""
    result = dict(config)
    for part in ("clusters", "users", "contexts"):
        result[part] = [e for e in config.get(part) or [] if e.get("name") != context]
    if config.get("current-context") == context:
        result["current-context"] = ""
    return result


def user_path() -> Path:
    """The kubeconfig of the person at the keyboard: the first of $KUBECONFIG, or ~/.kube/config (of sudo's caller)."""
    named = os.environ.get("KUBECONFIG", "").split(":")[0]
    if named:
        return Path(named)
    caller = os.environ.get("SUDO_USER")
    home = Path(pwd.getpwnam(caller).pw_dir) if caller and caller != "root" and os.geteuid() == 0 else Path.home()
    return home / ".kube" / "config"


def write_own(path: Path, config: Config) -> None:
    """Write the cloud's own file; the context and namespaces that people have chosen in it stay as they are.

    One that says all that already stays as it is: a daemon starts on a full disk, too.
    """
    try:
        before = _read(path)
    except Conflict:
        before = {}  # it is ours: what nobody can read is written anew
    names = {context.get("name") for context in before.get("contexts") or ()}
    after = merged(before, config, switch=before.get("current-context") not in names)
    if after != before:
        _replace(path, after, 0o600)


def merge_into_user(config: Config, *, switch: bool = True) -> Path:
    """Merge into the user's kubeconfig; returns its path.  Raises Conflict where that file is not a kubeconfig."""
    path = user_path()
    with _locked(path):
        _replace(path, merged(_read(path), config, switch=switch), 0o600)
    return path


def remove_from_user(context: str) -> None:
    """Take our context out again; a file (and directory) that holds nothing else goes with it."""
    path = user_path()
    if not path.exists():
        return
    with _locked(path):
        config = _read(path)
        left = without(config, context)
        if left == config:
            return
        if any(left.get(part) for part in ("clusters", "users", "contexts")):
            _replace(path, left, 0o600)
        else:
            path.unlink()
    if not path.exists():
        with contextlib.suppress(OSError):
            path.parent.rmdir()


def _read(path: Path) -> Config:
    try:
        config = yaml.safe_load(path.read_text()) or {}
    except FileNotFoundError:
        return {}
    except yaml.YAMLError as error:
        raise Conflict(f"{path} is not readable as YAML; mend it, or use --no-kubeconfig") from error
    if not isinstance(config, dict):
        raise Conflict(f"{path} is not a kubeconfig; mend it, or use --no-kubeconfig")
    return config


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """kubectl's own lock is a file that exists; ours is flock on the same name, removed afterwards."""
    _make_directory(path.parent)
    lock_path = path.with_name(path.name + ".lock")
    with open(lock_path, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield
        finally:
            lock_path.unlink(missing_ok=True)


def _make_directory(directory: Path) -> None:
    if not directory.exists():
        directory.mkdir(parents=True, mode=0o750)
        if caller := _caller():
            os.chown(directory, *caller)


def _replace(path: Path, config: Config, mode: int) -> None:
    """Its owner stays; one that is new in the caller's home is the caller's."""
    owner = _caller() if path == user_path() else None
    if path.exists():
        owner = (path.stat().st_uid, path.stat().st_gid)
    write_whole(path, yaml.safe_dump(config, sort_keys=False).encode(), mode, owner)


def _caller() -> tuple[int, int] | None:
    """Who called sudo, by uid and gid, where what we make is theirs."""
    uid, gid = os.environ.get("SUDO_UID"), os.environ.get("SUDO_GID")
    if uid and gid and os.geteuid() == 0 and not os.environ.get("KUBECONFIG"):
        return int(uid), int(gid)
    return None
