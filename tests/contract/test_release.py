"""The packaged chart: links lead somewhere, annotations of Artifact Hub follow their sources, the image is pinned."""

from __future__ import annotations

import re
import subprocess
import tarfile
import tomllib
from pathlib import Path

import pytest
import yaml

from deploy.generate import CHART, MANIFEST, ROOT, render_manifest
from registry_trust import __version__
from registry_trust.api.crd import KINDS
from tests.contract.test_docs import LINK
from tools.cluster.binaries import binary
from tools.release.artefacts import Image
from tools.release.chart import changes, package, staged

pytestmark = pytest.mark.tools("helm")

PINNED = Image("harbor.corp.example:5000/team/registry-trust", f"sha256:{'12' * 32}")
HOME = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]["Homepage"]


@pytest.fixture(scope="module")
def packaged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Package the chart as a release that was pushed does, and unpack it."""
    folder = tmp_path_factory.mktemp("chart")
    with staged(PINNED, __version__, 1_700_000_000) as chart:
        package(chart, folder / "chart.tgz", 1_700_000_000)
    with tarfile.open(folder / "chart.tgz") as tar:
        assert {member.mtime for member in tar} == {1_700_000_000}
        tar.extractall(folder, filter="data")
    return folder / CHART.name


def test_every_link_of_the_packaged_readme_leads_to_a_file_of_the_package_or_of_the_project(packaged):
    readme = (packaged / "README.md").read_text()
    links = LINK.findall(readme)

    assert links
    for link in links:
        target, _, anchor = link.partition("#")
        inside = re.fullmatch(rf"{re.escape(HOME)}/blob/main/(.+)", target)
        page = ROOT / inside[1] if inside else packaged / target
        assert page.is_file(), f"{link} leads nowhere once the chart is packaged"
        headings = {re.sub(r"[^\w -]", "", line.lstrip("# ").lower()).replace(" ", "-") for line in _headings(page)}
        assert not anchor or anchor in headings, link


def _headings(page: Path) -> list[str]:
    return [line for line in page.read_text().splitlines() if line.startswith("#")]


def test_the_packaged_chart_says_what_artifact_hub_asks_for(packaged):
    chart = yaml.safe_load((packaged / "Chart.yaml").read_text())
    said = {name.removeprefix("artifacthub.io/"): yaml.safe_load(text) for name, text in chart["annotations"].items()}

    assert chart["home"] == HOME
    assert chart["sources"] == [HOME]
    assert chart["maintainers"]
    assert chart["icon"].startswith("data:image/svg+xml;base64,")
    assert [(one["kind"], one["name"]) for one in said["crds"]] == [(kind.kind, kind.crd_name) for kind in KINDS]
    assert said["changes"] == changes((ROOT / "CHANGELOG.md").read_text(), __version__)
    assert {one["kind"] for one in said["changes"]} <= {
        *("added", "changed", "deprecated", "removed", "fixed", "security"),
    }
    assert said["images"] == [{"name": "registry-trust", "image": f"{PINNED.repository}@{PINNED.digest}"}]


def test_helm_finds_nothing_wrong_with_the_packaged_chart(packaged):
    done = subprocess.run([binary("helm"), "lint", "--strict", packaged], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr


def test_what_is_packaged_and_the_manifest_differ_from_the_repository_s_by_the_image_alone(packaged):
    now, pinned = MANIFEST.read_text().splitlines(), render_manifest(packaged, published=True).splitlines()
    loaded, pushed = f"localhost/registry-trust:{__version__}", f"{PINNED.repository}@{PINNED.digest}"

    assert [line.replace(pushed, loaded) for line in pinned if not line.startswith("#")] == [
        line for line in now if not line.startswith("#")
    ]
    assert sum(pushed in line for line in pinned) >= 2
    assert "not published" not in "\n".join(pinned)
