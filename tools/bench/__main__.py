"""`make bench`: from the PATCH of a source to the switched entry, memory, hostile input, and the oracle's speed."""

from __future__ import annotations

import argparse
import base64
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tools.authority import Authority, Pair
from tools.bench import hostile, oracle
from tools.bench.floor import Client, durable_write, patch_to_event
from tools.cluster.control_plane import ControlPlane
from tools.cluster.waiting import wait_until
from tools.installation import TRUST_NAMESPACE, Installation

REGISTRY = "bench.example:5000"


def main() -> None:
    """Measure, and print a table or JSON."""
    parser = argparse.ArgumentParser(prog="python -m tools.bench", description=__doc__)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--output", choices=["table", "json"], default="table")
    options = parser.parse_args()
    with ControlPlane() as plane:
        figures = measure(plane, options.runs)
    if options.output == "json":
        sys.stdout.write(json.dumps(figures, indent=2) + "\n")
        return
    sys.stdout.write(f"{'milliseconds':58} {'p50':>8} {'p99':>8}\n")
    for name, (middle, high) in figures["milliseconds"].items():
        sys.stdout.write(f"{name:58} {middle:8.1f} {high:8.1f}\n")
    for name, kilobytes in figures["resident"].items():
        sys.stdout.write(f"{'resident memory of the ' + name:58} {kilobytes / 1024:8.1f} MiB\n")
    sys.stdout.write(hostile.table() + oracle.table())


def measure(plane: ControlPlane, runs: int) -> dict[str, Any]:
    """Return p50 and p99 in milliseconds by name, and resident kilobytes by process."""
    installation = Installation(plane)
    installation.install()
    installation.add_node("bench")
    operator = installation.start_operator()
    agent = installation.start_agent("bench")
    try:
        product = secret_to_entry(installation, agent.root(), runs)
        floor = [
            event * 2 + write
            for event, write in zip(
                patch_to_event(plane, runs, 4000), durable_write(plane.run.subfolder("floor"), runs), strict=True
            )
        ]
        resident = {"operator": _resident(operator.pid), "agent": _resident(agent.process.pid)}
    finally:
        installation.stop()
    return {
        "milliseconds": {
            "floor: two hops through the API server, one durable write": _percentiles(floor),
            "PATCH of the source Secret to the switched entry": _percentiles(product),
        },
        "resident": resident,
    }


def secret_to_entry(installation: Installation, root: Path, runs: int) -> list[float]:
    """Return seconds from the PATCH of a CA and client pair to the entry's switch on the node, once for each run."""
    authority = Authority.create("bench CA")
    pairs = [authority.client(f"node-{number}") for number in range(runs + 1)]
    installation.secret("bench", _data(authority, pairs[0]))
    installation.trust(
        "bench",
        registries=[REGISTRY],
        caCertificates=[{"secretKeyRef": {"name": "bench", "key": "ca.crt"}}],
        clientCertificates=[{"secretRef": {"name": "bench"}}],
    )
    entry = root / REGISTRY
    wait_until(entry.is_symlink, "the first files are on the node", within=60)
    client, path = Client(installation.plane), f"/api/v1/namespaces/{TRUST_NAMESPACE}/secrets/bench"
    taken: list[float] = []
    for number, pair in enumerate(pairs[1:], start=1):
        before = entry.readlink()
        data = {key: base64.b64encode(value).decode() for key, value in _data(authority, pair).items()}
        started = time.perf_counter()
        client.request("PATCH", path, {"data": data})
        deadline = started + 30
        while entry.readlink() == before:
            if time.perf_counter() > deadline:
                raise RuntimeError(f"run {number}: nothing was switched for 30 s")
            time.sleep(0.0005)
        taken.append(time.perf_counter() - started)
        time.sleep(0.1)  # a rotation of its own each time, not one long burst
    return taken


def _data(authority: Authority, pair: Pair) -> dict[str, bytes]:
    return {"ca.crt": authority.pem, "tls.crt": pair.certificate, "tls.key": pair.key}


def _percentiles(seconds: Sequence[float]) -> tuple[float, float]:
    ordered = sorted(seconds)
    return ordered[len(ordered) // 2] * 1000, ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))] * 1000


def _resident(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    return 0


main()
