"""Tokens in pods' files: the same one while it is fresh, another in time."""

import asyncio

import pytest

from coracle.core.errors import NotFound, Unsupported
from coracle.core.object import Key, Meta, Object
from coracle.kube.kinds.accounttokens import Issuer
from coracle.kube.kubelet.tokens import NoTokens, PodTokens, TokenRotation
from coracle.testing.autojump import run
from coracle.testing.kube import Stage, a_pod, place
from coracle.testing.signing import PlainSigner

GIVEN = {"path": "token", "expirationSeconds": 3600}


class Place:
    """A node with one pod; `wrote` tells when its files were written (seconds)."""

    def __init__(self):
        self.stage = Stage()
        issuer = Issuer("https://here", PlainSigner(), self.stage.store, self.stage.clock)
        self.tokens, self.wrote = PodTokens(issuer, self.stage.store, self.stage.clock), []
        self.stage.run(TokenRotation(self.stage.caches, "n1", self.tokens, self, self.stage.recorder))

    async def refresh(self, pod):
        self.wrote.append(round(asyncio.get_running_loop().time()))
        self.tokens.token(pod, GIVEN)
        return []

    async def begin(self):
        await self.stage.rooms()
        await self.stage["ServiceAccount"].create(Object("ServiceAccount", Meta("default", "default")))
        await self.stage["Pod"].create(a_pod("web"))
        return await place(self.stage, Key("default", "web"))


def test_a_token_is_renewed_when_four_fifths_of_its_time_have_passed():
    async def scene():
        node = Place()
        await node.begin()
        await node.stage.settle(3600 * 2)
        assert node.wrote == [0, 2880, 5760]

    run(scene())


def test_files_have_the_same_token_until_then():
    async def scene():
        node = Place()
        pod = await node.begin()
        first = node.tokens.token(pod, GIVEN)
        await asyncio.sleep(2879)
        assert node.tokens.token(pod, GIVEN) == first
        await asyncio.sleep(2)
        assert node.tokens.token(pod, GIVEN) != first

    run(scene())


def test_audiences_have_tokens_of_their_own_and_pods_too():
    async def scene():
        node = Place()
        pod = await node.begin()
        tokens = {node.tokens.token(pod, GIVEN), node.tokens.token(pod, {**GIVEN, "audience": "vault"})}
        tokens.add(node.tokens.token(pod.with_meta(uid="another"), GIVEN))
        assert len(tokens) == 3

    run(scene())


def test_a_pod_that_is_gone_is_forgotten():
    async def scene():
        node = Place()
        pod = await node.begin()
        await node.stage.settle(1)
        await node.stage["Pod"].delete(pod.key)
        await node.stage["Pod"].change(pod.key, lambda now: now.with_status(phase="Succeeded"), part="status")
        await node.stage.settle(1)
        assert node.tokens.renew_in_s(pod) == 0

    run(scene())


def test_what_cannot_be_given():
    async def scene():
        node = Place()
        pod = await node.begin()
        with pytest.raises(NotFound, match='serviceaccounts "robot" not found'):
            node.tokens.token(pod.with_spec(serviceAccountName="robot"), GIVEN)

    run(scene())
    with pytest.raises(Unsupported):
        NoTokens().token(a_pod("web"), GIVEN)
