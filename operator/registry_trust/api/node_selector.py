"""The `nodeSelector` of a trust: Kubernetes' label selector, except that an empty one is refused."""

from __future__ import annotations

import re
from typing import Annotated, Self

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from registry_trust.api.fields import (
    LABEL_KEY,
    LABEL_KEY_LENGTH,
    LABEL_VALUE,
    PATTERN_MEANINGS,
    APIModel,
    list_type,
    refuse,
    rule,
    rules,
    show,
)
from registry_trust.core.reasons import Reason
from registry_trust.core.selection import Operator, Requirement, Selector

MAXIMUM_LINES = 32
VALUES_NEEDED = "needs values with the operators In and NotIn; add at least one"
VALUES_FORBIDDEN = "takes no values with the operators Exists and DoesNotExist; remove them"
EMPTY = "is empty; leave nodeSelector out to select every node, or name labels in matchLabels or matchExpressions"


def _label_key(key: str) -> str:
    if len(key) > LABEL_KEY_LENGTH or not re.fullmatch(LABEL_KEY, key):
        raise refuse(Reason.INVALID_SELECTOR, f"{show(key)} {PATTERN_MEANINGS[LABEL_KEY]}")
    return key


LabelValue = Annotated[str, Field(max_length=63, pattern=LABEL_VALUE)]


class SelectorRequirement(APIModel):
    """One requirement on one label."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "!(self.operator in ['In', 'NotIn']) || (has(self.values) && self.values.size() > 0)",
                VALUES_NEEDED,
                reason="FieldValueRequired",
            ),
            rule(
                "!(self.operator in ['Exists', 'DoesNotExist']) || !has(self.values) || self.values.size() == 0",
                VALUES_FORBIDDEN,
                reason="FieldValueForbidden",
            ),
        )
    )

    key: Annotated[
        str,
        Field(
            max_length=LABEL_KEY_LENGTH,
            pattern=LABEL_KEY,
            description="The label's key, e.g. node-role.kubernetes.io/worker.",
        ),
    ]
    operator: Annotated[
        Operator,
        Field(
            strict=False,  # a manifest has the word, not the enum's member
            description="How the label's value and `values` relate: In, NotIn (also true without the label), Exists or "
            "DoesNotExist.",
        ),
    ]
    values: Annotated[
        list[LabelValue] | None,
        Field(
            max_length=64,
            json_schema_extra=list_type("atomic"),
            description="The values for In and NotIn, at least one; Exists and DoesNotExist take none.",
        ),
    ] = None

    @model_validator(mode="after")
    def _values_fit_the_operator(self) -> Self:
        if self.operator in (Operator.IN, Operator.NOT_IN):
            if not self.values:
                raise refuse(Reason.INVALID_SELECTOR, VALUES_NEEDED)
        elif self.values:
            raise refuse(Reason.INVALID_SELECTOR, VALUES_FORBIDDEN)
        return self

    def to_core(self) -> Requirement:
        """Return the requirement as the core's value."""
        return Requirement(self.key, self.operator, tuple(self.values or ()))


class LabelSelector(APIModel):
    """A label selector: every label and every requirement must hold, and an empty one selects everything."""

    model_config = ConfigDict(json_schema_extra={"x-kubernetes-map-type": "atomic"})

    match_labels: Annotated[
        dict[Annotated[str, AfterValidator(_label_key)], LabelValue] | None,
        Field(
            max_length=MAXIMUM_LINES,
            json_schema_extra=rules(
                rule(
                    f"self.all(key, key.size() <= {LABEL_KEY_LENGTH} && key.matches('{LABEL_KEY}'))",
                    f"has a key that {PATTERN_MEANINGS[LABEL_KEY]}",
                )
            ),
            description="Labels that the object must have, each with exactly this value, "
            'e.g. {"node-role.kubernetes.io/worker": ""}.',
        ),
    ] = None
    match_expressions: Annotated[
        list[SelectorRequirement] | None,
        Field(
            max_length=MAXIMUM_LINES,
            json_schema_extra=list_type("atomic"),
            description="Requirements on labels, e.g. {key: pool, operator: In, values: [build, test]}.",
        ),
    ] = None

    def to_core(self) -> Selector:
        """Return the selector as the core's value, labels sorted."""
        return Selector(
            tuple(sorted((self.match_labels or {}).items())),
            tuple(requirement.to_core() for requirement in self.match_expressions or ()),
        )


class NodeSelector(LabelSelector):
    """Labels of Nodes: every label and every requirement must hold, and there is at least one."""

    model_config = ConfigDict(
        json_schema_extra={
            "x-kubernetes-map-type": "atomic",
            **rules(
                rule(
                    "(has(self.matchLabels) && self.matchLabels.size() > 0) || "
                    "(has(self.matchExpressions) && self.matchExpressions.size() > 0)",
                    EMPTY,
                    reason="FieldValueRequired",
                ),
            ),
        }
    )

    @model_validator(mode="after")
    def _is_not_empty(self) -> Self:
        if not self.match_labels and not self.match_expressions:
            raise refuse(Reason.INVALID_SELECTOR, EMPTY)
        return self
