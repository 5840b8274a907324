"""The operator as in a pod whose account is in another folder: `python operator_in_pod.py FOLDER ARGUMENT...`."""

from __future__ import annotations

import sys
from pathlib import Path

from kubernetes.config import incluster_config

from registry_trust.cli.main import main

if __name__ == "__main__":
    folder = Path(sys.argv.pop(1))
    # Both are constants of the official client; everything else is as in a pod.
    incluster_config.SERVICE_TOKEN_FILENAME = str(folder / "token")
    incluster_config.SERVICE_CERT_FILENAME = str(folder / "ca.crt")
    main(prog_name="registry-trust")
