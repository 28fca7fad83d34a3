"""As whom a pod runs: its ServiceAccount has to exist, lends its pull secrets, and its token is put into the pod.

The account `default` comes a moment after its namespace; a pod that is quicker is let in, and waits for its files.

Source: Kubernetes admission plugin ServiceAccount; documentation, "Configure Service Accounts for Pods".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from coracle.core.errors import Forbidden
from coracle.core.kind import Reader
from coracle.core.names import generated
from coracle.core.object import Json, Key, Object

ACCOUNT, DEFAULT = "ServiceAccount", "default"
AUTHORITY = "kube-root-ca.crt"  # the config map of every namespace that says whom to trust
PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
VOLUME_PREFIX = "kube-api-access-"
SECONDS_S = 3607  # an hour, and a little by which the kubelet's own requests are told


def admit(verb: Literal["create", "update", "delete"], new: Object, old: Object | None, reader: Reader) -> Object:
    """A `core.collection.Guard` of pods.  Raises Forbidden."""
    return _with_account(new, reader) if verb == "create" else new


def _with_account(pod: Object, reader: Reader) -> Object:
    name, namespace = pod.spec.get("serviceAccountName") or DEFAULT, pod.meta.namespace
    entry = reader.find(ACCOUNT, Key(namespace, name))
    if entry is None and name != DEFAULT:
        said = f'error looking up service account {namespace}/{name}: serviceaccount "{name}" not found'
        raise Forbidden(f'pods "{pod.meta.name}" is forbidden: {said}', kind="Pod", name=pod.meta.name)
    account: Mapping[str, Any] = entry.object().body if entry is not None else {}
    secrets = pod.spec.get("imagePullSecrets") or account.get("imagePullSecrets")
    if secrets:
        pod = pod.with_spec(imagePullSecrets=secrets)
    return _with_token(pod) if wants_token(pod.spec, account) else pod


def wants_token(spec: Mapping[str, Any], account: Mapping[str, Any]) -> bool:
    """What the pod says counts, then what its account says."""
    for said in (spec.get("automountServiceAccountToken"), account.get("automountServiceAccountToken")):
        if said is not None:
            return bool(said)
    return True


def _with_token(pod: Object) -> Object:
    """`pod` with the token in every container that has nothing else there."""
    spec = pod.spec
    present = next((one["name"] for one in spec.get("volumes") or () if _is_ours(one)), "")
    name = present or generated(VOLUME_PREFIX)
    changed: Json = {}
    for group in ("initContainers", "containers"):
        if spec.get(group):
            changed[group] = [_mounted(one, name) for one in spec[group]]
    if all(changed[group] == spec[group] for group in changed):
        return pod
    if not present:
        changed["volumes"] = [*(spec.get("volumes") or ()), volume(name)]
    return pod.with_spec(**changed)


def _is_ours(volume: Mapping[str, Any]) -> bool:
    return str(volume.get("name") or "").startswith(VOLUME_PREFIX)


def _mounted(container: Json, name: str) -> Json:
    mounts = container.get("volumeMounts") or []
    if any(mount.get("mountPath") == PATH for mount in mounts):
        return container
    return {**container, "volumeMounts": [*mounts, {"name": name, "readOnly": True, "mountPath": PATH}]}


def volume(name: str) -> Json:
    """The token, whom to trust, and the namespace."""
    namespace = {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}
    return {
        "name": name,
        "projected": {
            "sources": [
                {"serviceAccountToken": {"expirationSeconds": SECONDS_S, "path": "token"}},
                {"configMap": {"name": AUTHORITY, "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
                {"downwardAPI": {"items": [namespace]}},
            ],
            "defaultMode": 0o644,
        },
    }
