"""The loop over an imagined Docker, on virtual time."""

import asyncio
import contextlib
import random

import orjson
import pytest

from coracle.compose.create.labels import HASH
from coracle.compose.projects import parts
from coracle.core.clock import LoopClock
from coracle.core.informer import Informer
from coracle.core.object import Key
from coracle.core.store import Delete, MemoryStore
from coracle.core.tasks import run_parts
from coracle.docker.errors import say
from coracle.engine.kinds.volume import TYPE as VOLUMES
from coracle.net.fake import FakeNet
from coracle.net.forwards import Forwards
from coracle.testing import autojump
from coracle.testing.compose import HEALTHY, STARTED, model
from coracle.testing.docker import FakeDocker
from coracle.web.limits import default_terms
from coracle.web.messages import Request, Stream

PAIR = {"db": {}, "web": {"depends_on": {"db": STARTED}}}
CHECKED = {"db": {"healthcheck": {"test": ["CMD", "true"]}}, "web": {"depends_on": {"db": HEALTHY}}}


class Stage:
    """A daemon's side of Compose over an imagined Docker; `store` may be that of one that died."""

    def __init__(self, store=None, docker=None):
        self.store, self.clock = store or MemoryStore(), LoopClock()
        self.docker = docker or FakeDocker(self.store, self.clock)
        self.caches = {type: Informer(type, self.store, parts.INDEXES.get(type)) for type in parts.TYPES}
        self.compose = parts.compose(
            parts.DockerDoor(self.docker.handler, default_terms, say),
            self.store,
            self.caches,
            self.clock,
            forwards=Forwards(FakeNet(), self.clock),
            try_port=lambda port: None,
        )

    @contextlib.asynccontextmanager
    async def running(self):
        up = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            task = group.create_task(run_parts([*self.caches.values(), self.compose.projects], up.set))
            await up.wait()
            try:
                yield self
            finally:
                task.cancel()

    async def ask(self, action, known=None, **more):
        """The answer to a declaration: a Stream, or a refusal."""
        project = {"directory": "/d", "files": [], "model": model(**known)} if known is not None else None
        body = orjson.dumps({"action": action, "project": project, **more})
        return await self.compose.door.handler(Request("POST", "/compose/projects/demo", {}, body))

    async def declare(self, action, known=None, **more):
        """Every line, until it is settled."""
        answer = await self.ask(action, known, **more)
        assert isinstance(answer, Stream), answer
        return [orjson.loads(line) async for line in answer.chunks]

    async def settle(self):
        await self.clock.sleep(0.2)

    def project(self):
        found = self.compose.projects.records.list()
        return found[0] if found else None


def on_stage(main, stage=None):
    async def whole():
        here = stage or Stage()
        async with here.running():
            await main(here)

    autojump.run(whole())


def texts(lines):
    return [f"{line['id']} {line['text']}" for line in lines if "end" not in line]


def test_up_makes_and_starts_everything_and_says_so():
    async def main(stage):
        lines = await stage.declare("up", PAIR)
        assert lines[-1] == {"end": {"exit_code": 0, "error": ""}}
        said = texts(lines)
        assert said.index("Container demo-db-1 Started") < said.index("Container demo-web-1 Starting")
        assert stage.docker.states() == {"demo-db-1": "running", "demo-web-1": "running"}
        assert stage.project().spec["trial"] is None

    on_stage(main)


def test_what_disappears_comes_back_with_its_anonymous_volumes():
    async def main(stage):
        def volumes():
            return {one["Destination"]: one["Name"] for one in stage.docker.find("demo-db-1").spec["mounts"]}

        declared = {"db": {"volumes": [{"type": "volume", "target": "/data", "volume": {}}]}}
        await stage.declare("up", declared)
        id, first = stage.docker.find("demo-db-1").meta.name, volumes()
        await stage.docker.vanish("demo-db-1")
        await stage.settle()
        assert stage.docker.states() == {"demo-db-1": "running"}
        assert (stage.docker.find("demo-db-1").meta.name != id, volumes()) == (True, first)
        await stage.declare("up", declared, recreate="force", renew_volumes=True)
        second = volumes()
        assert second != first
        await stage.docker.vanish("demo-db-1")
        await stage.store.commit(Delete(VOLUMES, Key("", second["/data"])))
        await stage.settle()
        assert volumes()["/data"] not in (first["/data"], second["/data"])
        await stage.docker.vanish("demo-db-1")
        await stage.settle()
        assert list(stage.store.entries(VOLUMES)) != []
        await stage.declare("down", volumes=True)
        assert list(stage.store.entries(VOLUMES)) == []

    on_stage(main)


def test_up_again_changes_only_what_differs():
    async def main(stage):
        await stage.declare("up", PAIR)
        before = len(stage.docker.asked)
        assert texts(await stage.declare("up", PAIR)) == ["Container demo-db-1 Running", "Container demo-web-1 Running"]
        assert stage.docker.asked[before:] == []
        said = texts(await stage.declare("up", {**PAIR, "web": {**PAIR["web"], "command": ["other"]}}))
        assert "Container demo-web-1 Recreated" in said
        assert [line for line in stage.docker.asked[before:] if "demo-db-1" in line] == []
        assert stage.docker.states() == {"demo-db-1": "running", "demo-web-1": "running"}

    on_stage(main)


def test_a_container_that_disappears_comes_back():
    async def main(stage):
        await stage.declare("up", {"a": {"scale": 3}, "b": {}})
        chance = random.Random(7)
        for _ in range(20):
            await stage.docker.vanish(chance.choice(stage.docker.names()))
            if chance.random() < 0.5:
                await stage.settle()
        await stage.settle()
        expected = dict.fromkeys(("demo-a-1", "demo-a-2", "demo-a-3", "demo-b-1"), "running")
        assert stage.docker.states() == expected

    on_stage(main)


def test_one_that_ended_by_itself_does_not():
    async def main(stage):
        await stage.declare("up", {"job": {}, "a": {}})
        await stage.docker.end("demo-job-1", 3)
        await stage.settle()
        assert stage.docker.states()["demo-job-1"] == "exited"
        await stage.docker.vanish("demo-job-1")
        await stage.settle()
        assert stage.docker.names() == ["demo-a-1"]
        await stage.declare("up", {"job": {}, "a": {}})
        assert stage.docker.states() == {"demo-a-1": "running", "demo-job-1": "running"}

    on_stage(main)


def test_dependents_start_with_the_record_that_says_healthy():
    async def main(stage):
        answer = await stage.ask("up", CHECKED)
        await stage.clock.sleep(500)
        assert stage.docker.states() == {"demo-db-1": "running", "demo-web-1": "created"}
        at_s = stage.clock.monotonic_s()
        await stage.docker.change("demo-db-1", health="healthy")
        said = [orjson.loads(line) async for line in answer.chunks]
        assert stage.clock.monotonic_s() == at_s  # nothing has slept: nobody polls
        assert texts(said)[-3:] == [
            "Container demo-db-1 Healthy",
            "Container demo-web-1 Starting",
            "Container demo-web-1 Started",
        ]

    on_stage(main)


UNCHECKED = {"db": {}, "web": {"depends_on": {"db": HEALTHY}}}


@pytest.mark.parametrize(
    ("ends", "why"),
    [
        pytest.param(False, "has no healthcheck configured", id="it runs on"),
        pytest.param(True, "exited (3)", id="it ends at once"),
    ],
)
def test_a_dependency_whose_health_nobody_checks(ends, why):
    async def main(stage):
        answer = await stage.ask("up", UNCHECKED)
        await stage.settle()
        if ends:
            await stage.docker.end("demo-db-1", 3)
        said = [orjson.loads(line) async for line in answer.chunks]
        error = f"dependency failed to start: container demo-db-1 {why}"
        assert said[-1] == {"end": {"exit_code": 1, "error": error}}
        assert stage.docker.states()["demo-web-1"] == "created"

    on_stage(main)


def test_an_unhealthy_dependency_leaves_all_as_it_is_and_heals():
    async def main(stage):
        answer = await stage.ask("up", CHECKED)
        await stage.settle()
        await stage.docker.change("demo-db-1", health="unhealthy")
        said = [orjson.loads(line) async for line in answer.chunks]
        error = "dependency failed to start: container demo-db-1 is unhealthy"
        assert said[-1] == {"end": {"exit_code": 1, "error": error}}
        assert stage.docker.states() == {"demo-db-1": "running", "demo-web-1": "created"}
        await stage.docker.change("demo-db-1", health="healthy")
        await stage.settle()
        assert stage.docker.states()["demo-web-1"] == "running"

    on_stage(main)


def test_a_start_that_does_not_work_is_taken_back():
    async def main(stage):
        stage.docker.refuses["start", "demo-web-1"] = "no such program"
        lines = await stage.declare("up", PAIR)
        assert lines[-1]["end"] == {"exit_code": 1, "error": 'service "web": no such program'}
        assert stage.docker.names() == []
        assert stage.project() is None

    on_stage(main)


def test_a_create_that_does_not_work_returns_to_what_was_declared():
    async def main(stage):
        await stage.declare("up", PAIR)
        before = stage.docker.find("demo-db-1").meta.labels[HASH]
        stage.docker.refuses["create", "demo-extra-1"] = "no room"
        lines = await stage.declare("up", {**PAIR, "db": {"command": ["other"]}, "extra": {}})
        assert lines[-1]["end"] == {"exit_code": 1, "error": 'service "extra": no room'}
        assert stage.docker.states() == {"demo-db-1": "running", "demo-web-1": "running"}
        assert stage.docker.find("demo-db-1").meta.labels[HASH] == before
        assert "extra" not in stage.project().spec["services"]

    on_stage(main)


def test_going_on_keeps_what_works_and_tries_again():
    async def main(stage):
        stage.docker.refuses["start", "demo-web-1"] = "busy"
        lines = await stage.declare("up", PAIR, keep_going=True)
        assert lines[-1]["end"]["exit_code"] == 1
        assert stage.docker.states() == {"demo-db-1": "running", "demo-web-1": "created"}
        stage.docker.refuses.clear()
        await stage.clock.sleep(60)
        assert stage.docker.states()["demo-web-1"] == "running"

    on_stage(main)


def test_pauses_between_tries_grow():
    async def main(stage):
        stage.docker.refuses["start", "demo-web-1"] = "busy"
        await stage.declare("up", PAIR, keep_going=True)
        await stage.clock.sleep(3600)
        assert 60 < stage.docker.asked.count("start demo-web-1") < 75  # a minute apart at last

    on_stage(main)


def test_down_takes_everything_away_in_reverse_order():
    async def main(stage):
        await stage.declare("up", PAIR)
        said = texts(await stage.declare("down", None, volumes=True))
        assert said.index("Container demo-web-1 Removed") < said.index("Container demo-db-1 Stopping")
        assert stage.docker.names() == []
        assert stage.project() is None

    on_stage(main)


def test_a_slow_stop_is_in_nobodys_way():
    async def main(stage):
        known = {**CHECKED, "slow": {}}
        await stage.ask("up", known)
        await stage.settle()
        stage.docker.stop_s = 100
        began_s = stage.clock.monotonic_s()
        answer = await stage.ask("up", {**CHECKED, "slow": {"scale": 0}})
        await stage.docker.change("demo-db-1", health="healthy")
        await stage.settle()
        assert stage.docker.states() == {"demo-db-1": "running", "demo-web-1": "running", "demo-slow-1": "running"}
        assert [line async for line in answer.chunks]
        assert stage.clock.monotonic_s() - began_s >= 100
        assert "demo-slow-1" not in stage.docker.states()

    on_stage(main)


def test_a_later_word_ends_the_earlier_ones_wait():
    async def main(stage):
        waiting = await stage.ask("up", CHECKED)
        await stage.declare("down")
        said = [orjson.loads(line) async for line in waiting.chunks]
        error = "another command has changed what the project is to be"
        assert said[-1] == {"end": {"exit_code": 1, "error": error}}
        assert stage.docker.names() == []

    on_stage(main)


def test_what_fails_of_the_declaration_before_is_not_held_against_the_next():
    async def main(stage):
        stage.docker.refuses["start", "demo-web-1"] = "busy"
        await stage.declare("up", PAIR, keep_going=True)
        stage.docker.start_s = 5
        await stage.clock.sleep(1)  # it is being tried again
        lines = await stage.declare("down")
        assert lines[-1]["end"] == {"exit_code": 0, "error": ""}
        assert not [text for text in texts(lines) if "Error" in text]
        assert stage.docker.names() == []
        assert stage.project() is None

    on_stage(main)


def test_a_new_daemon_goes_on_where_the_last_one_died():
    first = Stage()

    async def begin():
        async with first.running():
            first.docker.stop_s = 1000
            await first.declare("up", PAIR)
            await first.ask("up", {**PAIR, "db": {"command": ["other"]}})
            await first.clock.sleep(1)
            assert len(first.docker.names()) == 3  # the successor is there, the old one takes its time

    async def resume(stage):
        await stage.settle()
        assert stage.docker.states() == {"demo-db-1": "running", "demo-web-1": "running"}
        assert stage.project().spec["trial"] is None

    autojump.run(begin())
    first.docker.stop_s = 0
    on_stage(resume, Stage(first.store, first.docker))


def test_what_ran_when_the_machine_ended_runs_again_in_order():
    async def main(stage):
        await stage.declare("up", {**PAIR, "job": {}})
        await stage.docker.end("demo-job-1", 0)
        await stage.settle()
        before = len(stage.docker.asked)
        for name in ("demo-db-1", "demo-web-1"):
            await stage.docker.end(name, 137, reason="ContainerStatusUnknown")
        await stage.settle()
        assert stage.docker.asked[before:] == ["start demo-db-1", "start demo-web-1"]
        assert stage.docker.states()["demo-job-1"] == "exited"

    on_stage(main)


def test_waiting_for_all_to_be_healthy():
    async def main(stage):
        answer = await stage.ask("up", {"db": CHECKED["db"]}, wait=True)
        await stage.settle()
        await stage.docker.change("demo-db-1", health="healthy")
        said = [orjson.loads(line) async for line in answer.chunks]
        assert texts(said)[-1] == "Container demo-db-1 Healthy"
        assert said[-1]["end"]["exit_code"] == 0

    on_stage(main)


def test_waiting_no_longer_than_asked():
    async def main(stage):
        lines = await stage.declare("up", {"db": CHECKED["db"]}, wait=True, wait_timeout_s=5)
        assert lines[-1] == {"end": {"exit_code": 1, "error": "application not healthy after 5s"}}

    on_stage(main)


def test_waiting_for_one_that_ends():
    async def main(stage):
        answer = await stage.ask("up", {"db": CHECKED["db"]}, wait=True)
        await stage.settle()
        await stage.docker.end("demo-db-1", 3)
        said = [orjson.loads(line) async for line in answer.chunks]
        assert said[-1] == {"end": {"exit_code": 1, "error": "container demo-db-1 exited (3)"}}

    on_stage(main)


def test_stop_and_start():
    async def main(stage):
        await stage.declare("up", PAIR)
        said = texts(await stage.declare("stop"))
        assert said.index("Container demo-web-1 Stopped") < said.index("Container demo-db-1 Stopping")
        assert set(stage.docker.states().values()) == {"exited"}
        await stage.declare("start")
        assert set(stage.docker.states().values()) == {"running"}

    on_stage(main)


def test_a_stop_takes_no_longer_than_is_asked():
    async def main(stage):
        await stage.declare("up", {"a": {}})
        stage.docker.stop_s = 20
        await stage.declare("stop", timeout_s=3)
        assert stage.docker.find("demo-a-1").status["exit_code"] == 137

    on_stage(main)


def test_another_compose_client_has_the_last_word():
    async def main(stage):
        await stage.declare("up", PAIR)
        id = stage.docker.find("demo-web-1").meta.name
        theirs = {"user-agent": "compose/v2.29.7"}
        await stage.compose.door.handler(Request("POST", f"/v1.47/containers/{id}/json", theirs))
        await stage.compose.door.handler(Request("GET", f"/containers/{id}/json", theirs))
        assert stage.project() is not None
        await stage.compose.door.handler(Request("POST", f"/containers/{id}/stop", theirs))
        assert stage.project() is None
        await stage.docker.vanish("demo-db-1")
        await stage.settle()
        assert stage.docker.states() == {"demo-web-1": "exited"}

    on_stage(main)


def test_its_one_off_containers_are_not_our_declaration():
    async def main(stage):
        await stage.declare("up", PAIR)
        labels = {"com.docker.compose.project": "demo", "com.docker.compose.oneoff": "True"}
        body = orjson.dumps({"Image": "busybox", "Labels": labels})
        theirs = {"user-agent": "compose/v2.29.7"}
        await stage.compose.door.handler(Request("POST", "/containers/create?name=run", theirs, body))
        assert stage.project() is not None
        labels["com.docker.compose.oneoff"] = "False"
        body = orjson.dumps({"Image": "busybox", "Labels": labels})
        await stage.compose.door.handler(Request("POST", "/v1.47/containers/create?name=web", theirs, body))
        assert stage.project() is None

    on_stage(main)


def test_anothers_project_is_stopped_and_left_alone():
    async def main(stage):
        await stage.declare("up", PAIR)
        await stage.compose.projects.let_go("demo", "gone")
        await stage.declare("stop")
        assert set(stage.docker.states().values()) == {"exited"}
        assert stage.project() is None
        await stage.declare("down")
        assert stage.docker.names() == []

    on_stage(main)


def test_an_idle_project_does_nothing():
    async def main(stage):
        await stage.declare("up", PAIR)
        await stage.settle()
        revision, asked = stage.store.revision, len(stage.docker.asked)
        await stage.clock.sleep(100_000)
        assert (stage.store.revision, len(stage.docker.asked)) == (revision, asked)

    on_stage(main)


def test_nothing_is_written_where_something_is_refused():
    async def main(stage):
        answer = await stage.ask("up", {"a": {"image": "nowhere"}})
        assert answer.status == 404
        assert orjson.loads(answer.body) == {"message": 'service "a": No such image: nowhere'}
        answer = await stage.ask("up", {"a": {"container_name": "me", "scale": 2}})
        assert answer.status == 409
        answer = await stage.ask("up", {"a": {"networks": {"front": None}}})
        assert answer.status == 400
        assert stage.project() is None
        assert stage.docker.asked == []

    on_stage(main)


CHAOS = {
    "db": {"healthcheck": {"test": ["CMD", "true"]}},
    "job": {"depends_on": {"db": HEALTHY}},
    "web": {"scale": 2, "depends_on": {"db": {**HEALTHY, "restart": True}}},
    "side": {"network_mode": "service:web", "depends_on": {"web": {**STARTED, "restart": True}}},
}


class Mischief:
    """Whatever may happen to a project, by chance."""

    def __init__(self, stage, seed):
        self.stage, self.chance = stage, random.Random(seed)

    async def one(self):
        doing = self.chance.choice((self.declare, self.vanish, self.end, self.health, self.refuse, self.pass_time))
        await doing()

    async def declare(self):
        action = self.chance.choice(("up", "up", "up", "stop", "start", "restart", "down", "create", "rm"))
        known = dict(CHAOS)
        if self.chance.random() < 0.5:
            changed = self.chance.choice(list(CHAOS))
            known[changed] = {**CHAOS[changed], "command": [str(self.chance.random())]}
        more = {"services": [self.chance.choice(list(CHAOS))]} if self.chance.random() < 0.3 else {}
        if action == "up":
            more |= {"keep_going": self.chance.random() < 0.3, "recreate": self.chance.choice(("changed", "force"))}
        await self.stage.ask(action, known if action in ("up", "create") else None, **more)

    def victim(self):
        names = self.stage.docker.names()
        return self.chance.choice(names) if names else None

    async def vanish(self):
        if name := self.victim():
            await self.stage.docker.vanish(name)

    async def end(self):
        if (name := self.victim()) and self.stage.docker.states()[name] == "running":
            await self.stage.docker.end(name, self.chance.choice((0, 1, 137)))

    async def health(self):
        for name in self.stage.docker.names():
            if name.startswith("demo-db-"):
                await self.stage.docker.change(name, health=self.chance.choice(("healthy", "unhealthy", "starting")))

    async def refuse(self):
        refused = self.chance.choice(("create", "start", "stop", "remove", "rename"))
        self.stage.docker.refuses = {(refused, f"demo-{self.chance.choice(list(CHAOS))}-1"): "no"}

    async def pass_time(self):
        self.stage.docker.stop_s = self.chance.choice((0, 3))
        await self.stage.clock.sleep(self.chance.choice((0, 0.001, 1, 10)))


@pytest.mark.parametrize("seed", range(12))
def test_whatever_happens_it_comes_true_in_the_end(seed):
    async def main():
        stage = Stage()
        for life in range(3):
            async with stage.running():
                mischief = Mischief(stage, f"{seed} {life}")
                for _ in range(30):
                    await mischief.one()
            stage = Stage(stage.store, stage.docker)  # the daemon has died in the middle of it
        async with stage.running():
            await brought_up(stage)
            await stage.declare("down")
            assert stage.docker.names() == []

    autojump.run(main())


async def brought_up(stage):
    """Nothing more happens, but that the database gets healthy: what is declared then comes true."""
    stage.docker.refuses, stage.docker.stop_s = {}, 0
    for name in stage.docker.names():
        await stage.docker.change(name, health="starting")
    answer = await stage.ask("up", CHAOS)
    assert isinstance(answer, Stream), answer
    for _ in range(50):
        await stage.clock.sleep(5)
        for name in stage.docker.names():
            if "demo-db-1" in name:
                await stage.docker.change(name, health="healthy")
    said = [orjson.loads(line) async for line in answer.chunks]
    assert said[-1] == {"end": {"exit_code": 0, "error": ""}}
    webs = [name for name in stage.docker.names() if name.startswith("demo-web-")]
    assert len(webs) == 2
    assert stage.docker.states() == dict.fromkeys(("demo-db-1", "demo-job-1", "demo-side-1", *webs), "running")
    assert stage.project().spec["trial"] is None


WHOLE = {
    "services": {
        "a": {
            "image": "busybox",
            "networks": {"front": {"aliases": ["x"]}},
            "volumes": [{"type": "volume", "source": "data", "target": "/d"}, {"type": "tmpfs", "target": "/t"}],
            "ports": [{"target": 80, "published": "8080", "protocol": "tcp", "mode": "ingress"}],
            "depends_on": {"b": {"condition": "service_started", "required": True}},
            "configs": [{"source": "c", "target": "/c"}],
            "environment": {"A": "1"},
            "links": ["b:x"],
            "deploy": {"replicas": 1, "resources": {"limits": {"memory": "1000"}}},
            "healthcheck": {"test": ["CMD", "true"], "interval": "1s"},
        },
        "b": {"image": "busybox", "scale": 1},
        "c": {"image": "busybox", "network_mode": "service:b", "volumes_from": ["b:ro"]},
    },
    "networks": {"front": {"name": "demo_front", "ipam": {"config": [{"subnet": "10.0.0.0/24"}]}}},
    "volumes": {"data": {"name": "demo_data"}},
    "configs": {"c": {"name": "c", "content": "text"}},
}
ODD = (None, 1, -1, "", "x", [], {}, [None], {"a": None}, True, 1.5, "service:nope", "\0", [{}], {"x": {}})


def mutated(value, chance):
    """One thing somewhere inside is something else, or gone."""
    if not isinstance(value, (dict, list)) or not value or chance.random() < 0.15:
        return chance.choice(ODD)
    if isinstance(value, list):
        at = chance.randrange(len(value))
        return [*value[:at], mutated(value[at], chance), *value[at + 1 :]]
    key = chance.choice(list(value))
    if chance.random() < 0.1:
        return {name: inner for name, inner in value.items() if name != key}
    return {**value, key: mutated(value[key], chance)}


def test_services_that_wait_for_each_other_are_refused():
    async def main(stage):
        answer = await stage.ask("up", {"a": {"links": ["b"]}, "b": {"depends_on": {"a": STARTED}}})
        assert (answer.status, orjson.loads(answer.body)) == (
            400,
            {"message": "dependency cycle detected: a -> b -> a"},
        )

    on_stage(main)


async def ends(stage, answer):
    """Whether what is told has an end."""
    try:
        async with asyncio.timeout(1000):
            return [line async for line in answer.chunks]
    except TimeoutError:
        return []


@pytest.mark.parametrize("seed", range(8))
def test_a_model_that_is_not_canonical_is_refused_or_settled(seed):
    async def main(stage):
        chance = random.Random(seed)
        for _ in range(20):
            given = mutated(WHOLE, chance)
            broken = {"name": "demo", **given} if isinstance(given, dict) else given
            body = orjson.dumps({"action": "up", "project": {"model": broken}})
            answer = await stage.compose.door.handler(Request("POST", "/compose/projects/demo", {}, body))
            if isinstance(answer, Stream):
                assert await ends(stage, answer), broken
            else:
                assert 400 <= answer.status < 500, (answer, broken)
            async with asyncio.timeout(1000):
                await stage.declare("down", volumes=True)
            assert stage.docker.names() == [], broken

    on_stage(main)
