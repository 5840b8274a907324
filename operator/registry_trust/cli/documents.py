"""Documents: YAML or JSON text to objects of JSON's shape, each with its place; errors name line and column.

YAML is read as kubectl reads it: keys are text, dates are text, and tags beyond JSON's types are refused. A key that is
there twice is refused (kubectl takes the last one with a warning).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from registry_trust.api.fields import show
from registry_trust.api.parse import kind_of
from registry_trust.core.text import clip, escape

MOST_NODES = 1_000_000
"""Values in one document, each alias counted in full: a few lines of aliases can stand for billions of values."""

DEEPEST = 100
"""Mappings and lists inside each other."""

_TAG = "tag:yaml.org,2002:"
_TYPES = ("null", "bool", "int", "float", "str", "seq", "map")


@dataclass(frozen=True, slots=True)
class Document:
    """One object, where it begins (`FILE:LINE`), and its node in the text, which knows the places of all fields."""

    place: str
    body: Mapping[str, Any]
    node: yaml.Node = field(compare=False, repr=False)


class UnusableDocument(Exception):
    """Text that holds no objects; says where and why, and repeats nothing that may be a secret."""


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, held to what JSON can say."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own class attribute
        first: [(tag, pattern) for tag, pattern in resolvers if tag != f"{_TAG}timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """Compose a mapping whose keys are text and differ."""
        node: yaml.MappingNode = super().compose_mapping_node(anchor)
        lines: dict[str, int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.MarkedYAMLError(problem="a key must be text", problem_mark=key.start_mark)
            if key.value in lines and key.tag != f"{_TAG}merge":
                problem = f"the key {show(key.value)} is already set in line {lines[key.value]}; remove one"
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
            lines[key.value] = key.start_mark.line + 1
            if key.tag != f"{_TAG}merge":
                key.tag = f"{_TAG}str"
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:  # noqa: FBT001, FBT002 - PyYAML's own
        """Construct a value of one of JSON's types."""
        if node.tag not in {f"{_TAG}{name}" for name in _TYPES}:
            problem = "this tag is not one of JSON's types; write plain text, a number, a list or a mapping"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)
        try:
            value = super().construct_object(node, deep)
            if isinstance(value, str):
                value.encode()
            elif isinstance(value, int | float):
                float(value)
        except UnicodeEncodeError:
            problem = "there is half a character (a lone surrogate) in this text"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark) from None
        except (ValueError, OverflowError):
            problem = "this number can't be read; put it in quotes if it is text"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark) from None
        return value


def parse(text: str, name: str) -> list[Document]:
    """Return the objects in a text of YAML or JSON; those of a List one by one.

    Args:
        text: the text.
        name: how messages call it, printable.

    Raises:
        UnusableDocument: it is not YAML, a key is there twice, or a document is not an object.
    """
    return [each for place, node, value in values_in(text, name) for each in objects_in(value, node, place)]


def values_in(text: str, name: str) -> list[tuple[str, yaml.Node, Any]]:
    """Return the documents in a text of YAML or JSON, whatever they are: place (`NAME:LINE`), node and value.

    Raises:
        UnusableDocument: it is not YAML, or a key is there twice.
    """
    try:
        return [(f"{name}:{node.start_mark.line + 1}", node, value) for node, value in _values(text)]
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = f":{mark.line + 1}:{mark.column + 1}" if mark is not None else ""
        said = ", ".join(part for part in (error.context, error.problem) if part)
        raise UnusableDocument(clip(f"{name}{at}: {_without_values(said)}")) from None
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        at = f"{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}"
        raise UnusableDocument(f"{name}:{at}: a control character, which YAML does not allow") from None
    except RecursionError:
        raise UnusableDocument(f"{name}: more than {DEEPEST} mappings and lists inside each other") from None


def _values(text: str) -> Iterator[tuple[yaml.Node, Any]]:
    """Yield each document's node and its value."""
    loader = _Loader(text)
    try:
        while loader.check_node():
            node = loader.get_node()
            if node is not None:
                _limit(node)
                yield node, loader.construct_document(node)
    finally:
        loader.dispose()


def _limit(top: yaml.Node) -> None:
    """Refuse what would become too large or too deep before any of it is made."""
    waiting, count = [(top, 0)], 0
    while waiting:
        node, depth = waiting.pop()
        count += 1
        if depth > DEEPEST:
            problem = f"more than {DEEPEST} mappings and lists inside each other"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)
        if count > MOST_NODES:
            problem = f"more than {MOST_NODES} values, each alias counted in full"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)
        if isinstance(node, yaml.MappingNode):
            waiting += [(each, depth + 1) for pair in node.value for each in pair]
        elif isinstance(node, yaml.SequenceNode):
            waiting += [(each, depth + 1) for each in node.value]


def objects_in(value: Any, node: yaml.Node, place: str) -> Iterator[Document]:
    """Yield one document's objects; none for an empty document.

    Raises:
        UnusableDocument: it is not an object, or a list of them.
    """
    if value is None:
        return
    if not isinstance(value, Mapping):
        raise UnusableDocument(
            f"{place}: this document is {kind_of(value)}; an object is a mapping with apiVersion, kind and metadata"
        )
    kind = value.get("kind")
    if not isinstance(kind, str) or not kind:
        found = "is missing" if kind is None else f"is {kind_of(kind) if kind != '' else 'empty'}"
        raise UnusableDocument(f"{place}: kind {found}; write what object this is, such as RegistryTrust")
    if not kind.endswith("List") or "items" not in value:
        yield Document(place, value, node)
        return
    items = value["items"]
    if items is not None and not isinstance(items, list):
        raise UnusableDocument(f"{place}: items is {kind_of(items)}; write a list of objects")
    nodes = children(children(node)["items"])
    for index, item in enumerate(items or ()):
        # Items of a list of one kind come without it.
        whole = {"kind": kind.removesuffix("List"), **item} if isinstance(item, Mapping) and kind != "List" else item
        if whole is None:
            raise UnusableDocument(f"{place} items[{index}]: is null; remove it")
        yield from objects_in(whole, nodes[index], f"{place} items[{index}]")


def children(node: yaml.Node) -> dict[str | int, yaml.Node]:
    """Return the nodes inside a mapping (by key) or a list (by index); a plain value has none."""
    if isinstance(node, yaml.MappingNode):
        return {key.value: value for key, value in node.value}
    return dict(enumerate(node.value)) if isinstance(node, yaml.SequenceNode) else {}


def _without_values(said: str) -> str:
    """Return PyYAML's words without what it quotes of the text, but for single characters and its own `<tokens>`."""
    return escape(re.sub(r"'((?:[^'\\]|\\.)*)'", lambda found: found[0] if _harmless(found[1]) else "'...'", said), 512)


def _harmless(quoted: str) -> bool:
    return len(quoted) <= 2 or (quoted.startswith("<") and quoted.endswith(">"))
