"""A process that leads and does nothing but write: `python leading_process.py KUBECONFIG NAMESPACE LEASE IDENTITY`."""

from __future__ import annotations

import itertools
import logging
import sys
import time

from registry_trust.controller.api_server import ApiFailure, ApiServer
from registry_trust.controller.clock import Clock
from registry_trust.controller.connection import Connector
from registry_trust.controller.leadership import CALL, Leadership

EVERY = 0.1
"""Seconds between two writes."""


def main() -> None:
    """Wait for the Lease, then write an object after the other until something ends this process."""
    kubeconfig, namespace, lease, identity = sys.argv[1:]
    logging.basicConfig(level=logging.INFO)
    leadership = Leadership(ApiServer(Connector(kubeconfig), longest=CALL), namespace, lease, identity, Clock())
    server = ApiServer(Connector(kubeconfig), before_write=leadership.check)
    leadership.acquire(lambda: False)
    for number in itertools.count():
        metadata = {"name": f"{lease}-{identity}-{number}", "labels": {"lease": lease, "writer": identity}}
        try:
            server.create(f"/api/v1/namespaces/{namespace}/configmaps", {"metadata": metadata})
        except ApiFailure as error:
            logging.warning("not written: %s", error)  # noqa: LOG015 - a program of its own
        time.sleep(EVERY)


if __name__ == "__main__":
    main()
