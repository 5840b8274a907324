"""The operator behind a faulty way to the API server: killed at each of its writes, and through every fault."""

from __future__ import annotations

import base64
import time
from contextlib import ExitStack
from typing import Any, Self

from cryptography.hazmat.primitives.hashes import SHA256

from registry_trust.core.bundle import Bundle, reference_of
from registry_trust.core.bundle_format import decode
from tools.authority import Authority
from tools.cluster.control_plane import ControlPlane
from tools.cluster.kubeconfig import write_kubeconfig
from tools.cluster.processes import Process
from tools.cluster.waiting import wait_until
from tools.installation import BUNDLE, NAMESPACE, Installation
from tools.trials.fault_table import MEND, Row
from tools.trials.faulty_server import FaultyServer, faulty

_NAME = "through-faults"
_WRITES = ("POST", "PATCH", "PUT", "DELETE")


class OperatorTrial:
    """One operator, one trust with one CA from a Secret, and no agents; usable as a context manager."""

    def __init__(self, plane: ControlPlane) -> None:
        self._installation = Installation(plane)
        self._plane = plane
        self._stack = ExitStack()
        roots = [Authority.create(f"root {number}") for number in range(2)]
        self._roots = [root.pem for root in roots]
        self._digests = [root.certificate.fingerprint(SHA256()).hex() for root in roots]
        self._changes = 0
        self._expected: Any = None
        self._way: FaultyServer

    def __enter__(self) -> Self:
        """Install everything, and wait until the trust is served."""
        with ExitStack() as stack:
            self._way = stack.enter_context(faulty(self._plane))
            stack.callback(self._installation.stop)
            self._installation.install()
            self._token = self._plane.service_account_token(NAMESPACE, "registry-trust-operator")
            self.start()
            self._put()
            ca = [{"secretKeyRef": {"name": _NAME, "key": "ca.crt"}}]
            self._installation.trust(_NAME, registries=["faults.example"], caCertificates=ca, caRetention="0s")
            wait_until(self.state, "the trust is served", within=60, every=0.2)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def start(self) -> None:
        """Start the operator; without a Lease, whose loss ends it after ten seconds as it is meant to."""
        through = self._kubeconfig(self._token)
        self._installation.start_operator("--no-leader-election", f"--kubeconfig={through}")

    def writes(self) -> int:
        """Change the source, with nothing in the way, and return how many writes follow."""
        began = time.monotonic()
        self._change()
        self._expected = wait_until(self.state, "the change is served", within=60, every=0.2)
        return sum(_is_write(each.what) for each in list(self._way.asked) if each.at >= began)

    def killed_at(self, number: int, *, answered: bool) -> list[str]:
        """Kill the operator at one of the writes that a change brings; return what is wrong after its next start.

        Args:
            number: which of the writes, from 0 on.
            answered: whether the API server has carried it out by then.
        """
        process = self._operator()
        seen = {False: 0, True: 0}

        def interrupts(what: str, reached: bool) -> bool:  # noqa: FBT001 - the proxy's own call
            if not _is_write(what):
                return False
            seen[reached] += 1
            if seen[reached] != number + 1 or reached is not answered:
                return False
            process.child.kill()
            return True

        self._way.interrupts = interrupts
        self._change()
        wait_until(lambda: process.child.poll() is not None, f"write {number} came, and the operator ended", within=60)
        self._way.interrupts = lambda _what, _reached: False
        self.start()
        return self._judge()

    def through(self, row: Row, *, meets: int, lasts: float) -> list[str]:
        """Change the source while a fault lasts; return what is wrong after the mend.

        Args:
            row: the fault.
            meets: how often it has to be met, if it is one that can be counted.
            lasts: seconds that it lasts, at least.
        """
        began = time.monotonic()
        if row.token:
            self._kubeconfig(self._token[::-1])
        self._way.begin(row.fault, cuts=row.cuts)
        self._change()

        def lasted() -> bool:
            since = sum(each.at >= began for each in list(self._way.asked))
            met = self._way.met(began) if row.fault is not None else since
            return time.monotonic() - began >= lasts and (not row.meets or met >= meets)

        process = self._operator()
        wait_until(lasted, f"{row.name}: the operator met it", within=lasts + 120, meanwhile=process.check)
        if row.token:
            self._kubeconfig(self._token)
        self._way.mend()
        return [*self._judge(), *([] if self._operator() is process else ["the operator ended"])]

    def state(self) -> Any:
        """Return what is served and said, without serials and times; None if it is not what the source has."""
        data = self._plane.kubectl.get("secret", BUNDLE, "-n", NAMESPACE).get("data")
        bundle = decode({key: base64.b64decode(value) for key, value in data.items()}) if data else Bundle()
        status = self._installation.status(_NAME)
        trust = bundle.trust(_NAME)
        wanted = (reference_of(self._roots[self._changes % 2]),)
        if trust is None or trust.content is None or trust.content.ca_certificates != wanted:
            return None
        conditions = sorted((each["type"], each["status"], each["reason"]) for each in status.get("conditions", []))
        shown = [each["sha256"] for each in status.get("certificates", [])]
        if shown != [self._digests[self._changes % 2]]:
            return None
        return len(bundle.trusts), trust.state, trust.content.registries, conditions

    def _judge(self) -> list[str]:
        process = self._operator()

        def settled() -> bool:
            return bool(self.state() == self._expected)

        try:
            wait_until(settled, "the same final state", within=MEND, every=0.2, meanwhile=process.check)
        except AssertionError as error:
            return [f"{error}: {self.state()}"]
        return []

    def _operator(self) -> Process:
        assert self._installation.operator is not None
        return self._installation.operator

    def _change(self) -> None:
        self._changes += 1
        self._put()

    def _put(self) -> None:
        self._installation.secret(_NAME, {"ca.crt": self._roots[self._changes % 2]})

    def _kubeconfig(self, token: str) -> Any:
        return write_kubeconfig(
            self._plane.folder / "operator-through-faults.kubeconfig", self._way.url, self._plane.authority.pem, token
        )


def _is_write(what: str) -> bool:
    return what.startswith(_WRITES) and "authorization.k8s.io" not in what
