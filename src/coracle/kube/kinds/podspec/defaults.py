"""What a pod's spec says where the user said nothing.

`spec` is for templates and pods, `pod_spec` what pods get on top.  Both give the same again when applied again.

Source: Kubernetes v1 API, PodSpec and Container ("Defaults to ..."); admission plugins ServiceAccount and
DefaultTolerationSeconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from coracle.core.object import Json
from coracle.kube.kinds import remotesources
from coracle.kube.kinds.blanks import absent, blank, each, inside
from coracle.kube.kinds.persistentvolumeclaim import claim_spec
from coracle.kube.kinds.podspec import amounts
from coracle.kube.kinds.podspec.resources import HUGE

ACCOUNT = "default"
UNREACHABLE_S = 300  # how long pods stay on a node that is lost: DefaultTolerationSeconds
_MODE = 0o644  # of files in secret, config map, downward API and projected volumes


def spec(given: Mapping[str, Any] | None) -> Json:
    """A PodSpec as it is stored in a template."""
    doc = absent(given, terminationGracePeriodSeconds=30, securityContext={})
    doc = blank(doc, restartPolicy="Always", dnsPolicy="ClusterFirst", schedulerName="default-scheduler")
    for name in ("containers", "initContainers", "ephemeralContainers"):
        doc = each(doc, name, container)
    if doc.get("hostNetwork"):
        for name in ("containers", "initContainers"):
            doc = each(doc, name, _on_host)
    doc = inside(_with_account(each(doc, "volumes", volume)), "resources", _without_empty)
    return {name: value for name, value in doc.items() if value != [] and (value != {} or name == "securityContext")}


def pod_spec(given: Mapping[str, Any] | None) -> Json:
    """A PodSpec as it is stored in a pod."""
    doc = absent(spec(given), enableServiceLinks=True)
    doc = blank(doc, serviceAccountName=ACCOUNT, serviceAccount=ACCOUNT)
    if doc["terminationGracePeriodSeconds"] < 0:
        doc["terminationGracePeriodSeconds"] = 1  # the least that lets a process end by itself
    for name in ("containers", "initContainers"):
        doc = each(doc, name, _requests_from_limits)
    doc = inside(doc, "resources", lambda own: _whole_requests(own, doc))
    return {**doc, "tolerations": _tolerations(doc.get("tolerations") or ())}


def template(given: Mapping[str, Any] | None) -> Json:
    """A PodTemplateSpec.  Keeps what is absent absent: `validate` says what is required."""
    doc = absent(given, metadata={})
    return {**doc, "spec": spec(doc.get("spec"))}


def container(given: Json) -> Json:
    doc = absent(given, resources={})
    doc = blank(
        doc,
        imagePullPolicy=pull_policy(doc.get("image") or ""),
        terminationMessagePath="/dev/termination-log",
        terminationMessagePolicy="File",
    )
    doc = each(doc, "ports", lambda port: blank(port, protocol="TCP"))
    doc = each(doc, "env", _variable)
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        doc = inside(doc, name, _probe)
    doc = inside(doc, "lifecycle", _lifecycle)
    return {**doc, "resources": _without_empty(doc["resources"])}


def volume(given: Json) -> Json:
    doc = absent(given)
    if not any(value is not None for name, value in doc.items() if name != "name"):
        return {**doc, "emptyDir": {}}
    for name in ("secret", "configMap", "downwardAPI", "projected"):
        doc = inside(doc, name, lambda source: absent(source, defaultMode=_MODE))
    doc = inside(doc, "hostPath", lambda source: absent(source, type=""))
    for name in remotesources.NAMES:
        doc = inside(doc, name, partial(remotesources.default, name))
    doc = inside(doc, "image", _image)
    doc = inside(doc, "ephemeral", lambda source: inside(absent(source), "volumeClaimTemplate", _claim_template))
    doc = inside(doc, "projected", lambda source: each(source, "sources", _projection))
    doc = inside(doc, "downwardAPI", lambda source: each(source, "items", _references))
    return doc


def _image(source: Json) -> Json:
    return blank(source, pullPolicy=pull_policy(source.get("reference") or ""))


def _claim_template(template: Json) -> Json:
    return {**absent(template), "spec": claim_spec(template.get("spec"))}


def pull_policy(image: str) -> str:
    """`Always` for the tag `latest`, said or meant; `IfNotPresent` for any other tag or a digest."""
    if "@" in image:
        return "IfNotPresent"
    _, colon, tag = image.rpartition("/")[2].partition(":")
    return "Always" if not colon or tag == "latest" else "IfNotPresent"


def _with_account(doc: Json) -> Json:
    """`serviceAccount` is the deprecated alias of `serviceAccountName`: what one says, both say."""
    name = doc.get("serviceAccountName") or doc.get("serviceAccount")
    return {**doc, "serviceAccountName": name, "serviceAccount": name} if name else doc


def _on_host(doc: Json) -> Json:
    return each(doc, "ports", lambda port: blank(port, hostPort=port.get("containerPort") or 0))


def _variable(given: Json) -> Json:
    return inside(absent(given), "valueFrom", _references)


def _field_ref(given: Json) -> Json:
    return blank(given, apiVersion="v1")


def _references(given: Json) -> Json:
    doc = inside(given, "fieldRef", _field_ref)
    return inside(doc, "resourceFieldRef", lambda ref: absent(ref, divisor="0"))


def _projection(given: Json) -> Json:
    doc = inside(given, "serviceAccountToken", lambda source: absent(source, expirationSeconds=3600))
    return inside(doc, "downwardAPI", lambda source: each(source, "items", _references))


def _probe(given: Json) -> Json:
    doc = blank(given, timeoutSeconds=1, periodSeconds=10, successThreshold=1, failureThreshold=3)
    return inside(_handler(doc), "grpc", lambda action: absent(action, service=""))


def _lifecycle(given: Json) -> Json:
    return inside(inside(given, "postStart", _handler), "preStop", _handler)


def _handler(given: Json) -> Json:
    return inside(given, "httpGet", lambda action: blank(action, path="/", scheme="HTTP"))


def _without_empty(resources: Json) -> Json:
    return {name: given for name, given in resources.items() if given}


def _requests_from_limits(doc: Json) -> Json:
    resources = doc["resources"]
    limits = resources.get("limits")
    if not limits:
        return doc
    return {**doc, "resources": {**resources, "requests": {**limits, **(resources.get("requests") or {})}}}


def _whole_requests(own: Json, doc: Json) -> Json:
    """What a pod as a whole may have, but does not say that it asks for: what its containers ask for together, or where
    none does all of it.  Of huge pages that containers have it has as many."""
    limits, requests = dict(own.get("limits") or {}), dict(own.get("requests") or {})
    try:
        together = {which: amounts.of_containers(doc, which) for which in ("limits", "requests")}
    except ValueError:
        return own  # what is no quantity is left to `validate`
    for name, amount in together["limits"].items():
        if name.startswith(HUGE):
            limits.setdefault(name, str(amount))
    for name, amount in together["requests"].items() if limits else ():
        if name in ("cpu", "memory"):
            requests.setdefault(name, str(amount))
    sized = {name: value for name, value in limits.items() if name in ("cpu", "memory") or name.startswith(HUGE)}
    requests = {**sized, **requests}
    return {**own, **({"limits": limits} if limits else {}), **({"requests": requests} if requests else {})}


def _tolerations(given: Sequence[Json]) -> list[Json]:
    """A pod leaves a node that is not ready or not reachable after five minutes, unless it says otherwise."""
    tolerations = list(given)
    for key in ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"):
        if not any(_tolerates_no_execute(toleration, key) for toleration in given):
            tolerations.append(
                {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": UNREACHABLE_S}
            )
    return tolerations


def _tolerates_no_execute(toleration: Json, key: str) -> bool:
    effects, keys = ("", None, "NoExecute"), ("", None, key)
    return toleration.get("effect") in effects and toleration.get("key") in keys
