"""What is a cloud's on the host: the names its things are found by, by the daemon and by who cleans up after it."""

from __future__ import annotations

from coracle.net.api import Network
from coracle.net.nft.driver import Marks
from coracle.node.config import RUN, SYSCTLS, Settings

PODS = "pods"
CGROUPS = "/coracle"
TABLES = "coracle-"
QUICK_GROUPS = RUN / "quick-groups"  # there while we hold the machine's option for quick moves between groups


def marks(settings: Settings) -> Marks:
    return Marks(
        table=TABLES + settings.name,
        prefix=settings.tag,
        run_dir=settings.run,
        ledger_path=RUN / SYSCTLS,
        service_range=settings.services,
        service_network=PODS,
    )


def pod_network(settings: Settings) -> Network:
    return Network(PODS, f"{settings.tag}0", settings.pods, settings.gateway)


def cgroup_path(settings: Settings) -> str:
    """Below each controller's root; one group for each container lies in it."""
    return f"{CGROUPS}/{settings.name}"
