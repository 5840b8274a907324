"""The type of one registry in a spec: the API server's rule for it, and the operator's own, stricter check."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from registry_trust.api.fields import PRIVATE_KEY_MARK, refuse, rule, rules
from registry_trust.core import registry as registry_names
from registry_trust.core.errors import InvalidField
from registry_trust.core.layout import DOCKER_HUB
from registry_trust.core.reasons import Reason

_LABEL = "[A-Za-z0-9]([-A-Za-z0-9]{0,61}[A-Za-z0-9])?"
_PORT = "(6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5][0-9]{4}|[1-9][0-9]{0,3})"
_HOST_AND_PORT = rf"^({_LABEL}(\\.{_LABEL})*|\\[[0-9A-Fa-f:.]+\\])(:{_PORT})?$"
_BARE_WORD = "^[-a-z0-9]+$"
_HUBS_OTHER_NAMES = r"^(?i)((index|registry-1)\\.)?docker\\.io(:[0-9]+)?$"
_NOT_THE_HUBS = f"(self == '{DOCKER_HUB}' || !self.matches('{_HUBS_OTHER_NAMES}'))"
_OTHERWISE = "is not a registry; write host[:port] exactly as in an image reference, e.g. harbor.corp.example:5000"

# (when, what to say): the first that is true is said.
_SAYINGS = (
    ("self == ''", registry_names.EMPTY),
    ("self.contains('@')", registry_names.CREDENTIALS),
    ("self.contains('://')", registry_names.SCHEME),
    ("self.contains('/')", registry_names.PATH),
    ("self.contains('*')", registry_names.WILDCARD),
    (f"self.matches('{_BARE_WORD}')", registry_names.BARE_WORD),
    (f"!{_NOT_THE_HUBS}", registry_names.HUBS_OTHER_NAME),
)

# One rule, and so one message: with a rule for each, `https://Host/` would get three.
_RULE = rule(
    f"self.matches('{_HOST_AND_PORT}') && (self == 'localhost' || !self.matches('{_BARE_WORD}')) && {_NOT_THE_HUBS}",
    _OTHERWISE,
    message_expression="".join(f"{when} ? '{say}' : " for when, say in _SAYINGS) + f"'{_OTHERWISE}'",
)


def _check(value: str) -> str:
    if PRIVATE_KEY_MARK in value:
        raise refuse(
            Reason.INVALID_HOST, "is not a registry and looks like a private key; remove it and replace that key"
        )
    try:
        return registry_names.check(value)
    except InvalidField as error:
        raise refuse(error.problem.reason, error.problem.message) from None


Registry = Annotated[
    str,
    Field(max_length=registry_names.MAXIMUM_LENGTH, json_schema_extra=rules(_RULE)),
    AfterValidator(_check),
]
"""`host[:port]`. What CEL can't say shortly (canonical IP addresses) the operator says in the trust's status."""
