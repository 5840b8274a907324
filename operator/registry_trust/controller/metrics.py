"""The operator's metrics, and their page."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping

from prometheus_client import REGISTRY, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.registry import Collector

from registry_trust import __version__
from registry_trust.core.bundle import SIZE_LIMIT
from registry_trust.process.pages import Page

COMPILATIONS = Counter("registry_trust_compilations_total", "Compilations of all trusts into a bundle.")
COMPILE_SECONDS = Histogram("registry_trust_compile_seconds", "Time of one compilation.")
BUNDLE_WRITES = Counter("registry_trust_bundle_writes_total", "Writes of the bundle.", ["result"])
BUNDLE_SERIAL = Gauge("registry_trust_bundle_serial", "Serial of the bundle that was written last.")
BUNDLE_BYTES = Gauge("registry_trust_bundle_bytes", "Bytes of the bundle's data, names included.")
BUNDLE_LIMIT = Gauge("registry_trust_bundle_limit_bytes", "Bytes that the bundle's data may have.")
BUNDLE_LIMIT.set(SIZE_LIMIT)
STATUS_WRITES = Counter("registry_trust_status_writes_total", "Writes of a trust's status.", ["result"])
TRUSTS = Gauge("registry_trust_trusts", "Trusts by whether they are accepted.", ["accepted"])
_BUCKETS = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300)
WRITTEN_SECONDS = Histogram(
    "registry_trust_source_to_bundle_seconds",
    "Time from the event of a changed trust or source to its bundle's write.",
    buckets=_BUCKETS,
)
REPORTED_SECONDS = Histogram(
    "registry_trust_source_to_nodes_seconds",
    "Time from the event of a changed trust or source to the report of the last selected node with a live agent.",
    buckets=_BUCKETS,
)
SERIAL_LAG = Gauge(
    "registry_trust_bundle_serial_lag",
    "By how many writes of the bundle the slowest reachable node with a live agent is behind.",
)
REMOVALS_HELD = Gauge("registry_trust_removals_held", "Removed trusts that the mass-removal guard still serves.")
HISTORY_LOST = Gauge(
    "registry_trust_history_lost", "1 while nodes keep all that they have because the operator's history was lost."
)
BUILD_INFO = Gauge(
    "registry_trust_build_info", "1, with the version of the operator and of Python.", ["version", "python"]
)
BUILD_INFO.labels(__version__, platform.python_version()).set(1)
LEADING = Gauge("registry_trust_leading", "1 in the operator that leads, 0 in those on standby.")
AGENTS_MISSING = Gauge(
    "registry_trust_agents_missing", "Ready nodes that are to have an agent and on which none is ready."
)
STARTUP_TAINTS = Gauge("registry_trust_startup_taints", "Nodes that joined with the startup taint and still have it.")
STARTUP_TAINT_OLDEST = Gauge(
    "registry_trust_startup_taint_oldest_seconds",
    "Seconds for which a node with the startup taint has been waiting, at most.",
)
DRIFT_REPORTS = Counter(
    "registry_trust_drift_reports_total", "Reports in which a node said that it had repaired more than before."
)
WATCH_RESTARTS = Counter(
    "registry_trust_watch_restarts_total", "Times that kopf's watches ended and were started again."
)
LOOP_FAILURES = Counter(
    "registry_trust_loop_failures_total", "Passes of the loop that failed because of the API server."
)
LOOP_SECONDS = Gauge("registry_trust_loop_last_pass_timestamp_seconds", "When the loop ended its last pass.")


class TrustsCollector(Collector):
    """What is shown of each trust: nodes and certificates by state, and the ends of its certificates.

    Collected from what `show` was last told, so that a trust or a certificate that is gone is gone here too.
    """

    def __init__(self) -> None:
        self._nodes: dict[str, Mapping[str, int]] = {}
        self._certificates: dict[str, Mapping[str, int]] = {}
        self._verdicts: dict[str, Mapping[str, int]] = {}
        self._rollouts: dict[str, Mapping[str, int]] = {}
        self._ends: dict[str, tuple[tuple[str, str, float], ...]] = {}

    def show(
        self,
        trust: str,
        nodes: Mapping[str, int],
        certificates: Mapping[str, int],
        verdicts: Mapping[str, int],
        ends: tuple[tuple[str, str, float], ...],
        rollout: str = "",
    ) -> None:
        """Take nodes, certificates and verdicts by state, and kind, SHA-256 and end (Unix time) of what is shown.

        `rollout` is why new content is not on all nodes; empty if it is.
        """
        self._nodes[trust] = nodes
        self._certificates[trust] = certificates
        self._verdicts[trust] = verdicts
        self._ends[trust] = ends
        self._rollouts[trust] = {rollout: 1} if rollout else {}

    def forget_all_but(self, trusts: set[str]) -> None:
        """Drop the trusts that are gone."""
        for name in self._nodes.keys() - trusts:
            for shown in (self._nodes, self._certificates, self._verdicts, self._ends, self._rollouts):
                shown.pop(name, None)

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Return the metrics as they are now."""
        nodes = GaugeMetricFamily("registry_trust_nodes", "Nodes by state for each trust.", labels=["trust", "state"])
        certificates = GaugeMetricFamily(
            "registry_trust_certificates",
            "Served certificates by state for each trust; a CA certificate that is only retained does not count.",
            labels=["trust", "state"],
        )
        verdicts = GaugeMetricFamily(
            "registry_trust_verdicts",
            "Nodes that asked a trust's registries if a pull would work, by what they found.",
            labels=["trust", "state"],
        )
        rollouts = GaugeMetricFamily(
            "registry_trust_rollouts",
            "1 for a trust whose new content is not on all nodes, by why: its canaries, or that one of them failed.",
            labels=["trust", "reason"],
        )
        shown_of = (
            *((nodes, self._nodes), (certificates, self._certificates)),
            *((verdicts, self._verdicts), (rollouts, self._rollouts)),
        )
        for family, shown in shown_of:
            for trust, counts in list(shown.items()):
                for state, count in counts.items():
                    family.add_metric([trust, state], count)
        expiry = GaugeMetricFamily(
            "registry_trust_certificate_not_after_timestamp_seconds",
            f"End of a served certificate, in Unix time; at most {MOST_CERTIFICATES} of a trust, the first to expire.",
            labels=["trust", "kind", "sha256"],
        )
        for trust, ends in list(self._ends.items()):
            for kind, digest, end in ends:
                expiry.add_metric([trust, kind, digest], end)
        return (nodes, certificates, verdicts, rollouts, expiry)


MOST_CERTIFICATES = 8
"""Certificates of one trust that have a metric of their own: a bundle of public roots must not be 140 series."""

EACH_TRUST = TrustsCollector()
REGISTRY.register(EACH_TRUST)


def page() -> Page:
    """Return the page for Prometheus (text format 0.0.4)."""
    return Page(generate_latest(REGISTRY), content_type=CONTENT_TYPE_PLAIN_0_0_4)
