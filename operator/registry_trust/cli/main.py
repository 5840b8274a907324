"""The command `registry-trust` and its subcommands; each imports what it needs when it runs.

Exit codes: 0 done; 1 something was refused or failed, and standard error says what; 2 the command line is wrong;
3 the operator lost its Lease.
"""

from __future__ import annotations

import os
import socket
from datetime import timedelta
from pathlib import Path

import click

from registry_trust import __version__

LAYOUTS = ("docker", "containers", "containerd")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="registry-trust")
def main() -> None:
    """Make container runtimes trust private registries, on every node and with no restart."""


@main.command()
@click.argument("manifests", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@click.option("--layout", "layouts", multiple=True, type=click.Choice(LAYOUTS), help="Only this layout; repeatable.")
@click.option("--label", "labels", multiple=True, metavar="KEY=VALUE", help="A label of the node; repeatable.")
@click.option("--trust-namespace", default="registry-certificates", show_default=True, help="Namespace of the sources.")
@click.option("--directory", type=click.Path(path_type=Path), help="Write the files here, a folder for each layout.")
@click.option("--output", type=click.Choice(["tree", "json"]), default="tree", show_default=True)
def render(
    manifests: tuple[Path, ...],
    layouts: tuple[str, ...],
    labels: tuple[str, ...],
    trust_namespace: str,
    directory: Path | None,
    output: str,
) -> None:
    """Show the files that a node would get from MANIFESTS, without a cluster.

    MANIFESTS are files or folders of YAML with RegistryTrusts and the Secrets and ConfigMaps that they name.
    Exit code 1 where a trust is refused; its messages are on standard error.
    """
    from registry_trust.cli.render import render_manifests

    raise SystemExit(
        render_manifests(
            manifests,
            layouts or LAYOUTS,
            _labels(labels),
            trust_namespace,
            directory,
            as_json=output == "json",
        )
    )


@main.command()
@click.argument("manifests", nargs=-1, type=click.Path(path_type=Path, exists=True))
@click.option("--root", required=True, type=click.Path(path_type=Path), help="The runtime's certs.d folder.")
@click.option("--layout", type=click.Choice(LAYOUTS), default="docker", show_default=True)
@click.option("--label", "labels", multiple=True, metavar="KEY=VALUE", help="A label of the node; repeatable.")
@click.option("--trust-namespace", default="registry-certificates", show_default=True, help="Namespace of the sources.")
@click.option("--remove", is_flag=True, help="Remove everything that registry-trust wrote below the root.")
def apply(
    *, manifests: tuple[Path, ...], root: Path, layout: str, labels: tuple[str, ...], trust_namespace: str, remove: bool
) -> None:
    """Write (or remove) the files once on a host that is in no cluster, or is not yet.

    The same store as the node agent's: an agent that starts there later takes the files over.
    """
    from registry_trust.cli.host import apply_manifests, remove_everything

    if remove == bool(manifests):
        raise click.UsageError("give either MANIFESTS or --remove")
    if remove:
        raise SystemExit(remove_everything(root, layout))
    raise SystemExit(apply_manifests(manifests, root, layout, _labels(labels), trust_namespace))


@main.command(name="operator")
@click.option("--namespace", default="", help="The operator's namespace.  [default: its pod's]")
@click.option("--trust-namespace", default="registry-certificates", show_default=True, help="Namespace of the sources.")
@click.option("--kubeconfig", default="", help="Kubeconfig file.  [default: in-cluster]")
@click.option("--listen", default="0.0.0.0:8080", show_default=True, help="HOST:PORT of metrics and health.")
@click.option("--log-format", type=click.Choice(["text", "json"]), default="json", show_default=True)
@click.option("--leader-election/--no-leader-election", default=True, show_default=True)
@click.option(
    "--expiry-warning",
    default="720h",
    show_default=True,
    metavar="DURATION",
    help="How long before its end a certificate is Expiring, at most; a fifth of its lifetime where that is less.",
)
def operator_command(
    *,
    namespace: str,
    trust_namespace: str,
    kubeconfig: str,
    listen: str,
    log_format: str,
    leader_election: bool,
    expiry_warning: str,
) -> None:
    """Run the operator: compile every RegistryTrust and its sources into the bundle, and tell the truth in status."""
    import asyncio

    from registry_trust.cli.logs import set_up
    from registry_trust.controller.connection import in_cluster_namespace
    from registry_trust.controller.run import OperatorProcess
    from registry_trust.controller.settings import OperatorSettings
    from registry_trust.process.secrecy import keep_memory_private

    keep_memory_private()
    set_up(log_format)
    own = namespace or in_cluster_namespace()
    if not own:
        raise click.UsageError("--namespace is needed outside a cluster")
    settings = OperatorSettings(
        namespace=own,
        trust_namespace=trust_namespace,
        identity=f"{os.environ.get('HOSTNAME') or socket.gethostname()}-{os.getpid()}",
        kubeconfig=kubeconfig,
        listen=_address(listen),
        leader_election=leader_election,
        expiry_warning=_duration(expiry_warning, "--expiry-warning"),
    )

    async def run() -> None:
        # asyncio primitives belong to the loop that runs them: the process is made inside it.
        await OperatorProcess(settings).run()

    asyncio.run(run())


@main.command(
    context_settings={"ignore_unknown_options": True, "help_option_names": []}, add_help_option=False, name="agent"
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def agent_command(arguments: tuple[str, ...]) -> None:
    """Run the node agent; the same as `python3 -I -m registry_trust.agent`, which loads the standard library alone."""
    from registry_trust.agent.__main__ import main as agent_main

    raise SystemExit(agent_main(list(arguments)))


@main.command()
@click.option("--output-directory", type=click.Path(path_type=Path), help="Write one file for each CRD here.")
def crds(output_directory: Path | None) -> None:
    """Print the CustomResourceDefinitions that this version serves."""
    from registry_trust.api.crd import render_crds

    documents = render_crds()
    if output_directory is None:
        click.echo("---\n".join(documents.values()), nl=False)
        return
    output_directory.mkdir(parents=True, exist_ok=True)
    for name, text in documents.items():
        (output_directory / name).write_text(text)
        click.echo(f"wrote {output_directory / name}", err=True)


@main.command()
@click.option("--namespace", required=True, help="The operator's namespace.")
@click.option("--kubeconfig", default="", help="Kubeconfig file.  [default: in-cluster]")
@click.option("--wait", "wait_seconds", default=300, show_default=True, help="Seconds to wait for the agents.")
def withdraw(namespace: str, kubeconfig: str, wait_seconds: int) -> None:
    """Ask every agent to remove the files that it wrote, and wait until all have reported that they did.

    For uninstallation: scale the operator to none first, or it writes the bundle again.
    """
    from registry_trust.cli.withdraw import withdraw_everything

    raise SystemExit(withdraw_everything(namespace, kubeconfig, wait_seconds))


def _labels(texts: tuple[str, ...]) -> dict[str, str]:
    labels: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise click.BadParameter(f"{text!r} is not KEY=VALUE", param_hint="--label")
        labels[key] = value
    return labels


def _duration(text: str, option: str) -> timedelta:
    from registry_trust.core.duration import parse_duration

    try:
        return timedelta(seconds=parse_duration(text))
    except ValueError:
        raise click.BadParameter(f"{text!r} is not a duration, such as 720h or 90m", param_hint=option) from None


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65535:
        raise click.BadParameter(f"{text!r} is not HOST:PORT", param_hint="--listen")
    return host.strip("[]"), int(port)
