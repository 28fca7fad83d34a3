"""What is asked, declared and there -> the next declaration."""

from dataclasses import replace

import pytest

from coracle.compose.projects.asked import Asked, File, read_asked
from coracle.compose.projects.declare import declared
from coracle.compose.projects.objects import Going, Service, There, from_json, taken_back, to_json
from coracle.core.errors import Conflict, Malformed, NotFound
from coracle.testing.compose import RESTARTED, STARTED, created, exited, model, present, running, spec

PAIR = {"db": {}, "web": {"depends_on": {"db": STARTED}}}
IMAGES = {"db": "sha256:1", "web": "sha256:1", "extra": "sha256:1"}


def ask(action, *services, known=None, **more):
    file = File(directory="/d", files=("/d/compose.yaml",), model=model(**known)) if known is not None else None
    return Asked(name="demo", action=action, services=services, project=file, **more)


def first(known=PAIR, *there):
    return declared(ask("up", known=known), None, present(*there), IMAGES)


def test_up_declares_every_service_on_trial():
    made = first()
    assert {name: (one.want, one.scale, one.image_id) for name, one in made.services.items()} == {
        "db": ("running", 1, "sha256:1"),
        "web": ("running", 1, "sha256:1"),
    }
    assert made.trial.former is None
    assert (made.directory, made.files) == ("/d", ("/d/compose.yaml",))


def test_up_of_a_service_takes_what_it_depends_on():
    known = {**PAIR, "extra": {}}
    assert set(declared(ask("up", "web", known=known), None, present(), IMAGES).services) == {"db", "web"}
    alone = declared(ask("up", "web", known=known, no_deps=True), None, present(), IMAGES)
    assert set(alone.services) == {"web"}
    assert alone.services["web"].alone


def test_services_that_do_not_take_part_keep_their_declaration():
    former = first({**PAIR, "extra": {"command": ["old"]}})
    known = {**PAIR, "extra": {"command": ["new"]}}
    made = declared(ask("up", "db", known=known), former, present(), IMAGES)
    assert made.services["extra"] == former.services["extra"]
    assert made.known["extra"]["command"] == ["old"]
    assert declared(ask("up", known=known), former, present(), IMAGES).known["extra"]["command"] == ["new"]


def test_a_service_that_the_file_has_no_more_is_no_longer_declared():
    former = first({**PAIR, "extra": {}})
    assert set(declared(ask("up", known=PAIR), former, present(), IMAGES).services) == {"db", "web"}


def test_a_service_of_another_profile_stays_declared():
    former = first({**PAIR, "extra": {}})
    file = File(model=model(**PAIR), left_out=("extra",))
    images = {"db": "sha256:2", "web": "sha256:2"}  # of those that take part
    made = declared(Asked(name="demo", action="up", project=file), former, present(), images)
    assert set(made.services) == {"db", "web", "extra"}
    assert made.services["extra"] == former.services["extra"]


def test_create_leaves_what_runs_and_is_up_to_date():
    known = {**PAIR, "db": {"command": ["other"]}}
    made = declared(ask("create", known=known), first(), present(running("db"), running("web")), IMAGES)
    assert {name: one.want for name, one in made.services.items()} == {"db": "created", "web": "running"}


def test_up_starts_again_what_has_ended():
    made = first(PAIR, exited("db"), running("web"))
    assert made.services["db"].again == {"id-db-1": "t1"}
    assert made.services["web"].again == {}


SCALES = {
    "one by itself": ({}, {}, 1),
    "scale": ({"scale": 2}, {}, 2),
    "replicas": ({"deploy": {"replicas": 3}}, {}, 3),
    "none": ({"deploy": {"replicas": 0}}, {}, 0),
    "as asked": ({"scale": 2}, {"db": 5}, 5),
}


@pytest.mark.parametrize("case", SCALES)
def test_scale(case):
    said, asked, expected = SCALES[case]
    assert (
        declared(ask("up", known={"db": said}, scale=asked), None, present(), IMAGES).services["db"].scale == expected
    )


def test_recreation():
    there = [running("db", hash="x"), running("web", hash="y")]
    never = declared(ask("up", known=PAIR, recreate="never"), None, present(*there), IMAGES)
    assert never.services["db"].accepts == ("x",)
    force = declared(ask("up", "web", known=PAIR, recreate="force"), None, present(*there), IMAGES)
    assert (force.services["web"].anew, force.services["db"].anew) == (("id-web-1",), ())
    deps = declared(ask("up", "web", known=PAIR, recreate_deps="force"), None, present(*there), IMAGES)
    assert (deps.services["web"].anew, deps.services["db"].anew) == ((), ("id-db-1",))


def test_what_starts_anew_with_another_stops_and_starts():
    known = {"db": {}, "web": {"depends_on": {"db": RESTARTED}}}
    web = running("web", hash=first(known).services["web"].hash)
    made = first(known, running("db", hash="old"), web)
    assert (made.services["web"].ends, made.services["web"].again) == ({"id-web-1": "t1"}, {"id-web-1": "t1"})
    assert made.services["db"].ends == {}


def test_start_stop_restart():
    former = first()
    there = present(running("db"), exited("web"))
    start = declared(ask("start"), former, there, {})
    assert (start.services["web"].again, start.services["db"].again) == ({"id-web-1": "t1"}, {})
    stop = declared(ask("stop"), former, there, {})
    assert {name: (one.want, one.ends) for name, one in stop.services.items()} == {
        "db": ("stopped", {"id-db-1": "t1"}),
        "web": ("stopped", {}),
    }
    restart = declared(ask("restart", "db"), former, there, {})
    assert (restart.services["db"].again, restart.services["web"].again) == ({"id-db-1": "t1"}, {})
    assert stop.trial is None


def test_restart_takes_what_starts_anew_with_it():
    known = {"db": {}, "web": {"depends_on": {"db": RESTARTED}}}
    there = present(running("db"), running("web"))
    assert declared(ask("restart", "db"), first(known), there, {}).services["web"].again == {"id-web-1": "t1"}
    alone = declared(ask("restart", "db", no_deps=True), first(known), there, {})
    assert alone.services["web"].again == {}


def test_rm_takes_what_does_not_run():
    there = present(exited("db"), running("web"), created("web", 2))
    made = declared(ask("rm", volumes=True), first(), there, {})
    assert made.discard == {"id-db-1": True, "id-web-2": True}
    assert set(made.services) == {"web"}


def test_down():
    former, there = first(), present(running("db"), running("web"))
    assert declared(ask("down", volumes=True), former, there, {}).going.volumes
    part = declared(ask("down", "web"), former, there, {})
    assert (set(part.services), set(part.discard), part.going) == ({"db"}, {"id-web-1"}, None)
    alone = declared(ask("down", "db"), former, there, {})
    assert (set(alone.services), set(alone.discard)) == ({"web"}, {"id-db-1"})  # though web depends on it
    assert declared(ask("down", "db", "web"), former, there, {}).going is not None  # nothing is left


def test_services_of_other_profiles_are_left_alone_unless_named():
    former, there = first(), present(running("db"), running("web"))

    def without_web(action, *services):
        return replace(ask(action, *services, known={"db": {}}), project=File(model=model(db={}), left_out=("web",)))

    down = declared(without_web("down"), former, there, {})
    assert (down.services, down.discard, down.going) == ({}, {}, Going(kept=("web",)))
    assert from_json(to_json(down)).going == down.going
    stop = declared(without_web("stop"), former, there, {})
    assert [stop.services[name].want for name in ("db", "web")] == ["stopped", "running"]
    assert declared(without_web("stop", "web"), former, there, {}).services["web"].want == "stopped"
    ended = present(exited("db"), exited("web"))
    start = declared(without_web("start"), former, ended, {})
    assert (start.services["db"].again, start.services["web"].again) == ({"id-db-1": "t1"}, {})
    none = replace(ask("start", known={}), project=File(model=model(), left_out=("db", "web")))
    assert [one.again for one in declared(none, former, ended, {}).services.values()] == [{}, {}]


def test_orphans_go_when_asked():
    there = present(running("db"), running("old"), exited("db", 0, id="once", one_off=True))
    assert declared(ask("up", known=PAIR), None, there, IMAGES).discard == {}
    assert set(declared(ask("up", known=PAIR, remove_orphans=True), None, there, IMAGES).discard) == {
        "id-old-1",
        "once",
    }


def test_another_clients_project_is_borrowed_from_its_labels():
    there = present(running("db"), running("web", depends_on="db:service_healthy:true"))
    made = declared(ask("stop"), None, there, {})
    assert made.borrowed
    assert made.known["web"]["depends_on"]["db"] == {"condition": "service_healthy", "restart": True, "required": True}
    assert {name: (one.want, one.hash) for name, one in made.services.items()} == {
        "db": ("stopped", ""),
        "web": ("stopped", ""),
    }


def test_of_another_clients_project_the_files_say_what_belongs_to_it():
    there = present(running("db"), running("web"), running("old"))
    made = declared(ask("stop", known=PAIR), None, there, {})
    assert (set(made.known), set(made.services)) == ({"db", "web"}, {"db", "web"})


REFUSED = {
    "a service that is not there": (ask("up", "nope", known=PAIR), "no such service: nope"),
    "the same for stop": (ask("stop", "nope", known=PAIR), "no such service: nope"),
    "up of nothing": (ask("up"), "no such project: demo"),
    "start of nothing": (ask("start"), 'no container found for project "demo": not found'),
    "start without containers": (ask("start", known=PAIR), 'service "db" has no container to start'),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals(case):
    asked, message = REFUSED[case]
    with pytest.raises((NotFound, Conflict)) as error:
        declared(asked, None, present(), IMAGES)
    assert error.value.message == message


def test_it_is_stored_as_it_is():
    made = first(PAIR, running("db"))
    assert from_json(to_json(made)) == made


def test_taking_back_the_first_declaration():
    undone = taken_back(first())
    assert undone.services == {}
    assert undone.going is not None
    assert undone.undo == There()


def test_taking_back_returns_to_the_former():
    former = first()
    there = present(running("db"), exited("web"))
    known = {**PAIR, "db": {"command": ["other"]}, "extra": {}}
    undone = taken_back(declared(ask("up", known=known), former, there, IMAGES))
    assert undone.known == former.known
    assert set(undone.services) == {"db", "web"}
    assert undone.services["db"].hash == former.services["db"].hash
    assert undone.services["db"].again == {"id-db-1": "t1"}  # what ran, runs again
    assert undone.undo.containers == {"id-db-1": "t1", "id-web-1": ""}
    assert undone.trial is None


def test_taking_back_what_another_client_had():
    undone = taken_back(declared(ask("up", known=PAIR), None, present(running("db", hash="")), IMAGES))
    assert undone.borrowed
    assert undone.services == {"db": Service(want="running", hash="", again={"id-db-1": "t1"})}


def test_going_on_means_that_nothing_is_taken_back():
    assert declared(ask("up", known=PAIR, keep_going=True), None, present(), IMAGES).trial is None


def test_up_while_it_goes_begins_anew():
    assert declared(ask("up", known=PAIR), spec(PAIR, going=Going()), present(), IMAGES).going is None


BAD = {
    "no object": ([], "the body must be an object"),
    "an action that is not there": ({"action": "fly"}, "action: must be one of up, create"),
    "a field that is not there": ({"action": "up", "colour": 1}, "colour: unknown field"),
    "no model": ({"action": "up", "project": {}}, "project.model: must be an object with services"),
    "another name": ({"action": "up", "project": {"model": {"name": "x", "services": {}}}}, "project.model.name: must"),
    "a service that is a text": (
        {"action": "up", "project": {"model": {"name": "demo", "services": {"a": "b"}}}},
        "project.model.services: must be an object of objects",
    ),
    "services": ({"action": "up", "services": "web"}, "services: must be a list of texts"),
    "scale": ({"action": "up", "scale": {"web": -1}}, "scale.web: must be a number from 0 to"),
    "too many": ({"action": "up", "scale": {"web": 10**9}}, "scale.web: must be a number from 0 to"),
    "a flag": ({"action": "up", "wait": "yes"}, "wait: must be true or false"),
    "a word": ({"action": "up", "recreate": "often"}, "recreate: must be one of changed, force, never"),
    "seconds": ({"action": "up", "timeout_s": "10s"}, "timeout_s: must be a number of seconds"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_bodies(case):
    body, message = BAD[case]
    with pytest.raises(Malformed) as error:
        read_asked("demo", body)
    assert error.value.message.startswith(message)
