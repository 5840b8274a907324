"""What the tests of the chart have in common: rendering it, and finding an object, a pod or a container in it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
import yaml

from deploy.generate import CHART, NAMESPACE
from tools.cluster.binaries import binary

Body = dict[str, Any]

ALL_VALUES = CHART / "ci" / "all-values.yaml"
DEFAULTS, EVERYTHING = (), ("--values", str(ALL_VALUES))
EXTRA_OBJECTS = ("extra-mapping", "extra-text")
"""Those that the maximal values add; they are as they were written."""
OF_TEST = "--show-only=templates/tests/test.yaml"
"""What `helm test` makes, which is not part of an installation."""
BOTH = pytest.mark.parametrize("arguments", [DEFAULTS, EVERYTHING], ids=["defaults", "all values"])


def helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(binary("helm")), "template", "release", str(CHART), f"--namespace={NAMESPACE}", *arguments]
    command += [] if OF_TEST in arguments else ["--skip-tests"]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@cache
def rendered(arguments: tuple[str, ...] = DEFAULTS) -> tuple[Body, ...]:
    done = helm(*arguments)
    assert done.returncode == 0, done.stderr
    return tuple(body for body in yaml.safe_load_all(done.stdout) if body)


def found(kind: str, name: str, arguments: tuple[str, ...] = DEFAULTS) -> Body:
    (body,) = (b for b in rendered(arguments) if b["kind"] == kind and b["metadata"]["name"] == name)
    return body


def pod(kind: str, name: str, arguments: tuple[str, ...] = DEFAULTS) -> Body:
    spec: Body = found(kind, name, arguments)["spec"]["template"]["spec"]
    return spec


def agent(arguments: tuple[str, ...] = DEFAULTS) -> Body:
    (container,) = pod("DaemonSet", "registry-trust-agent", arguments)["containers"]
    return dict(container)


def pods(arguments: tuple[str, ...]) -> Iterator[Body]:
    for body in rendered(arguments):
        if body["kind"] in ("Deployment", "DaemonSet", "Job"):
            yield body["spec"]["template"]


def refused(*arguments: str) -> str:
    done = helm(*arguments)
    assert done.returncode != 0, "helm took it"
    return done.stderr
