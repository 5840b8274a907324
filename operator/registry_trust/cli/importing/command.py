"""The subcommand `import`: its arguments, options and help; everything else is imported when it runs."""

from __future__ import annotations

from pathlib import Path

import click

from registry_trust.cli.ending import EXIT_CODES
from registry_trust.cli.options import LAYOUTS, sha256


@click.command(name="import", short_help="Make trusts from what nodes have today.", epilog=EXIT_CODES)
@click.argument("paths", nargs=-1, metavar="[PATHS]...")
@click.option(
    "--from-registry",
    "registry",
    default="",
    metavar="HOST[:PORT]",
    help="Connect to this registry and show its certificates. One of them is imported after you confirm its "
    "fingerprint, at the terminal or by --fingerprint.",
)
@click.option(
    "--fingerprint",
    default="",
    metavar="sha256:HEX",
    help="With --from-registry: import the certificate that has this fingerprint, and ask nothing.",
)
@click.option(
    "--layout",
    type=click.Choice(LAYOUTS),
    help="Which runtime reads a directory.  [default: told by its path and by what is in it]",
)
@click.option(
    "--node-root",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    default="/",
    show_default=True,
    help="Where the node's file system is mounted, or was copied to: PATHS, and the paths inside files, begin there.",
)
@click.option(
    "--existing-files-policy",
    "policy",
    type=click.Choice(["Refuse", "Replace"]),
    help="Write this policy into the trusts. Replace: agents put the present files aside, in one step.",
)
@click.option(
    "-n",
    "--namespace",
    "--trust-namespace",
    "namespace",
    default="registry-certificates",
    show_default=True,
    help="The trust namespace, for the Secrets and ConfigMaps.",
)
@click.option(
    "--output-directory",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write one file for each kind of object here, instead of standard output. Only you can read the Secrets.",
)
@click.option(
    "--with-private-keys",
    is_flag=True,
    help="Print Secrets with private keys to standard output, where a terminal or a log may keep them.",
)
def import_command(
    *,
    paths: tuple[str, ...],
    registry: str,
    fingerprint: str,
    layout: str | None,
    node_root: Path,
    policy: str | None,
    namespace: str,
    output_directory: Path | None,
    with_private_keys: bool,
) -> None:
    """Make RegistryTrusts, ConfigMaps and Secrets that give nodes the trust that they have today.

    PATHS are certs.d directories of any layout, hosts.toml files, registries.yaml of k3s or RKE2, or a manifest with
    OpenShift's additionalTrustedCA ConfigMap (- for standard input). Nothing on the node and in the cluster is changed:
    read the objects, then apply them.

    What can't be imported is reported on standard error as `not imported`, and the exit code is 1; the rest is still
    written. Mirrors, credentials and other settings that are not certificates are reported as `not carried`.

    A private key is printed only with --with-private-keys. Otherwise use --output-directory, whose Secrets only you
    can read.
    """
    from registry_trust.cli.importing.run import Asked, run_import
    from registry_trust.core.layout import Layout
    from registry_trust.core.trust import ExistingFilesPolicy

    if not paths and not registry:
        raise click.UsageError("name directories or files to import, or a registry with --from-registry")
    if fingerprint and not registry:
        raise click.UsageError("--fingerprint belongs to --from-registry")
    if output_directory is not None and with_private_keys:
        raise click.UsageError("give either --output-directory or --with-private-keys")
    root = node_root.absolute()
    begin = Path("/") if root != Path("/") else Path.cwd()
    asked = Asked(
        paths=tuple(path if path == "-" else str(begin / path) for path in paths),
        node_root=str(root),
        layout=Layout(layout) if layout else None,
        registry=registry,
        fingerprint=sha256(fingerprint, "--fingerprint") if fingerprint else "",
        namespace=namespace,
        policy=ExistingFilesPolicy(policy) if policy else None,
    )
    raise SystemExit(run_import(asked, output_directory, with_private_keys=with_private_keys))
