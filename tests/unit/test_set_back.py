"""A history that was set back (a restored etcd): what was known from the lost one counts no more."""

from __future__ import annotations

import pytest

from registry_trust.controller.api_server import ApiServer
from registry_trust.controller.collection import Collection
from registry_trust.controller.connection import LONGEST_RETRY_AFTER, retry_after


def known() -> Collection[str]:
    collection: Collection[str] = Collection()
    collection.put("kept", 100, "as it was")
    collection.put("changed", 480, "from the lost history")
    collection.put("new", 490, "from the lost history")
    collection.delete("deleted", 500)
    return collection


RESTORED = {"kept": (100, "as it was"), "changed": (300, "restored"), "deleted": (310, "restored")}


@pytest.mark.parametrize("version", [320, 499, 500, 501, 900], ids=lambda version: f"list at {version}")
def test_a_complete_list_replaces_what_is_known_of_a_lost_history(version: int):
    collection = known()

    assert collection.swap(version, RESTORED, asked_at=collection.newest)

    assert collection.values() == {key: value for key, (_, value) in RESTORED.items()}


def test_events_after_a_list_of_a_restored_history_are_taken_although_their_versions_are_lower():
    collection = known()
    collection.swap(320, RESTORED, asked_at=collection.newest)

    assert collection.put("changed", 321, "newer")
    assert collection.delete("kept", 322)
    assert collection.values() == {"changed": "newer", "deleted": "restored"}


def test_what_an_event_said_while_a_list_was_under_way_stays():
    collection: Collection[str] = Collection()
    asked_at = collection.newest
    collection.put("new", 12, "by event")
    collection.delete("gone", 13)

    collection.swap(10, {"gone": (5, "x"), "other": (6, "y")}, asked_at=asked_at)

    assert collection.values() == {"new": "by event", "other": "y"}


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("5", 5.0),
        ("0", 0.0),
        ("86400", LONGEST_RETRY_AFTER),
        ("100000000000", LONGEST_RETRY_AFTER),
        ("inf", LONGEST_RETRY_AFTER),
        ("nan", 1.0),
        ("-5", 1.0),
        ("", 1.0),
        ("Wed, 21 Oct 2099 07:28:00 GMT", 1.0),
        ("9" * 5000, LONGEST_RETRY_AFTER),
    ],
)
def test_a_retry_after_is_heeded_up_to_a_bound(header: str, seconds: float):
    assert retry_after(header) == seconds


@pytest.mark.parametrize("write", ["apply", "create", "replace", "merge"])
def test_every_write_looks_at_the_last_renewal_before_anything_is_sent(write: str):
    class TooOldError(Exception):
        pass

    def check() -> None:
        raise TooOldError

    server = ApiServer(None, before_write=check)  # type: ignore[arg-type]  # nothing may be asked of it
    arguments: tuple[object, ...] = ("/api/v1/nodes/x", {}, "manager") if write == "apply" else ("/api/v1/nodes/x", {})

    with pytest.raises(TooOldError):
        getattr(server, write)(*arguments)
