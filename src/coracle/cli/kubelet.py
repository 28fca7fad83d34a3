"""`coracle kubelet`: end the node's agent, and begin it again, as on any machine with systemctl."""

from __future__ import annotations

import click

from coracle.cli.client import Client
from coracle.cli.cloud import cloud_options, known
from coracle.node.config import Settings


@click.group()
def kubelet() -> None:
    """Rehearse what becomes of a node that falls silent.

    The kubelet looks after the pods of this node.  Without it, they go on as they are; the control plane
    finds the node NotReady, and after a while lets go of its pods.
    """


@kubelet.command("stop")
@cloud_options
def kubelet_stop(cloud: Settings | None) -> None:
    """End the kubelet.  Pods go on; nobody starts, probes or ends them."""
    Client(known(cloud)).call("POST", "/kubelet/stop")
    click.echo("kubelet stopped; bring it back with: coracle kubelet start", err=True)


@kubelet.command("start")
@cloud_options
def kubelet_start(cloud: Settings | None) -> None:
    """Begin it again, where it was stopped.  `coracle up` after `down` does, too."""
    Client(known(cloud)).call("POST", "/kubelet/start")
    click.echo("kubelet started", err=True)
