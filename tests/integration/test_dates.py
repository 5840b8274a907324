"""Dates: a certificate that crosses one changes condition, metric and one Event, with nothing else happening."""

from __future__ import annotations

import re
import urllib.request
from datetime import UTC, datetime, timedelta

import pytest

from tools.authority import BACKDATED, Authority
from tools.cluster.waiting import wait_until
from tools.der import armour, handmade
from tools.installation import Installation

SOON = timedelta(seconds=45)
"""Long enough for a busy machine to write the first status before."""


def about_to_expire(now: datetime) -> Authority:
    """A CA whose last fifth begins soon, and is long enough for the test not to see its end."""
    fifth = timedelta(seconds=240)
    end = now + SOON + fifth
    return Authority.create("ending", now=end - 5 * fifth + BACKDATED, lasts=5 * fifth)


def about_to_begin(now: datetime) -> Authority:
    return Authority.create("beginning", now=now + SOON + BACKDATED)


def by_state(installation: Installation, trust: str) -> dict[str, int]:
    """Return what the metric says of a trust's certificates, without the states that none is in."""
    with urllib.request.urlopen(f"http://127.0.0.1:{installation.operator_port}/metrics", timeout=5) as answer:
        page = answer.read().decode()
    found = re.findall(rf'^registry_trust_certificates{{state="(\w+)",trust="{trust}"}} ([\d.]+)$', page, re.MULTILINE)
    return {state: int(float(count)) for state, count in found if float(count)}


def dates(installation: Installation, trust: str) -> list[str]:
    """Return the reasons of the Events about dates, in any order."""
    events = installation.plane.kubectl.get("events", "-n", "default")["items"]
    told = {"Valid", "NotYetValid", "Expiring", "ExpiringSoon", "Expired"}
    return sorted(e["reason"] for e in events if e["involvedObject"]["name"] == trust and e["reason"] in told)


def test_a_date_that_is_crossed_changes_condition_metric_and_one_event_within_a_minute(
    installation: Installation,
) -> None:
    now = datetime.now(UTC)
    for name, authority in (("ending", about_to_expire(now)), ("beginning", about_to_begin(now))):
        source = [{"inline": authority.pem.decode()}]
        installation.trust(name, registries=[f"{name}.example"], caCertificates=source)
    assert installation.wait_for("ending", "Expiring", "False")["reason"] == "NotExpiring"
    assert installation.wait_for("beginning", "Expiring", "False")["reason"] == "NotYetValid"
    assert by_state(installation, "ending") == {"Valid": 1}
    assert by_state(installation, "beginning") == {"NotYetValid": 1}
    assert (dates(installation, "ending"), dates(installation, "beginning")) == ([], ["NotYetValid"])
    revisions = [installation.status(name)["revision"] for name in ("ending", "beginning")]

    wait_until(
        lambda: installation.condition("ending", "Expiring")["reason"] == "Expiring",
        "the certificate that ends is told",
        within=60 + SOON.total_seconds(),
    )
    wait_until(
        lambda: installation.condition("beginning", "Expiring")["reason"] == "NotExpiring",
        "the certificate that begins is told",
        within=60,
    )

    assert installation.condition("ending", "Expiring")["status"] == "True"
    assert (by_state(installation, "ending"), by_state(installation, "beginning")) == ({"Expiring": 1}, {"Valid": 1})
    wait_until(lambda: dates(installation, "ending") == ["Expiring"], "one Event tells of the end", within=10)
    wait_until(lambda: dates(installation, "beginning") == ["NotYetValid", "Valid"], "one Event each", within=10)
    wait_until(
        lambda: installation.condition("beginning", "Accepted")["reason"] == "Valid",
        "the warning ends with its cause, at the next compilation",
        within=60,
    )
    assert [installation.status(name)["revision"] for name in ("ending", "beginning")] == revisions


@pytest.mark.parametrize("year", [1, 999, 1000])
def test_a_certificate_of_any_year_leaves_the_status_of_its_trust_writable(
    installation: Installation, year: int
) -> None:
    old = armour(handmade(not_before=b"%04d0101000000Z" % year, not_after=b"99991231235959Z"))
    installation.trust(f"of-{year}", registries=["old.example"], caCertificates=[{"inline": old.decode()}])

    installation.wait_for(f"of-{year}", "Accepted", "True")

    (told,) = installation.status(f"of-{year}")["certificates"]
    assert (told["notBefore"], told["notAfter"]) == (f"{year:04}-01-01T00:00:00Z", "9999-12-31T23:59:59Z")
