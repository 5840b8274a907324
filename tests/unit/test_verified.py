"""The condition Verified: what verifiers found becomes one word, and Ready waits for it only where the spec says so."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from registry_trust.agent.verifier import NOT_YET
from registry_trust.compiler.verifiers import Verifiers
from registry_trust.core.reasons import Reason
from registry_trust.core.report import RegistryRow, RowState, order_rows
from registry_trust.core.report_format import decode_report, encode_report
from registry_trust.core.trust import Verification
from registry_trust.core.verdict.verdict import State, Verdict, failed, unknown, verified
from tools.messages.cluster import CURRENT, GOOD, NODES, REGISTRY, Situation, outcome_of, secret
from tools.pki import root

CA = secret("harbor-ca", ca_crt=root().pem)
WORKS = verified("it answers 401", ())
FAILS = failed(Reason.UNKNOWN_AUTHORITY, "no CA certificate vouches for it")
UNCLEAR = unknown(Reason.REGISTRY_UNREACHABLE, "its name has no address")


def situation(*verdicts: Verdict | None, wish: Verification = Verification.REPORT) -> Situation:
    """Nodes with these verdicts, in the order of their names."""
    outcome = outcome_of(replace(GOOD, verification=wish), CA, verifiers=Verifiers(NODES))
    found = Situation(outcome)
    for node, verdict in zip(NODES, verdicts, strict=False):
        row = RegistryRow(REGISTRY, RowState.CURRENT, "0123456789abcdef", verdict=verdict)
        found = found.but(node.name, registries=(row,))
    return found


def conditions(of: Situation) -> dict[str, tuple[str, str]]:
    return {each["type"]: (each["status"], each["reason"]) for each in of.status()["conditions"]}


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        ((), ("Unknown", Reason.NOT_VERIFIED)),
        ((None, None, None), ("Unknown", Reason.NOT_VERIFIED)),
        ((WORKS,), ("True", Reason.VERIFIED)),
        ((WORKS, WORKS, WORKS), ("True", Reason.VERIFIED)),
        ((UNCLEAR, WORKS, None), ("True", Reason.VERIFIED)),
        ((UNCLEAR, UNCLEAR, None), ("Unknown", Reason.REGISTRY_UNREACHABLE)),
        ((WORKS, FAILS, WORKS), ("False", Reason.VERIFICATION_FAILED)),
        ((UNCLEAR, UNCLEAR, FAILS), ("False", Reason.VERIFICATION_FAILED)),
    ],
)
def test_verdicts_of_nodes_become_one_condition(
    verdicts: tuple[Verdict | None, ...], expected: tuple[str, Reason]
) -> None:
    found = conditions(situation(*verdicts))

    assert found["Verified"] == expected
    assert found["Ready"] == ("True", Reason.READY), "a report changes nothing else"


def test_agents_that_do_not_know_how_to_ask_are_named_and_nothing_waits_for_them_in_silence() -> None:
    waits = replace(situation(None, None, None, wish=Verification.REQUIRE), newest=CURRENT.serial)
    waits = waits.but("worker-1", agent_version="0.0.9")
    told = {each["type"]: each for each in waits.status()["conditions"]}

    assert conditions(waits)["Verified"] == ("Unknown", Reason.AGENT_DOES_NOT_VERIFY)
    assert conditions(waits)["Ready"] == ("False", Reason.AGENT_DOES_NOT_VERIFY)
    assert "Stalled" in told
    assert "worker-1 (version 0.0.9), worker-2 (version 1)" in told["Ready"]["message"]
    assert "upgrade the DaemonSet registry-trust-agent" in told["Ready"]["message"]


@pytest.mark.parametrize(
    ("verdicts", "newest", "reason"),
    [
        ((NOT_YET, None, None), CURRENT.serial, Reason.NOT_VERIFIED),
        ((None, None, None), CURRENT.serial + 1, Reason.NOT_VERIFIED),
        ((None, None, WORKS), CURRENT.serial, Reason.VERIFIED),
        ((None, None, NOT_YET), CURRENT.serial, Reason.NOT_VERIFIED),
    ],
    ids=["one is going to ask", "the newest bundle is on its way", "one asked", "another is going to ask"],
)
def test_one_agent_that_asks_is_waited_for(verdicts: tuple[Verdict | None, ...], newest: int, reason: Reason) -> None:
    found = replace(situation(*verdicts, wish=Verification.REQUIRE), newest=newest)

    assert conditions(found)["Verified"][1] == reason


def test_the_message_counts_and_names_the_first_failure_with_its_reason() -> None:
    told = {each["type"]: each["message"] for each in situation(WORKS, FAILS, FAILS).status()["conditions"]}

    assert told["Verified"] == (
        "3 nodes asked, and on 2 a pull would fail; worker-2: harbor.corp.example:5000: UnknownAuthority: no CA "
        "certificate vouches for it"
    )


@pytest.mark.parametrize(
    ("verdict", "ready", "kind"),
    [
        (None, ("False", Reason.NOT_VERIFIED), "Reconciling"),
        (UNCLEAR, ("False", Reason.REGISTRY_UNREACHABLE), "Stalled"),
        (FAILS, ("False", Reason.VERIFICATION_FAILED), "Stalled"),
        (WORKS, ("True", Reason.READY), None),
    ],
)
def test_a_trust_that_requires_it_is_ready_once_it_is_verified(
    verdict: Verdict | None, ready: tuple[str, Reason], kind: str | None
) -> None:
    found = conditions(situation(verdict, wish=Verification.REQUIRE))

    assert found["Ready"] == ready
    assert found.keys() & {"Reconciling", "Stalled"} == ({kind} if kind else set())


def test_without_verifiers_or_with_off_there_is_no_such_condition() -> None:
    assert "Verified" not in conditions(situation(WORKS, wish=Verification.OFF))
    assert "Verified" not in conditions(Situation(outcome_of(GOOD, CA)))


def test_a_node_that_is_no_verifier_has_no_say() -> None:
    nodes = NODES[:1]
    outcome = outcome_of(GOOD, CA, verifiers=Verifiers(nodes))
    liar = RegistryRow(REGISTRY, RowState.CURRENT, "0123456789abcdef", verdict=FAILS)
    found = Situation(outcome).but("worker-2", registries=(liar,))

    assert conditions(found)["Verified"] == ("Unknown", Reason.NOT_VERIFIED)


def test_what_was_found_about_earlier_content_does_not_count() -> None:
    late = situation(WORKS, WORKS, WORKS)
    late = replace(late, reports={name: replace(report, serial=0) for name, report in late.reports.items()})

    assert conditions(late)["Verified"] == ("Unknown", Reason.NOT_VERIFIED)


@pytest.mark.parametrize("verdict", [WORKS, FAILS, UNCLEAR])
def test_a_report_carries_the_verdict_both_ways(verdict: Verdict) -> None:
    row = RegistryRow(REGISTRY, RowState.CURRENT, "0123456789abcdef", verdict=verdict)
    report = replace(CURRENT, registries=(row,))

    assert decode_report(encode_report(report)) == report


@pytest.mark.parametrize("found", [None, "Verified", 3, [], {}, {"state": "Fine"}, {"state": 7}, {"state": []}])
def test_a_verdict_that_is_none_is_left_out(found: object) -> None:
    status: dict[str, Any] = encode_report(replace(CURRENT, registries=(RegistryRow(REGISTRY, RowState.CURRENT),)))
    status["registries"][0]["verification"] = found

    assert decode_report(status).registries[0].verdict is None


def test_a_verdict_of_a_hostile_node_is_escaped_and_has_a_known_reason() -> None:
    status: dict[str, Any] = encode_report(replace(CURRENT, registries=(RegistryRow(REGISTRY, RowState.CURRENT),)))
    status["registries"][0]["verification"] = {"state": "Failed", "reason": "Doom", "message": "\x1b[31m" + "x" * 9999}
    verdict = decode_report(status).registries[0].verdict

    assert verdict is not None
    assert (verdict.state, verdict.problem.reason) == (State.FAILED, Reason.VERIFICATION_FAILED)
    assert verdict.problem.message.isprintable()
    assert len(verdict.problem.message) < 1100


def test_rows_that_this_node_asked_about_come_before_the_others_of_a_long_list() -> None:
    rows = [RegistryRow(f"r{number}.example", RowState.CURRENT) for number in range(500)]
    rows[400] = replace(rows[400], verdict=WORKS)
    rows[450] = replace(rows[450], verdict=FAILS)
    shown, count, failing = order_rows(rows)

    assert [row.registry for row in shown[:2]] == ["r450.example", "r400.example"]
    assert (count, failing) == (500, 0)
