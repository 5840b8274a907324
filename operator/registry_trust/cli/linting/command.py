"""The command `registry-trust lint`, as its help describes it."""

from __future__ import annotations

import click

from registry_trust.cli.ending import EXIT_CODES
from registry_trust.cli.options import duration, files_of, takes_files


@click.command(name="lint", short_help="Check manifests as the operator would.", epilog=EXIT_CODES)
@takes_files
@click.option(
    "--images",
    multiple=True,
    metavar="FILE",
    help="Files or directories with pods and workloads: report images of registries that no trust names. Repeatable.",
)
@click.option(
    "--against",
    default="",
    metavar="REVISION|PATH",
    help="FILES as they were: a revision of git, or a file or directory. Report what the change takes from nodes.",
)
@click.option(
    "--expiry-warning",
    default="720h",
    show_default=True,
    metavar="DURATION",
    help="Report a certificate that expires within this time, or in the last fifth of its lifetime if that is shorter.",
)
@click.option("--strict", is_flag=True, help="End with exit code 1 for warnings too.")
@click.option("-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
def lint_command(
    *,
    files: tuple[str, ...],
    filenames: tuple[str, ...],
    namespace: str,
    images: tuple[str, ...],
    against: str,
    expiry_warning: str,
    strict: bool,
    output: str,
) -> None:
    """Check manifests as the operator would, and report file, line and column of everything that it would refuse.

    FILES are files or directories of YAML or JSON with RegistryTrusts and the Secrets and ConfigMaps that they name. A
    Secret or ConfigMap that is not in FILES is not checked, and a note says so. An error ends with exit code 1.
    """
    from registry_trust.cli.linting.run import lint_manifests

    code = lint_manifests(
        files_of(files, filenames),
        namespace,
        images=images,
        against=against,
        warning=duration(expiry_warning, "--expiry-warning"),
        strict=strict,
        output=output,
    )
    raise SystemExit(code)
