"""The nftables driver in the real kernel."""

from __future__ import annotations

import contextlib

import pytest

from contract.islands import Island
from suites.net_driver_suite import NetDriverSuite


class OnLinux(NetDriverSuite):
    bridge_filter = False

    @pytest.fixture(autouse=True)
    def _directory(self, tmp_path):
        self.directory = tmp_path

    @contextlib.contextmanager
    def make(self):
        island = Island(self.directory, bridge_filter=self.bridge_filter)
        with contextlib.closing(island):
            yield island


class TestNftDriver(OnLinux):
    pass


class TestNftDriverBesideBrNetfilter(OnLinux):
    """Hosts with Docker or kubeadm filter inside bridges too."""

    bridge_filter = True
