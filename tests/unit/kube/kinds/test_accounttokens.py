"""ServiceAccounts' tokens: what they say, when they hold, and what is no token of ours."""

import base64
import json

import pytest

from coracle.core.object import Key, Meta, Object
from coracle.core.store import to_entry
from coracle.kube.kinds.accounttokens import Issuer, Wish
from coracle.kube.kinds.tokens import BadToken, decode, encode
from coracle.testing.signing import PlainSigner

ISSUER, NOW = "https://kubernetes.default.svc", 1_700_000_000
ACCOUNT = Object("ServiceAccount", Meta("robot", "shop", uid="a1"))
POD = Object("Pod", Meta("web", "shop", uid="p1"), {"spec": {"serviceAccountName": "robot"}})
NODE = Object("Node", Meta("n1", uid="n1"))
SECRET = Object("Secret", Meta("key", "shop", uid="s1"))


class Clock:
    now = float(NOW)

    def now_s(self):
        return self.now


class World:
    """What is there, for the issuer to read."""

    def __init__(self):
        self.there = {(obj.kind, obj.key): obj for obj in (ACCOUNT, POD, NODE, SECRET)}
        self.clock = Clock()
        self.issuer = Issuer(ISSUER, PlainSigner(), self, self.clock)

    def find(self, type, key):
        obj = self.there.get((type, key))
        return to_entry(obj) if obj is not None else None

    def token(self, **wish):
        return self.issuer.issue(ACCOUNT, Wish(3600, **wish))[0]


def claims(token):
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def test_a_token_says_who_for_whom_and_how_long():
    token, until_s = World().issuer.issue(ACCOUNT, Wish(600, bound=POD, node=NODE))
    said = claims(token)
    assert until_s == NOW + 600
    assert said.pop("jti")
    assert said == {
        "iss": ISSUER,
        "aud": [ISSUER],
        "sub": "system:serviceaccount:shop:robot",
        "iat": NOW,
        "nbf": NOW,
        "exp": NOW + 600,
        "kubernetes.io": {
            "namespace": "shop",
            "serviceaccount": {"name": "robot", "uid": "a1"},
            "pod": {"name": "web", "uid": "p1"},
            "node": {"name": "n1", "uid": "n1"},
        },
    }


def test_whose_token_it_is():
    world = World()
    found = world.issuer.check(world.token(bound=POD, node=NODE))
    assert (found.name, found.uid) == ("system:serviceaccount:shop:robot", "a1")
    assert found.groups == ("system:serviceaccounts", "system:serviceaccounts:shop")
    prefix = "authentication.kubernetes.io/"
    jti = found.extra[f"{prefix}credential-id"]
    assert jti[0].startswith("JTI=")
    assert found.extra[f"{prefix}pod-name"] == ("web",)
    assert found.extra[f"{prefix}node-uid"] == ("n1",)


@pytest.mark.parametrize(
    ("made_for", "asked_for", "fits"),
    [
        ((), (), (ISSUER,)),
        (("vault",), ("vault", "other"), ("vault",)),
        (("vault",), (), None),
        ((), ("vault",), None),
    ],
    ids=["none said means this API", "one of several", "another's is not for this API", "ours is for nobody else"],
)
def test_audiences(made_for, asked_for, fits):
    world = World()
    token = world.token(audiences=made_for)
    if fits is None:
        with pytest.raises(BadToken, match="audiences"):
            world.issuer.check(token, asked_for)
    else:
        assert world.issuer.check(token, asked_for).audiences == fits


@pytest.mark.parametrize(
    ("age_s", "said"), [(0, ""), (3600, ""), (3601, "has expired"), (-5, ""), (-60, "not valid yet")]
)
def test_a_token_holds_for_its_time(age_s, said):
    world = World()
    token = world.token()
    world.clock.now = NOW + age_s
    if said:
        with pytest.raises(BadToken, match=said):
            world.issuer.check(token)
    else:
        world.issuer.check(token)


@pytest.mark.parametrize("bound", [POD, SECRET, NODE], ids=lambda obj: obj.kind)
@pytest.mark.parametrize("again", [False, True], ids=["gone", "made again"])
def test_a_token_ends_with_what_it_is_bound_to(bound, again):
    world = World()
    token = world.token(bound=bound)
    world.issuer.check(token)
    del world.there[bound.kind, bound.key]
    if again:
        world.there[bound.kind, bound.key] = bound.with_meta(uid="another")
    with pytest.raises(BadToken, match="invalidated"):
        world.issuer.check(token)


def test_a_token_ends_with_its_account():
    world = World()
    token = world.token()
    del world.there["ServiceAccount", Key("shop", "robot")]
    with pytest.raises(BadToken, match="invalidated"):
        world.issuer.check(token)


def unsigned(token):
    head = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()
    return f"{head}.{token.split('.')[1]}."


@pytest.mark.parametrize(
    "spoil",
    [
        lambda token: "",
        lambda token: "abc",
        lambda token: "a.b.c",
        lambda token: token[:-2] + "AA",
        lambda token: token.rpartition(".")[0] + ".",
        lambda token: token + "x" * 20_000,
        lambda token: token + "\u20ac",
        unsigned,
        lambda token: encode(claims(token) | {"iss": "https://elsewhere"}, PlainSigner()),
        lambda token: encode([1], PlainSigner()),
    ],
    ids=["empty", "no parts", "no JSON", "another signature", "none", "too long", "no ASCII", "unsigned", "another's",
         "no claims"],
)  # fmt: skip
def test_what_is_no_token_of_ours(spoil):
    world = World()
    with pytest.raises(BadToken):
        world.issuer.check(spoil(world.token()))


def test_a_signature_of_another_algorithm_is_refused_unseen():
    class Other(PlainSigner):
        algorithm = "HS512"

    with pytest.raises(BadToken, match="malformed"):
        decode(encode({"iss": ISSUER}, Other()), PlainSigner())
