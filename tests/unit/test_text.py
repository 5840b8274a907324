"""Text that another process wrote is shown as printable ASCII and never longer than is asked for."""

from __future__ import annotations

from registry_trust.core.text import escape


def test_only_printable_ascii_that_fits_is_shown_as_it_is() -> None:
    for number in range(0x3000):
        character = chr(number)
        shown = escape(f"a{character}b")
        assert (shown == f"a{character}b") is (0x20 <= number <= 0x7E)
        assert all(0x20 <= ord(each) <= 0x7E for each in shown)


def test_what_is_too_long_ends_with_dots_also_if_only_its_escaped_form_is() -> None:
    assert escape("x" * 10, 10) == "x" * 10
    assert escape("x" * 11, 10) == "x" * 7 + "..."
    assert escape("\u202e" * 3, 10) == "\\u202e\\..."
