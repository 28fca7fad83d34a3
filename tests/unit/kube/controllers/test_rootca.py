"""Every namespace says whom to trust."""

from coracle.core.object import Key
from coracle.kube.controllers.rootca import RootCertificates
from coracle.testing.autojump import run
from coracle.testing.kube import Stage

KEY = Key("shop", "kube-root-ca.crt")


def test_every_namespace_has_it_and_keeps_it():
    async def scene():
        stage = Stage()
        configs = stage["ConfigMap"]
        stage.run(RootCertificates(stage.caches, configs, "PEM"))
        await stage.rooms("shop")
        await stage.settle(1)
        assert {config.meta.namespace for config in configs.list()} == {"default", "shop"}
        assert configs.get(KEY).body["data"] == {"ca.crt": "PEM"}
        await configs.change(KEY, lambda now: now.with_body(data={"ca.crt": "false", "more": "x"}))
        await stage.settle(1)
        assert configs.get(KEY).body["data"] == {"ca.crt": "PEM"}
        await configs.delete(KEY)
        await stage.settle(1)
        assert configs.get(KEY).body["data"] == {"ca.crt": "PEM"}

    run(scene())
