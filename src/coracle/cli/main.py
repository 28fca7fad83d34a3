"""`coracle`: the command line.  Parses, calls `node` or the daemon, prints.

Machine-readable output goes to standard output, everything said to people to standard error.
"""

from __future__ import annotations

import os
import sys

import click

from coracle.cli.cloud import cloud_options, known, need_root
from coracle.cli.compose import compose
from coracle.cli.failure import Failure
from coracle.cli.images import images
from coracle.cli.kubelet import kubelet
from coracle.cli.output import human_age, human_bytes, output_option, print_json, render_table
from coracle.node.config import Settings


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--root", metavar="DIR", help="Where the cloud keeps everything.  [default: /var/lib/coracle]")
@click.option("--name", metavar="NAME", help="Which cloud, where several live side by side.")
def main(root: str | None, name: str | None) -> None:
    """A whole cloud you can carry: Docker, Compose and Kubernetes on this machine.

    \b
    sudo coracle up            start the cloud
    eval "$(coracle env)"      let docker and kubectl find it
    kubectl get nodes
    sudo coracle down          stop it; `up` brings everything back
    """


@main.command()
@cloud_options
@click.option("--foreground", is_flag=True, help="Stay in the foreground; log to standard error.")
@click.option("--no-kubeconfig", is_flag=True, help="Leave the user's kubeconfig alone.")
@click.option("--no-switch", is_flag=True, help="Add the kubeconfig context, but do not make it the current one.")
@click.option("--timeout", "timeout_s", type=float, default=60, help="Seconds to wait.  [default: 60]")
def up(cloud: Settings | None, foreground: bool, no_kubeconfig: bool, no_switch: bool, timeout_s: float) -> None:
    """Start the cloud; returns when the API answers.  Starting it again does nothing."""
    from coracle.node import process

    need_root("starting a cloud")
    cloud = known(cloud)
    running = process.find_pid(cloud.root)
    if foreground:
        if running:
            raise Failure(f"cloud {cloud.name!r} is running already (pid {running})")
        process.replace_by_daemon(cloud)
    if not running:
        process.start(cloud, timeout_s)
    merged = "" if no_kubeconfig else _merge_kubeconfig(cloud, switch=not no_switch)
    state = "is running already" if running else "is up"
    click.echo(f"cloud {cloud.name!r} {state}: Kubernetes at https://127.0.0.1:{cloud.api_port}{merged}", err=True)
    click.echo("next: kubectl get nodes" if merged else 'next: eval "$(coracle env)"; kubectl get nodes', err=True)


def _merge_kubeconfig(cloud: Settings, *, switch: bool) -> str:
    import yaml

    from coracle.node.kubeconfig import merge_into_user

    path = merge_into_user(yaml.safe_load(cloud.kubeconfig_path.read_text()), switch=switch)
    return f", context {cloud.context!r} in {path}"


@main.command()
@cloud_options
@click.option("--purge", is_flag=True, help="Remove everything: objects, images, volumes, built-image cache.")
@click.option(
    "--grace", "grace_s", type=float, default=5, help="Seconds for containers to end by themselves.  [default: 5]"
)
def down(cloud: Settings | None, purge: bool, grace_s: float) -> None:
    """Stop the cloud and its containers.  Its state stays, unless --purge."""
    from coracle.node import process, sweep
    from coracle.node.kubeconfig import remove_from_user

    need_root("stopping a cloud")
    if cloud is None:
        click.echo("nothing to do: there is no such cloud", err=True)
        return
    was_running = process.stop(cloud.root)
    ended = sweep.sweep(cloud, grace_s)
    remove_from_user(cloud.context)
    if purge:
        sweep.purge(cloud)
    said = "stopped" if was_running else "was not running"
    click.echo(
        f"cloud {cloud.name!r} {said}; {ended} containers ended{', everything removed' if purge else ''}", err=True
    )


@main.command()
@cloud_options
@output_option
def status(cloud: Settings | None, output: str) -> None:
    """What runs.  Exit code 3 when the cloud does not."""
    from coracle.cli.client import Client

    facts = Client(known(cloud)).call("GET", "/status")
    if output == "json":
        print_json(facts)
        return
    shown = {**facts, "memory": human_bytes(facts["memory_bytes"]), "up since": human_age(facts["uptime_s"])}
    for hidden in ("memory_bytes", "uptime_s"):
        del shown[hidden]
    click.echo("\n".join(f"{name + ':':<14}{value}" for name, value in shown.items()))


@main.command()
@cloud_options
def env(cloud: Settings | None) -> None:
    """Print what lets clients find the cloud, for `eval "$(coracle env)"`."""
    cloud = known(cloud)
    click.echo(f"export KUBECONFIG={cloud.kubeconfig_path}")
    click.echo(f"export DOCKER_HOST=unix://{cloud.docker_socket_path}")
    click.echo("export DOCKER_BUILDKIT=0")  # Compose v2 and buildx would start a builder of their own


@main.command()
@cloud_options
@click.option("-f", "--follow", is_flag=True, help="Go on with what is logged from now on.")
@click.option("-n", "--lines", type=int, default=200, help="How many lines from the end.  [default: 200]")
def logs(cloud: Settings | None, follow: bool, lines: int) -> None:
    """The daemon's log."""
    path = known(cloud).log_path
    if not path.exists():
        raise Failure(f"there is no log yet in {path}")
    words = ["tail", f"--lines={lines}", *(["--follow=name", "--retry"] if follow else []), str(path)]
    os.execvp("tail", words)  # noqa: S606 - tail follows files better than we would


@main.command()
@cloud_options
@output_option
@click.option("--fix", is_flag=True, help="Remove leftovers of clouds that are not running.")
def doctor(cloud: Settings | None, output: str, fix: bool) -> None:
    """Check this machine: kernel, cgroups, packages, limits, leftovers.  The exit code counts what failed."""
    from coracle.node.doctor import examine

    found = examine(fix=fix)
    if output == "json":
        print_json([finding.to_json() for finding in found])
    else:
        rows = [(f.state, f.check, f.detail if f.state == "ok" else f"{f.detail}; mend: {f.mend}") for f in found]
        click.echo(render_table(("STATE", "CHECK", "DETAIL"), rows))
    sys.exit(min(sum(finding.state == "fail" for finding in found), 100))


@main.command()
@output_option
def version(output: str) -> None:
    """Our version, and those of what we stand on."""
    from coracle.node.versions import versions

    found = versions()
    if output == "json":
        print_json(found)
    else:
        click.echo("\n".join(f"{name:<12}{number}" for name, number in found.items()))


@main.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print shell completion: `source <(coracle completion bash)`."""
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    assert found is not None  # noqa: S101 - the choices are click's own
    click.echo(found(main, {}, "coracle", "_CORACLE_COMPLETE").source())


main.add_command(compose)
main.add_command(images)
main.add_command(kubelet)
