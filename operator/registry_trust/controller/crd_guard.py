"""The guard of the CRD: while it is missing, and for a while afterwards, no trust counts as removed."""

from __future__ import annotations

import logging

from registry_trust.controller.api_server import ApiFailure, ApiServer
from registry_trust.controller.clock import Clock
from registry_trust.core.names import CRDS, TRUSTS_CRD

_log = logging.getLogger(__name__)

THAW = 60.0
"""Seconds after the CRD is seen whole again (or after a start) before a removal may mature."""


class CRDGuard:
    """Who deletes the CRD deletes every trust with it, and means none of them."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._whole_since: float | None = None
        self.uid = ""
        """Of the CRD as it was last seen whole; empty before the first time."""

    @property
    def frozen(self) -> bool:
        """Say whether no removal may mature now."""
        return self._whole_since is None or self.thaws_in() is not None

    def look(self, server: ApiServer) -> bool:
        """Look whether the CRD is there; say whether it is whole again.

        Raises:
            ApiFailure: the API server did not say.
        """
        try:
            metadata = server.get(f"{CRDS}/{TRUSTS_CRD}", metadata_only=True)["metadata"]
        except ApiFailure as error:
            if error.status != 404:
                raise
            metadata = {}
        if not metadata or metadata.get("deletionTimestamp"):
            if self._whole_since is not None:
                _log.warning("the RegistryTrust CRD is missing or terminating; no trust is removed")
            self._whole_since = None
            return False
        again = self._whole_since is None
        if self._whole_since is None:
            self._whole_since = self._clock.steady()
        self.uid = str(metadata["uid"])
        return again

    def thaws_in(self) -> float | None:
        """Return the seconds until removals may mature again; None if they may, or if nobody knows when."""
        if self._whole_since is None:
            return None
        left = self._whole_since + THAW - self._clock.steady()
        return left if left > 0 else None

    def thaw(self) -> None:
        """Let removals mature at once, if the CRD is whole: there is nothing that could have vanished."""
        if self._whole_since is not None:
            self._whole_since = self._clock.steady() - THAW
