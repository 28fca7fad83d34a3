"""Every field of the Compose Specification is converted, warned of, or irrelevant for a reason."""

import json
from importlib.resources import files

import pytest

from coracle.compose.kubernetes.unsaid import IRRELEVANT, UNSAID

SCHEMA = json.loads((files("coracle.compose") / "compose-spec.json").read_text())
DEFINITIONS = SCHEMA["definitions"]
SERVICE = DEFINITIONS["service"]["properties"]
DEPLOY = DEFINITIONS["deployment"]["properties"]


def long_form(shape):
    return next(way["properties"] for way in shape["oneOf"] if way.get("type") == "object")


MOUNT = long_form(SERVICE["volumes"]["items"])
ATTACHED = long_form(DEFINITIONS["service_config_or_secret"]["items"])
NETWORK = next(iter(SERVICE["networks"]["oneOf"][1]["patternProperties"].values()))["oneOf"][0]["properties"]
DEPENDENCY = next(iter(SERVICE["depends_on"]["oneOf"][1]["patternProperties"].values()))["properties"]
RESOURCES = DEPLOY["resources"]["properties"]

SHAPES = {
    "services": SERVICE,
    "services.healthcheck": DEFINITIONS["healthcheck"]["properties"],
    "services.ports": long_form(SERVICE["ports"]["items"]),
    "services.volumes": MOUNT,
    "services.volumes.bind": MOUNT["bind"]["properties"],
    "services.volumes.volume": MOUNT["volume"]["properties"],
    "services.volumes.tmpfs": MOUNT["tmpfs"]["properties"],
    "services.volumes.image": MOUNT["image"]["properties"],
    "services.networks": NETWORK,
    "services.depends_on": DEPENDENCY,
    "services.configs": ATTACHED,
    "services.secrets": ATTACHED,
    "services.post_start": DEFINITIONS["service_hook"]["properties"],
    "services.pre_stop": DEFINITIONS["service_hook"]["properties"],
    "services.deploy": DEPLOY,
    "services.deploy.update_config": DEPLOY["update_config"]["properties"],
    "services.deploy.restart_policy": DEPLOY["restart_policy"]["properties"],
    "services.deploy.placement": DEPLOY["placement"]["properties"],
    "services.deploy.resources": RESOURCES,
    "services.deploy.resources.limits": RESOURCES["limits"]["properties"],
    "services.deploy.resources.reservations": RESOURCES["reservations"]["properties"],
    "networks": DEFINITIONS["network"]["properties"],
    "volumes": DEFINITIONS["volume"]["properties"],
    "secrets": DEFINITIONS["secret"]["properties"],
    "configs": DEFINITIONS["config"]["properties"],
}

PROBE = "healthcheck: {test: [CMD, ok]"
PORT = "ports: [{target: 80"
VOLUME, BIND = "volumes: [{type: volume, target: /d", "volumes: [{type: bind, target: /d, source: /s"
TMPFS, IMAGE = "volumes: [{type: tmpfs, target: /d", "volumes: [{type: image, target: /d, source: i"
NET = "networks: {default: {"
DEPEND = "depends_on: {b: {condition: service_healthy"
CONFIG, SECRET = "configs: [{source: c", "secrets: [{source: s"
HOOK = "[{command: [ok]"
UPDATE, PLACE = "deploy: {update_config: {", "deploy: {placement: {"
LIMITS, KEPT = "deploy: {resources: {limits: {", "deploy: {resources: {reservations: {"
AGAIN = "deploy: {restart_policy: {"
MORE = "more"
"""Marks a sample of something at the top of the file: the text of its one entry."""

# field: (service text with it, service text without it); where it is only one text, without it there is nothing
SAMPLES = {
    "services.annotations": "annotations: {a.b/c: d}",
    "services.attach": "attach: false",
    "services.blkio_config": "blkio_config: {weight: 10}",
    "services.build": "build: .",
    "services.cap_add": "cap_add: [NET_ADMIN]",
    "services.cap_drop": "cap_drop: [ALL]",
    "services.cgroup": "cgroup: host",
    "services.cgroup_parent": "cgroup_parent: /x",
    "services.command": "command: ok",
    "services.configs": "configs: [c]",
    "services.container_name": "container_name: other",
    "services.cpu_count": "cpu_count: 1",
    "services.cpu_percent": "cpu_percent: 10",
    "services.cpu_period": ("cpu_quota: 1000\ncpu_period: 10000", "cpu_quota: 1000"),
    "services.cpu_quota": "cpu_quota: 1000",
    "services.cpu_rt_period": "cpu_rt_period: 1000",
    "services.cpu_rt_runtime": "cpu_rt_runtime: 1000",
    "services.cpu_shares": "cpu_shares: 10",
    "services.cpus": "cpus: 0.5",
    "services.cpuset": "cpuset: '0'",
    "services.credential_spec": "credential_spec: {file: x}",
    "services.depends_on": "depends_on: {b: {condition: service_healthy}}",
    "services.deploy": "deploy: {replicas: 2}",
    "services.develop": "develop: {watch: [{path: ., action: rebuild}]}",
    "services.device_cgroup_rules": "device_cgroup_rules: [c 1:1 rwm]",
    "services.devices": "devices: [/dev/null]",
    "services.dns": "dns: 1.1.1.1",
    "services.dns_opt": "dns_opt: [ndots:2]",
    "services.dns_search": "dns_search: x.org",
    "services.domainname": "domainname: x.org",
    "services.entrypoint": "entrypoint: ok",
    "services.env_file": "env_file: [{path: none, required: false}]",
    "services.environment": "environment: {A: b}",
    "services.expose": "expose: ['80']",
    "services.extends": "extends: b",
    "services.external_links": "external_links: [x]",
    "services.extra_hosts": "extra_hosts: [a=1.1.1.1]",
    "services.gpus": "gpus: [{count: 1}]",
    "services.group_add": "group_add: ['5']",
    "services.healthcheck": "healthcheck: {test: ok}",
    "services.hostname": "hostname: h",
    "services.image": "image: y",
    "services.init": "init: true",
    "services.ipc": "ipc: host",
    "services.isolation": "isolation: default",
    "services.label_file": "label_file: []",
    "services.labels": "labels: {a: b}",
    "services.links": "links: [b:bee]",
    "services.logging": "logging: {driver: none}",
    "services.mac_address": "mac_address: 02:42:ac:11:65:43",
    "services.mem_limit": "mem_limit: 1g",
    "services.mem_reservation": "mem_reservation: 1g",
    "services.mem_swappiness": "mem_swappiness: 0",
    "services.memswap_limit": "memswap_limit: 1g",
    "services.models": "models: [m]",
    "services.network_mode": "network_mode: host",
    "services.networks": ("networks: {default: {aliases: [x]}}", "networks: {default: {}}"),
    "services.oom_kill_disable": "oom_kill_disable: true",
    "services.oom_score_adj": "oom_score_adj: 10",
    "services.pid": "pid: host",
    "services.pids_limit": "pids_limit: 10",
    "services.platform": "platform: linux/arm64",
    "services.ports": "ports: ['80:80']",
    "services.post_start": "post_start: [{command: ok}]",
    "services.pre_stop": "pre_stop: [{command: ok}]",
    "services.privileged": "privileged: true",
    "services.profiles": "profiles: []",
    "services.provider": "provider: {type: x}",
    "services.pull_policy": "pull_policy: always",
    "services.pull_refresh_after": "pull_refresh_after: 1d",
    "services.read_only": "read_only: true",
    "services.restart": "restart: on-failure",
    "services.runtime": "runtime: kata",
    "services.scale": "scale: 2",
    "services.secrets": "secrets: [s]",
    "services.security_opt": "security_opt: [no-new-privileges:true]",
    "services.shm_size": "shm_size: 64m",
    "services.stdin_open": "stdin_open: true",
    "services.stop_grace_period": "stop_grace_period: 1m",
    "services.stop_signal": "stop_signal: SIGINT",
    "services.storage_opt": "storage_opt: {size: 1G}",
    "services.sysctls": "sysctls: {net.ipv4.tcp_syncookies: 0}",
    "services.tmpfs": "tmpfs: /run",
    "services.tty": "tty: true",
    "services.ulimits": "ulimits: {nofile: 10}",
    "services.use_api_socket": "use_api_socket: true",
    "services.user": "user: '1000'",
    "services.userns_mode": "userns_mode: private",
    "services.uts": "uts: host",
    "services.volumes": "volumes: [v:/d]",
    "services.volumes_from": "volumes_from: [b]",
    "services.working_dir": "working_dir: /w",
    "services.healthcheck.disable": (PROBE + ", disable: true}", PROBE + "}"),
    "services.healthcheck.interval": (PROBE + ", interval: 5s}", PROBE + "}"),
    "services.healthcheck.retries": (PROBE + ", retries: 5}", PROBE + "}"),
    "services.healthcheck.start_interval": (PROBE + ", start_interval: 2s}", PROBE + "}"),
    "services.healthcheck.start_period": (PROBE + ", start_period: 9s}", PROBE + "}"),
    "services.healthcheck.test": (PROBE + "}", "healthcheck: {}"),
    "services.healthcheck.timeout": (PROBE + ", timeout: 5s}", PROBE + "}"),
    "services.ports.app_protocol": (PORT + ", app_protocol: http}]", PORT + "}]"),
    "services.ports.host_ip": (PORT + ", published: 81, host_ip: 127.0.0.1}]", PORT + ", published: 81}]"),
    "services.ports.mode": (PORT + ", mode: host}]", PORT + "}]"),
    "services.ports.name": (PORT + ", name: web}]", PORT + "}]"),
    "services.ports.protocol": (PORT + ", protocol: udp}]", PORT + "}]"),
    "services.ports.published": (PORT + ", published: 81}]", PORT + "}]"),
    "services.ports.target": (PORT + "}]", ""),
    "services.volumes.bind": (BIND + ", bind: {propagation: rslave}}]", BIND + "}]"),
    "services.volumes.consistency": (BIND + ", consistency: cached}]", BIND + "}]"),
    "services.volumes.image": (IMAGE + ", image: {subpath: x}}]", IMAGE + "}]"),
    "services.volumes.read_only": (VOLUME + ", read_only: true}]", VOLUME + "}]"),
    "services.volumes.source": (VOLUME + ", source: v}]", VOLUME + "}]"),
    "services.volumes.target": (VOLUME + "}]", "volumes: [{type: volume, target: /e}]"),
    "services.volumes.tmpfs": (TMPFS + ", tmpfs: {size: 1m}}]", TMPFS + "}]"),
    "services.volumes.type": (VOLUME + "}]", TMPFS + "}]"),
    "services.volumes.volume": (VOLUME + ", source: v, volume: {subpath: x}}]", VOLUME + ", source: v}]"),
    "services.volumes.bind.create_host_path": (BIND + ", bind: {create_host_path: false}}]", BIND + "}]"),
    "services.volumes.bind.propagation": (BIND + ", bind: {propagation: rshared}}]", BIND + "}]"),
    "services.volumes.bind.recursive": (BIND + ", bind: {recursive: disabled}}]", BIND + "}]"),
    "services.volumes.bind.selinux": (BIND + ", bind: {selinux: z}}]", BIND + "}]"),
    "services.volumes.volume.labels": (VOLUME + ", volume: {labels: {a: b}}}]", VOLUME + "}]"),
    "services.volumes.volume.nocopy": (VOLUME + ", volume: {nocopy: true}}]", VOLUME + "}]"),
    "services.volumes.volume.subpath": (VOLUME + ", volume: {subpath: x}}]", VOLUME + "}]"),
    "services.volumes.tmpfs.mode": (TMPFS + ", tmpfs: {mode: 448}}]", TMPFS + "}]"),
    "services.volumes.tmpfs.size": (TMPFS + ", tmpfs: {size: 1m}}]", TMPFS + "}]"),
    "services.volumes.image.subpath": (IMAGE + ", image: {subpath: x}}]", IMAGE + "}]"),
    "services.networks.aliases": (NET + "aliases: [x]}}", NET + "}}"),
    "services.networks.driver_opts": (NET + "driver_opts: {a: b}}}", NET + "}}"),
    "services.networks.gw_priority": (NET + "gw_priority: 1}}", NET + "}}"),
    "services.networks.interface_name": (NET + "interface_name: x}}", NET + "}}"),
    "services.networks.ipv4_address": (NET + "ipv4_address: 10.1.1.1}}", NET + "}}"),
    "services.networks.ipv6_address": (NET + "ipv6_address: 'fd00::1'}}", NET + "}}"),
    "services.networks.link_local_ips": (NET + "link_local_ips: [169.254.1.1]}}", NET + "}}"),
    "services.networks.mac_address": (NET + "mac_address: 02:42:ac:11:65:43}}", NET + "}}"),
    "services.networks.priority": (NET + "priority: 1}}", NET + "}}"),
    "services.depends_on.condition": (DEPEND + "}}", "depends_on: [b]"),
    "services.depends_on.required": "depends_on: {b: {condition: service_healthy, required: false}}",
    "services.depends_on.restart": (DEPEND + ", restart: true}}", DEPEND + "}}"),
    "services.configs.source": (CONFIG + "}]", ""),
    "services.configs.target": (CONFIG + ", target: /t}]", CONFIG + "}]"),
    "services.configs.uid": (CONFIG + ", uid: '1'}]", CONFIG + "}]"),
    "services.configs.gid": (CONFIG + ", gid: '1'}]", CONFIG + "}]"),
    "services.configs.mode": (CONFIG + ", mode: 0400}]", CONFIG + "}]"),
    "services.secrets.source": (SECRET + "}]", ""),
    "services.secrets.target": (SECRET + ", target: /t}]", SECRET + "}]"),
    "services.secrets.uid": (SECRET + ", uid: '1'}]", SECRET + "}]"),
    "services.secrets.gid": (SECRET + ", gid: '1'}]", SECRET + "}]"),
    "services.secrets.mode": (SECRET + ", mode: 0400}]", SECRET + "}]"),
    **{
        f"services.{hook}.{key}": (f"{hook}: {HOOK}, {key}: {value}}}]", f"{hook}: {HOOK}}}]")
        for hook in ("post_start", "pre_stop")
        for key, value in (("environment", "{A: b}"), ("privileged", "true"), ("user", "u"), ("working_dir", "/w"))
    },
    "services.post_start.command": "post_start: [{command: ok}]",
    "services.pre_stop.command": "pre_stop: [{command: ok}]",
    "services.deploy.endpoint_mode": ("expose: ['80']\ndeploy: {endpoint_mode: dnsrr}", "expose: ['80']"),
    "services.deploy.labels": "deploy: {labels: {a: b}}",
    "services.deploy.mode": "deploy: {mode: global}",
    "services.deploy.placement": "deploy: {placement: {constraints: [node.hostname==x]}}",
    "services.deploy.replicas": "deploy: {replicas: 3}",
    "services.deploy.resources": "deploy: {resources: {limits: {cpus: '1'}}}",
    "services.deploy.restart_policy": "deploy: {restart_policy: {condition: none}}",
    "services.deploy.rollback_config": "deploy: {rollback_config: {parallelism: 1}}",
    "services.deploy.update_config": "deploy: {update_config: {order: start-first}}",
    "services.deploy.update_config.delay": (UPDATE + "delay: 5s}}", UPDATE + "}}"),
    "services.deploy.update_config.failure_action": (UPDATE + "failure_action: pause}}", UPDATE + "}}"),
    "services.deploy.update_config.max_failure_ratio": (UPDATE + "max_failure_ratio: 0.1}}", UPDATE + "}}"),
    "services.deploy.update_config.monitor": (UPDATE + "monitor: 5s}}", UPDATE + "}}"),
    "services.deploy.update_config.order": (UPDATE + "order: start-first}}", UPDATE + "}}"),
    "services.deploy.update_config.parallelism": (UPDATE + "parallelism: 2}}", UPDATE + "}}"),
    "services.deploy.restart_policy.condition": (AGAIN + "condition: on-failure}}", AGAIN + "}}"),
    "services.deploy.restart_policy.delay": (AGAIN + "delay: 5s}}", AGAIN + "}}"),
    "services.deploy.restart_policy.max_attempts": (
        AGAIN + "condition: on-failure, max_attempts: 3}}",
        AGAIN + "condition: on-failure}}",
    ),
    "services.deploy.restart_policy.window": (AGAIN + "window: 5s}}", AGAIN + "}}"),
    "services.deploy.placement.constraints": (PLACE + "constraints: [node.labels.a==b]}}", PLACE + "}}"),
    "services.deploy.placement.max_replicas_per_node": (PLACE + "max_replicas_per_node: 1}}", PLACE + "}}"),
    "services.deploy.placement.preferences": (PLACE + "preferences: [{spread: node.labels.a}]}}", PLACE + "}}"),
    "services.deploy.resources.limits": "deploy: {resources: {limits: {memory: 1g}}}",
    "services.deploy.resources.reservations": "deploy: {resources: {reservations: {memory: 1g}}}",
    "services.deploy.resources.limits.cpus": (LIMITS + "cpus: '1'}}}", LIMITS + "}}}"),
    "services.deploy.resources.limits.memory": (LIMITS + "memory: 1g}}}", LIMITS + "}}}"),
    "services.deploy.resources.limits.pids": (LIMITS + "pids: 5}}}", LIMITS + "}}}"),
    "services.deploy.resources.reservations.cpus": (KEPT + "cpus: '1'}}}", KEPT + "}}}"),
    "services.deploy.resources.reservations.memory": (KEPT + "memory: 1g}}}", KEPT + "}}}"),
    "services.deploy.resources.reservations.devices": (KEPT + "devices: [{capabilities: [gpu], count: 1}]}}}", KEPT + "}}}"),
    "services.deploy.resources.reservations.generic_resources": (
        KEPT + "generic_resources: [{discrete_resource_spec: {kind: x, value: 1}}]}}}",
        KEPT + "}}}",
    ),
    "networks.attachable": (MORE, "attachable: true"),
    "networks.driver": (MORE, "driver: bridge"),
    "networks.driver_opts": (MORE, "driver_opts: {a: b}"),
    "networks.enable_ipv4": (MORE, "enable_ipv4: true"),
    "networks.enable_ipv6": (MORE, "enable_ipv6: true"),
    "networks.external": (MORE, "external: true"),
    "networks.internal": (MORE, "internal: true"),
    "networks.ipam": (MORE, "ipam: {config: [{subnet: 10.9.0.0/16}]}"),
    "networks.labels": (MORE, "labels: {a: b}"),
    "networks.name": (MORE, "name: x"),
    "volumes.driver": (MORE, "driver: x"),
    "volumes.driver_opts": (MORE, "driver_opts: {type: nfs, o: addr=h, device: ':/x'}"),
    "volumes.external": (MORE, "external: true"),
    "volumes.labels": (MORE, "labels: {a: b}"),
    "volumes.name": (MORE, "name: x"),
    "secrets.driver": (MORE, "driver: x"),
    "secrets.driver_opts": (MORE, "driver_opts: {a: b}\n    driver: x"),
    "secrets.environment": (MORE, "environment: VALUE"),
    "secrets.external": (MORE, "external: true"),
    "secrets.file": (MORE, "file: /f/x"),
    "secrets.labels": (MORE, "labels: {a: b}\n    file: /f/x"),
    "secrets.name": (MORE, "name: x\n    file: /f/x"),
    "secrets.template_driver": (MORE, "template_driver: x\n    file: /f/x"),
    "configs.content": (MORE, "content: x"),
    "configs.environment": (MORE, "environment: VALUE"),
    "configs.external": (MORE, "external: true"),
    "configs.file": (MORE, "file: /f/x"),
    "configs.labels": (MORE, "labels: {a: b}\n    file: /f/x"),
    "configs.name": (MORE, "name: x\n    file: /f/x"),
    "configs.template_driver": (MORE, "template_driver: x\n    file: /f/x"),
}  # fmt: skip

USE = {"networks": "networks: [n]", "volumes": "volumes: [n:/d]", "secrets": "secrets: [n]", "configs": "configs: [n]"}
PLAIN = {"networks": "{}", "volumes": "{}", "secrets": "{file: /f/y}", "configs": "{file: /f/y}"}
FILE = """\
services:
  a:
{lines}  b:
    image: y
    expose: ['90']
    volumes: [w:/w]
    healthcheck: {{test: ok}}
volumes: {{v: {{}}, w: {{}}{volumes}}}
configs: {{c: {{content: c}}{configs}}}
secrets: {{s: {{file: /f/s}}{secrets}}}
networks: {{default: {{}}{networks}}}
models: {{m: {{model: m}}}}
"""


def compose_file(text, **more):
    """A file with a service `a` of these fields, and whatever they speak of."""
    text = text if text.startswith("image:") else f"image: x\n{text}"
    lines = "".join(f"    {line}\n" for line in text.splitlines())
    return FILE.format(lines=lines, **{kind: more.get(kind, "") for kind in USE})


def both(name):
    """The file with the field, and the same file without it."""
    sample = SAMPLES[name]
    kind = name.partition(".")[0]
    if isinstance(sample, tuple) and sample[0] == MORE:
        inner = "{" + ", ".join(sample[1].split("\n    ")) + "}"
        return tuple(compose_file(USE[kind], **{kind: f", n: {text}"}) for text in (inner, PLAIN[kind]))
    return tuple(map(compose_file, sample if isinstance(sample, tuple) else (sample, "")))


def fields():
    return [f"{sort}.{key}" for sort, shape in SHAPES.items() for key in shape]


def test_there_is_a_sample_of_every_field_of_the_schema():
    assert sorted(SAMPLES) == sorted(fields())


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_a_field_is_converted_or_warned_of_or_irrelevant(name, converted):
    setting = {"files": {"/f/x": "x", "/f/y": "y", "/f/s": "s"}, "environment": {"VALUE": "v"}}
    with_it, without = (converted(text, **setting) for text in both(name))
    key = name.rpartition(".")[2]
    warned = [
        said for said in with_it.warnings if said not in without.warnings and (f".{key}" in said or "left out" in said)
    ]
    if name in IRRELEVANT:
        assert not warned
    else:
        changed = with_it.manifests != without.manifests or len(with_it.warnings) < len(without.warnings)
        assert warned or changed or name == "services.depends_on.required"


def test_no_field_is_both_irrelevant_and_warned_of():
    assert not set(IRRELEVANT) & set(UNSAID)


def test_the_tables_know_only_fields_of_the_schema():
    assert {name for name in (*IRRELEVANT, *UNSAID) if name != "models"} <= set(fields())


def test_extensions_are_nobodys_business(service):
    assert not service("x-mine: 1").warnings


def test_every_warning_has_a_reason_of_its_own(converted):
    setting = {"files": {"/f/x": "x", "/f/y": "y", "/f/s": "s"}, "environment": {"VALUE": "v"}}
    said = {line for name in SAMPLES for line in converted(both(name)[0], **setting).warnings}
    assert not [line for line in said if "Kubernetes has no such thing" in line]
