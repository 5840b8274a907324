"""The table of metrics in docs/reading-status.md, from the pages that both processes serve."""

from __future__ import annotations

import re
from collections.abc import Iterator

from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.metrics import MetricWrapperBase

from registry_trust.agent.health import Health
from registry_trust.controller import api_server, metrics
from tools.reference.parts import code, table

_HEAD = ("metric", "type", "labels", "shows")
Row = tuple[str, str, tuple[str, ...], str]


def render() -> str:
    """Return the table: the operator's metrics, then the agent's, each by name."""
    rows = [*sorted(operator()), *sorted(agent())]
    return table(_HEAD, [(code(n), kind, ", ".join(map(code, labels)), text) for n, kind, labels, text in rows])


def operator() -> Iterator[Row]:
    """Yield name, type, labels and help of every metric of the operator."""
    for each in (*vars(metrics).values(), *vars(api_server).values()):
        if isinstance(each, (Counter, Gauge, Histogram)):
            yield _own(each)
    shown = metrics.TrustsCollector()
    shown.show("trust", {"state": 1}, {"state": 1}, {"state": 1}, (("kind", "sha256", 0.0),), "reason")
    for family in shown.collect():
        yield family.name, family.type, tuple(family.samples[0].labels), family.documentation


def _own(metric: MetricWrapperBase) -> Row:
    (family,) = metric.describe()
    total = "_total" if family.type == "counter" else ""
    return f"{family.name}{total}", family.type, tuple(metric._labelnames), family.documentation  # noqa: SLF001 - no other


def agent() -> Iterator[Row]:
    """Yield the same of every metric of the agent, read from its page."""
    page = Health(reported=0.0).metrics(0.0)
    help_texts = dict(re.findall(r"^# HELP (\w+) (.*)$", page, re.MULTILINE))
    for name, kind in re.findall(r"^# TYPE (\w+) (\w+)$", page, re.MULTILINE):
        series = re.search(rf"^{name}(?:\{{(.*?)\}})? ", page, re.MULTILINE)
        labels = re.findall(r'(\w+)="', series[1] or "") if series else []
        yield name, kind, tuple(labels), help_texts[name]
