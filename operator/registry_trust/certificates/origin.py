"""Origins: where a piece of PEM came from, and the one form of the sentences about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from registry_trust.core.errors import UnusableMaterial
from registry_trust.core.problem import Problem
from registry_trust.core.reasons import Reason
from registry_trust.core.text import clip, escape


class Door(StrEnum):
    """What a value is wanted for: the name of the file that commands in messages write."""

    CA = "ca.crt"
    CLIENT_CERTIFICATE = "client.crt"
    CLIENT_KEY = "client.key"

    @property
    def stem(self) -> str:
        """The file's name without its ending."""
        return self.value.partition(".")[0]


class UnusableCertificate(UnusableMaterial):
    """One certificate that can't be used, in a document that is otherwise what it should be.

    `where` and `gist` say so without place and advice, for a list that goes on without it.
    """

    def __init__(self, reason: Reason, message: str, *, field: str, where: str, gist: str) -> None:
        super().__init__(reason, message, field=field)
        self.where, self.gist = where, gist


@dataclass(frozen=True, slots=True)
class Origin:
    """The field that names a value and the place it was read from, e.g. `Secret trust/harbor-ca key ca.crt`."""

    field: str
    place: str
    door: Door = Door.CA

    def refuse(self, reason: Reason, gist: str, where: str = "") -> UnusableMaterial:
        """Return the error that says `gist` of this place; `where` is e.g. `certificate 2 of 3, line 24`."""
        return UnusableMaterial(reason, self._sentence(gist, where), field=self.field)

    def unusable(self, reason: Reason, gist: str, advice: str, where: str) -> UnusableCertificate:
        """Return the error that one certificate of this place can't be used."""
        message = self._sentence(f"{gist}; {advice}", where)
        return UnusableCertificate(reason, message, field=self.field, where=where, gist=gist)

    def warn(self, reason: Reason, gist: str, where: str = "") -> Problem:
        """Return the warning that says `gist` of this place."""
        return Problem(reason, clip(self._sentence(gist, where)), self.field)

    def _sentence(self, gist: str, where: str) -> str:
        return ": ".join(part for part in (escape(self.place), where, gist) if part)
