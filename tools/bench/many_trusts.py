"""Many trusts that share CAs: an unchanged compilation, a change of one of them, and an operator that starts again."""

from __future__ import annotations

import base64
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from registry_trust.agent.delivery.reporter import node_trust
from registry_trust.compiler.compile import compile_bundle
from registry_trust.compiler.content import Checker
from registry_trust.compiler.objects import read_source, read_trust
from registry_trust.compiler.sources import Sources
from registry_trust.core.bundle import Bundle
from registry_trust.core.report import NodeReport, RegistryRow, RowState
from registry_trust.core.selection import labels_hash
from registry_trust.core.trust import SourceKind
from tools.authority import Authority
from tools.bench.figures import Part
from tools.bench.floor import Client, patch_to_event
from tools.cluster.control_plane import ControlPlane
from tools.cluster.kubeconfig import write_kubeconfig
from tools.cluster.waiting import wait_until
from tools.installation import BUNDLE, NAMESPACE, TRUST_NAMESPACE, Installation, secret, trust
from tools.trials.faulty_server import FaultyServer, faulty

SHARED = 10
"""CAs that the trusts share."""

_BUNDLE = f"/api/v1/namespaces/{NAMESPACE}/secrets/{BUNDLE}"
_SECRETS = f"/api/v1/namespaces/{TRUST_NAMESPACE}/secrets"
_TRUSTS = "/apis/registrytrust.io/v1alpha1/registrytrusts"


@dataclass(frozen=True)
class Restart:
    """What an operator that starts again does."""

    seconds: float
    """From the start of its process until it is ready: every object listed, compiled, and every status looked at."""
    asked: Counter[str]
    """What it asked the API server, by method, until one more look at the bundle after that; its Lease left out."""

    @property
    def writes(self) -> int:
        """Return the requests that may change something."""
        return sum(number for method, number in self.asked.items() if method != "GET")


def unchanged_compilation(trusts: int, runs: int = 5) -> list[float]:
    """Return the processor's seconds of compiling that many trusts again, each with a Secret, when nothing changed."""
    roots = [Authority.create(f"root {number}").pem for number in range(SHARED)]
    stamp = {"uid": "uid", "generation": 1, "creationTimestamp": "2026-01-01T00:00:00Z", "resourceVersion": "1"}
    objects, inputs = [], []
    for number in range(trusts):
        source, item = _secret(number, roots), _trust(number)
        source["metadata"] |= stamp
        item["metadata"] |= stamp
        objects.append(read_source(source, SourceKind.SECRET)[0])
        inputs.append(read_trust(item))
    sources, checker, now = Sources.of(TRUST_NAMESPACE, objects), Checker(), time.time()
    compiled = compile_bundle(inputs, sources, Bundle(), now, checker=checker, fleet_size=0)
    assert len(compiled.bundle.trusts) == trusts, "all of them fit"
    assert all(outcome.content is not None for outcome in compiled.outcomes.values()), "all of them are served"
    taken = []
    for _ in range(runs):
        began = time.process_time()
        again = compile_bundle(inputs, sources, compiled.bundle, now, checker=checker, fleet_size=0)
        taken.append(time.process_time() - began)
        assert not again.changed
    return taken


class ManyTrusts:
    """An installation with so many trusts, each with a Secret, and as many Nodes with a report each."""

    def __init__(self, plane: ControlPlane, way: FaultyServer, count: int) -> None:
        self._installation = Installation(plane)
        self._plane = plane
        self._way = way
        self._count = count
        self._admin = Client(plane)
        self._roots = [Authority.create(f"root {number}").pem for number in range(SHARED)]

    def prepare(self) -> None:
        """Make everything, and wait until the operator has written every status."""
        self._installation.install()
        self._token = self._plane.service_account_token(NAMESPACE, "registry-trust-operator")
        for number in range(self._count):
            self._admin.request("POST", _SECRETS, _secret(number, self._roots))
            self._admin.request("POST", _TRUSTS, _trust(number))
            self._admin.request("POST", "/api/v1/nodes", {"metadata": {"name": _node(number)}})
        self._start()
        self._report()
        self._quiet()

    def restart(self) -> Restart:
        """End the operator, start it again, and see what it does."""
        assert self._installation.operator is not None
        self._installation.operator.stop()
        began = time.monotonic()
        self._start()
        ready = time.monotonic() - began
        looks = self._looks(began)
        wait_until(lambda: self._looks(began) > looks, "one more look at the bundle", within=60)
        asked = [each.what for each in list(self._way.asked) if each.at >= began]
        self._admin.close()  # The server closes one that is idle for 90 s; the next request opens another.
        return Restart(ready, Counter(each.partition(" ")[0] for each in asked if _counts(each)))

    def change(self) -> float:
        """Replace the CA of one Secret; return the seconds until the bundle's next version is there."""
        before = self._version()
        data = {"ca.crt": base64.b64encode(Authority.create("another root").pem).decode()}
        began = time.perf_counter()
        self._admin.request("PATCH", f"{_SECRETS}/many-0000", {"data": data})
        wait_until(lambda: self._version() != before, "the bundle has the change", within=60, every=0.01)
        return time.perf_counter() - began

    def stop(self) -> None:
        """End everything."""
        self._admin.close()
        self._installation.stop()

    def _start(self) -> None:
        through = write_kubeconfig(
            self._plane.folder / "many.kubeconfig", self._way.url, self._plane.authority.pem, self._token
        )
        process = self._installation.start_operator("--no-leader-election", f"--kubeconfig={through}")
        ready = lambda: self._installation.readiness() == "ok\n"  # noqa: E731 - it is what is waited for
        wait_until(ready, "the operator is ready", within=240, meanwhile=process.check)

    def _report(self) -> None:
        """Let every node report all that there is: as much as a report may name."""
        bundle = self._admin.request("GET", _BUNDLE)["metadata"]
        rows = tuple(RegistryRow(f"r{number:04d}.example", RowState.CURRENT) for number in range(min(self._count, 64)))
        for number in range(self._count):
            node = self._admin.request("GET", f"/api/v1/nodes/{_node(number)}")["metadata"]
            hashed = labels_hash(node.get("labels", {}))
            report = NodeReport("1", "docker://29", bundle["uid"], 1, hashed, (), rows, self._count, 0)
            body = node_trust(_node(number), node["uid"], report)
            self._admin.request("POST", "/apis/registrytrust.io/v1alpha1/nodetrusts", body)

    def _quiet(self) -> None:
        """Wait until the operator has nothing left to write: no write from one look at the bundle to the third after.

        One is not enough: it may come between two rounds of statuses that nodes ask for, of an operator short of CPU.
        """
        began, writes, looks = time.monotonic(), -1, 0

        def quiet() -> bool:
            nonlocal began, writes, looks
            if not self._looks(began):
                return False
            last, began = writes, time.monotonic()
            writes = sum(_counts(each.what) and not each.what.startswith("GET") for each in list(self._way.asked))
            looks = looks + 1 if last == writes else 0
            return looks == 3

        wait_until(quiet, "nothing is left to write", within=240)

    def _looks(self, since: float) -> int:
        return sum(each.what == f"GET {_BUNDLE}" for each in list(self._way.asked) if each.at >= since)

    def _version(self) -> str:
        return str(self._admin.request("GET", _BUNDLE)["metadata"]["resourceVersion"])


def _counts(what: str) -> bool:
    return "/leases" not in what and "authorization.k8s.io" not in what


def _node(number: int) -> str:
    return f"node-{number:04d}"


def _secret(number: int, roots: Sequence[bytes]) -> dict[str, Any]:
    made: dict[str, Any] = secret(f"many-{number:04d}", {"ca.crt": roots[number % SHARED]})
    return made


def _trust(number: int) -> dict[str, Any]:
    ca = [{"secretKeyRef": {"name": f"many-{number:04d}", "key": "ca.crt"}}]
    made: dict[str, Any] = trust(f"many-{number:04d}", registries=[f"r{number:04d}.example"], caCertificates=ca)
    return made


def measure(part: Part, count: int = 1_000) -> None:
    """Measure many trusts.

    Raises:
        RuntimeError: something took too long; what was found until then is in the part.
    """
    compiled = sorted(unchanged_compilation(2_000))
    part.add("an unchanged compilation of 2,000 trusts, CPU", "ms", compiled[len(compiled) // 2] * 1000, goal=60)
    with ControlPlane() as plane, faulty(plane) as way:
        many = ManyTrusts(plane, way, count)
        try:
            many.prepare()
            part.say(f"{count} trusts, Secrets, Nodes and reports are made")
            restart = many.restart()
            what = f"operator, start to ready with {count:,} trusts, sources and reports"
            remark = f"{restart.asked.total()} requests; API server and operator share the cores"
            part.add(what, "s", restart.seconds, goal=30, remark=remark)
            part.add("writes of an operator that starts again", "", restart.writes, goal=0)
            floor = max(patch_to_event(plane, 100, 4000))
            changes = sorted(many.change() for _ in range(100))
            what = f"one of {count:,} trusts changes: it is in the bundle,"
            part.add(f"{what} p50", "s", changes[len(changes) // 2])
            part.add(f"{what} p99", "s", changes[-2], floor=floor, goal=1, remark="floor: slowest of 100 raw events")
        finally:
            many.stop()
