"""The pages for Prometheus: everything that is promised is there, well named, and bounded in its labels."""

from __future__ import annotations

import re
import subprocess

import pytest
from prometheus_client import REGISTRY, Counter, Gauge, Histogram, generate_latest

from deploy.generate import ROOT
from registry_trust.agent.health import Health
from registry_trust.compiler.node_standing import NodeState
from registry_trust.controller import api_server, metrics
from registry_trust.core.certificate_state import CertificateState
from registry_trust.core.reasons import Reason
from registry_trust.core.verdict.verdict import State
from tools.cluster.binaries import binary

pytestmark = pytest.mark.tools("metrics-lint")

PROMISED = {
    "registry_trust_certificate_not_after_timestamp_seconds": "expiry per certificate",
    "registry_trust_certificates": "certificates by state",
    "registry_trust_nodes": "nodes by state",
    "registry_trust_bundle_serial_lag": "serial lag",
    "registry_trust_drift_reports_total": "drift repairs, as nodes tell of them",
    "registry_trust_source_to_bundle_seconds_bucket": "time from a source's change to written",
    "registry_trust_source_to_nodes_seconds_bucket": "time from a source's change to reported",
    "registry_trust_api_requests_total": "API requests and errors",
    "registry_trust_loop_failures_total": "loop health",
    "registry_trust_watch_restarts_total": "loop health",
    "registry_trust_loop_last_pass_timestamp_seconds": "loop health",
    "registry_trust_removals_held": "mass removals that are held",
    "registry_trust_history_lost": "the hold after a restore",
    "registry_trust_agent_drift_repairs_total": "drift repairs",
    "registry_trust_agent_bundle_serial": "the serial that the node has",
    "registry_trust_agent_loop_age_seconds": "loop health",
    "registry_trust_agent_failures_total": "threads that met what no code foresaw",
    "registry_trust_agent_report_age_seconds": "whether reports arrive",
}


@pytest.fixture(scope="module")
def pages() -> dict[str, bytes]:
    """Both pages with every series: labelled metrics show nothing before they have counted."""
    for metric in (*vars(metrics).values(), *vars(api_server).values()):
        if isinstance(metric, (Counter, Gauge, Histogram)) and metric._labelnames:
            metric.labels(*("x" for _ in metric._labelnames))
    metrics.EACH_TRUST.show(
        "harbor",
        {state.value: 1 for state in NodeState},
        {state.value: 1 for state in CertificateState},
        {state.value: 1 for state in State},
        (("CA", "aa", 1.8e9), ("Client", "bb", 1.9e9)),
        Reason.ROLLING_OUT,
    )
    try:
        operator = generate_latest(REGISTRY)
    finally:
        metrics.EACH_TRUST.forget_all_but(set())
    health = Health(turned=1.0, ready=True, serial=4, entries={"Current": 2}, repairs=3, reported=2.0)
    return {"operator": operator, "agent": health.metrics(5.0).encode()}


@pytest.mark.parametrize("process", ["operator", "agent"])
def test_the_linter_of_prometheus_has_nothing_to_say_of_a_page_with_every_series(process, pages):
    command = [str(binary("metrics-lint"))]
    done = subprocess.run(command, input=pages[process], capture_output=True, timeout=60, check=False)

    assert (done.returncode, done.stderr) == (0, b""), done.stderr.decode()


@pytest.mark.parametrize("series", PROMISED)
def test_a_series_that_is_promised_is_there(series, pages):
    page = pages["agent" if series.startswith("registry_trust_agent") else "operator"].decode()

    assert re.search(rf"^{series}[{{ ]", page, re.MULTILINE), PROMISED[series]


@pytest.mark.parametrize("series", PROMISED)
def test_a_series_that_is_promised_is_documented(series):
    assert f"`{series.removesuffix('_bucket')}" in (ROOT / "docs" / "reading-status.md").read_text()


@pytest.mark.parametrize(
    ("path", "resource"),
    [
        ("/api/v1/nodes", "nodes"),
        ("/api/v1/namespaces/default/events", "events"),
        ("/api/v1/namespaces/registry-trust/secrets/a-name", "secrets"),
        ("/apis/registrytrust.io/v1alpha1/registrytrusts/a-name/status", "registrytrusts/status"),
        ("/apis/apps/v1/namespaces/registry-trust/daemonsets/a-name", "daemonsets"),
        ("/apis/coordination.k8s.io/v1/namespaces/registry-trust/leases/a-name", "leases"),
        ("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/a-name", "customresourcedefinitions"),
    ],
)
def test_a_request_is_counted_by_the_kind_of_object_and_never_by_its_name(path, resource):
    assert api_server.resource_of(path) == resource
