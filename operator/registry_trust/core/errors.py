"""What can be wrong, as a small hierarchy whose every member says where, what was found and what to do.

RegistryTrustError
+-- InvalidField          a field of a RegistryTrust (or an option) that can't be used as written
+-- SourceUnavailable     a Secret, ConfigMap or key that a trust names and that can't be read
+-- UnusableMaterial      certificates or keys that a runtime could not load, or that don't belong there
+-- UnusableBundle        a bundle that can't be read, or may not be written
+-- StoreFailure          a file operation on a node that failed
"""

from __future__ import annotations

from registry_trust.core.problem import Problem
from registry_trust.core.reasons import Reason
from registry_trust.core.text import clip


class RegistryTrustError(Exception):
    """The base of every error that an admin is meant to read.

    Attributes:
        problem: the reason, what was found and what to do, and the field that it is about.
    """

    def __init__(self, reason: Reason, message: str, *, field: str = "") -> None:
        self.problem = Problem(reason, clip(message), field)
        super().__init__(str(self.problem))


class InvalidField(RegistryTrustError):
    """A field of a RegistryTrust, or a command's option, that can't be used as written."""


class SourceUnavailable(RegistryTrustError):
    """A Secret, ConfigMap or key that a trust names and that can't be read."""


class UnusableMaterial(RegistryTrustError):
    """Certificates or keys that a runtime could not load, or that don't belong where they are."""


class UnusableBundle(RegistryTrustError):
    """A bundle that this version can't read or may not write."""


class StoreFailure(RegistryTrustError):
    """A file operation on a node that failed; the message names the errno and the path."""
