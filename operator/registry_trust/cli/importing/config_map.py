"""OpenShift's `additionalTrustedCA`: a ConfigMap whose keys are registries, with `..` before the port."""

from __future__ import annotations

import re

from registry_trust.cli.documents import Document
from registry_trust.cli.importing.found import Found, Gravity, Notice, Reading, Text
from registry_trust.compiler.objects import read_source
from registry_trust.core.errors import InvalidField
from registry_trust.core.registry import check
from registry_trust.core.text import escape, quote
from registry_trust.core.trust import SourceKind

UPDATE_SERVICE = "updateservice-registry"
"""The key that OpenShift's update service reads; it names no registry."""

_FILE = re.compile(r"\.(crt|pem|cer|cert|key)$")


def read(document: Document) -> Reading:
    """Return what a ConfigMap gives the registries that its keys name; it has CA certificates alone."""
    source, problems = read_source(document.body, SourceKind.CONFIG_MAP)
    place = f"{document.place} ConfigMap {escape(source.name)}"
    notices = [Notice(Gravity.LOST, f"{place}: {problem}") for problem in problems]
    found: list[Found] = []
    for key, data in sorted(source.data.items()):
        at = f"{place} key {escape(key)}"
        if key == UPDATE_SERVICE:
            gist = "is for OpenShift's update service and names no registry; nodes pull without it"
            notices.append(Notice(Gravity.SETTING, f"{at} {gist}"))
            continue
        if _FILE.search(key):
            gist = f"is a file's name, not a registry; OpenShift's keys are like {quote('registry.example.com..5000')}"
            notices.append(Notice(Gravity.LOST, f"{at} {gist}"))
            continue
        try:
            found.append(Found(check(key.replace("..", ":")), at, (Text(at, data),)))
        except InvalidField as error:
            notices.append(Notice(Gravity.LOST, f"{at}: {error.problem}"))
    return Reading(tuple(found), tuple(notices))
