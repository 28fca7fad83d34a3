"""`coracle compose config` beside the real Compose v2: the same model and exit code for the same files.

Forms of services stand in one file per test, a service each, since every run of the oracle takes a while.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
THEIRS = ROOT / ".make/tools/cli-plugins/docker-compose"
OURS = Path(sys.executable).with_name("coracle")

FORMS = r"""
x-base: &base {image: x, environment: &env {A: 1}}
services:
  ports: {image: x, ports: [80, "81", "90-92", "8000:80", "9000-9002:70-72", "6000-6010:22", "127.0.0.1:1:1/udp", "[::1]:2:2", "127.0.0.1::3",
    {target: 80, published: 8080, host_ip: 1.2.3.4, app_protocol: http, name: w}, {target: 5, protocol: udp, mode: host}]}
  ports-twice: {image: x, ports: ["80:80", "80:80"], cap_add: [A, A]}
  mounts:
    image: x
    volumes: [".:/code:ro", "data:/data", /anonymous, "./x:/x:z,rshared", "~/h:/h", "../up:/up", "data:/n:nocopy",
      {type: tmpfs, target: /t, tmpfs: {size: 10m, mode: 0700}}, {type: bind, source: ./b, target: /b, bind: {create_host_path: "true"}},
      {type: volume, source: bound, target: /w, read_only: true, volume: {nocopy: true}}]
    tmpfs: /run
    devices: [/dev/fuse, "/dev/a:/dev/b:r", "/dev/c:/dev/d"]
  environment:
    image: x
    environment: {A: 1, B: true, C: , D: "${UNSET}", E: "${UNSET:-d}", F: 1.50, G: 0x10, H: 010, I: 1e30, J: 12:30, K: on, L: "$$x", M: "${OUTSIDE}", OUTSIDE: }
    labels: {a: 1, b: , c: true}
    annotations: [a=1]
    sysctls: [net.core.somaxconn=1024]
  lists: {image: x, environment: [A=1, B, "C=a=b"], labels: [a=b, c], dns: 1.1.1.1, dns_search: [a, b], expose: [80, "90-91", "53/udp"], extra_hosts: ["h:1.2.3.4", "i=::1"], group_add: [a, 5]}
  commands: {image: x, command: 'a --b "c d"', entrypoint: []}
  commands-too: {image: x, command: [a, "$$b", "$9"], entrypoint: /bin/sh -c "a b"}
  nothing: {image: x, command: , entrypoint: }
  sizes: {image: x, mem_limit: 1.5g, mem_reservation: 100, memswap_limit: -1, mem_swappiness: 60, shm_size: 64m, cpus: "1.5", cpu_percent: 50, pids_limit: "5", oom_score_adj: -5}
  health: {image: x, healthcheck: {test: curl -f localhost, interval: 1m30s, timeout: 1.5s, retries: "5", start_period: 0s, start_interval: 500ms}, stop_grace_period: 60s}
  health-too: {image: x, healthcheck: {test: [CMD, a]}}
  unhealthy: {image: x, healthcheck: {disable: true}}
  flags: {image: x, init: false, tty: "yes", privileged: "true", read_only: "${UNSET:-true}", stdin_open: on}
  limits: {image: x, ulimits: {nproc: 65535, nofile: {soft: 1, hard: 2}}, blkio_config: {weight: 300, device_read_bps: [{path: /dev/sda, rate: 12mb}]}}
  deployed: {image: x, deploy: {mode: replicated, replicas: 3, labels: [a=b], update_config: {parallelism: 2, delay: 10s, order: start-first}, endpoint_mode: vip,
    restart_policy: {condition: on-failure, delay: 5s, max_attempts: 3, window: 120s}, placement: {constraints: [node=foo], preferences: [{spread: x}]},
    resources: {limits: {cpus: "0.001", memory: 50M, pids: 10}, reservations: {memory: 20m, devices: [{capabilities: [gpu], count: all}]}}}}
  built: {build: ./dir}
  built-far: {build: https://example.org/a.git#main}
  built-fully: {build: {context: a, args: [OUTSIDE, NOPE, Y=1], ssh: [default], labels: [l=1], additional_contexts: {foo: ./bar, i: "docker-image://x"}, cache_from: [a],
    shm_size: 1g, extra_hosts: ["h:1.1.1.1"], tags: [t], network: host, no_cache: true, dockerfile: D, target: t, secrets: [s]}}
  built-inline: {build: {dockerfile_inline: "FROM x"}}
  watched: {image: x, develop: {watch: [{path: ./a, action: rebuild}, {action: sync, path: b, target: /x, ignore: [q]}]}}
  attached: {image: x, secrets: [s, {source: s, target: t, mode: 0400}], configs: [c, {source: c, target: /c2, mode: 0440, uid: "1"}]}
  waits: {image: x, depends_on: [ports], links: ["lists:l"], volumes_from: ["mounts:ro"]}
  waits-too: {image: x, depends_on: {health: {condition: service_healthy, restart: true}, ports: {condition: service_completed_successfully}}}
  joins: {image: x, networks: {default: {aliases: [a], priority: 5}, front: {ipv4_address: 10.0.0.2}, far: , named: }}
  shares: {image: x, network_mode: "service:ports", pid: host, ipc: host}
  anchors: {<<: *base, environment: {<<: *env, B: 2}}
  anchors-too: {<<: [*base, {command: y}], image: z}
  nested: {image: "${UNSET:-${OUTSIDE:-c}}-${PATH:+set}-${UNSET+set}-${UNSET-a:b}-$${x}"}
  read: {image: x, env_file: [e1, {path: none, required: false}, ./e2], environment: {B: over}}
  rest: {image: x, logging: {driver: none, options: {max-file: 3}}, stop_signal: SIGUSR1, userns_mode: host, hostname: h, domainname: d, mac_address: "aa:bb:cc:dd:ee:ff", platform: linux/amd64,
    runtime: runc, cgroup: host, cgroup_parent: x, dns_opt: [a], device_cgroup_rules: ["c 1:3 mr"], external_links: [a], pull_policy: if_not_present, restart: no, user: "1000", working_dir: /w,
    security_opt: [a], storage_opt: {size: 1G}, container_name: rest1, x-mine: {a: 1}}
networks:
  front: {driver: bridge, internal: "true", enable_ipv6: true, attachable: false, driver_opts: {a: 1}, labels: [x], ipam: {driver: default, config: [{subnet: 10.0.0.0/24, gateway: 10.0.0.1, aux_addresses: {h: 10.0.0.5}}]}}
  far: {external: true}
  named: {external: true, name: foo}
  unused: {}
volumes:
  data:
  bound: {driver: local, driver_opts: {type: none, o: bind, device: ./x}, labels: [a=b]}
  unused: {external: true}
secrets: {s: {file: ./s.txt}, unused: {environment: FOO}}
configs: {c: {content: "hello ${OUTSIDE}"}}
x-top: [1, 2]
"""
ENV_FILES = {"e1": "A=1\nB=2\nOUTSIDE\nD=$OUTSIDE\nE=\"$B\"\nF='$B'\nG=a # c\n", "e2": "A=3\n"}
PROFILES = "services:\n  a: {image: x}\n  b: {image: x, profiles: [p]}\n  c: {image: x, profiles: [q]}\n"

# name -> files, options, arguments of config
SAME = {
    "forms": ({"compose.yaml": FORMS, **ENV_FILES}, [], []),
    "merged": (
        {
            "compose.yaml": """
services:
  a: {image: x, command: [a], ports: ["80:80"], volumes: ["./a:/a", "vv:/v"], environment: [B=2], dns: [1.1.1.1], tmpfs: /a, labels: {a: b}, cap_add: [A, B],
    depends_on: [b], healthcheck: {test: [CMD, a], interval: 3s}, logging: {driver: a, options: {x: y}}, networks: [n1], build: {context: ., args: [A=1]},
    extra_hosts: ["a:1"], ulimits: {nofile: {soft: 1, hard: 2}, nproc: 3}, sysctls: [a=1], security_opt: [a], expose: ["1"], secrets: [s], restart: always}
  b: {image: d}
networks: {n1: {ipam: {config: [{subnet: 10.0.0.0/8}]}}, n2: {name: zz}}
volumes: {vv: }
secrets: {s: {environment: A}}
""",
            "compose.override.yaml": """
services:
  a: {command: [b, c], ports: ["80:80", "81:81"], volumes: ["./b:/a", "./c:/c"], environment: {B: 3, C: }, dns: 8.8.8.8, tmpfs: [/b, /a], labels: [c=d], cap_add: [B, C],
    depends_on: {c: {condition: service_healthy}}, healthcheck: {timeout: 3s}, logging: {driver: b, options: {z: y}}, networks: {n2: {aliases: [z]}}, build: {args: {A: 2}, target: t},
    extra_hosts: ["b:1"], ulimits: {nofile: 5, nproc: {soft: 1, hard: 3}}, sysctls: {a: 2, b: 1}, security_opt: [b], expose: ["1", 2], secrets: [{source: s, target: t}], restart: !reset null}
  b: {image: !reset null, build: .}
  c: {image: c, ports: !override ["1:1"]}
networks: {n1: {ipam: {config: [{subnet: 10.0.0.0/8, gateway: 10.0.0.1}, {subnet: 11.0.0.0/8}]}, labels: {a: b}}}
""",
        },
        [],
        [],
    ),
    "extends and include": (
        {
            "compose.yaml": """
include: [{path: [s/b.yaml, s/c.yaml], env_file: s/e}, s2/d.yaml]
services:
  a: {image: "x${A:-none}", depends_on: [b]}
  e: {extends: {file: s/x.yaml, service: x}, ports: ["1:1"], environment: {A: 2}}
  f: {extends: a, command: y}
""",
            "s/b.yaml": 'services: {b: {image: "y$A", build: ., environment: [N]}}\nvolumes: {vv: }',
            "s/c.yaml": 'services: {b: {command: "$$x", volumes: ["vv:/v"]}}',
            "s/e": "A=inc\nN=5\n",
            "s/x.yaml": "services:\n  x: {image: x, extends: y, ports: ['2:2'], volumes: ['./v:/v'], env_file: e}\n  y: {command: c, build: ./ctx, labels: [a=b]}",
            "s2/d.yaml": 'services: {d: {image: "d$B"}}',
            "s2/.env": "B=bb\n",
        },
        [],
        [],
    ),
    "variables": (
        {
            ".env": "# c\nexport A=1\nB=\"x $A\"\nC='y $A'\nD=z # c\nE=a#b\nF=\"multi\nline\"\nG=\nH: y\nI=\"q\\\"q\\n\"\nJ=${A:-q}-${NOPE:-d}\nOUTSIDE=no\nCOMPOSE_PROJECT_NAME=fromenv\n",
            "compose.yaml": "name: no\nservices: {a: {image: '$COMPOSE_PROJECT_NAME', environment: {A: , A2: '$A', B2: '$B', C2: '$C', D2: '$D', E2: '$E', F2: '$F', G2: '$G', H2: '$H', I2: '$I', J2: '$J', O: '$OUTSIDE'}}}\n",
        },
        [],
        [],
    ),
    "several documents": ({"compose.yaml": "services: {a: {image: x}}\n---\nservices: {a: {image: y}}"}, [], []),
    "several files": ({"a.yml": "name: one\nservices: {a: {image: x}}", "b.yml": "name: two\nservices: {a: {image: y}}"}, ["-f", "a.yml", "-f", "b.yml"], []),
    "directory": ({"s/c.yaml": 'services: {a: {build: ., image: "$A"}}', "s/.env": "A=s", ".env": "A=top"}, ["-f", "s/c.yaml"], []),
    "other directory": ({"s/c.yaml": 'services: {a: {build: ., image: "$A"}}', "s/.env": "A=s", ".env": "A=top"}, ["-f", "s/c.yaml", "--project-directory", "."], []),
    "profile": ({"compose.yaml": PROFILES}, ["--profile", "p"], []),
    "a service": ({"compose.yaml": PROFILES}, [], ["b"]),
    "images": ({"compose.yaml": "name: n\nservices: {a: {build: .}}"}, [], ["--images"]),
    "volumes": ({"compose.yaml": "services: {a: {image: x, volumes: ['vv:/v']}}\nvolumes: {vv: }"}, [], ["--volumes"]),
    "quiet": ({"compose.yaml": PROFILES}, [], ["-q"]),
}  # fmt: skip

# what the one service says -> exit code; the messages are in the unit tests
WRONG = {
    "unknown key": ("prots: []", 15),
    "type": ("privileged: 7", 15),
    "port": ("ports: [foo]", 15),
    "duration": ("stop_grace_period: 5x", 15),
    "required variable": ("command: ${FOO:?need}", 15),
    "undefined network": ("networks: [q]", 15),
    "cycle": ("depends_on: [a]", 15),
    "extends what is not there": ("extends: {file: no.yaml, service: x}", 15),
    "no env file": ("env_file: no.env", 14),
    "twice": ("image: y", 15),
}


def run(program, arguments, directory):
    environment = {"PATH": os.environ["PATH"], "HOME": "/nowhere", "OUTSIDE": "out"}
    return subprocess.run(
        [*program, *arguments], cwd=directory, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def both(directory, files, options, arguments):
    for name, text in files.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(text)
    assert THEIRS.exists(), "scripts/install-for-tests brings Compose v2"
    return [run(program, [*options, "config", *arguments], directory) for program in ([OURS, "compose"], [str(THEIRS)])]


def plain(value):
    """Without what is empty, false or nought, which Compose leaves out or prints as it comes, as it likes."""
    if isinstance(value, dict):
        found = {key: plain(item) for key, item in value.items()}
        return {
            key: item
            for key, item in found.items()
            if item not in (None, {}, False, 0) and (item != [] or key in ("command", "entrypoint"))
        }
    return [plain(item) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("name", SAME)
def test_the_same_model(name, tmp_path):
    ours, theirs = both(tmp_path, *SAME[name])
    assert (ours.returncode, theirs.returncode) == (0, 0), ours.stderr + theirs.stderr
    assert plain(yaml.safe_load(ours.stdout)) == plain(yaml.safe_load(theirs.stdout))
    said = [text.stderr.count("variable is not set") for text in (ours, theirs)]
    assert said[0] == said[1]


@pytest.mark.parametrize("name", WRONG)
def test_the_same_refusal(name, tmp_path):
    text, code = WRONG[name]
    ours, theirs = both(tmp_path, {"compose.yaml": f"services:\n  a:\n    image: x\n    {text}\n"}, [], [])
    assert (ours.returncode, theirs.returncode) == (code, code), ours.stderr + theirs.stderr
    assert f"{tmp_path}/compose.yaml:" in ours.stderr


@pytest.mark.parametrize(
    ("options", "code"),
    [(["config"], 14), (["-f", "no.yml", "config"], 14), (["config", "--nope"], 16), (["-p", "Foo!", "config"], 15)],
)
def test_the_same_exit_code_without_files(options, code, tmp_path):
    (tmp_path / "s").mkdir()
    if code in (15, 16):
        (tmp_path / "compose.yaml").write_text(PROFILES)
    codes = [run(program, options, tmp_path / "s").returncode for program in ([OURS, "compose"], [str(THEIRS)])]
    assert codes == [code, code]


def test_json(tmp_path):
    (tmp_path / "compose.yaml").write_text(PROFILES)
    as_json, as_yaml = (
        run([OURS, "compose"], ["config", "--format", form], tmp_path).stdout for form in ("json", "yaml")
    )
    assert yaml.safe_load(as_json) == yaml.safe_load(as_yaml)
    assert as_json.startswith("{")
