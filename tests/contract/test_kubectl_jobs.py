"""Jobs and CronJobs through the real kubectl, with real pods."""

import json
import re

JOB = """
apiVersion: batch/v1
kind: Job
metadata: {name: NAME}
spec:
  SPEC
  template:
    spec:
      restartPolicy: Never
      terminationGracePeriodSeconds: 0
      containers:
      - {name: main, image: busybox, imagePullPolicy: IfNotPresent, command: [sh, -c, 'COMMAND']}
"""


def manifest(name, command, **spec):
    lines = "\n  ".join(f"{field}: {json.dumps(value)}" for field, value in spec.items())
    return JOB.replace("NAME", name).replace("COMMAND", command).replace("SPEC", lines)


def ended(space, name, how):
    space.kubectl("wait", f"job/{name}", f"--for=condition={how}", "--timeout=60s")
    return space.json("get", "job", name)["status"]


def reasons(status):
    return [(entry["type"], entry["reason"]) for entry in status["conditions"]]


def pods(space, name):
    return space.json("get", "pods", "-l", f"job-name={name}")["items"]


def test_jobs_run_to_their_ends(space):
    """Several sorts at once, for each waits for its pods."""
    sorts = {
        "plain": manifest("plain", "echo done", completions=3, parallelism=2),
        "indexed": manifest(
            "indexed",
            "echo $JOB_COMPLETION_INDEX $HOSTNAME; test $JOB_COMPLETION_INDEX != 1",
            completions=3,
            parallelism=3,
            completionMode="Indexed",
            backoffLimitPerIndex=0,
        ),
        "limited": manifest("limited", "exit 7", backoffLimit=0),
        "judged": manifest(
            "judged",
            "exit 42",
            podFailurePolicy={"rules": [{"action": "FailJob", "onExitCodes": {"operator": "In", "values": [42]}}]},
        ),
        "late": manifest("late", "sleep 60", activeDeadlineSeconds=1),
        "enough": manifest(
            "enough",
            "test $JOB_COMPLETION_INDEX = 1 || sleep 60",
            completions=2,
            parallelism=2,
            completionMode="Indexed",
            successPolicy={"rules": [{"succeededIndexes": "1"}]},
        ),
        "brief": manifest("brief", "true", ttlSecondsAfterFinished=0),
        "held": manifest("held", "true", suspend=True),
    }
    space.kubectl("apply", "-f", "-", input="---".join(sorts.values()))

    plain = ended(space, "plain", "complete")
    assert (plain["succeeded"], plain["uncountedTerminatedPods"]) == (3, {})
    assert reasons(plain) == [("SuccessCriteriaMet", "CompletionsReached"), ("Complete", "CompletionsReached")]
    assert len(pods(space, "plain")) == 3
    assert all("finalizers" not in pod["metadata"] for pod in pods(space, "plain"))

    indexed = ended(space, "indexed", "failed")
    assert (indexed["completedIndexes"], indexed["failedIndexes"], indexed["succeeded"]) == ("0,2", "1", 2)
    said = space.text("logs", "-l", "batch.kubernetes.io/job-completion-index=2,job-name=indexed")
    assert said == "2 indexed-2\n"

    limited = ended(space, "limited", "failed")
    assert reasons(limited) == [("FailureTarget", "BackoffLimitExceeded"), ("Failed", "BackoffLimitExceeded")]
    judged = ended(space, "judged", "failed")
    assert judged["conditions"][0]["reason"] == "PodFailurePolicy"
    name = pods(space, "judged")[0]["metadata"]["name"]
    assert judged["conditions"][0]["message"] == (
        f"Container main for pod {space.namespace}/{name} failed with exit code 42 matching FailJob rule at index 0"
    )
    assert reasons(ended(space, "late", "failed"))[0] == ("FailureTarget", "DeadlineExceeded")
    enough = ended(space, "enough", "complete")
    assert (reasons(enough)[0], enough["completedIndexes"]) == (("SuccessCriteriaMet", "SuccessPolicy"), "1")
    assert "failed" not in enough

    space.wait_for(lambda: "brief" not in space.text("get", "jobs"))
    space.wait_for(lambda: not pods(space, "brief"))
    shown = space.text("get", "jobs", "-o", "wide")
    assert re.search(r"NAME\s+STATUS\s+COMPLETIONS\s+DURATION\s+AGE\s+CONTAINERS\s+IMAGES\s+SELECTOR\n", shown)
    assert re.search(r"plain\s+Complete\s+3/3\s+\d+s\s+\d+s\s+main\s+busybox\s+batch.kubernetes.io/", shown)
    assert re.search(r"held\s+Suspended\s+0/1\s+\d+s", shown)
    assert pods(space, "held") == []
    needs = {"containers": [{"name": "main", "resources": {"limits": {"memory": "16Mi"}}}]}
    space.kubectl("patch", "job/held", "-p", json.dumps({"spec": {"template": {"spec": needs}}}))
    space.kubectl("patch", "job/held", "-p", '{"spec":{"suspend":false}}')
    ended(space, "held", "complete")
    assert pods(space, "held")[0]["spec"]["containers"][0]["resources"]["limits"] == {"memory": "16Mi"}
    for expected in ("Suspended .* Job suspended", "Resumed .* Job resumed", "Completed .* Job completed"):
        space.wait_for(lambda expected=expected: re.search(expected, space.text("describe", "job", "held")))


def test_a_job_and_its_pods_go_together(space):
    space.kubectl("apply", "-f", "-", input=manifest("short", "sleep 60"))
    space.wait_for(lambda: pods(space, "short")[0]["status"]["phase"] == "Running")
    assert pods(space, "short")[0]["metadata"]["finalizers"] == ["batch.kubernetes.io/job-tracking"]
    space.kubectl("delete", "job", "short", "--cascade=foreground", "--timeout=60s")
    assert pods(space, "short") == []

    space.kubectl("create", "job", "left", "--image=busybox", "--", "true")
    ended(space, "left", "complete")
    gone = space.kubectl("delete", "--raw", f"/apis/batch/v1/namespaces/{space.namespace}/jobs/left")
    assert "child pods are preserved by default when jobs are deleted" in gone.stderr
    (pod,) = space.wait_for(lambda: [p for p in pods(space, "left") if "ownerReferences" not in p["metadata"]])
    assert "finalizers" not in pod["metadata"]


def test_a_pod_that_is_evicted_is_replaced_and_counts_as_its_policy_says(space):
    ignore = {"rules": [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}]}
    space.kubectl("apply", "-f", "-", input=manifest("moved", "sleep 60", backoffLimit=0, podFailurePolicy=ignore))
    (pod,) = space.wait_for(lambda: [p for p in pods(space, "moved") if p["status"]["phase"] == "Running"])
    name = pod["metadata"]["name"]
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}}
    path = f"/api/v1/namespaces/{space.namespace}/pods/{name}/eviction"
    space.kubectl("create", "--raw", path, "-f", "-", input=json.dumps(eviction))
    (other,) = space.wait_for(
        lambda: [p for p in pods(space, "moved") if p["status"]["phase"] == "Running" and p["metadata"]["name"] != name]
    )
    status = space.wait_for(lambda: (said := space.json("get", "job", "moved")["status"])["active"] == 1 and said)
    assert status.get("failed", 0) == 0
    assert other["metadata"]["name"].startswith("moved-")


def test_what_is_refused(space):
    refused = space.kubectl("apply", "-f", "-", input=manifest("x", "true").replace("Never", "Always"), check=False)
    said = 'spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"'
    assert said in refused.stderr
    refused = space.kubectl("create", "cronjob", "x", "--image=busybox", "--schedule=never", "--", "true", check=False)
    assert 'spec.schedule: Invalid value: "never": expected exactly 5 fields, found 1: [never]' in refused.stderr
    assert "No resources" in space.kubectl("get", "jobs,cronjobs").stderr


CRON = """
apiVersion: batch/v1
kind: CronJob
metadata: {name: often}
spec:
  schedule: "@every 1s"
  timeZone: Asia/Kolkata
  concurrencyPolicy: Forbid
  jobTemplate:
    metadata: {labels: {from: often}}
    spec:
      template:
        spec:
          restartPolicy: OnFailure
          volumes: [{name: tmp, emptyDir: {sizeLimit: 1Mi}}]
          containers:
          - name: main
            image: busybox
            imagePullPolicy: IfNotPresent
            command: [sh, -c, "echo $WHO"]
            env:
            - {name: WHO, valueFrom: {fieldRef: {fieldPath: metadata.namespace}}}
            volumeMounts: [{name: tmp, mountPath: /tmp}]
            resources: {limits: {memory: 64Mi}}
            securityContext: {runAsUser: 1000, readOnlyRootFilesystem: true}
"""


def test_a_cron_job(space):
    endless = CRON.replace("often", "endless").replace("      template:", "      suspend: true\n      template:")
    space.kubectl("apply", "-f", "-", input=f"{CRON}---{endless}")
    job = space.wait_for(lambda: space.json("get", "jobs", "-l", "from=often")["items"][0])
    space.kubectl("patch", "cj/often", "-p", '{"spec":{"suspend":true}}')  # before it is one of too many to keep
    moment = job["metadata"]["annotations"]["batch.kubernetes.io/cronjob-scheduled-timestamp"]
    assert moment.endswith("+05:30")
    assert re.fullmatch(r"often-\d{8}", job["metadata"]["name"])
    ended(space, job["metadata"]["name"], "complete")
    space.wait_for(lambda: space.json("get", "cj", "often")["status"]["lastSuccessfulTime"])
    shown = r"often\s+@every 1s\s+Asia/Kolkata\s+True\s+0\s+\d+s\s+\d+s"  # one more may have begun before that
    space.wait_for(lambda: re.search(shown, space.text("get", "cronjobs")))
    said = r"SuccessfulCreate .* cronjob-controller\s+Created job often-\d+"
    space.wait_for(lambda: re.search(said, space.text("describe", "cj", "often")))

    space.kubectl("create", "job", "by-hand", "--from=cronjob/often")
    ended(space, "by-hand", "complete")
    assert space.text("logs", "job/by-hand") == f"{space.namespace}\n"
    why = "Not starting job because prior execution is running and concurrency policy is Forbid"
    space.wait_for(lambda: why in space.text("describe", "cj", "endless"))
    space.kubectl("delete", "cj", "often", "endless")
    space.wait_for(lambda: "No resources" in space.kubectl("get", "jobs").stderr)


RICH = """
apiVersion: batch/v1
kind: CronJob
metadata: {name: rich}
spec:
  schedule: "0 0 1 1 *"
  jobTemplate:
    spec:
      completions: 2
      parallelism: 0
      completionMode: Indexed
      backoffLimitPerIndex: 1
      maxFailedIndexes: 1
      ttlSecondsAfterFinished: 0
      suspend: true
      successPolicy: {rules: [{succeededIndexes: "0", succeededCount: 1}]}
      podFailurePolicy:
        rules:
        - {action: FailIndex, onExitCodes: {containerName: c, operator: In, values: [1, 2]}}
        - {action: Ignore, onPodConditions: [{type: DisruptionTarget}]}
      template:
        metadata: {labels: {x: z}, annotations: {p: q}}
        spec:
          restartPolicy: Never
          nodeSelector: {kubernetes.io/os: linux}
          hostname: h
          subdomain: s
          setHostnameAsFQDN: false
          shareProcessNamespace: true
          automountServiceAccountToken: false
          enableServiceLinks: false
          terminationGracePeriodSeconds: 5
          activeDeadlineSeconds: 100
          dnsPolicy: None
          dnsConfig: {nameservers: [10.1.1.1], searches: [a.b], options: [{name: ndots, value: "2"}]}
          hostAliases: [{ip: 10.0.0.1, hostnames: [a, b]}]
          imagePullSecrets: [{name: s}]
          readinessGates: [{conditionType: example.com/x}]
          securityContext:
            runAsUser: 0
            runAsGroup: 3
            fsGroup: 4
            supplementalGroups: [5, 6]
            runAsNonRoot: false
            fsGroupChangePolicy: OnRootMismatch
            seccompProfile: {type: RuntimeDefault}
            sysctls: [{name: net.ipv4.ip_unprivileged_port_start, value: "0"}]
          tolerations: [{key: a, operator: Equal, value: b, effect: NoExecute, tolerationSeconds: 0}]
          topologySpreadConstraints:
          - {maxSkew: 1, topologyKey: z, whenUnsatisfiable: DoNotSchedule, labelSelector: {matchLabels: {x: z}}}
          affinity:
            nodeAffinity:
              requiredDuringSchedulingIgnoredDuringExecution:
                nodeSelectorTerms:
                - matchExpressions: [{key: a, operator: In, values: [b]}]
                  matchFields: [{key: metadata.name, operator: NotIn, values: [q]}]
              preferredDuringSchedulingIgnoredDuringExecution:
              - {weight: 3, preference: {matchExpressions: [{key: a, operator: Exists}]}}
            podAffinity:
              requiredDuringSchedulingIgnoredDuringExecution:
              - topologyKey: k
                labelSelector: {matchExpressions: [{key: a, operator: DoesNotExist}]}
                namespaces: [other]
                namespaceSelector: {}
            podAntiAffinity:
              preferredDuringSchedulingIgnoredDuringExecution:
              - {weight: 1, podAffinityTerm: {topologyKey: k, labelSelector: {matchLabels: {a: b}}}}
          volumes:
          - {name: e, emptyDir: {medium: Memory, sizeLimit: 1Mi}}
          - {name: h, hostPath: {path: /tmp, type: Directory}}
          - {name: s, secret: {secretName: s, items: [{key: a, path: b, mode: 256}], defaultMode: 256, optional: true}}
          - {name: c, configMap: {name: c, items: [{key: a, path: b}], optional: false}}
          - name: d
            downwardAPI:
              items:
              - {path: l, fieldRef: {fieldPath: metadata.labels}}
              - {path: m, resourceFieldRef: {containerName: c, resource: limits.cpu, divisor: 1m}}
          - name: p
            projected:
              sources:
              - secret: {name: s, optional: true}
              - configMap: {name: c}
              - downwardAPI: {items: [{path: l, fieldRef: {fieldPath: metadata.name}}]}
          - {name: v, persistentVolumeClaim: {claimName: v, readOnly: true}}
          initContainers:
          - name: i
            image: busybox
            restartPolicy: Always
            startupProbe: {exec: {command: ["true"]}, periodSeconds: 3}
          containers:
          - name: c
            image: busybox
            command: [sh]
            args: ["-c", "true"]
            workingDir: /w
            ports: [{name: web, containerPort: 80, hostPort: 8080, protocol: UDP, hostIP: 127.0.0.1}]
            envFrom: [{prefix: P_, configMapRef: {name: c, optional: true}}, {secretRef: {name: s}}]
            env:
            - {name: A, value: b}
            - {name: B, valueFrom: {configMapKeyRef: {name: c, key: k, optional: true}}}
            - {name: C, valueFrom: {secretKeyRef: {name: s, key: k}}}
            - {name: D, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
            - {name: E, valueFrom: {resourceFieldRef: {resource: requests.memory, divisor: 1Mi}}}
            resources: {limits: {cpu: 100m, memory: 64Mi}, requests: {cpu: 50m}}
            volumeMounts:
            - {name: e, mountPath: /e, subPath: x, readOnly: true, mountPropagation: HostToContainer}
            - {name: h, mountPath: /h, subPathExpr: $(A)}
            livenessProbe:
              httpGet: {path: /x, port: web, host: h, scheme: HTTPS, httpHeaders: [{name: a, value: b}]}
              initialDelaySeconds: 1
              timeoutSeconds: 2
              periodSeconds: 3
              failureThreshold: 5
              terminationGracePeriodSeconds: 9
            readinessProbe: {tcpSocket: {port: 81, host: q}, successThreshold: 2}
            startupProbe: {grpc: {port: 5, service: s}}
            lifecycle: {postStart: {exec: {command: [a]}}, preStop: {sleep: {seconds: 3}}}
            terminationMessagePath: /t
            terminationMessagePolicy: FallbackToLogsOnError
            imagePullPolicy: Never
            securityContext:
              capabilities: {add: [NET_ADMIN], drop: [ALL]}
              privileged: false
              runAsUser: 0
              runAsNonRoot: false
              readOnlyRootFilesystem: true
              allowPrivilegeEscalation: false
              seccompProfile: {type: Unconfined}
            stdin: true
            stdinOnce: true
            tty: true
"""


def test_what_is_sent_as_protobuf_arrives_as_it_was(space):
    """`kubectl create job --from` sends what it was given as JSON back in the other encoding."""
    space.kubectl("apply", "-f", "-", input=RICH)
    space.kubectl("create", "job", "by-hand", "--from=cronjob/rich")
    wanted = space.json("get", "cj", "rich")["spec"]["jobTemplate"]["spec"]
    made = space.json("get", "job", "by-hand")["spec"]
    del made["selector"]
    made["template"]["metadata"]["labels"] = {"x": made["template"]["metadata"]["labels"]["x"]}
    assert made == wanted | {"backoffLimit": 2**31 - 1, "manualSelector": False, "podReplacementPolicy": "Failed"}
