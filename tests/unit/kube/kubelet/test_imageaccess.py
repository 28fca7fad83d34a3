"""Who may use an image that was pulled with a password."""

import asyncio
import base64
import contextlib
import json

import pytest

from coracle.core.clock import LoopClock
from coracle.core.collection import Collection
from coracle.core.errors import Unauthenticated
from coracle.core.object import Meta, Object
from coracle.core.store import MemoryStore
from coracle.kube.kinds import imagepull, secret
from coracle.kube.kubelet.imageaccess import ImageAccess
from coracle.testing.autojump import run

ID = "sha256:" + "0" * 64
PRIVATE, PUBLIC = "registry.lan/shop/web:1", "registry.lan/public:1"


class Registry:
    """A registry and what was pulled of it: PRIVATE wants `me` and `secret`, or `you` and `other`."""

    def __init__(self):
        self.here, self.pulls = {}, 0

    def find(self, reference):
        return self.here.get(reference)

    def list(self):
        return list(self.here.values())

    async def ensure(self, reference, policy, *, terms):
        if policy != "Always" and reference in self.here:
            return self.here[reference]
        known = (terms.login.username, terms.login.password) in (("me", "secret"), ("you", "other"))
        if reference == PRIVATE and not known:
            raise Unauthenticated("no basic auth credentials")
        self.pulls += 1
        self.here[ID] = self.here[reference] = Object(
            "Image", Meta(name="i"), {"spec": {"id": ID, "references": [reference], "digests": []}}
        )
        return self.here[reference]


class Node:
    def __init__(self):
        self.store, self.registry, clock = MemoryStore(), Registry(), LoopClock()
        self.secrets = Collection(secret.KIND, self.store, clock)
        self.records = Collection(imagepull.KIND, self.store, clock)
        self.access = ImageAccess(self.registry, self.store, clock)

    async def pod(self, *logins):
        """A pod with a Secret for each login, `user:password`."""
        names = []
        for login in logins:
            auth = {"registry.lan": {"auth": base64.b64encode(login.encode()).decode()}}
            data = base64.b64encode(json.dumps({"auths": auth}).encode()).decode()
            name = f"s{len(self.secrets.list())}"
            body = {"type": "kubernetes.io/dockerconfigjson", "data": {".dockerconfigjson": data}}
            await self.secrets.create(Object("Secret", Meta(name=name, namespace="default"), body))
            names.append({"name": name})
        return Object("Pod", Meta(name="p", namespace="default"), {"spec": {"imagePullSecrets": names}})


@pytest.mark.parametrize(
    ("first", "second", "may", "pulls"),
    [
        pytest.param(["me:secret"], ["me:secret"], True, 1, id="the same login in another secret"),
        pytest.param(["me:secret"], [], False, 1, id="no login"),
        pytest.param(["me:secret"], ["me:wrong"], False, 1, id="a wrong one"),
        pytest.param(["me:secret"], ["me:wrong", "you:other"], True, 2, id="another one that is good, by pulling"),
    ],
)
def test_a_private_image(first, second, may, pulls):
    async def main():
        node = Node()
        await node.access.get(await node.pod(*first), PRIVATE, "IfNotPresent")
        other = await node.pod(*second)
        try:
            await node.access.get(other, PRIVATE, "IfNotPresent")
        except Unauthenticated:
            return False, node.registry.pulls
        assert node.access.find(other, PRIVATE) is not None
        return True, node.registry.pulls

    assert run(main()) == (may, pulls)


def test_who_asks_by_its_id_needs_a_login_too():
    async def main():
        node = Node()
        known = await node.pod("me:secret")
        await node.access.pull(known, PRIVATE, "IfNotPresent")
        return [node.access.find(pod, ID) is not None for pod in (known, await node.pod(), await node.pod("me:wrong"))]

    assert run(main()) == [True, False, False]


def test_a_pull_that_was_broken_off_before_it_was_noted_opens_nothing(monkeypatch):
    async def main():
        node = Node()
        known, nobody = await node.pod("me:secret"), await node.pod()

        async def broken_off(*_):
            assert node.access.find(nobody, PRIVATE) is None  # who looks meanwhile
            raise asyncio.CancelledError

        with monkeypatch.context() as patch, contextlib.suppress(asyncio.CancelledError):
            patch.setattr(node.access, "_note", broken_off)
            await node.access.pull(known, PRIVATE, "IfNotPresent")
        node.access = ImageAccess(node.registry, node.store, LoopClock())  # the next daemon
        await node.access.sweep()
        found = [node.access.find(pod, name) for pod in (known, nobody) for name in (PRIVATE, ID)]
        await node.access.get(known, PRIVATE, "IfNotPresent")
        may = [node.access.find(pod, PRIVATE) is not None for pod in (known, nobody)]
        return found, may, len(node.records.list())

    assert run(main()) == ([None] * 4, [True, False], 1)


def test_a_failed_pull_leaves_no_record():
    async def main():
        node = Node()
        with pytest.raises(Unauthenticated):
            await node.access.pull(await node.pod("me:wrong"), PRIVATE, "IfNotPresent")
        return node.records.list()

    assert not run(main())


def test_what_nobody_needed_a_login_for_is_for_all():
    async def main():
        node = Node()
        known, nobody = await node.pod("me:secret"), await node.pod()
        await node.registry.ensure(PUBLIC, "Always", terms=_Nobody)
        assert node.access.find(nobody, PUBLIC) is not None
        await node.access.pull(known, PUBLIC, "Always")
        assert node.access.find(nobody, PUBLIC) is None
        await node.access.pull(nobody, PUBLIC, "IfNotPresent")
        await node.access.pull(known, PUBLIC, "Always")
        assert node.access.find(nobody, PUBLIC) is not None
        node.registry.here.clear()
        await node.access.sweep()
        return node.records.list()

    assert not run(main())


class _Nobody:
    class login:
        username = password = ""
