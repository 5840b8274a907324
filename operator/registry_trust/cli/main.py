"""The command `registry-trust` and its subcommands; each imports what it needs when it runs.

docs/commands.md has a table of all options and exit codes, which a test compares with the help.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path

import click

from registry_trust import __version__
from registry_trust.cli.ending import EXIT_CODES, Program
from registry_trust.cli.importing.command import import_command
from registry_trust.cli.linting.command import lint_command
from registry_trust.cli.options import (
    LAYOUTS,
    address,
    byte_count,
    duration,
    files_of,
    labels_of,
    takes_kubeconfig,
    takes_manifests,
    takes_wait,
)


@click.group(
    cls=Program,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog=EXIT_CODES,
)
@click.version_option(__version__, prog_name="registry-trust")
def main() -> None:
    """Make container runtimes trust private registries, on every node and without restarts."""


@main.command(short_help="Show the files that a node would get.", epilog=EXIT_CODES)
@takes_manifests
@click.option("--layout", "layouts", multiple=True, type=click.Choice(LAYOUTS), help="Only this layout. Repeatable.")
@click.option(
    "-o",
    "--output",
    type=click.Choice(["tree", "json", "yaml"]),
    default="tree",
    show_default=True,
    help="json and yaml have the files' text too, except for private keys.",
)
def render(
    *,
    files: tuple[str, ...],
    filenames: tuple[str, ...],
    labels: tuple[str, ...],
    namespace: str,
    layouts: tuple[str, ...],
    output: str,
) -> None:
    """Show the files that a node would get from manifests, without a cluster.

    FILES are files or directories of YAML or JSON with RegistryTrusts and the Secrets and ConfigMaps that they name.
    A trust that is refused is reported on standard error, and the exit code is 1.
    """
    from registry_trust.cli.render import render_manifests
    from registry_trust.core.layout import Layout

    chosen = [Layout(layout) for layout in layouts or LAYOUTS]
    raise SystemExit(render_manifests(files_of(files, filenames), chosen, labels_of(labels), namespace, output))


@main.command(short_help="Write the files once, on a host outside a cluster.", epilog=EXIT_CODES)
@takes_manifests
@click.option(
    "--root",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="The runtime's certs.d directory, such as /etc/docker/certs.d; it is created if it is missing.",
)
@click.option(
    "--layout",
    type=click.Choice(LAYOUTS),
    help="How the runtime reads it; not needed if --root ends like a usual place, such as containerd/certs.d.",
)
@click.option("--prune", is_flag=True, help="Also remove the files of trusts that FILES do not give this node now.")
@click.option("--dry-run", is_flag=True, help="Change nothing; show what would be done.")
@click.option("--remove", is_flag=True, help="Remove everything that registry-trust wrote below the root; no FILES.")
@click.option("-o", "--output", type=click.Choice(["text", "json", "yaml"]), default="text", show_default=True)
def apply(
    *,
    files: tuple[str, ...],
    filenames: tuple[str, ...],
    labels: tuple[str, ...],
    namespace: str,
    root: Path,
    layout: str | None,
    prune: bool,
    dry_run: bool,
    remove: bool,
    output: str,
) -> None:
    """Write the files once on a host that is not (yet) in a cluster.

    FILES are as for render. If anything is refused, nothing is written. Files of trusts that FILES do not give this
    node stay and are named, unless --prune is given. The store is the node agent's: an agent that starts there later
    takes the files over.
    """
    from registry_trust.cli.host import apply_manifests, layout_of, remove_everything
    from registry_trust.core.layout import Layout

    if remove and (files or filenames or prune):
        raise click.UsageError("--remove removes everything: give it without FILES and --prune")
    read_as = Layout(layout) if layout else layout_of(root)
    if remove:
        raise SystemExit(remove_everything(root, read_as or Layout.DOCKER, dry_run=dry_run, output=output))
    if read_as is None:
        raise click.UsageError(f"what reads {str(root)!r} is not clear from its name; add --layout {'|'.join(LAYOUTS)}")
    code = apply_manifests(
        files_of(files, filenames),
        root,
        read_as,
        labels_of(labels),
        namespace,
        prune=prune,
        dry_run=dry_run,
        output=output,
    )
    raise SystemExit(code)


main.add_command(import_command)
main.add_command(lint_command)


@main.command(name="operator", short_help="Run the operator.", epilog=EXIT_CODES)
@click.option("-n", "--namespace", default="", help="The operator's namespace.  [default: its pod's]")
@click.option("--trust-namespace", default="registry-certificates", show_default=True, help="Namespace of the sources.")
@takes_kubeconfig
@click.option("--listen", default="0.0.0.0:8080", show_default=True, help="HOST:PORT of metrics and health.")
@click.option(
    "--log-format",
    type=click.Choice(["json", "text"]),
    default="json",
    show_default=True,
    help="Lines of text or JSON.",
)
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="info",
    show_default=True,
    help="Log this level and what is more serious; libraries log from warning on.",
)
@click.option(
    "--leader-election/--no-leader-election",
    default=True,
    show_default=True,
    help="Lead only while holding the Lease, or always.",
)
@click.option(
    "--expiry-warning",
    default="720h",
    show_default=True,
    metavar="DURATION",
    help="Report a certificate as Expiring this long before it expires, or in the last fifth of its lifetime if that "
    "is shorter.",
)
@click.option(
    "--trust-limit",
    default="320Ki",
    show_default=True,
    metavar="BYTES",
    help="Refuse content of one trust that takes more of the bundle: bytes, or a number with Ki.",
)
@click.option(
    "--remove-startup-taint",
    is_flag=True,
    help="Remove the taint registrytrust.io/not-ready from each node once all that its trusts ask for is there.",
)
@click.option(
    "--verify-registries",
    is_flag=True,
    help="Let some nodes ask each trust's registries whether a pull would work, for the condition Verified.",
)
def operator_command(
    *,
    namespace: str,
    trust_namespace: str,
    kubeconfig: str,
    listen: str,
    log_format: str,
    log_level: str,
    leader_election: bool,
    expiry_warning: str,
    trust_limit: str,
    remove_startup_taint: bool,
    verify_registries: bool,
) -> None:
    """Run the operator: compile every RegistryTrust and its sources into the bundle, and report status."""
    import asyncio

    from registry_trust.cli.cluster_access import checked, chosen
    from registry_trust.controller.connection import in_cluster_namespace
    from registry_trust.controller.run import OperatorProcess
    from registry_trust.controller.settings import OperatorSettings
    from registry_trust.process.logs import set_up
    from registry_trust.process.secrecy import keep_memory_private

    keep_memory_private()
    set_up(log_format, log_level)
    own = namespace or in_cluster_namespace()
    if not own:
        raise click.UsageError("--namespace is needed outside a pod: name the namespace of the bundle and the Lease")
    settings = OperatorSettings(
        namespace=own,
        trust_namespace=trust_namespace,
        identity=f"{os.environ.get('HOSTNAME') or socket.gethostname()}-{os.getpid()}",
        kubeconfig=chosen(kubeconfig),
        listen=address(listen),
        leader_election=leader_election,
        expiry_warning=duration(expiry_warning, "--expiry-warning"),
        trust_limit=byte_count(trust_limit, "--trust-limit"),
        startup_taint=remove_startup_taint,
        verification=verify_registries,
    )
    checked(settings.kubeconfig)

    async def run() -> None:
        # asyncio primitives belong to the loop that runs them: the process is made inside it.
        await OperatorProcess(settings).run()

    asyncio.run(run())


@main.command(
    context_settings={"ignore_unknown_options": True, "help_option_names": []},
    add_help_option=False,
    name="agent",
    short_help="Run the node agent.",
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def agent_command(arguments: tuple[str, ...]) -> None:
    """Run the node agent; the same as `python3 -I -m registry_trust.agent`, which loads the standard library alone."""
    from registry_trust.agent.__main__ import main as agent_main

    raise SystemExit(agent_main(list(arguments)))


@main.command(
    context_settings={"ignore_unknown_options": True, "help_option_names": []},
    add_help_option=False,
    name="doctor",
    short_help="Explain one node: what its runtime reads, and the one thing to do.",
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def doctor_command(arguments: tuple[str, ...]) -> None:
    """Explain one node; the same as `python3 -I -m registry_trust.doctor`, which loads the standard library alone."""
    from registry_trust.doctor.command import main as doctor_main

    raise SystemExit(doctor_main(list(arguments)))


@main.command(short_help="Print the CustomResourceDefinitions.", epilog=EXIT_CODES)
@click.option(
    "--output-directory",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write one file for each CRD here, instead of standard output.",
)
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


@main.command(short_help="Say whether the installation works.", epilog=EXIT_CODES)
@click.option("-n", "--namespace", required=True, help="The operator's namespace.")
@takes_kubeconfig
@takes_wait(60, "Seconds to wait until it does.")
def check(namespace: str, kubeconfig: str, wait_seconds: int) -> None:
    """Say whether an operator is ready, and on every node that gets one an agent that has reported.

    `helm test` runs this in a pod. It changes nothing.
    """
    from registry_trust.cli.check import check_installation
    from registry_trust.cli.cluster_access import checked, chosen

    raise SystemExit(check_installation(checked(chosen(kubeconfig)), namespace, wait_seconds))


@main.command(short_help="Have every agent remove its files, to uninstall.", epilog=EXIT_CODES)
@click.option("-n", "--namespace", required=True, help="The operator's namespace.")
@takes_kubeconfig
@takes_wait(300, "Seconds to wait for the agents.")
def withdraw(namespace: str, kubeconfig: str, wait_seconds: int) -> None:
    """Ask every agent to remove the files that it wrote, and wait until all have reported that they did.

    This is for uninstallation. Scale the operator to zero first; otherwise it will write the bundle again.
    """
    from registry_trust.cli.cluster_access import checked, chosen
    from registry_trust.cli.withdraw import withdraw_everything

    raise SystemExit(withdraw_everything(checked(chosen(kubeconfig)), namespace, wait_seconds))
