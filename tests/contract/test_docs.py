"""The documents: generated parts are up to date, links lead somewhere, and commands and manifests are real ones."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import yaml

from registry_trust.agent.options import argument_parser
from registry_trust.api.crd import KINDS
from registry_trust.api.node_trust import KIND as NODE_TRUST
from registry_trust.api.node_trust import NodeTrust
from registry_trust.api.parse import check_trust
from registry_trust.cli.main import main
from registry_trust.core.names import GROUP
from registry_trust.core.reasons import Reason
from tools.generate import PAGE, expected_files

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [
    *(ROOT / name for name in ("README.md", "SECURITY.md", "CONTRIBUTING.md", "charts/registry-trust/README.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
EACH = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))

FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<!!)\[[^\]\n]+\]\(([^)\s]+)\)")
COMMAND = re.compile(r"registry-trust (?=[a-z])(?:[^`\n|#;&)]|\\\n)*")
"""What follows the command's name, up to the end of the code, the line, or the shell's next command."""


def code(document: Path) -> Iterator[str]:
    """Yield what a document shows as code: blocks (those of plain text are messages), and spans of lines."""
    text = document.read_text()
    for language, block in FENCE.findall(text):
        if language != "text":
            yield block.replace("\\\n", " ")
    for match in re.finditer(r"`([^`]+)`", FENCE.sub("", text)):
        yield " ".join(match[1].split())


def command_lines(document: Path) -> list[list[str]]:
    """Return the words after `registry-trust` of every line that calls it (and not kubectl, Helm or make)."""
    found = []
    for part in code(document):
        for line in part.splitlines():
            called = line.strip().removeprefix("$ ")
            if called.startswith("registry-trust ") and (match := COMMAND.match(called)):
                found.append(shlex.split(match[0].replace("[", "").replace("]", ""))[1:])
    return found


def options(command: click.Command) -> set[str]:
    if command.name == "agent":
        return {option for action in argument_parser()._actions for option in action.option_strings}
    known = {option for each in command.params for option in (*each.opts, *each.secondary_opts)}
    return {*known, "-h", "--help"}


def anchors(document: Path) -> set[str]:
    """Return the anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", document.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_generated_page_is_up_to_date():
    assert [path for path, text in expected_files().items() if path.read_text() != text] == [], "run `make generate`"


def test_every_reason_has_its_place_on_the_page():
    headings = re.findall(r"^### (\w+)$", PAGE.read_text(), re.MULTILINE)

    assert sorted(headings) == sorted(reason.value for reason in Reason)


@EACH
def test_every_relative_link_leads_to_a_file_and_to_a_heading_of_it(document):
    broken = []
    for target in LINK.findall(FENCE.sub("", document.read_text())):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (document.parent / path).resolve() if path else document
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(target)

    assert not broken


@EACH
def test_every_command_line_is_one_that_the_command_takes(document):
    for words in command_lines(document):
        command = main.commands.get(words[0])
        assert command is not None, f"registry-trust {' '.join(words)}"
        given = {word.partition("=")[0] for word in words if word.startswith("-")}
        assert given <= options(command), f"registry-trust {' '.join(words)}"


def test_some_command_lines_are_found():
    assert any(words[0] == "apply" and "--remove" in words for path in DOCUMENTS for words in command_lines(path))


@EACH
def test_every_manifest_of_our_kinds_is_one_that_the_api_takes(document):
    for language, text in FENCE.findall(document.read_text()):
        if language not in ("yaml", "yml"):
            assert f"apiVersion: {GROUP}/" not in text, "such a block is yaml: say so after its fence"
            continue
        for body in yaml.safe_load_all(text):
            if not isinstance(body, dict) or not str(body.get("apiVersion", "")).startswith(f"{GROUP}/"):
                continue
            assert body["kind"] in {kind.kind for kind in KINDS}
            if body["kind"] == NODE_TRUST:
                NodeTrust.model_validate({"status": body["status"]})
            else:
                assert check_trust(body) == ()


def test_some_manifests_are_found():
    assert sum(path.read_text().count(f"apiVersion: {GROUP}/") for path in DOCUMENTS) >= 2


@EACH
def test_every_test_and_module_that_a_document_names_exists(document):
    rooms = "tests|tools|core|certificates|api|compiler|controller|agent|process|cli"
    named = re.findall(rf"`((?:{rooms})/[\w/]+\.py)`", document.read_text())

    for name in named:
        assert (ROOT / name).is_file() or (ROOT / "operator" / "registry_trust" / name).is_file(), name
