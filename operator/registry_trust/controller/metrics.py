"""The operator's metrics, and the small server that shows them together with health."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import Counter, Gauge, Histogram, make_wsgi_app

COMPILATIONS = Counter("registry_trust_compilations_total", "Compilations of all trusts into a bundle.")
COMPILE_SECONDS = Histogram("registry_trust_compile_seconds", "Time of one compilation.")
BUNDLE_WRITES = Counter("registry_trust_bundle_writes_total", "Writes of the bundle.", ["result"])
BUNDLE_SERIAL = Gauge("registry_trust_bundle_serial", "Serial of the bundle that was written last.")
BUNDLE_BYTES = Gauge("registry_trust_bundle_bytes", "Bytes of the bundle's data, of 1,000,000 that it may have.")
STATUS_WRITES = Counter("registry_trust_status_writes_total", "Writes of a trust's status.", ["result"])
TRUSTS = Gauge("registry_trust_trusts", "Trusts by whether they are accepted.", ["accepted"])
NODES = Gauge("registry_trust_nodes", "Nodes by state for each trust.", ["trust", "state"])
EXPIRY = Gauge(
    "registry_trust_certificate_not_after_timestamp_seconds",
    "Earliest end of a trust's served certificates, in Unix time.",
    ["trust", "kind"],
)
REMOVALS_HELD = Gauge("registry_trust_removals_held", "Removed trusts that the mass-removal guard still serves.")
LOOP_SECONDS = Gauge("registry_trust_loop_last_pass_timestamp_seconds", "When the loop ended its last pass.")


class _Quiet(WSGIRequestHandler):
    """A request handler that writes no access log."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def serve(listen: tuple[str, int], healthy: Callable[[], bool], ready: Callable[[], bool]) -> WSGIServer:
    """Serve `/metrics`, `/healthz` and `/readyz` from a thread; return the server, whose port may have been chosen."""
    metrics = make_wsgi_app()

    def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        checks = {"/healthz": healthy, "/readyz": ready}
        check = checks.get(str(environ.get("PATH_INFO")))
        if check is None:
            result: Iterable[bytes] = metrics(environ, start_response)
            return result
        good = check()
        start_response("200 OK" if good else "503 Service Unavailable", [("Content-Type", "text/plain")])
        return [b"ok\n" if good else b"not ok\n"]

    server = make_server(listen[0], listen[1], application, handler_class=_Quiet)
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    return server
