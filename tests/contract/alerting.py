"""The chart's rules and dashboard over pages of metrics, evaluated by Prometheus' own engine."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from deploy.generate import CHART
from tools.cluster.binaries import binary

ALERTS = CHART / "files" / "alerts.yaml"
DASHBOARD = CHART / "files" / "dashboard.json"
EVERY = 60
"""Seconds between two scrapes."""


@dataclass(frozen=True)
class Target:
    """A pod that is scraped: its labels, and its page (None: it is down) from a number of seconds on."""

    labels: Mapping[str, str]
    pages: tuple[tuple[int, str | None], ...]


def target(pod: str, *pages: str | None, every: int = EVERY) -> Target:
    """Return a pod with the labels that the PodMonitor gives it, and its pages, each `every` seconds later."""
    labels = {"namespace": "registry-trust", "pod": pod, "node": f"node-of-{pod}", "container": pod.partition("-")[0]}
    return Target(labels, tuple((number * every, page) for number, page in enumerate(pages)))


@dataclass(frozen=True)
class Evaluated:
    """The alerts that fire at the end, and the series that each query finds then."""

    firing: tuple[dict[str, Any], ...]
    found: Mapping[str, Sequence[Mapping[str, str]]]

    @property
    def names(self) -> set[str]:
        """Return the names of the alerts that fire."""
        return {alert["name"] for alert in self.firing}


def evaluate(targets: Sequence[Target], start: float, until: int, queries: Sequence[str] = ()) -> Evaluated:
    """Scrape targets from `start` (Unix time) for `until` seconds, and evaluate rules and queries.

    Raises:
        AssertionError: Prometheus refuses a page, a rule or a query.
    """
    given = {
        "rules": ALERTS.read_text(),
        "start": start,
        "every": EVERY,
        "until": until,
        "targets": [
            {"labels": dict(each.labels), "pages": [{"from": at, "text": text} for at, text in each.pages]}
            for each in targets
        ],
        "queries": list(queries),
    }
    command = [str(binary("alerts"))]
    done = subprocess.run(command, input=json.dumps(given), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    return Evaluated(tuple(answer["firing"]), {each["query"]: each["series"] for each in answer["queries"]})


def rules() -> dict[str, dict[str, Any]]:
    """Return every rule by its alert's name."""
    groups = yaml.safe_load(ALERTS.read_text())["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


def dashboard_queries() -> list[str]:
    """Return every query of the dashboard, for the namespace registry-trust."""
    panels = json.loads(DASHBOARD.read_text())["panels"]
    return [each["expr"].replace("$namespace", "registry-trust") for panel in panels for each in panel["targets"]]
