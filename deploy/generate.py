"""Writes what follows from the models and the chart: its CRD templates, Chart.yaml and deploy/registry-trust.yaml.

Command line: `python -m deploy.generate [--check]`; with --check nothing is written, and a difference is exit code 1.
"""
# ruff: noqa: INP001 - a folder of manifests is no package; `-m` from the repository's root finds this module

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from deploy.chart_metadata import with_metadata
from registry_trust.api.crd import render_chart_templates
from tools.cluster.binaries import binary

ROOT = Path(__file__).resolve().parents[1]
CHART = ROOT / "charts" / "registry-trust"
TEMPLATES = CHART / "templates"
MANIFEST = ROOT / "deploy" / "registry-trust.yaml"
NAMESPACE = "registry-trust"
TRUST_NAMESPACE = "registry-certificates"

HEADER = """\
# Everything of registry-trust: its pods and the bundle in the namespace registry-trust, your sources in the namespace
# registry-certificates. Generated from charts/registry-trust by `make generate`; edit the chart instead.
#
#   kubectl apply --server-side -f deploy/registry-trust.yaml
"""
NOT_PUBLISHED = """\
#
# The image named here is not published anywhere: build it and load it into the nodes, as docs/install.md shows.
"""

_OF_HELM = re.compile(r"^ +(helm\.sh/chart: .*|app\.kubernetes\.io/managed-by: Helm)\n", re.MULTILINE)
"""Labels that say that Helm manages an object, which is not so for one that kubectl applied."""
_SOURCE = re.compile(r"^# Source: .*\n", re.MULTILINE)


def expected_files() -> dict[Path, str]:
    """Return the text of every generated file, by its path.

    Raises:
        subprocess.CalledProcessError: helm refuses the chart; its words are on standard error.
    """
    return {**_chart_files(), MANIFEST: render_manifest(CHART)}


def _chart_files() -> dict[Path, str]:
    described = CHART / "Chart.yaml"
    crds = {TEMPLATES / name: text for name, text in render_chart_templates().items()}
    return {**crds, described: with_metadata(described.read_text())}


def render_manifest(chart: Path, *, published: bool = False) -> str:
    """Return all objects of a chart as kubectl applies them; a published image needs no word on how to build it.

    Raises:
        subprocess.CalledProcessError: helm refuses the chart; its words are on standard error.
    """
    rendered = subprocess.run(
        [
            binary("helm"),
            "template",
            "registry-trust",
            chart,
            f"--namespace={NAMESPACE}",
            "--set=namespace.create=true",
            "--skip-tests",
        ],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=60,
    ).stdout
    documents = [part.strip("\n") for part in re.split(r"^---\n", rendered, flags=re.MULTILINE)]
    bodies = [_OF_HELM.sub("", _SOURCE.sub("", f"{part}\n")) for part in documents if part]
    return HEADER + NOT_PUBLISHED * (not published) + "".join(f"---\n{body}" for body in bodies)


def _write(path: Path, text: str) -> None:
    """Replace the file at once, so that a reader never sees half of it."""
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=".generated-", delete=False) as file:
        file.write(text)
    Path(file.name).chmod(0o644)
    Path(file.name).replace(path)


def main(arguments: list[str]) -> int:
    """Write the files, or only compare them."""
    check = arguments == ["--check"]
    if arguments and not check:
        sys.stderr.write(str(__doc__))
        return 2
    if not check:
        # The chart comes first: the manifest is rendered from it.
        for path, text in _chart_files().items():
            _write(path, text)
    expected = expected_files()
    stale = [path for path, text in expected.items() if not path.is_file() or path.read_text() != text]
    for path in stale if not check else ():
        _write(path, expected[path])
    for path in stale:
        sys.stdout.write(f"{'stale' if check else 'wrote'} {path.relative_to(ROOT)}\n")
    if check and stale:
        sys.stderr.write("run `make generate` and commit what it writes\n")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
