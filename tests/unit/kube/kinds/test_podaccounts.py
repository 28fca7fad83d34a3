"""As whom pods run: the account's say, the pod's say, and what is put into which containers."""

import pytest

from coracle.core.errors import Forbidden
from coracle.core.object import Meta, Object
from coracle.core.store import to_entry
from coracle.kube.kinds.podaccounts import PATH, admit
from coracle.testing.kube import a_pod


class Accounts:
    def __init__(self, **accounts):
        self.accounts = {name: Object("ServiceAccount", Meta(name, "default"), body) for name, body in accounts.items()}

    def find(self, type, key):
        found = self.accounts.get(key.name) if type == "ServiceAccount" else None
        return to_entry(found) if found else None


def admitted(account=None, **spec):
    return admit("create", a_pod("web", **spec), None, Accounts(default=account or {})).spec


def mounts(spec):
    return [mount["mountPath"] for one in spec["containers"] for mount in one.get("volumeMounts") or ()]


@pytest.mark.parametrize(
    ("account", "pod", "expected"),
    [
        (None, None, True),
        (False, None, False),
        (True, None, True),
        (False, True, True),
        (True, False, False),
    ],
    ids=["nobody says", "the account does not want", "the account wants", "the pod's word counts", "the pod does not"],
)
def test_who_gets_a_token(account, pod, expected):
    say = "automountServiceAccountToken"
    spec = admitted({say: account} if account is not None else {}, **({say: pod} if pod is not None else {}))
    assert mounts(spec) == ([PATH] if expected else [])
    assert [volume["name"][:16] for volume in spec.get("volumes") or ()] == (["kube-api-access-"] if expected else [])


def test_all_containers_and_those_before_them_get_it():
    spec = admitted(initContainers=[{"name": "first"}], containers=[{"name": "a"}, {"name": "b"}])
    name = spec["volumes"][0]["name"]
    expected = [{"name": name, "readOnly": True, "mountPath": PATH}]
    assert [one["volumeMounts"] for one in (*spec["initContainers"], *spec["containers"])] == [expected] * 3


def test_a_container_that_has_something_there_keeps_it():
    own = {"name": "mine", "mountPath": PATH}
    spec = admitted(containers=[{"name": "a", "volumeMounts": [own]}], volumes=[{"name": "mine", "emptyDir": {}}])
    assert spec["containers"][0]["volumeMounts"] == [own]
    assert [volume["name"] for volume in spec["volumes"]] == ["mine"]


def test_pull_secrets_come_from_the_account_where_the_pod_has_none():
    account = {"imagePullSecrets": [{"name": "theirs"}]}
    assert admitted(account)["imagePullSecrets"] == [{"name": "theirs"}]
    assert admitted(account, imagePullSecrets=[{"name": "own"}])["imagePullSecrets"] == [{"name": "own"}]


def test_an_account_has_to_be_there():
    said = 'pods "web" is forbidden: error looking up service account default/robot: serviceaccount "robot" not found'
    with pytest.raises(Forbidden) as caught:
        admitted(serviceAccountName="robot")
    assert str(caught.value) == said


def test_the_default_one_comes_a_moment_later():
    assert mounts(admit("create", a_pod("web"), None, Accounts()).spec) == [PATH]


def test_what_is_there_already_is_not_touched():
    pod = a_pod("web")
    assert admit("update", pod, pod, Accounts()) is pod
