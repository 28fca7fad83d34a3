"""Secrets that hold a ServiceAccount's token: filled in, believed, and gone with what they depend on."""

import base64

import pytest

from coracle.core.object import Key, Meta, Object
from coracle.kube.controllers.tokensecrets import TokenSecrets
from coracle.kube.kinds.accounttokens import Issuer
from coracle.kube.kinds.tokens import BadToken
from coracle.testing.autojump import run
from coracle.testing.kube import Stage
from coracle.testing.signing import PlainSigner

KEY, ROBOT = Key("default", "key"), Key("default", "robot")
NAME, UID = "kubernetes.io/service-account.name", "kubernetes.io/service-account.uid"


def secret(**annotations):
    body = {"type": "kubernetes.io/service-account-token", "data": {}}
    return Object("Secret", Meta("key", "default", annotations={NAME: "robot", **annotations}), body)


class Scene:
    """A stage with an account, a secret for its token, and the loop."""

    async def begin(self, given):
        self.stage = Stage()
        self.issuer = Issuer("https://here", PlainSigner(), self.stage.store, self.stage.clock)
        self.stage.run(TokenSecrets(self.stage.caches, self.stage.collections, self.issuer, "PEM"))
        await self.stage.rooms()
        self.account = await self.stage["ServiceAccount"].create(
            Object("ServiceAccount", Meta("robot", "default"), {"secrets": [{"name": "key"}, {"name": "other"}]})
        )
        await self.stage["Secret"].create(given)
        await self.stage.settle(1)
        return self

    @property
    def found(self):
        return self.stage["Secret"].find(KEY)

    @property
    def token(self):
        return base64.b64decode(self.found.body["data"]["token"]).decode()


def played(play, given=None):
    async def main():
        return await play(await Scene().begin(given or secret()))

    return run(main())


def test_it_is_filled_in_and_its_token_is_believed():
    async def scene(here):
        found, holder = here.found, here.issuer.check(here.token)
        assert found.meta.annotations[UID] == here.account.meta.uid
        assert {name: base64.b64decode(found.body["data"][name]) for name in ("ca.crt", "namespace")} == {
            "ca.crt": b"PEM",
            "namespace": b"default",
        }
        assert (holder.name, holder.uid) == ("system:serviceaccount:default:robot", here.account.meta.uid)
        with pytest.raises(BadToken):
            here.issuer.check(here.token, ["https://elsewhere"])

    played(scene)


def test_what_is_taken_out_is_put_in_again_and_the_old_token_ends():
    async def scene(here):
        old = here.token
        await here.stage["Secret"].change(
            KEY, lambda now: now.with_body(data={"token": base64.b64encode(b"x").decode()})
        )
        await here.stage.settle(1)
        assert set(here.found.body["data"]) == {"ca.crt", "namespace", "token"}
        with pytest.raises(BadToken):
            here.issuer.check(old)

    played(scene)


def test_it_goes_with_its_account():
    async def scene(here):
        token = here.token
        await here.stage["ServiceAccount"].delete(ROBOT)
        await here.stage.settle(1)
        assert here.found is None
        with pytest.raises(BadToken):
            here.issuer.check(token)

    played(scene)


@pytest.mark.parametrize("given", [secret(**{NAME: "nobody"}), secret(**{UID: "another"})], ids=["none", "another"])
def test_a_secret_for_an_account_that_there_is_not_goes(given):
    async def scene(here):
        assert here.found is None

    played(scene, given)


def test_an_account_does_not_name_a_secret_that_is_gone():
    async def scene(here):
        await here.stage["Secret"].delete(KEY)
        await here.stage.settle(1)
        assert here.stage["ServiceAccount"].get(ROBOT).body["secrets"] == [{"name": "other"}]

    played(scene)
