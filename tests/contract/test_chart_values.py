"""The chart's values: the schema refuses what does not exist, and the papers list what does."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from deploy.generate import CHART, ROOT
from tests.contract.rendering import ALL_VALUES, Body, refused
from tools.cluster.binaries import binary
from tools.reference.values import leaves

pytestmark = pytest.mark.tools("helm")


def read(path: Path) -> Body:
    body: Body = yaml.safe_load(path.read_text())
    return body


SCHEMA = json.loads((CHART / "values.schema.json").read_text())
VALUES = read(CHART / "values.yaml")


@pytest.mark.parametrize(
    "place", ["nonsense", *(f"{key}.nonsense" for key in VALUES if "properties" in SCHEMA["properties"][key])]
)
def test_a_value_that_does_not_exist_is_refused(place):
    assert "additional properties 'nonsense' not allowed" in refused("--set", f"{place}=1")


@pytest.mark.parametrize(
    "setting",
    [
        "image.tag=latest",
        "image.digest=sha256:1",
        "agent.extraRoots={relative}",
        "agent.roots={/etc/x/}",
        "logFormat=xml",
        "operator.expiryWarning=30d",
    ],
)
def test_a_value_that_makes_no_sense_is_refused(setting):
    assert "values don't meet the specifications of the schema" in refused("--set", setting)


def test_the_maximal_values_set_every_value_to_something_else():
    ours, defaults = read(ALL_VALUES), VALUES
    names = {name for name, _, _ in leaves(defaults, SCHEMA)}

    assert {name for name, _, _ in leaves(ours, SCHEMA)} == names
    for name in names:
        mine, default = ours, defaults
        for part in name.split("."):
            mine, default = mine[part], default[part]
        assert mine != default, name


def test_the_values_in_the_installation_guide_are_taken():
    blocks = re.findall(
        r"^```yaml\n# values: [^\n]*\n(.*?)^```", (ROOT / "docs" / "install.md").read_text(), re.MULTILINE | re.DOTALL
    )

    assert len(blocks) >= 3
    for block in blocks:
        done = subprocess.run(
            [binary("helm"), "template", "release", CHART, "--values=-"],
            input=block,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, f"{block}{done.stderr}"
