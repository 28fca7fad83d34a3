import os

import pytest

from coracle.kube.kubelet.environment import ConfigError
from coracle.kube.kubelet.volumes import mounts
from coracle.runtime.api import Mount


def of(path, **asked):
    return mounts({"volumeMounts": [{"name": "data", "mountPath": "/data", **asked}]}, {"data": str(path)}, {"N": "x"})


def test_mounts(tmp_path):
    assert of(tmp_path, readOnly=True) == (Mount(target="/data", source=str(tmp_path), read_only=True),)
    assert of(tmp_path, mountPropagation="HostToContainer")[0].options == ("rbind", "rslave")


def test_sub_paths_are_made(tmp_path):
    assert of(tmp_path, subPath="a/b")[0].source == str(tmp_path / "a/b")
    assert of(tmp_path, subPathExpr="$(N)")[0].source == str(tmp_path / "x")
    assert (tmp_path / "a/b").is_dir()


@pytest.mark.parametrize("below", ["../up", "/etc", "link/passwd"])
def test_sub_paths_may_not_lead_out(tmp_path, below):
    os.symlink("/etc", tmp_path / "link")
    with pytest.raises(ConfigError):
        of(tmp_path, subPath=below)


def test_an_unknown_volume_is_named(tmp_path):
    with pytest.raises(ConfigError, match='cannot find volume "data"'):
        mounts({"volumeMounts": [{"name": "data", "mountPath": "/data"}]}, {}, {})
