"""The operator under attack: whatever a node reports, every status is written, truthful, and seldom."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from registry_trust.compiler.compile import compile_bundle
from registry_trust.compiler.content import Checker
from registry_trust.compiler.fleet import Fleet
from registry_trust.compiler.kinds import TRUST
from registry_trust.compiler.node_standing import FleetNode, Served
from registry_trust.compiler.objects import OwnedReport, read_report, read_trust
from registry_trust.compiler.placement import Agents
from registry_trust.compiler.sources import Sources
from registry_trust.controller.api_server import ApiFailure, ApiServer
from registry_trust.controller.clock import Clock
from registry_trust.controller.cluster import ClusterMap
from registry_trust.controller.connection import Connector
from registry_trust.controller.delays import Delays
from registry_trust.controller.events import About, Events, Similar
from registry_trust.controller.statuses import LONGEST_ROUND, StatusWriter
from registry_trust.controller.transitions import Event
from registry_trust.core.bundle import Bundle
from registry_trust.core.names import API_VERSION, OPERATOR, REPORTS, TRUSTS
from registry_trust.core.problem import Problem
from registry_trust.core.reasons import Reason
from registry_trust.core.selection import labels_hash
from tools.authority import Authority
from tools.cluster.control_plane import ControlPlane
from tools.installation import MANIFEST, NAMESPACE, Installation

FIGURES = logging.getLogger("figures")
"""Shown with `--log-cli-level=INFO`."""

pytestmark = pytest.mark.tools("control-plane")

UID = "bundle"
LABELS = {"zone": "a"}
CA = [{"inline": Authority.create("a CA").pem.decode()}]
NOW = datetime.now(UTC)


@pytest.fixture(scope="module")
def installed(plane: ControlPlane) -> Iterator[Installation]:
    """Install everything, and start the operator only if a test does."""
    made = Installation(plane)
    made.install()
    yield made
    made.stop()


class Noting(ApiServer):
    """The API server with the operator's own rights; it keeps what was refused."""

    def __init__(self, installation: Installation) -> None:
        token = installation.plane.service_account_token(NAMESPACE, "registry-trust-operator")
        super().__init__(Connector(str(installation.plane.kubeconfig("operator", token))))
        self.refused: list[ApiFailure] = []

    def _request(self, *given: Any, **named: Any) -> dict[str, Any]:
        try:
            return super()._request(*given, **named)
        except ApiFailure as error:
            self.refused.append(error)
            raise


# ---- Events ----------------------------------------------------------------------------------------------------------


def told(installation: Installation, uid: str) -> list[dict[str, Any]]:
    events = installation.plane.kubectl.get("events", "-n", "default")["items"]
    return [each for each in events if each["involvedObject"].get("uid") == uid]


def test_the_same_event_again_is_counted_up_by_this_operator_and_by_the_next(installed: Installation) -> None:
    about = About("RegistryTrust", "counted", "uid-of-counted")
    wanted = Event("Warning", Problem(Reason.NODE_FAILING, "n1: ForeignFile: why"), "Distribute")
    minutes = iter(range(3))
    clock = Clock(wall=lambda: NOW.timestamp() + 60 * next(minutes))
    first = Events(Noting(installed), clock)
    for _ in range(2):
        first.tell(about, wanted, 1)

    (event,) = told(installed, about.uid)
    assert event["count"] == 2
    assert event["firstTimestamp"] < event["lastTimestamp"]

    Events(Noting(installed), clock).tell(about, wanted, 1)

    (event,) = told(installed, about.uid)
    assert event["count"] == 3


def test_an_event_that_has_expired_is_made_again(installed: Installation) -> None:
    about = About("RegistryTrust", "expired", "uid-of-expired")
    wanted = Event("Normal", Problem(Reason.DISTRIBUTED, "3 of 3 nodes"), "Distributed")
    events = Events(Noting(installed), Clock())
    events.tell(about, wanted, 1)
    installed.plane.kubectl("delete", "event", "-n", "default", told(installed, about.uid)[0]["metadata"]["name"])

    events.tell(about, wanted, 1)
    events.tell(about, wanted, 1)

    (event,) = told(installed, about.uid)
    assert event["count"] == 2


def test_an_event_whose_name_another_has_taken_is_told_all_the_same(installed: Installation) -> None:
    about = About("RegistryTrust", "taken", "uid-of-taken")
    wanted = Event("Warning", Problem(Reason.NODE_FAILING, "n1: ForeignFile: why"), "Distribute")
    name, _ = Similar().identify(about, wanted, 0.0)
    decoy = {"kind": "Pod", "namespace": "default", "name": "decoy", "uid": "uid-of-decoy", "fieldPath": "spec"}
    of_decoy = {"reason": "Pulled", "type": "Normal", "message": "fine", "count": 2**31 - 1, "involvedObject": decoy}
    metadata = {"name": name, "namespace": "default"}
    installed.plane.kubectl.apply({"apiVersion": "v1", "kind": "Event", "metadata": metadata, **of_decoy})

    Events(Noting(installed), Clock()).tell(about, wanted, 1)

    (event,) = told(installed, about.uid)
    assert event["involvedObject"].keys() == {"apiVersion", "kind", "name", "uid"}
    assert (event["type"], event["reason"], event["message"]) == (
        wanted.kind,
        wanted.problem.reason,
        wanted.problem.message,
    )


# ---- statuses --------------------------------------------------------------------------------------------------------


def schema_of_reports() -> dict[str, Any]:
    for document in yaml.safe_load_all(MANIFEST.read_text()):
        if document and document["metadata"]["name"] == "nodetrusts.registrytrust.io":
            found: dict[str, Any] = document["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"]
            return found
    raise AssertionError("the CRD is not in deploy/")


REGISTRIES = ("attacked.example:5000", "second.example")
ODD = st.sampled_from(
    ["", " ", "\n", "\x1b[31m", "\u202e", "\U0001f512", "\ufffd", '"', "\\", "a", "z" * 300, "é" * 99]
)
WORDS = {
    ("registries", "name"): st.sampled_from(REGISTRIES),
    ("registries", "trust"): st.sampled_from(("", "attacked", "zoned")),
    ("bundle", "uid"): st.just(UID),
    ("bundle", "serial"): st.sampled_from([0, 1, 1, 1, 2, 2**53 - 1]),
    ("labelsHash",): st.just(labels_hash(LABELS)),
}
"""Words with which a report is about the trusts that there are; beside them everything that the schema lets through."""


def following(schema: Mapping[str, Any], path: tuple[str, ...] = ()) -> st.SearchStrategy[Any]:
    """Return what a schema of a CRD lets through, for the keywords that NodeTrust has."""
    kind = schema.get("type")
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if kind == "object":
        fields = {name: following(each, (*path, name)) for name, each in schema["properties"].items()}
        required = set(schema.get("required", ()))
        needed = {name: each for name, each in fields.items() if name in required}
        return st.fixed_dictionaries(needed, optional={n: each for n, each in fields.items() if n not in required})
    if kind == "array":
        if keys := schema.get("x-kubernetes-list-map-keys"):
            rows = following(schema["items"], path)
            return st.lists(rows, max_size=3, unique_by=lambda row: tuple(row[key] for key in keys))
        few = st.lists(following(schema["items"], path), max_size=3)
        return few | few.filter(bool).map(lambda rows: (rows * schema["maxItems"])[: schema["maxItems"]])
    if kind == "integer":
        highest = schema.get("maximum", 2**63 - 1 if schema.get("format") == "int64" else 2**31 - 1)
        numbers: st.SearchStrategy[Any] = st.sampled_from([schema.get("minimum", -1), highest]) | st.integers(0, 70)
    elif schema.get("format") == "date-time":
        numbers = st.sampled_from(["2026-11-26T10:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999+14:00"])
    elif "pattern" in schema:
        numbers = st.from_regex(schema["pattern"], fullmatch=True)
    else:
        most = schema.get("maxLength", 2000)
        numbers = st.builds(lambda parts, times: ("".join(parts) * times)[:most], st.lists(ODD), st.integers(1, 400))
        numbers = numbers.filter(lambda text: len(text) >= schema.get("minLength", 0))
    return numbers | WORDS[path] if path in WORDS else numbers


REPORTED = following(schema_of_reports())


class Scene:
    """Two trusts at the API server, one of them for some nodes alone, and twelve nodes."""

    def __init__(self, installation: Installation) -> None:
        self.server = Noting(installation)
        self.admin = ApiServer(Connector(str(installation.plane.admin_kubeconfig)))
        self.accepted = self.asked = 0
        installation.trust("attacked", registries=list(REGISTRIES), caCertificates=CA)
        installation.trust("zoned", registries=[REGISTRIES[1]], caCertificates=CA, nodeSelector={"matchLabels": LABELS})
        self.trusts = [self.admin.get(f"{TRUSTS}/{name}") for name in ("attacked", "zoned")]
        items = [read_trust(body) for body in self.trusts]
        self.compiled = compile_bundle(items, Sources("none", {}), Bundle(), NOW.timestamp(), checker=Checker())
        self.nodes = [FleetNode(f"n{number}", f"uid-{number}", LABELS, ready=True) for number in range(12)]

    def take(self, node: FleetNode, status: dict[str, Any]) -> OwnedReport | None:
        """Let the API server judge a report; return what the operator reads of it, None where it was refused."""
        metadata = {
            "name": node.name,
            "ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": node.name, "uid": node.uid}],
        }
        body = {"apiVersion": "registrytrust.io/v1alpha1", "kind": "NodeTrust", "metadata": metadata, "status": status}
        self.asked += 1
        try:
            taken = self.admin.create(f"{REPORTS}?dryRun=All", body)
        except ApiFailure as error:
            if error.status != 422:
                raise
            return None
        self.accepted += 1
        return read_report(taken)

    def write(
        self, reports: Mapping[str, OwnedReport | None], node: FleetNode | None = None, clock: Clock | None = None
    ) -> StatusWriter:
        """Write the statuses that follow from these reports, with their Events."""
        fleet = Fleet()
        outcomes = self.compiled.outcomes.values()
        served = [Served(each.name, each.since, each.content) for each in outcomes if each.content is not None]
        nodes = [*self.nodes, *([node] if node is not None else [])]
        decoded = {name: owned.report for name, owned in reports.items() if owned is not None}
        fleet.rebuild(nodes, decoded, served, Agents(frozenset(each.name for each in nodes)), UID)
        cluster = ClusterMap("none")
        for body in self.trusts:
            cluster.take(TRUST, self.admin.get(f"{TRUSTS}/{body['metadata']['name']}"))
        clock = clock or Clock()
        writer = StatusWriter(self.server, cluster, Events(self.server, clock), Delays(), timedelta(days=30), clock)
        writer.touch({"attacked", "zoned"})
        writer.write(self.compiled, fleet)
        return writer


@pytest.fixture(scope="module")
def scene(installed: Installation) -> Scene:
    return Scene(installed)


@settings(max_examples=80, deadline=None, derandomize=True, database=None, phases=[Phase.generate])
@given(st.lists(REPORTED, min_size=1, max_size=6))
def check_reports(scene: Scene, statuses: list[dict[str, Any]]) -> None:
    reports = {node.name: scene.take(node, status) for node, status in zip(scene.nodes, statuses, strict=False)}
    scene.write(reports)
    refused, scene.server.refused = scene.server.refused, []
    # 409 is the answer to an Event that was told before; it is counted up then.
    unexpected = [str(error) for error in refused if error.status != 409]
    assert not unexpected, unexpected


def test_whatever_report_the_schema_accepts_every_status_and_event_that_follows_is_accepted(scene: Scene) -> None:
    check_reports(scene)

    FIGURES.info("%d of %d reports were accepted by their schema", scene.accepted, scene.asked)
    assert scene.accepted > 200
    assert scene.accepted > scene.asked * 0.8, "the generator does not follow the schema"


def test_a_status_that_is_refused_is_written_without_the_part_at_fault(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    impossible = FleetNode("n" * 300, "uid", LABELS, ready=False)  # No API server has a Node of this name.

    scene.write({}, impossible)

    refused, scene.server.refused = scene.server.refused, []
    assert [error.status for error in refused if error.status != 409] == [422, 422]
    for name in ("attacked", "zoned"):
        status = scene.admin.get(f"{TRUSTS}/{name}")["status"]
        assert "failingNodes" not in status
        assert status["nodes"]["unreachable"] == 1
        assert {each["type"] for each in status["conditions"]} >= {"Accepted", "Distributed", "Ready"}
    assert "status written without what was refused" in caplog.text


def test_a_round_of_statuses_ends_in_time_however_slow_the_api_server_is(scene: Scene) -> None:
    passed = itertools.count(step=LONGEST_ROUND)  # each look at the clock is a round's time later than the last
    for name in ("attacked", "zoned"):
        trust = {"apiVersion": API_VERSION, "kind": "RegistryTrust", "metadata": {"name": name}}
        scene.server.apply(f"{TRUSTS}/{name}/status", {**trust, "status": {}}, OPERATOR)

    writer = scene.write({}, clock=Clock(steady=lambda: float(next(passed))))

    written = {name: scene.admin.get(f"{TRUSTS}/{name}")["status"] for name in ("attacked", "zoned")}
    assert ["conditions" in status for status in written.values()] == [True, False], written
    assert writer.pending(), "the other one is left for the next round"
