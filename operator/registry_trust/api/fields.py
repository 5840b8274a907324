"""The building blocks of the API's models: strict models, CEL rules, Kubernetes' name types, conditions and rows."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from registry_trust.core.duration import DURATION
from registry_trust.core.reasons import Reason
from registry_trust.core.text import MESSAGE_LIMIT, quote

SUBDOMAIN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
"""RFC 1123 subdomain: what Kubernetes lets a Secret, a ConfigMap or a RegistryTrust be called."""
DATA_KEY = r"^[-._a-zA-Z0-9]+$"
"""A key of a Secret's or ConfigMap's data."""
FILE_NAME = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"
"""A name that is one safe path component on every node."""
LABEL_KEY = r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$"
LABEL_VALUE = r"^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$"
SHA256 = r"^[0-9a-f]{64}$"
CONDITION_REASON = r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$"

PATTERN_MEANINGS = {
    SUBDOMAIN: "is not a valid Kubernetes name; use a-z, 0-9, - and ., with a letter or digit at both ends",
    DATA_KEY: "is not a key of a Secret or ConfigMap; use letters, digits, -, _ and .",
    FILE_NAME: "is not a safe file name; use a-z, 0-9, - and ., with a letter or digit at both ends",
    LABEL_KEY: "is not the key of a label; write [prefix/]name as the object has it",
    LABEL_VALUE: "is not the value of a label; use letters, digits, -, _ and ., with a letter or digit at both ends",
    DURATION: "is not a duration; write whole hours, minutes and seconds, e.g. 24h, 1h30m or 0s",
}
"""What to say where a value does not match; a regular expression is no message.

In the CRDs these patterns become CEL rules with this text, because the server's own message shows the expression.
"""

PRIVATE_KEY_MARK = "PRIVATE KEY"
"""What the BEGIN line of every kind of private key in PEM says."""

LABEL_KEY_LENGTH = 317
"""253 characters of prefix, a slash, 63 of name."""


class APIModel(BaseModel):
    """One object of the API: camelCase names, nothing coerced, unknown fields refused."""

    model_config = ConfigDict(
        alias_generator=to_camel, extra="forbid", frozen=True, strict=True, hide_input_in_errors=True
    )


def rule(expression: str, message: str, *, message_expression: str = "", reason: str = "") -> dict[str, JsonValue]:
    """Return one CEL rule (`x-kubernetes-validations`).

    `message_expression` computes a better message where that is cheap; `message` stands in where it fails. `reason`
    is FieldValueInvalid (the default), FieldValueRequired or FieldValueForbidden; with FieldValueDuplicate the server
    (1.37) drops the message.
    """
    made: dict[str, JsonValue] = {"rule": expression, "message": message}
    if message_expression:
        made["messageExpression"] = message_expression
    if reason:
        made["reason"] = reason
    return made


def rules(*made: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """Return the schema extension that holds these rules."""
    return {"x-kubernetes-validations": list(made)}


def list_type(kind: Literal["atomic", "set"]) -> dict[str, JsonValue]:
    """Return how server-side apply merges this list: as a whole, or as a set of scalars."""
    return {"x-kubernetes-list-type": kind}


def list_map(key: str) -> dict[str, JsonValue]:
    """Return that server-side apply merges this list item by item; the key is unique, and required or defaulted."""
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [key]}


_RUN = re.compile(r"[A-Za-z0-9+/]{16,}")
"""What a line of a key looks like; shorter runs are words."""


def may_be_key(text: str) -> bool:
    """Say whether a part of a private key may stand in a text, which is then not to be repeated.

    That is its mark, or a long run with capitals, small letters and digits in it: base64 has them, names don't.
    """
    return PRIVATE_KEY_MARK in text or any(
        all(re.search(kind, run) for kind in ("[A-Z]", "[a-z]", "[0-9]")) for run in _RUN.findall(text)
    )


def show(text: str) -> str:
    """Return text as a message may show it: quoted, and not at all where a private key may have been pasted."""
    return "the value" if may_be_key(text) else quote(text)


def refuse(reason: Reason, message: str, *at: str | int) -> PydanticCustomError:
    """Return the error with which a validator refuses a value; `at` leads from that value to the culprit inside."""
    return PydanticCustomError("refused", "{message}", {"message": message, "reason": reason, "at": at})


Count = Annotated[int, Field(ge=0, json_schema_extra={"format": "int32"})]
Serial = Annotated[int, Field(ge=0, json_schema_extra={"format": "int64"})]
Timestamp = Annotated[str, Field(max_length=32, json_schema_extra={"format": "date-time"})]
"""RFC 3339, UTC, whole seconds."""
ObjectName = Annotated[str, Field(max_length=253, pattern=SUBDOMAIN)]
DataKey = Annotated[str, Field(max_length=253, pattern=DATA_KEY)]
ReasonWord = Annotated[str, Field(max_length=64, description="One CamelCase word for programs.")]
Message = Annotated[
    str, Field(max_length=MESSAGE_LIMIT, description="What was found and what to do about it, for people.")
]


class ConditionRow(APIModel):
    """One thing that is true, false or unknown of this object, in the shape of Kubernetes' own conditions."""

    type: Annotated[
        str,
        Field(
            min_length=1,
            max_length=316,
            description="What the condition is about: Accepted, Distributed, Expiring, Ready, Reconciling or Stalled; "
            "of a NodeTrust, only the last three.",
        ),
    ]
    status: Annotated[Literal["True", "False", "Unknown"], Field(description="True, False or Unknown.")]
    observed_generation: Annotated[
        int | None,
        Field(
            ge=0,
            json_schema_extra={"format": "int64"},
            description="The metadata.generation that this condition speaks of; a NodeTrust's conditions have none.",
        ),
    ] = None
    last_transition_time: Annotated[
        Timestamp, Field(description="When `status` last changed from one value to another.")
    ]
    reason: Annotated[
        str,
        Field(min_length=1, max_length=1024, pattern=CONDITION_REASON, description="One CamelCase word for programs."),
    ]
    message: Annotated[
        str, Field(max_length=32768, description="What was found and what to do about it, for people; may be empty.")
    ]


Conditions = Annotated[
    list[ConditionRow],
    Field(
        max_length=16,
        json_schema_extra=list_map("type"),
    ),
]
