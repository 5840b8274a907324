"""Origins: where a piece of PEM came from, and the one form of the sentences about it."""

from __future__ import annotations

from dataclasses import dataclass

from registry_trust.core.errors import UnusableMaterial
from registry_trust.core.findings import Finding
from registry_trust.core.reasons import Reason
from registry_trust.core.text import clip, escape


@dataclass(frozen=True, slots=True)
class Origin:
    """The field that names a value and the place it was read from, e.g. `Secret trust/harbor-ca key ca.crt`."""

    field: str
    place: str

    def refuse(self, reason: Reason, gist: str, where: str = "") -> UnusableMaterial:
        """Return the error that says `gist` of this place; `where` is e.g. `certificate 2 of 3, line 24`."""
        return UnusableMaterial(reason, self._sentence(gist, where), field=self.field)

    def warn(self, reason: Reason, gist: str, where: str = "") -> Finding:
        """Return the warning that says `gist` of this place."""
        return Finding(reason, clip(self._sentence(gist, where)), self.field)

    def _sentence(self, gist: str, where: str) -> str:
        return ": ".join(part for part in (escape(self.place), where, gist) if part)
