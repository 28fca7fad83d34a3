import pytest

from coracle.core.errors import Conflict, Malformed, NotFound
from coracle.core.object import Meta, Object
from coracle.docker.networks.links import Links, read_link


def container(name, links=(), endpoints=None):
    details = {
        "HostConfig": {"Links": list(links)},
        "NetworkingConfig": {"EndpointsConfig": endpoints or {"bridge": {}}},
    }
    return Object("Container", Meta(name=name * 32), {"spec": {"name": name, "details": details, "sandbox": name}})


class Running:
    """Sandboxes by name, each with its addresses by network."""

    def __init__(self, **addresses):
        self.addresses = addresses

    def find(self, name):
        if name not in self.addresses:
            return None
        there = [{"network": n, "address": a, "state": "ready"} for n, a in self.addresses[name].items()]
        return Object("Sandbox", Meta(name=name), {"status": {"endpoints": there}})


def hosts(record, **addresses):
    others = {name: container(name) for name in ("db", "mq")}
    return Links(others.get, Running(**addresses)).hosts(record)


def test_links_are_read():
    assert read_link("db:store") == ("db", "store")
    assert read_link("db") == ("db", "db")
    assert read_link("/db:/web/store") == ("db", "store")  # as inspect shows it
    for text in ("", ":", "db:", ":store", "a:b:c"):
        with pytest.raises(Malformed, match="bad format for links"):
            read_link(text)


def test_on_the_default_network_what_is_linked_must_run():
    web = container("web", ["db:store"])
    assert hosts(web, db={"bridge": "172.17.0.2"}) == [("172.17.0.2", "store", "dbdbdbdbdbdb", "db")]
    with pytest.raises(Conflict, match="Cannot link to a non running container: /db AS /web/store"):
        hosts(web)
    with pytest.raises(Conflict, match="non running"):
        hosts(web, db={"n1": "10.1.0.2"})
    with pytest.raises(NotFound, match="could not get container for nope"):
        hosts(container("web", ["nope:store"]))


def test_on_a_users_network_it_may_come_later():
    web = container("web", ["db:store"], {"n1": {"Links": ["db:store", "mq:queue", "nope:x"]}})
    assert hosts(web, db={"n1": "10.1.0.2", "bridge": "172.17.0.2"}, mq={"bridge": "172.17.0.3"}) == [
        ("10.1.0.2", "store")
    ]
