"""Packages the chart: what changed, and the image that it installs, are written into a copy of it."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from deploy.generate import CHART
from tools.cluster.binaries import binary
from tools.cluster.folders import REPOSITORY
from tools.release.artefacts import Image

_SECTION = re.compile(r"^## \[(.+?)\].*?\n(.*?)(?=^## \[|\Z)", re.MULTILINE | re.DOTALL)
_KIND = re.compile(r"^### (\w+)\n(.*?)(?=^### |\Z)", re.MULTILINE | re.DOTALL)
_ENTRY = re.compile(r"^- (.*?)(?=^- |\Z)", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[([^\]]+)\]\([^)]+\)")


def changes(changelog: str, version: str) -> list[dict[str, str]]:
    """What a version changes, as Artifact Hub shows it: kind and description, links without their targets.

    A version without a section of its own is the next one: what is unreleased.
    """
    sections = dict(_SECTION.findall(changelog))
    section = sections.get(version) or sections.get("Unreleased", "")
    return [
        {"kind": kind.lower(), "description": _LINK.sub(r"\1", " ".join(entry.split()))}
        for kind, entries in _KIND.findall(section)
        for entry in _ENTRY.findall(entries)
    ]


def with_image(values: str, image: Image) -> str:
    """values.yaml with another image, its comments kept.

    Raises ValueError where it names the image in another way than expected.
    """
    for key, now, then in (
        ("repository", re.escape(Image().repository), image.repository),
        ("digest", '""', f'"{image.digest}"'),
    ):
        values, count = re.subn(rf"^(  {key}: ){now}$", rf"\g<1>{then}", values, flags=re.MULTILINE)
        if count != 1:
            raise ValueError(f"values.yaml has {count} places that name the image's {key}, not one")
    return values


def with_annotations(chart: str, **annotations: str) -> str:
    """Chart.yaml with more annotations of Artifact Hub; they are its last part."""
    added = yaml.safe_dump({f"artifacthub.io/{name}": text for name, text in annotations.items()}, width=1000)
    return chart + "".join(f"  {line}\n" for line in added.splitlines())


@contextmanager
def staged(image: Image, version: str, moment: int) -> Iterator[Path]:
    """A copy of the chart that installs this image; every file has the one time."""
    with tempfile.TemporaryDirectory() as temporary:
        chart = Path(temporary) / CHART.name
        shutil.copytree(CHART, chart)
        values, described = chart / "values.yaml", chart / "Chart.yaml"
        values.write_text(with_image(values.read_text(), image))
        changed = changes((REPOSITORY / "CHANGELOG.md").read_text(), version)
        name = f"{image.repository}@{image.digest}" if image.digest else f"{image.repository}:{version}"
        described.write_text(
            with_annotations(
                described.read_text(),
                changes=yaml.safe_dump(changed, sort_keys=False, width=1000),
                images=yaml.safe_dump([{"name": CHART.name, "image": name}], sort_keys=False),
            )
        )
        for path in chart.rglob("*"):
            os.utime(path, (moment, moment))
            path.chmod(0o755 if path.is_dir() else 0o644)
        yield chart


def package(chart: Path, to: Path, moment: int) -> None:
    """Packages a staged chart with helm; the archive has the one time, too."""
    with tempfile.TemporaryDirectory(dir=to.parent) as temporary:
        subprocess.run(
            [binary("helm"), "package", chart, f"--destination={temporary}"],
            check=True,
            stdout=subprocess.DEVNULL,
            timeout=60,
        )
        (packaged,) = Path(temporary).iterdir()
        os.utime(packaged, (moment, moment))
        packaged.replace(to)
