"""Deployments and ReplicaSets through the real kubectl, with real pods behind a real Service."""

import asyncio
import re
from collections import Counter

import pytest

MANIFEST = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: NAME}
spec:
  replicas: REPLICAS
  selector: {matchLabels: {app: web, track: NAME}}
  template:
    metadata: {labels: {app: web, track: NAME}}
    spec:
      terminationGracePeriodSeconds: 2
      containers:
      - name: www
        image: busybox
        imagePullPolicy: IfNotPresent
        env: [{name: VERSION, value: "1"}]
        command: [sh, -c, 'echo "NAME $VERSION" > index.html; exec httpd -f -p 80']
        readinessProbe: {httpGet: {port: 80, path: /index.html}, periodSeconds: 1}
        lifecycle: {preStop: {exec: {command: [sleep, "1"]}}}
"""


def manifest(name="web", replicas=3):
    return MANIFEST.replace("NAME", name).replace("REPLICAS", str(replicas))


def rolled_out(space, name="web"):
    said = space.text("rollout", "status", f"deployment/{name}", "--timeout=60s")
    assert f'deployment "{name}" successfully rolled out' in said


def sets(space, selector="app=web"):
    """The ReplicaSets' revisions and sizes."""
    found = space.json("get", "rs", "-l", selector)["items"]
    revision = "deployment.kubernetes.io/revision"
    return {int(rs["metadata"]["annotations"][revision]): rs["spec"]["replicas"] for rs in found}


@pytest.fixture
def web(space):
    space.kubectl("apply", "-f", "-", input=manifest())
    rolled_out(space)
    return space


def test_a_deployments_life(web):
    """One Deployment through what kubectl has for it; each step stands on the one before."""
    wide = web.text("get", "deployments", "-o", "wide")
    assert re.search(r"NAME\s+READY\s+UP-TO-DATE\s+AVAILABLE\s+AGE\s+CONTAINERS\s+IMAGES\s+SELECTOR\n", wide)
    assert re.search(r"web\s+3/3\s+3\s+3\s+\d+s\s+www\s+busybox\s+app=web,track=web\n", wide)

    web.kubectl("annotate", "deployment/web", "kubernetes.io/change-cause=the second")
    web.kubectl("set", "env", "deployment/web", "VERSION=2")
    rolled_out(web)
    assert sets(web) == {1: 0, 2: 3}
    history = web.text("rollout", "history", "deployment/web")
    assert re.search(r"REVISION\s+CHANGE-CAUSE\n1\s+\S.*\n2\s+the second\n", history)
    assert "VERSION:\t2" in web.text("rollout", "history", "deployment/web", "--revision=2")

    web.kubectl("set", "image", "deployment/web", "www=busybox:there-is-none")
    web.wait_for(lambda: sets(web) == {1: 0, 2: 3, 3: 1})  # a quarter of three may not be missing
    assert "deployment.apps/web rolled back" in web.text("rollout", "undo", "deployment/web")
    rolled_out(web)
    assert sets(web) == {1: 0, 3: 0, 4: 3}
    web.kubectl("rollout", "undo", "deployment/web", "--to-revision=1")
    rolled_out(web)
    assert sets(web) == {3: 0, 4: 0, 5: 3}

    web.kubectl("rollout", "pause", "deployment/web")
    web.kubectl("set", "env", "deployment/web", "VERSION=3")
    web.kubectl("scale", "deployment/web", "--replicas=4")
    web.wait_for(lambda: sets(web) == {3: 0, 4: 0, 5: 4})
    paused = r"Progressing\s+Unknown\s+DeploymentPaused"
    web.wait_for(lambda: re.search(paused, web.text("describe", "deployment/web")))
    web.kubectl("rollout", "resume", "deployment/web")
    rolled_out(web)
    assert sets(web) == {3: 0, 4: 0, 5: 0, 6: 4}
    web.kubectl("rollout", "restart", "deployment/web")
    rolled_out(web)
    assert sets(web) == {3: 0, 4: 0, 5: 0, 6: 0, 7: 4}

    said = web.text("describe", "deployment/web")
    for expected in (
        r"Replicas:\s+4 desired \| 4 updated \| 4 total \| 4 available \| 0 unavailable",
        r"RollingUpdateStrategy:\s+25% max unavailable, 25% max surge",
        r"Available\s+True\s+MinimumReplicasAvailable",
        r"Progressing\s+True\s+NewReplicaSetAvailable",
        r"OldReplicaSets:\s+web-\w+ \(0/0 replicas created\)",
        r"NewReplicaSet:\s+web-\w+ \(4/4 replicas created\)",
        r"ScalingReplicaSet .* deployment-controller\s+Scaled up replica set web-\w+ from 0 to 3",
        r"ScalingReplicaSet .* Scaled down replica set web-\w+ from 1 to 0",
    ):
        assert re.search(expected, said), said
    web.kubectl("delete", "deployment/web")
    web.wait_for(lambda: "No resources" in web.kubectl("get", "rs,pods").stderr)


def test_one_is_made_and_exposed_without_a_manifest(space):
    said = space.text(
        "create", "deployment", "plain", "--image=busybox", "--replicas=2", "--port=80", "--", "sleep", "99"
    )
    assert said == "deployment.apps/plain created\n"
    rolled_out(space, "plain")
    zeros = '{"spec":{"template":{"spec":{"hostNetwork":false,"volumes":[]}}}}'
    assert space.text("patch", "deployment", "plain", "-p", zeros) == "deployment.apps/plain patched (no change)\n"
    assert space.text("expose", "deployment", "plain") == "service/plain exposed\n"
    spec = space.json("get", "service", "plain")["spec"]
    assert (spec["selector"], spec["ports"][0]["port"]) == ({"app": "plain"}, 80)
    space.kubectl("delete", "deployment", "plain", "--grace-period=1")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ('{"spec":{"replicas":-1}}', "spec.replicas: Invalid value: -1: must be greater than or equal to 0"),
        ('{"spec":{"selector":{"matchLabels":{"app":"db"}}}}', "spec.selector: Invalid value: "),
        ('{"spec":{"strategy":{"type":"Recreate"}}}', "may not be specified when strategy `type` is 'Recreate'"),
        ('{"spec":{"strategy":{"rollingUpdate":{"maxSurge":"a bit"}}}}', "a valid percent string must be a numeric string"),
    ],
)  # fmt: skip
def test_what_is_refused_changes_nothing(space, change, said):
    space.kubectl("apply", "-f", "-", input=manifest(replicas=0))
    refused = space.kubectl("patch", "deployment/web", "--type=merge", "-p", change, check=False)
    assert refused.returncode == 1
    assert 'The Deployment "web" is invalid' in refused.stderr
    assert said in refused.stderr
    assert space.json("get", "deployment", "web")["metadata"]["generation"] == 1


def test_a_replica_set(space):
    """Adopts, releases, is scaled, keeps what its deletion orphans."""
    spec = manifest("rs", 2).replace("kind: Deployment", "kind: ReplicaSet")
    space.kubectl("run", "stray", "--image=busybox", "--labels=app=web,track=rs", "--", "sleep", "99")
    space.kubectl("apply", "-f", "-", input=spec)

    def owned():
        pods = space.json("get", "pods", "-l", "app=web")["items"]
        return sorted(p["metadata"]["name"] for p in pods if p["metadata"].get("ownerReferences"))

    assert "stray" in space.wait_for(lambda: len(owned()) == 2 and owned())
    space.kubectl("label", "pod", "stray", "track=other", "--overwrite")
    space.wait_for(lambda: len(owned()) == 2 and "stray" not in owned())
    space.kubectl("scale", "rs", "rs", "--replicas=3", "--timeout=60s")
    space.wait_for(lambda: re.search(r"rs\s+3\s+3\s+3\s", space.text("get", "rs")))
    space.kubectl("delete", "rs", "rs", "--cascade=orphan")
    assert len(space.json("get", "pods", "-l", "track=rs")["items"]) == 3
    assert owned() == []


# -- behind a Service --------------------------------------------------------------------------------------------------


def exposed(space, selector="app=web"):
    """The cluster IP of a Service before everything with these labels."""
    space.kubectl("create", "service", "clusterip", "front", "--tcp=80:80")
    space.kubectl("set", "selector", "service", "front", selector)
    return space.json("get", "service", "front")["spec"]["clusterIP"]


async def fetch(address):
    reader, writer = await asyncio.open_connection(address, 80)
    try:
        writer.write(b"GET /index.html HTTP/1.0\r\n\r\n")
        answer = await reader.read()
    finally:
        writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b" 200 " in head.partition(b"\r\n")[0], answer
    return body.decode().strip()


def answers_of(address, count):
    """How many of so many requests each answers; nothing where one of them fails."""

    async def many():
        return Counter([await asyncio.wait_for(fetch(address), 10) for _ in range(count)])

    try:
        return asyncio.run(many())
    except OSError:
        return Counter()


async def under_load(address, work, every_s=0.01):
    """Ask every 10 ms, on a new connection each time, until `work` has ended.  Returns the answers, and the failures."""
    loop, asked = asyncio.get_running_loop(), []
    done = asyncio.ensure_future(asyncio.to_thread(work))
    while not done.done():
        asked.append(loop.create_task(asyncio.wait_for(fetch(address), 60)))
        await asyncio.sleep(every_s)
    await done
    answers = await asyncio.gather(*asked, return_exceptions=True)
    failed = [answer for answer in answers if isinstance(answer, BaseException)]
    return Counter(answer for answer in answers if isinstance(answer, str)), failed


def test_no_request_fails_while_the_version_changes(web):
    address = exposed(web)

    def update():
        """Five times: the pods of one version are still on their way out when the next one comes."""
        for version in range(2, 7):
            web.kubectl("set", "env", "deployment/web", f"VERSION={version}")
            rolled_out(web)
        web.wait_for(lambda: len(web.json("get", "pods")["items"]) == 3)

    web.wait_for(lambda: answers_of(address, 1))
    answers, failed = asyncio.run(under_load(address, update))
    assert failed == []
    assert {"web 1", "web 6"} <= set(answers)
    assert answers.total() >= 100


def test_a_canary_gets_its_share(space):
    """The lecture's slightly different pods, for testing a new service version."""
    for name, replicas in (("stable", 3), ("canary", 1)):
        space.kubectl("apply", "-f", "-", input=manifest(name, replicas))
    for name in ("stable", "canary"):
        rolled_out(space, name)
    address = exposed(space)

    def is_shared():
        """As it has to be once the rules have followed what is told; a quarter is 100, six standard deviations are 52."""
        answers = answers_of(address, 400)
        assert answers["stable 1"] + answers["canary 1"] == 400
        return 60 <= answers["canary 1"] <= 145

    space.wait_for(lambda: len(addresses(space)) == 4)
    space.wait_for(is_shared)
    space.kubectl("scale", "deployment/stable", "--replicas=0")
    space.wait_for(lambda: len(addresses(space)) == 1)
    space.wait_for(lambda: set(answers_of(address, 400)) == {"canary 1"})


def addresses(space):
    slices = space.json("get", "endpointslices", "-l", "kubernetes.io/service-name=front")["items"]
    endpoints = [endpoint for found in slices for endpoint in found.get("endpoints") or ()]
    return [endpoint for endpoint in endpoints if endpoint["conditions"].get("ready")]
