"""Whether the API lives and serves, whole and check by check."""

from __future__ import annotations

import pytest

from coracle.core.store import MemoryStore
from coracle.kube.api.health import Health
from coracle.testing.autojump import run
from coracle.web.messages import Request


class _Anything(MemoryStore):
    """As if every object that is looked for were there."""

    def find(self, type, key):
        return object()


class _AnythingBroken(_Anything):
    failure = "the disk refuses"


def ask(target, store=None, *, ready=True):
    async def scene():
        return await Health(store or _Anything(), lambda: ready).handle(Request("GET", target))

    answer = run(scene())
    return answer.status, answer.body.decode()


@pytest.mark.parametrize("page", ["healthz", "livez", "readyz"])
def test_all_is_well(page):
    assert ask(f"/{page}") == (200, "ok")
    status, text = ask(f"/{page}?verbose=1")
    assert (status, text.splitlines()[0], text.splitlines()[-1]) == (200, "[+]ping ok", f"{page} check passed")
    assert ("[+]informer-sync ok" in text) == (page == "readyz")


def test_one_check_alone():
    assert ask("/livez/ping") == (200, "ok")
    assert ask("/livez/poststarthook/scheduling/bootstrap-system-priority-classes") == (200, "ok")
    assert ask("/readyz/informer-sync", ready=False) == (500, "internal server error: reason withheld\n")


def test_what_fails_is_named_and_may_be_left_out():
    status, text = ask("/livez", _AnythingBroken())
    assert status == 500
    assert "[-]etcd failed: reason withheld\n" in text
    assert text.endswith("livez check failed\n")
    assert ask("/livez?exclude=etcd", _AnythingBroken()) == (200, "ok")
    assert "[+]etcd excluded: ok" in ask("/livez?verbose&exclude=etcd")[1]
    assert 'cannot be excluded: no matches for "moon"' in ask("/livez?verbose&exclude=moon")[1]
    assert ask("/readyz", ready=False)[0] == 500


def test_a_cluster_without_its_namespaces_is_not_there_yet():
    assert ask("/livez", MemoryStore())[0] == 500


def test_a_check_that_there_is_not(play):
    async def scene(api):
        return await api.get("/livez/moon", identity=None)

    assert play(scene).status == 404


def test_what_was_done_once_stays_done():
    store = _Anything()
    health = Health(store, lambda: True)

    async def scene():
        first = await health.handle(Request("GET", "/livez"))
        store.find = lambda *_key: None
        return first.status, (await health.handle(Request("GET", "/livez"))).status

    assert run(scene()) == (200, 200)
