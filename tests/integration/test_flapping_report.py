"""A node whose report flaps: it costs few statuses and Events, and the truth is written in the end."""

from __future__ import annotations

import json
import logging
import re
import threading
import urllib.request
from collections.abc import Callable
from dataclasses import replace

import pytest

from registry_trust.agent.delivery.reporter import node_trust
from registry_trust.controller.api_server import ApiServer
from registry_trust.controller.bundle_secret import stored_bundle
from registry_trust.controller.connection import Connector
from registry_trust.core.names import REPORTS
from registry_trust.core.problem import Problem
from registry_trust.core.reasons import Reason
from registry_trust.core.report import NodeReport, TargetRow, TargetState
from registry_trust.core.selection import labels_hash
from tools.authority import Authority
from tools.cluster.waiting import wait_until
from tools.installation import BUNDLE, DAEMON_SET, NAMESPACE, Installation, trust

FIGURES = logging.getLogger("figures")
"""Shown with `--log-cli-level=INFO`."""

pytestmark = pytest.mark.tools("control-plane")

CA = [{"inline": Authority.create("a CA").pem.decode()}]
MANY, FLAPS, PAUSE = 20, 60, 0.1
"""Trusts, flaps, and seconds between two. More trusts would show what the machine can write, not what it must."""


class Flapper:
    """A node that says ten times a second, with its own token, that all is well or that nothing is read."""

    def __init__(self, installation: Installation) -> None:
        kubectl = installation.plane.kubectl
        installation.add_node("flapper")
        installation.tell_of_agent("flapper")
        counts = {"currentNumberScheduled": 1, "desiredNumberScheduled": 1, "numberMisscheduled": 0, "numberReady": 1}
        where = ("-n", NAMESPACE, "--subresource=status", "--type=merge")
        kubectl("patch", "daemonset", DAEMON_SET, *where, "-p", json.dumps({"status": counts}))
        secret = kubectl.get("secret", BUNDLE, "-n", NAMESPACE)
        account = installation.plane.service_account_kubeconfig(NAMESPACE, "registry-trust-agent", node="flapper")
        self._server = ApiServer(Connector(str(account)))
        self._node_uid = kubectl.get("node", "flapper")["metadata"]["uid"]
        labels = kubectl.get("node", "flapper")["metadata"]["labels"]
        self._report = NodeReport(
            agent_version="1",
            runtime="containerd://2.4.2",
            bundle_uid=secret["metadata"]["uid"],
            serial=stored_bundle(secret).bundle.serial,
            labels_hash=labels_hash(labels),
            targets=(),
            registries=(),
            registry_count=0,
            failing=0,
        )
        self._bad = TargetRow(
            "/etc/docker/certs.d", "docker", TargetState.NOT_READ, Problem(Reason.ROOT_NOT_READ, "why")
        )
        self._over = threading.Event()
        self.flaps = 0

    def say(self, *, well: bool) -> None:
        report = self._report if well else replace(self._report, targets=(self._bad,))
        self._server.apply(f"{REPORTS}/flapper", node_trust("flapper", self._node_uid, report), "registry-trust-agent")

    def flap_until(self, flaps: int, noticed: Callable[[], bool]) -> None:
        """Flap so often, and on until it was noticed: two looks in five seconds can each meet a good report."""
        thread = threading.Thread(target=self._flap, daemon=True)
        thread.start()
        try:
            wait_until(lambda: self.flaps >= flaps and noticed(), f"{flaps} flaps, and a status of each", within=120)
        finally:
            self._over.set()
            thread.join(60)

    def _flap(self) -> None:
        while not self._over.wait(PAUSE):
            self.say(well=bool(self.flaps % 2))
            self.flaps += 1


def requests(installation: Installation, verb: str, resource: str) -> int:
    with urllib.request.urlopen(f"http://127.0.0.1:{installation.operator_port}/metrics", timeout=5) as answer:
        page = answer.read().decode()
    counted = rf'^registry_trust_api_requests_total{{code="\d+",resource="{resource}",verb="{verb}"}} (\d+)'
    return sum(map(int, re.findall(counted, page, re.MULTILINE)))


def test_a_report_that_flaps_costs_few_statuses_and_events_and_ends_in_the_truth(installation: Installation) -> None:
    kubectl = installation.plane.kubectl
    kubectl.apply(*(trust(f"many-{n:02}", registries=[f"r{n}.example"], caCertificates=CA) for n in range(MANY)))
    kubectl("wait", "--for=condition=Accepted", "registrytrusts", "--all", "--timeout=60s", timeout=90)
    flapper = Flapper(installation)
    flapper.say(well=True)
    ready = ("wait", "--for=condition=Ready", "registrytrusts", "--all", "--timeout=60s")
    kubectl(*ready, timeout=90)
    kinds = {"statuses": ("PATCH", "registrytrusts/status"), "Events": ("POST", "events"), "again": ("PATCH", "events")}
    before = {name: requests(installation, *which) for name, which in kinds.items()}

    flapper.flap_until(FLAPS, lambda: requests(installation, *kinds["statuses"]) - before["statuses"] >= MANY)

    cost = {name: requests(installation, *which) - before[name] for name, which in kinds.items()}
    FIGURES.info("%d flaps, %d trusts: %s", flapper.flaps, MANY, cost)
    assert cost["statuses"] <= flapper.flaps * MANY / 10
    assert cost["Events"] + cost["again"] <= flapper.flaps * MANY / 5
    flapper.say(well=True)
    kubectl(*ready, timeout=90)
