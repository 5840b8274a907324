"""Found: certificates and keys as they were found for a registry, and what has to be said about the rest."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Self


class Gravity(StrEnum):
    """How much a notice matters; the value is the word that it begins with."""

    LOST = "not imported"
    """Trust that nodes have today and would not have from the objects: the exit code is 1."""
    SETTING = "not carried"
    """A setting that is not a certificate, such as a mirror: it stays where it is, or is lost with the file."""
    WARNING = "warning"
    """It works, within limits that the operator would report too."""
    NOTE = "note"
    """Nothing is wrong."""


@dataclass(frozen=True, slots=True, order=True)
class Notice:
    """One thing to say: printable ASCII, without secret bytes."""

    weight: Gravity
    text: str


@dataclass(frozen=True, slots=True)
class Text:
    """The content of a file or of a key, never printed, and where it was read, printable."""

    place: str
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Pair:
    """A client certificate and its private key; the same text twice where one file has both."""

    certificate: Text
    key: Text


@dataclass(frozen=True, slots=True)
class Found:
    """What one place gives one registry (`host[:port]`, checked).

    `has_settings`: the runtime has more of this registry there than certificates, and would lose it with the files.
    """

    registry: str
    place: str
    authorities: tuple[Text, ...] = ()
    pairs: tuple[Pair, ...] = ()
    has_settings: bool = False


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read of one source, in its order."""

    found: tuple[Found, ...] = ()
    notices: tuple[Notice, ...] = ()

    @classmethod
    def joined(cls, readings: Iterable[Self]) -> Self:
        """Return several readings as one."""
        every = tuple(readings)
        return cls(
            tuple(found for each in every for found in each.found),
            tuple(notice for each in every for notice in each.notices),
        )


def lost(text: str) -> Reading:
    """Return the reading of something that could not be imported."""
    return Reading(notices=(Notice(Gravity.LOST, text),))
