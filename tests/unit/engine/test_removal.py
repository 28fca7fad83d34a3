import pytest

from coracle.core.errors import Conflict
from coracle.engine.removal import Held, User, plan_removal

BASE, CHILD, WEB = "sha256:" + "b" * 64, "sha256:" + "c" * 64, "sha256:" + "d" * 64
DIGEST = "web@sha256:" + "0" * 64


def view(*images):
    return {image.id: image for image in images}


def removed(images, id, name="", *, users=(), force=False, prune=True):
    return plan_removal(images, users, id, name, force=force, prune=prune).records


def refused(images, id, name="", *, users=(), force=False):
    with pytest.raises(Conflict) as error:
        plan_removal(images, users, id, name, force=force)
    return str(error.value)


def test_one_of_several_names_goes_and_the_image_stays():
    assert removed(view(Held(WEB, ("web:1", "web:2", DIGEST))), WEB, "web:1") == [("untagged", "web:1")]


def test_with_the_last_tag_of_a_repository_its_digests_go():
    plan = plan_removal(view(Held(WEB, ("web:1", "mine:1", DIGEST))), (), WEB, "web:1", force=False)
    assert plan.records == [("untagged", "web:1"), ("untagged", DIGEST)]
    assert (plan.left, plan.deleted) == ({WEB: ("mine:1",)}, [])


def test_with_the_last_name_the_image_goes():
    gone = [("untagged", "web:1"), ("untagged", DIGEST), ("deleted", WEB)]
    assert removed(view(Held(WEB, ("web:1", DIGEST))), WEB, "web:1") == gone
    assert removed(view(Held(WEB, ("web:1", DIGEST))), WEB) == gone


def test_a_port_in_a_registrys_name_is_not_a_tag():
    images = view(Held(WEB, ("localhost:5000/web:1", "localhost:5000/web:2")))
    assert removed(images, WEB, "localhost:5000/web:2") == [("untagged", "localhost:5000/web:2")]


def test_by_id_an_image_of_several_repositories_goes_only_by_force():
    images = view(Held(WEB, ("web:1", "mine:1")))
    said = "conflict: unable to delete dddddddddddd (must be forced) - image is referenced in multiple repositories"
    assert refused(images, WEB) == said
    assert removed(images, WEB, force=True) == [("untagged", "web:1"), ("untagged", "mine:1"), ("deleted", WEB)]


def test_a_stopped_containers_image_goes_only_by_force():
    images, users = view(Held(WEB, ("web:1",))), [User(WEB, "f" * 64, False)]
    assert refused(images, WEB, "web:1", users=users) == (
        'conflict: unable to remove repository reference "web:1" (must force) - '
        "container ffffffffffff is using its referenced image dddddddddddd"
    )
    assert refused(images, WEB, users=users) == (
        "conflict: unable to delete dddddddddddd (must be forced) - image is being used by stopped container ffffffffffff"
    )
    assert removed(images, WEB, "web:1", users=users, force=True) == [("untagged", "web:1"), ("deleted", WEB)]


def test_a_running_containers_image_stays_whatever_is_forced():
    images, users = view(Held(WEB, ("web:1",))), [User(WEB, "f" * 64, True)]
    assert removed(images, WEB, "web:1", users=users, force=True) == [("untagged", "web:1")]
    said = "(cannot be forced) - image is being used by running container ffffffffffff"
    assert refused(images, WEB, users=users, force=True).endswith(said)


def test_an_image_with_children_loses_its_name_only():
    images = view(Held(BASE, ("base:1",)), Held(CHILD, ("child:1",), BASE))
    assert removed(images, BASE, "base:1") == [("untagged", "base:1")]
    assert refused(images, BASE, force=True).endswith("(cannot be forced) - image has dependent child images")


def test_parents_that_nobody_names_go_with_their_last_child():
    images = view(Held(BASE), Held(CHILD, (), BASE), Held(WEB, ("web:1",), CHILD))
    gone = [("untagged", "web:1"), ("deleted", WEB)]
    assert removed(images, WEB, "web:1") == [*gone, ("deleted", CHILD), ("deleted", BASE)]
    assert removed(images, WEB, "web:1", prune=False) == gone
    assert removed(images, WEB, "web:1", users=[User(CHILD, "f" * 64, False)]) == gone
    other = Held("sha256:" + "e" * 64, (), CHILD)
    assert removed({**images, other.id: other}, WEB, "web:1") == gone
    named = {**images, BASE: Held(BASE, ("base:1",))}
    assert removed(named, WEB, "web:1") == [*gone, ("deleted", CHILD)]
