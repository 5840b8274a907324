"""The state of a certificate at a moment: not valid yet, valid, near its end, or past it."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

from registry_trust.core.reasons import Reason

EXPIRY_WARNING = timedelta(days=30)
EXPIRY_FRACTION = 0.2
"""A certificate is expiring in the last 30 days, or in the last fifth of its lifetime where that is less.

A certificate of 90 days that cert-manager renews at two thirds of its lifetime never comes so far.
"""
EXPIRY_SOON = timedelta(days=7)


class CertificateState(StrEnum):
    """What the time makes of a certificate; the words of `status.certificates[].state` and of Events."""

    NOT_YET_VALID = Reason.NOT_YET_VALID.value
    VALID = Reason.VALID.value
    EXPIRING = Reason.EXPIRING.value
    EXPIRING_SOON = Reason.EXPIRING_SOON.value
    EXPIRED = Reason.EXPIRED.value


ENDING = (CertificateState.EXPIRING, CertificateState.EXPIRING_SOON, CertificateState.EXPIRED)
"""From bad to worst."""


def state_of(
    not_before: datetime, not_after: datetime, now: datetime, warning: timedelta = EXPIRY_WARNING
) -> CertificateState:
    """Return the state of a certificate.

    Args:
        not_before: the first moment at which it is valid.
        not_after: the last one (RFC 5280 4.1.2.5: inclusive).
        now: the moment to judge by.
        warning: how long before its end it is expiring, at most; a fifth of its lifetime where that is less.

    ExpiringSoon is the second warning, and there is one only where the first came earlier.
    """
    if now > not_after:
        return CertificateState.EXPIRED
    if now < not_before:
        return CertificateState.NOT_YET_VALID
    first = min(warning, (not_after - not_before) * EXPIRY_FRACTION)
    left = not_after - now
    if left <= EXPIRY_SOON < first:
        return CertificateState.EXPIRING_SOON
    return CertificateState.EXPIRING if left <= first else CertificateState.VALID
