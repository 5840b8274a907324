"""The alerts fire where they should and nowhere else and lead to their page; the dashboard's queries find series."""

from __future__ import annotations

import json
import re

import pytest
from prometheus_client import REGISTRY, Counter, Gauge, Histogram, generate_latest

from deploy.generate import CHART, ROOT
from registry_trust.agent.health import Health
from registry_trust.compiler.node_standing import NodeState
from registry_trust.controller import api_server, metrics
from registry_trust.core.certificate_state import CertificateState
from registry_trust.core.reasons import Reason
from registry_trust.core.verdict.verdict import State
from tests.contract.alerting import ALERTS, DASHBOARD, EVERY, Target, dashboard_queries, evaluate, rules, target
from tests.contract.rendering import DEFAULTS, found, rendered

pytestmark = pytest.mark.tools("alerts", "helm")

START = 1.8e9
HOUR = 3600
MONITORING = {"PodMonitor", "PrometheusRule"}
KINDS = ("podMonitor", "prometheusRule", "dashboard")
MONITORED = ("--set", ",".join(f"monitoring.{kind}.enabled=true" for kind in KINDS))
SOUND = {"current": 3}


def page(
    gauges: tuple[tuple[Gauge, float], ...] = (),
    *,
    nodes: dict[str, int] | None = None,
    certificates: dict[str, int] | None = None,
    verdicts: dict[str, int] | None = None,
    rollout: str = "",
    leading: bool = True,
    passed: float = START + 10 * HOUR,
) -> str:
    """The page of an operator, made by the operator's own metrics: on `leading`, with a last pass at a Unix time."""
    states = (nodes or SOUND, certificates or {CertificateState.VALID.value: 2})
    names = ([each.value for each in NodeState], [each.value for each in CertificateState])
    nodes_by, certificates_by = (
        {name: given.get(name, 0) for name in known} for given, known in zip(states, names, strict=True)
    )
    metrics.LEADING.set(leading)
    metrics.LOOP_SECONDS.set(passed if leading else 0)
    for gauge, value in gauges:
        gauge.set(value)
    if leading:
        found = verdicts or {State.VERIFIED.value: 3}
        metrics.EACH_TRUST.show(
            "harbor", nodes_by, certificates_by, found, (("CA", "aa", START + 1000 * HOUR),), rollout
        )
    try:
        return generate_latest(REGISTRY).decode()
    finally:
        metrics.EACH_TRUST.forget_all_but(set())
        for gauge in (metrics.LEADING, metrics.LOOP_SECONDS, *(gauge for gauge, _ in gauges)):
            gauge.set(0)


def agent(repairs: int = 0) -> str:
    health = Health(turned=1.0, ready=True, serial=4, entries={"Current": 2}, repairs=repairs, reported=2.0)
    return health.metrics(5.0)


def well(*more: Target) -> list[Target]:
    """An installation without any trouble: a leader, a standby and an agent."""
    return [
        target("operator-1", page()),
        target("operator-2", page(leading=False)),
        target("agent-1", agent()),
        *more,
    ]


def with_operator(shown: str) -> list[Target]:
    return [target("operator-1", shown), *well()[1:]]


def of(kind: CertificateState) -> str:
    return page(certificates={CertificateState.VALID.value: 1, kind.value: 1})


REFUSED = metrics.TRUSTS.labels("false")
TROUBLES: dict[str, list[list[Target]]] = {
    "RegistryTrustCertificateExpiring": [with_operator(of(CertificateState.EXPIRING))],
    "RegistryTrustCertificateExpired": [
        with_operator(of(CertificateState.EXPIRING_SOON)),
        with_operator(of(CertificateState.EXPIRED)),
    ],
    "RegistryTrustRefused": [with_operator(page(((REFUSED, 1),)))],
    "RegistryTrustNodesFailing": [with_operator(page(nodes={"current": 2, "failed": 1}))],
    "RegistryTrustNotDistributed": [with_operator(page(nodes={"current": 2, "pending": 1}))],
    "RegistryTrustPullsWouldFail": [with_operator(page(verdicts={State.VERIFIED.value: 2, State.FAILED.value: 1}))],
    "RegistryTrustCanaryFailed": [with_operator(page(rollout=Reason.CANARY_FAILED))],
    "RegistryTrustRolloutWaits": [with_operator(page(rollout=Reason.CANARY_UNVERIFIED))],
    "RegistryTrustRemovalHeld": [
        with_operator(page(((metrics.REMOVALS_HELD, 2),))),
        with_operator(page(((metrics.HISTORY_LOST, 1),))),
    ],
    "RegistryTrustOperatorNotLeading": [
        with_operator(page(leading=False)),
        with_operator(page(passed=START)),
        [target("operator-1", None), target("operator-2", None), target("agent-1", agent())],
        [],
    ],
    "RegistryTrustAgentMissing": [with_operator(page(((metrics.AGENTS_MISSING, 1),)))],
    "RegistryTrustDriftFought": [well(target("agent-2", *(agent(number // 10) for number in range(121))))],
    "RegistryTrustStartupTaintKept": [with_operator(page(((metrics.STARTUP_TAINT_OLDEST, 901),)))],
}
"""Alert -> what is scraped in each situation that it is for."""


def test_every_alert_has_a_situation_in_which_it_is_tried():
    assert TROUBLES.keys() == rules().keys()


@pytest.mark.parametrize("alert", TROUBLES)
def test_an_alert_fires_in_its_situations_and_no_other_does(alert: str):
    for targets in TROUBLES[alert]:
        assert evaluate(targets, START, 2 * HOUR).names == {alert}


@pytest.mark.parametrize("alert", [name for name, rule in rules().items() if "for" in rule])
def test_an_alert_waits_as_long_as_its_page_says(alert: str):
    number, unit = re.fullmatch(r"(\d+)([mh])", rules()[alert]["for"]).groups()
    seconds = int(number) * {"m": 60, "h": HOUR}[unit]
    minutes = f"{number} {'hour' if unit == 'h' else 'minutes'}"

    assert evaluate(TROUBLES[alert][0], START, seconds - EVERY).names == set()
    assert evaluate(TROUBLES[alert][0], START, seconds).names >= {alert}
    assert f"after {minutes}" in sections()[alert]


def test_nothing_fires_where_all_is_well():
    assert evaluate(well(), START, 3 * HOUR).firing == ()


def test_nothing_fires_while_another_operator_takes_over():
    first = target("operator-1", page(), None, every=HOUR)
    second = target("operator-2", page(leading=False), page(), every=HOUR + 2 * EVERY)

    assert evaluate([first, second, target("agent-1", agent())], START, 2 * HOUR).names == set()


def test_repairs_of_one_disturbance_on_each_of_many_nodes_are_no_fight():
    once = [target(f"agent-{number}", agent(), agent(1), every=HOUR) for number in range(2, 30)]

    assert evaluate(well(*once), START, 2 * HOUR).names == set()


def test_words_and_labels_name_the_trust_and_the_node():
    (failing,) = evaluate(TROUBLES["RegistryTrustNodesFailing"][0], START, HOUR).firing
    (drift,) = evaluate(TROUBLES["RegistryTrustDriftFought"][0], START, 2 * HOUR).firing

    assert failing["labels"] == {"severity": "warning", "trust": "harbor"}
    assert failing["annotations"]["summary"] == "Trust harbor fails on 1 nodes."
    assert drift["annotations"]["summary"] == "On node-of-agent-2 another process keeps changing our files."


# ---- pages -----------------------------------------------------------------------------------------------------------


def sections() -> dict[str, str]:
    """The sections of docs/alerts.md by their titles."""
    _, *parts = re.split(r"^## ", (ROOT / "docs" / "alerts.md").read_text(), flags=re.MULTILINE)
    return {title: text for title, _, text in (part.partition("\n") for part in parts)}


def test_every_alert_leads_to_its_section_and_every_section_is_of_an_alert():
    assert list(sections()) == list(rules())
    for name, rule in rules().items():
        assert rule["annotations"]["runbook_url"].endswith(f"/docs/alerts.md#{name.lower()}")
        assert sections()[name].strip().startswith(f"*{rule['labels']['severity'].capitalize()}, "), name


def families() -> dict[str, set[str]]:
    """Every metric of ours with its labels, as both pages show it with every series."""
    for metric in (*vars(metrics).values(), *vars(api_server).values()):
        if isinstance(metric, (Counter, Gauge, Histogram)) and metric._labelnames:
            metric.labels(*("x" for _ in metric._labelnames))
    text = page(rollout=Reason.CANARY_FAILED) + agent()
    names: dict[str, set[str]] = {}
    for name, labels in re.findall(r"^(registry_trust_\w+)(?:\{(.*?)\})? ", text, re.MULTILINE):
        if name.endswith("_created"):
            continue  # Of each counter and histogram, when it began: prometheus_client's own.
        names.setdefault(name, set()).update(re.findall(r'(\w+)="', labels))
    return names


def test_every_metric_in_rules_dashboard_and_pages_exists():
    known = families()
    for path in (ALERTS, DASHBOARD, *sorted((ROOT / "docs").glob("*.md")), CHART / "README.md"):
        named = set(re.findall(r"\bregistry_trust_(?!agent\b)\w+", path.read_text()))
        missing = {name for name in named if not {name, f"{name}_bucket"} & known.keys()}
        assert not missing, path


def test_every_metric_is_documented_with_its_labels():
    page_of = (ROOT / "docs" / "reading-status.md").read_text()
    rows = dict(re.findall(r"^\| `(registry_trust_\w+)` \| \w+ \| (.*?) \|", page_of, re.MULTILINE))
    for name, labels in families().items():
        family = re.sub(r"_(bucket|sum|count)$", "", name)
        assert family in rows, name
        if name == family:
            assert set(re.findall(r"`(\w+)`", rows[family])) == labels, name


@pytest.mark.parametrize("query", dashboard_queries())
def test_every_query_of_the_dashboard_finds_series_in_the_real_pages(query: str):
    for metric in (*vars(metrics).values(), *vars(api_server).values()):
        if isinstance(metric, (Counter, Gauge, Histogram)) and metric._labelnames:
            metric.labels(*("false" for _ in metric._labelnames))
    metrics.REPORTED_SECONDS.observe(1)

    assert evaluate(well(), START, 2 * HOUR, [query]).found[query]


# ---- the chart -------------------------------------------------------------------------------------------------------


def test_nothing_of_the_monitoring_kinds_is_there_unless_it_is_asked_for():
    assert not MONITORING & {body["kind"] for body in rendered(DEFAULTS)}
    assert {body["kind"] for body in rendered(MONITORED)} >= MONITORING


def test_the_rules_and_the_dashboard_reach_the_cluster_as_they_are():
    rule = found("PrometheusRule", "registry-trust", MONITORED)
    board = found("ConfigMap", "registry-trust-dashboard", MONITORED)

    assert {each["alert"]: each for each in rule["spec"]["groups"][0]["rules"]} == rules()
    assert json.loads(board["data"]["registry-trust.json"]) == json.loads(DASHBOARD.read_text())


def test_the_pod_monitor_finds_the_port_of_both_processes():
    monitor = found("PodMonitor", "registry-trust", MONITORED)["spec"]
    (endpoint,) = monitor["podMetricsEndpoints"]
    for kind, name in (("Deployment", "registry-trust-operator"), ("DaemonSet", "registry-trust-agent")):
        template = found(kind, name, MONITORED)["spec"]["template"]
        (container,) = template["spec"]["containers"]

        assert template["metadata"]["labels"].items() >= monitor["selector"]["matchLabels"].items()
        (expression,) = monitor["selector"]["matchExpressions"]
        assert template["metadata"]["labels"][expression["key"]] in expression["values"]
        assert endpoint["port"] in {port["name"] for port in container["ports"]}
