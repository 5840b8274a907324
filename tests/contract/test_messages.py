"""The page of messages: what the code says, reason by reason, is what the page says."""

from __future__ import annotations

from registry_trust.core.reasons import Reason
from tools.messages import golden


def test_the_page_of_messages_is_up_to_date():
    assert golden.PAGE.read_text() == golden.render(), "run `make generate`, and read the difference"


def test_every_reason_has_a_message():
    assert [reason for reason in Reason if not golden.messages()[reason]] == []


def test_every_message_is_printable_ascii():
    assert {
        text for texts in golden.messages().values() for text in texts if not text.replace("\n", "").isprintable()
    } == set()
