"""The journal: logs what is so when it begins and when it ends, and nothing while it lasts."""

from __future__ import annotations

from collections.abc import Mapping
from logging import Logger
from typing import TypeVar

Subject = TypeVar("Subject", bound=tuple[str, ...])


class Journal:
    """Remembers what was said last of each subject."""

    def __init__(self) -> None:
        self._said: dict[tuple[str, ...], str] = {}

    def is_empty(self) -> bool:
        """Say whether nothing is so of any subject."""
        return not self._said

    def is_news(self, subject: tuple[str, ...], text: str) -> bool:
        """Say whether this is another text than the last one of that subject; an empty one ends what was said."""
        before = self._said.pop(subject, "")
        if text:
            self._said[subject] = text
        return text != before

    def news(self, texts: Mapping[Subject, str]) -> tuple[Subject, ...]:
        """Return the subjects with another text than their last one; of those that are not named nothing is so now."""
        found = tuple(subject for subject, text in texts.items() if self.is_news(subject, text))
        self._said = {subject: text for subject, text in self._said.items() if subject in texts}
        return found

    def trouble(self, log: Logger, subject: tuple[str, ...], text: str, **about: object) -> None:
        """Log a trouble once, and its end (an empty text); `about` are the fields of the line."""
        if not self.is_news(subject, text):
            return
        if text:
            log.warning("%s", text, extra=about)
        else:
            log.info("recovered: %s", " ".join(part for part in subject if part), extra=about)
