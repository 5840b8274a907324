"""Events: one for each turn of a status, with who and what it is about, and none where nothing turned."""

from __future__ import annotations

from typing import Any

from registry_trust.controller.transitions import NOTE_LIMIT, events

OLD, NEW = "a" * 64, "b" * 64
PLACE = "Secret registry-trust/ca key ca.crt"
END = "2027-02-01T00:00:00Z"


def condition(kind: str, value: str, reason: str, message: str = "why") -> dict[str, Any]:
    return {"type": kind, "status": value, "reason": reason, "message": message}


def authority(digest: str, **fields: str) -> dict[str, Any]:
    row = {"kind": "CA", "source": PLACE, "subject": f"CN={digest[0]}", "sha256": digest, "state": "Valid"}
    return {**row, "notBefore": "2026-01-01T00:00:00Z", "notAfter": "2036-01-01T00:00:00Z", **fields}


def status(*authorities: dict[str, Any], **fields: Any) -> dict[str, Any]:
    made = {"revision": "1", "conditions": [], "certificates": list(authorities), "certificateCount": len(authorities)}
    return {**made, **fields}


def failing(*names: str, failed: int | None = None, reason: str = "ForeignFile") -> dict[str, Any]:
    rows = [{"name": name, "registry": "r.example", "reason": reason, "message": "why"} for name in names]
    return status(failingNodes=rows, nodes={"failed": len(rows) if failed is None else failed})


def reasons(before: dict[str, Any], after: dict[str, Any]) -> list[tuple[str, str]]:
    return [(event.kind, event.problem.reason) for event in events(before, after)]


def test_a_status_that_stays_has_no_event() -> None:
    everything = {**failing("n1"), **status(authority(OLD), conditions=[condition("Accepted", "False", "Expired")])}

    assert events(everything, everything) == []


def test_accepted_and_rejected_are_told_on_their_turn_and_on_another_reason() -> None:
    good = status(conditions=[condition("Accepted", "True", "Valid")])
    bad = status(conditions=[condition("Accepted", "False", "InvalidPEM")])
    worse = status(conditions=[condition("Accepted", "False", "KeyMismatch")])

    assert reasons(good, bad) == [("Warning", "Rejected")]
    assert reasons(bad, worse) == [("Warning", "Rejected")]
    assert reasons(worse, good) == [("Normal", "Accepted")]


def test_nodes_on_their_way_are_no_event_and_their_arrival_is() -> None:
    pending = status(conditions=[condition("Distributed", "False", "NodesPending")])
    done = status(conditions=[condition("Distributed", "True", "AllNodesCurrent")])

    assert reasons(done, pending) == []
    assert reasons(pending, done) == [("Normal", "Distributed")]


def test_a_node_that_fails_and_one_that_is_cured_are_named() -> None:
    told = events(failing("n1", "n2"), failing("n2", "n3"))

    assert [(event.kind, event.problem.reason) for event in told] == [
        ("Warning", "NodeFailing"),
        ("Normal", "NodeRecovered"),
    ]
    assert told[0].problem.message == "n3: ForeignFile: r.example: why"
    assert told[1].problem.message == "n1 has recovered"


def test_nodes_that_are_late_or_away_are_not_called_failing() -> None:
    assert reasons(failing(), failing("n1", failed=0, reason="NodePending")) == []


def test_more_failing_nodes_than_a_status_names_are_no_flood() -> None:
    assert reasons(failing("n1"), failing(*(f"n{number}" for number in range(10)), failed=4000)) == []


def test_a_change_of_roots_names_both_sha256() -> None:
    told = events(status(authority(OLD), authority(NEW)), status(authority(NEW), authority("c" * 64)))

    assert [event.problem.message for event in told] == [f"CA certificates by SHA-256: added {'c' * 64}; removed {OLD}"]


def test_many_changed_roots_fit_into_one_note() -> None:
    many = [authority(f"{number:064x}") for number in range(32)]

    (told,) = events(status(authority(OLD)), status(authority(OLD), *many))

    assert len(told.problem.message) <= NOTE_LIMIT


def test_a_ca_that_is_retained_and_then_dropped_is_told_each_time() -> None:
    during = status(authority(OLD, retainedUntil=END), authority(NEW))

    begun = events(status(authority(OLD)), during)
    ended = events(during, status(authority(NEW)))

    assert [event.problem.reason for event in begun] == ["TrustRootsChanged", "CARetained"]
    assert (
        begun[1].problem.message
        == f"CA certificate CN=a ({PLACE}) stays until {END}; its source has replaced it (spec.caRetention)"
    )
    assert [event.problem.reason for event in ended] == ["TrustRootsChanged", "CADropped"]


def test_the_first_status_tells_of_no_change_of_roots() -> None:
    assert reasons({}, status(authority(OLD))) == []


def test_many_roots_that_came_do_not_hide_which_went() -> None:
    fresh = [authority(f"{number:064x}") for number in range(100)]

    found = events(status(authority(OLD)), status(*fresh))
    (told,) = [each for each in found if each.problem.reason == "TrustRootsChanged"]

    assert len(told.problem.message) <= NOTE_LIMIT
    assert told.problem.message.endswith(f"and 80 more; removed {OLD[:16]}")


def test_a_long_message_of_one_node_hides_no_other_node() -> None:
    bad = failing("n1", "n2", "n3", "n4")
    for row in bad["failingNodes"]:
        row["message"] = "x" * 1024

    (told,) = events(failing(), bad)

    assert len(told.problem.message) <= NOTE_LIMIT
    assert all(f"{name}: ForeignFile" in told.problem.message for name in ("n1", "n2", "n3"))
    assert told.problem.message.endswith("and 1 more")


def test_a_long_subject_does_not_hide_what_an_event_says_about_it() -> None:
    long = {"subject": "CN=" + "x" * 1000}
    kept = authority(OLD, retainedUntil=END, **long)

    told = events(status(authority(OLD, **long)), status(kept, authority(NEW)))

    (note,) = [each.problem.message for each in told if each.problem.reason == "CARetained"]
    assert f"stays until {END}" in note
    assert note.endswith("(spec.caRetention)")
