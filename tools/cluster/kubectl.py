"""Runs kubectl against one cluster."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.cluster.binaries import binary
from tools.cluster.waiting import wait_until


class KubectlError(AssertionError):
    """kubectl, or the API server through it, said no; the message has its words."""


@dataclass(frozen=True)
class Kubectl:
    """kubectl as one user."""

    kubeconfig: Path
    cache: Path

    def __call__(self, *arguments: str, input: str | None = None, timeout: float = 60) -> str:  # noqa: A002 - subprocess's word
        """Its standard output.

        Raises KubectlError.
        """
        done = subprocess.run(
            [binary("kubectl"), f"--kubeconfig={self.kubeconfig}", f"--cache-dir={self.cache}", *arguments],
            input=input,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if done.returncode != 0:
            message = f"kubectl {' '.join(arguments)}: {done.stderr.strip() or done.stdout.strip()}"
            raise KubectlError(message)
        return done.stdout

    def get(self, *arguments: str) -> dict[str, Any]:
        """`kubectl get … -o json`, parsed."""
        found: dict[str, Any] = json.loads(self("get", *arguments, "-o", "json"))
        return found

    def wait_for_kinds(self, *names: str, within: float = 30) -> None:
        """Wait until the API server serves the kinds of these CRDs.

        Not by `kubectl wait`: it fails at once if a CRD has no conditions yet.
        """

        def established() -> bool:
            conditions = [self.get("crd", name).get("status", {}).get("conditions") or [] for name in names]
            return all(any(c["type"] == "Established" and c["status"] == "True" for c in each) for each in conditions)

        wait_until(established, f"the API server serves {', '.join(names)}", within=within)

    def apply(self, *objects: dict[str, Any], timeout: float = 60) -> str:
        """Server-side apply of the objects, in one call."""
        items = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
        return self("apply", "--server-side", "--force-conflicts", "-f", "-", input=items, timeout=timeout)
