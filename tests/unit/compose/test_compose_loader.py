"""Whole projects from files in memory: what belongs together, and the line of every mistake."""

import pytest

from coracle.compose import render
from coracle.compose.loader import Request, load
from coracle.compose.project import service_hash
from coracle.core.errors import CloudError, Malformed, NotFound


def project(files, *, environment=None, **request):
    texts = {f"/p/{name}": text for name, text in files.items()}

    def read(path):
        if path not in texts:
            raise NotFound(f"open {path}: no such file or directory")
        return texts[path]

    request.setdefault("files", [name for name in files if name.startswith("compose")])
    return load(Request(environment=environment or {}, working_directory="/p", **request), read)


def service(text, **request):
    body = "".join(f"    {line}\n" for line in text.splitlines())
    return project({"compose.yaml": f"services:\n  a:\n    image: x\n{body}"}, **request).services["a"]


SHORT = "image: x\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ports: [foo]", "4: invalid containerPort: foo"),
        ("ports:\n- '80'\n- 1-3:5-9", "6: invalid ranges specified for container and host Ports: 5-9 and 1-3"),
        ("ports: ['300.1.1.1:80:80']", "4: invalid ip address: 300.1.1.1"),
        ("ports: ['80:80/icmp']", "4: invalid proto: icmp"),
        ("ports: ['70000']", "4: invalid containerPort: 70000"),
        ("stop_grace_period: 5x", '4: services.a.stop_grace_period: time: unknown unit "x" in duration "5x"'),
        ("mem_limit: 5x", "4: services.a.mem_limit: invalid suffix: 'x'"),
        ("tty: ${X:-maybe}", "4: services.a.tty: invalid boolean: maybe"),
        ("command: a 'b", "4: services.a.command: invalid command line string"),
        ("healthcheck: {test: [FOO]}", "4: healthcheck.test must start either by"),
        ("extra_hosts: [a]", "4: invalid additional host, missing IP: a"),
        ("volumes: [':/a']", "4: invalid spec: :/a: empty section between colons"),
        ("volumes: ['bb:/c']", '4: service "a" refers to undefined volume bb'),
        ("networks: [q]", '4: service "a" refers to undefined network q'),
        ("secrets: [q]", '4: service "a" refers to undefined secret q'),
        ("configs: [q]", '4: service "a" refers to undefined config q'),
        ("depends_on: [q]", '4: service "a" depends on undefined service "q"'),
        ("depends_on: [a]", "4: dependency cycle detected: a -> a"),
        ("extends: a", "4: Circular reference:"),
        ("extends: nope", '4: cannot extend service "a" in /p/compose.yaml: service "nope" not found'),
        ("extends: {file: no.yaml, service: x}", "4: cannot read /p/no.yaml"),
        ("env_file: no.env", "4: env file /p/no.env not found"),
        ("network_mode: host\nnetworks: [default]", "4: service a declares mutually exclusive"),
        ("container_name: bb\nscale: 2", "4: services.deploy.replicas: can't set container_name and a"),
        ("mem_limit: 1g\ndeploy: {resources: {limits: {memory: 2g}}}", "4: services.a: can't set distinct values"),
        ("scale: -1", "4: services.a.scale must be 0 or more: -1"),
        ("deploy: {replicas: -2}", "4: services.a.deploy.replicas must be 0 or more: -2"),
        ("scale: 3\ndeploy: {replicas: 2}", "4: services.a: can't set distinct values on 'scale'"),
    ],
)
def test_mistakes_in_a_service(text, message):
    with pytest.raises(CloudError) as caught:
        service(text)
    assert str(caught.value).startswith(f"/p/compose.yaml:{message}")


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"compose.yaml": ""}, "/p/compose.yaml:1: empty compose file"),
        ({"compose.yaml": "[1]"}, "/p/compose.yaml:1: top-level object must be a mapping"),
        ({"compose.yaml": "services: {a: {command: x}}"}, '/p/compose.yaml:1: service "a" has neither an image'),
        (
            {"compose.yaml": "services:\n  a: {image: x, depends_on: [b]}\n  b: {image: x, depends_on: [a]}"},
            "/p/compose.yaml:3: dependency cycle detected: a -> b -> a",
        ),
        ({"compose.yaml": "include: [no.yaml]"}, "/p/compose.yaml:1: open /p/no.yaml: no such file"),
        (
            {"compose.yaml": "include: [b.yaml]", "b.yaml": "include: [compose.yaml]"},
            "/p/b.yaml:1: include cycle detected:\n/p/compose.yaml\n include /p/b.yaml\n include /p/compose.yaml",
        ),
        (
            {"compose.yaml": "include: [b.yaml]\nservices: {a: {image: x}}", "b.yaml": "services: {a: {image: y}}"},
            "/p/compose.yaml:2: services.a conflicts with imported resource",
        ),
        (
            {"compose.yaml": "services: {a: {image: x}}", "compose.b.yaml": "services:\n  a:\n    ports: [q]"},
            "/p/compose.b.yaml:3: invalid containerPort: q",
        ),
        (
            {"compose.yaml": "services: {a: {image: x, secrets: [s]}}\nsecrets:\n  s: {}"},
            "/p/compose.yaml:3: secrets.s: one of file|environment must be set",
        ),
        (
            {"compose.yaml": "services:\n  a: {image: x, container_name: zz}\n  b: {image: x, container_name: zz}"},
            '/p/compose.yaml:3: services.b: container name "zz" is already in use by service a',
        ),
    ],
    ids=range(10),
)
def test_mistakes_between_things(files, message):
    with pytest.raises(CloudError) as caught:
        project(files)
    assert str(caught.value).startswith(message)


def test_port_clashes_and_the_former_version_are_warned_of():
    text = 'version: "3"\nservices:\n  a: {image: x, ports: ["80:80"]}\n  b: {image: x, ports: ["80:90"]}\n'
    assert project({"compose.yaml": text}).warnings == (
        "/p/compose.yaml:1: the attribute `version` is obsolete, it will be ignored, please remove it to avoid "
        "potential confusion",
        "/p/compose.yaml:4: port 80/tcp is wanted by a and b",
    )


def test_a_variable_that_is_not_set_is_warned_of_once():
    assert project({"compose.yaml": 'services: {a: {image: "x$NO", command: "$NO"}}'}).warnings == (
        'The "NO" variable is not set. Defaulting to a blank string.',
    )


@pytest.mark.parametrize(
    ("request_", "environment", "name"),
    [({}, {}, "written"), ({"project_name": "given"}, {}, "given"), ({}, {"COMPOSE_PROJECT_NAME": "env"}, "env")],
)
def test_the_projects_name(request_, environment, name):
    found = project(
        {"compose.yaml": 'name: Writ ten\nservices: {a: {image: "$COMPOSE_PROJECT_NAME"}}'},
        environment=environment,
        **request_,
    )
    assert (found.name, found.services["a"]["image"]) == (name, name)


def test_a_name_that_cannot_be_one():
    with pytest.raises(Malformed, match='invalid project name "Foo!"'):
        project({"compose.yaml": "services: {a: {image: x}}"}, project_name="Foo!")


MISTAKES = [
    (
        "services: {a: {image: x}}\nvolumes: {v: {external: true, x-y: 1, driver: d}}",
        '/p/compose.yaml:2: volumes.v: conflicting parameters "external" and "driver" specified',
    ),
    (
        "services: {a: {image: x, volumes: [{type: bind, target: /t}]}}",
        'compose.yaml:1: invalid mount config for type "bind": field Source must not be empty',
    ),
    (
        "services: {a: {image: x}}\nnetworks: {n: {name: u, external: {name: o}}}",
        "compose.yaml:2: networks.n: name and external.name conflict; only use name",
    ),
    ("1: {}", "compose.yaml:1: non-string key at top level: 1"),
    ("services: {1: {image: x}}", "compose.yaml:1: non-string key in services: 1"),
]


@pytest.mark.parametrize(("text", "message"), MISTAKES)
def test_mistakes(text, message):
    with pytest.raises(Malformed) as caught:
        project({"compose.yaml": text})
    assert str(caught.value).endswith(message)


def test_what_does_not_fit_together_where_that_does_not_matter():
    text = "services: {a: {depends_on: [b], networks: [n], volumes: ['v:/v']}}"
    assert list(project({"compose.yaml": text}, consistent=False).services) == ["a"]
    with pytest.raises(Malformed, match="neither an image nor a build context"):
        project({"compose.yaml": text})


def test_a_former_way_to_name_what_is_external():
    text = "services: {a: {image: x, networks: [n]}}\nnetworks: {n: {external: {name: o}}}"
    found = project({"compose.yaml": text})
    assert found.model["networks"]["n"] == {"name": "o", "external": True}
    said = "networks.n: external.name is deprecated. Please set name and external: true"
    assert found.warnings == (f"/p/compose.yaml:2: {said}",)


def test_variables_of_where_we_are_come_before_those_of_the_project(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "compose.yaml").write_text("services: {a: {image: x, labels: ['$A $B $C']}}")
    (tmp_path / ".env").write_text("A=project\nB=project\n")
    (tmp_path / "sub/.env").write_text("A=here\nC=$A\n")

    def label(**request):
        found = load(Request({}, **{"working_directory": str(tmp_path / "sub"), **request}))
        return found.directory, found.services["a"]["labels"]

    assert label() == (str(tmp_path), {"here project here": ""})
    assert label(files=["../compose.yaml"]) == (str(tmp_path), {"project project ": ""})
    assert label(working_directory="/", project_directory=str(tmp_path))[0] == str(tmp_path)
    found = label(working_directory=str(tmp_path), project_directory="sub")
    assert found == (str(tmp_path / "sub"), {"here  here": ""})


def test_several_files_that_could_be_meant(tmp_path):
    for name in ("docker-compose.yml", "compose.yaml"):
        (tmp_path / name).write_text("services: {a: {image: x}}")
    here, other = str(tmp_path / "compose.yaml"), str(tmp_path / "docker-compose.yml")
    found = load(Request({}, str(tmp_path)))
    assert found.warnings == (f"Found multiple config files with supported names: {here}, {other}", f"Using {here}")
    assert load(Request({}, str(tmp_path), files=["compose.yaml"])).warnings == ()


def test_times_of_the_real_time_scheduler():
    text = "services: {a: {image: x, cpu_rt_runtime: 400ms, cpu_rt_period: '1400'}}"
    service = project({"compose.yaml": text}).services["a"]
    assert (service["cpu_rt_runtime"], service["cpu_rt_period"]) == (400_000, 1400)
    with pytest.raises(Malformed, match="cpu_rt_period"):
        project({"compose.yaml": text.replace("'1400'", "soon")})


def test_several_addresses_of_a_host():
    text = "services: {a: {image: x, extra_hosts: ['h=1.1.1.1,2.2.2.2', 'i:::1'], sysctls: [a=1, b]}}"
    service = project({"compose.yaml": text}).services["a"]
    assert service["extra_hosts"] == ["h=1.1.1.1", "h=2.2.2.2", "i=::1"]
    assert service["sysctls"] == {"a": "1", "b": ""}


PROFILES = "services:\n  a: {image: x}\n  b: {image: x, profiles: [p]}\n  c: {image: x, profiles: [q], depends_on: {b: {condition: service_started, required: false}}}\n"


@pytest.mark.parametrize(
    ("request_", "names"),
    [
        ({}, ["a"]),
        ({"profiles": ["p"]}, ["a", "b"]),
        ({"profiles": ["q"]}, ["a", "c"]),
        ({"profiles": ["*"]}, ["a", "b", "c"]),
        ({"environment": {"COMPOSE_PROFILES": "p,q"}}, ["a", "b", "c"]),
        ({"services": ["b"]}, ["b"]),
        ({"services": ["c"], "profiles": ["p"]}, ["b", "c"]),
        ({"services": ["c"]}, ["c"]),
    ],
)
def test_profiles(request_, names):
    assert list(project({"compose.yaml": PROFILES}, **request_).services) == names


def test_who_is_named_enables_its_profiles():
    text = "services: {a: {image: x, profiles: [p], depends_on: [b]}, b: {image: x, profiles: [p, q]}, c: {image: x, profiles: [p]}, d: {image: x, profiles: [q], depends_on: [b, e]}, e: {image: x, profiles: [r]}}"
    assert list(project({"compose.yaml": text}, services=["a"]).services) == ["a", "b"]
    assert list(project({"compose.yaml": text}, services=["a"], whole=True).services) == ["a", "b", "c"]
    with pytest.raises(Malformed, match='service "d" depends on disabled service "e"'):
        project({"compose.yaml": text}, services=["d"])


def test_the_whole_project_with_what_was_named_enabled():
    found = project({"compose.yaml": PROFILES}, services=["b"], whole=True)
    assert (list(found.services), found.left_out) == (["a", "b"], ("c",))
    with pytest.raises(NotFound, match="no such service: zz"):
        project({"compose.yaml": PROFILES}, services=["zz"], whole=True)


def test_resources_that_no_service_uses_stay_only_when_asked_for():
    text = "services: {a: {image: x, network_mode: none}}\nnetworks: {n: }\nvolumes: {v: }\n"
    kept, dropped = (project({"compose.yaml": text}, all_resources=which).model for which in (True, False))
    assert [list(kept[kind]) for kind in ("networks", "volumes")] == [["n"], ["v"]]
    assert not {"networks", "volumes"} & set(dropped)


def test_a_service_that_is_not_there():
    with pytest.raises(NotFound, match="no such service: zz"):
        project({"compose.yaml": PROFILES}, services=["zz"])


def test_later_files_reset_and_override():
    found = project(
        {
            "compose.yaml": 'services: {a: {image: x, ports: ["1:1"], environment: {A: 1, B: 2}}, b: {image: y}}',
            "compose.o.yaml": 'services: {a: {ports: !override ["9:9"], environment: {A: !reset null}}, b: !reset null}',
        }
    )
    assert list(found.services) == ["a"]
    assert found.services["a"]["environment"] == {"B": "2"}
    assert [port["published"] for port in found.services["a"]["ports"]] == ["9"]


def test_what_is_extended_keeps_its_own_directory():
    found = project(
        {
            "compose.yaml": "services: {a: {extends: {file: s/b.yaml, service: b}, environment: {A: 2}}}",
            "s/b.yaml": "services: {b: {extends: c, volumes: [./v:/v], env_file: e}, c: {build: ./ctx, command: q r}}",
            "s/e": "E=1\nA=1\n",
        }
    ).services["a"]
    assert found["build"] == {"context": "/p/s/ctx", "dockerfile": "Dockerfile"}
    assert found["volumes"][0]["source"] == "/p/s/v"
    assert found["environment"] == {"E": "1", "A": "2"}
    assert found["command"] == ["q", "r"]


def test_the_hash_follows_what_matters_to_a_container():
    one, other, scaled = service("command: a"), service("command: b"), service("command: a\nscale: 3")
    assert service_hash(one) == service_hash(scaled) != service_hash(other)


@pytest.mark.parametrize("form", [render.as_yaml, render.as_json])
def test_what_is_printed_reads_the_same_again(form):
    text = "command: [a$$b, '0o10', 'on', '5', \"l1\\nl2\\n\", '', ' x', '2001-01-01', '1e3', '~', 'a: b', '#']\nx-n: {a: 1, b: 1.5}"
    first = project({"compose.yaml": f"services:\n  a:\n    image: x\n    {text.replace(chr(10), chr(10) + '    ')}\n"})
    again = project({"compose.yaml": form(render.escaped(first.model))})
    assert again.model == first.model


def test_without_interpolation_variables_stay():
    found = service('ports: ["${P}:80"]\ntty: "${T}"\nmem_limit: $M', interpolate=False)
    assert (found["ports"], found["tty"], found["mem_limit"]) == (["${P}:80"], "${T}", "$M")


@pytest.mark.parametrize(("path", "message"), [("/dev/zero", "larger than"), ("/proc", "is a directory")])
def test_files_that_are_none(path, message):
    with pytest.raises(Malformed, match=message):
        load(Request(environment={}, working_directory="/", files=[path]))
