"""Documents: YAML as kubectl reads it; whatever is wrong is named by line and column, and repeated nowhere."""

from __future__ import annotations

import pytest

from registry_trust.cli.documents import UnusableDocument, parse

LAUGHS = "kind: x\na: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [*{old}, *{old}, *{old}, *{old}, *{old}, *{old}, *{old}, *{old}, *{old}, *{old}]\n"
    for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)
SECRET = "MHcCAQEEIBWm1W0JSRt7ziRvkBCHpDmZP3pSpBTjq9HoZ"

REFUSED = {
    "kind: [\n  b: c\n": "f:3:1: while parsing a flow sequence, expected ',' or ']', but got '<stream end>'",
    "kind: x\n\t- c": "f:2:1: while scanning for the next token, found character '\\t' that cannot start any token",
    "kind: x\nkind: x": 'f:2:1: the key "kind" is already set in line 1; remove one',
    "kind: x\na:\n  1: x\n  '1': x": 'f:4:3: the key "1" is already set in line 3; remove one',
    "kind: x\n? [a]\n: b": "f:2:3: a key must be text",
    "kind: !!binary aGFs": "f:1:7: this tag is not one of JSON's types",
    "kind: !made x": "f:1:7: this tag is not one of JSON's types",
    "kind: x\nn: 0x" + "f" * 5000: "f:2:4: this number can't be read; put it in quotes if it is text",
    "kind: x\nn: !!int text": "f:2:4: this number can't be read",
    'kind: "\\ud800"': "f:1:7: there is half a character (a lone surrogate) in this text",
    "kind: x\na: &a [*a]": "f:2:4: more than 100 mappings and lists inside each other",
    LAUGHS: "more than 1000000 values, each alias counted in full",
    "[" * 3000: "f: more than 100 mappings and lists inside each other",
    "kind: x\nb: \x01": "f:2:4: a control character, which YAML does not allow",
    "- kind: x": "f:1: this document is a list; an object is a mapping with apiVersion, kind and metadata",
    "\n\ntext": "f:3: this document is a string",
    "metadata: text": "f:1: kind is missing; write what object this is, such as RegistryTrust",
    "---\nkind: x\n---\nkind: 5": "f:4: kind is a number; write what object this is",
    "kind: ''": "f:1: kind is empty",
    "kind: List\nitems: {}": "f:1: items is a mapping; write a list of objects",
    "kind: List\nitems: [null]": "f:1 items[0]: is null; remove it",
    "kind: SecretList\nitems: [5]": "f:1 items[0]: this document is a number",
}


@pytest.mark.parametrize("text", REFUSED, ids=lambda text: repr(text[:24]))
def test_what_is_not_an_object_is_refused_by_its_place(text):
    with pytest.raises(UnusableDocument) as refusal:
        parse(text, "f")

    assert REFUSED[text] in str(refusal.value)


@pytest.mark.parametrize(
    "text",
    [
        f"a: *{SECRET}",
        f"a: &{SECRET} x\nb: &{SECRET} [",
        f"a: !{SECRET} x",
        f"a: !{SECRET}!x y",
        f"%{SECRET} x\n---\na",
        f"{SECRET}: x\n{SECRET}: y",
        f'a: "{SECRET}\nb: c',
        f"a: {{ {SECRET}",
    ],
)
def test_no_refusal_repeats_what_may_be_a_secret(text):
    with pytest.raises(UnusableDocument) as refusal:
        parse(text, "f")

    assert SECRET not in str(refusal.value)


def test_keys_and_dates_are_text_as_they_are_for_kubectl():
    (document,) = parse("kind: x\n5: 2024-01-01\ntrue: no\n", "f")

    assert document.body == {"kind": "x", "5": "2024-01-01", "true": False}


def test_merged_mappings_and_anchors_are_read():
    (document,) = parse("kind: x\na: &a {b: 1}\nc: &c {<<: *a, b: 2}\nd: {<<: [*a, *c], e: 3}\n", "f")

    assert document.body == {"kind": "x", "a": {"b": 1}, "c": {"b": 2}, "d": {"b": 1, "e": 3}}


def test_lists_give_their_objects_with_the_kind_that_they_may_leave_out():
    text = (
        "kind: List\nitems:\n- kind: SecretList\n  items:\n  - metadata: {name: a}\n- kind: x\n---\n---\nkind: List\n"
    )
    documents = parse(text + "items: null\n", "f")

    assert [(each.place, each.body["kind"]) for each in documents] == [
        ("f:1 items[0] items[0]", "Secret"),
        ("f:1 items[1]", "x"),
    ]
