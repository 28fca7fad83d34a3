"""One cloud for the tests that drive it through clients, one namespace for each test."""

import uuid
from pathlib import Path

import pytest

from coracle.testing.cloud import Cloud


@pytest.fixture(scope="session")
def cloud(tmp_path_factory):
    with Cloud.started(Path(tmp_path_factory.mktemp("cloud"))) as cloud:
        yield cloud


class Space:
    """A namespace of a cloud: kubectl in it."""

    def __init__(self, cloud, namespace):
        self.cloud, self.namespace = cloud, namespace
        self.wait_for = cloud.wait_for

    def kubectl(self, *words, **options):
        return self.cloud.kubectl("--namespace", self.namespace, *words, **options)

    def json(self, *words):
        return self.cloud.json("--namespace", self.namespace, *words)

    def text(self, *words, **options):
        return self.kubectl(*words, **options).stdout


@pytest.fixture
def space(cloud):
    namespace = "test-" + uuid.uuid4().hex[:6]
    cloud.kubectl("create", "namespace", namespace)
    yield Space(cloud, namespace)
    cloud.kubectl("delete", "namespace", namespace, "--wait=false")
