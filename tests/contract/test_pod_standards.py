"""Namespaces that hold their pods to a standard of pod security, as kubectl sees it."""

import json

LABEL = "pod-security.kubernetes.io/enforce"


def hold(space, level, *words):
    return space.kubectl("label", "namespace", space.namespace, "--overwrite", f"{LABEL}={level}", *words)


def test_pods_are_refused_and_who_makes_them_is_warned(space):
    assert hold(space, "restricted").stderr == ""
    refused = space.kubectl("run", "web", "--image=busybox", check=False)
    assert 'pods "web" is forbidden: violates PodSecurity "restricted:latest": allowPriv' in refused.stderr
    made = space.kubectl("create", "deployment", "web", "--image=busybox", "--", "sleep", "1000")
    assert 'Warning: would violate PodSecurity "restricted:latest": allowPrivilegeEscalation' in made.stderr
    space.wait_for(lambda: "violates PodSecurity" in space.text("get", "events"))
    hold(space, "baseline")
    space.kubectl("wait", "--for=condition=Available", "deployment/web", "--timeout=60s")
    warned = hold(space, "restricted", "--dry-run=server").stderr
    assert f'existing pods in namespace "{space.namespace}" violate the new PodSecurity enforce level' in warned
    assert ": allowPrivilegeEscalation != false, unrestricted capabilities, runAsNonRoot != true, secc" in warned
    pod = space.text("get", "pods", "--output=name").strip().removeprefix("pod/")
    debug = space.kubectl("debug", pod, "--image=busybox", "--profile=sysadmin", "--", "true", check=False)
    assert "must not set securityContext.privileged=true" in debug.stderr


def test_a_hardened_pod_runs_and_a_level_nobody_knows_is_refused(space):
    hold(space, "restricted")
    hardened = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    container = {"name": "c", "image": "busybox", "command": ["id", "-u"], "securityContext": hardened}
    whole = {"runAsNonRoot": True, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}}
    spec = {"restartPolicy": "Never", "securityContext": whole, "containers": [container]}
    manifest = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "hardened"}, "spec": spec}
    space.kubectl("create", "-f", "-", input=json.dumps(manifest))
    space.kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/hardened", "--timeout=60s")
    assert space.text("logs", "hardened").strip() == "1000"
    refused = space.kubectl("label", "namespace", space.namespace, "--overwrite", f"{LABEL}=strict", check=False)
    assert "must be one of privileged, baseline, restricted" in refused.stderr
