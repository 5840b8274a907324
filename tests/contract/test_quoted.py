"""What pages quote by hand as printed by the product is what it prints, and tables of kubectl have the real columns."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

import pytest

from registry_trust.api.crd import KINDS, NODE_TRUST, build_schema
from registry_trust.core.reasons import Reason
from tests.page_commands import FENCE, PAGES, ROOT, every_block

GENERATED = {"messages.md", "api.md"}
OF_OTHERS = (
    "python -m ",
    "x509: ",
    "tls: ",
    "remote error: tls: ",
    "open PATH",
    "read PATH",
    "failed to ",
    "signed by unknown authority",
    "Failed to pull image",
    "Note that CA certificates should use the extension .crt",
    "… in key input",
    "violates PodSecurity ",
    "insufficient quota ",
    "failed quota: ",
    "exceeded quota: ",
    "admission webhook ",
    "unable to validate against any security context constraint",
    "cannot be imported into the current release",
    "Missing key … for client certificate …",
)
"""How messages of runtimes, Kubernetes, Helm and other projects begin, as pages quote them."""
COMMANDS = re.compile(
    r"(?:kubectl|helm|make|docker|openssl|registry-trust [a-z]+ |systemctl|scp|ssh|apt-get|buildah|podman|ctr|k3s|k0s|"
    r"kind|microk8s|git|sha256sum|pipx|cosign|\.venv|/var|--|\{|\[|\||client = |\.registry-trust/|FILE:)"
)


def quoted() -> Iterator[tuple[str, str]]:
    """Yield page and text of what is shown as code, has four words or more, and is neither a command nor a setting."""
    for page in PAGES:
        if page.name in GENERATED:
            continue
        text = re.sub(r"<!-- Generated.*?<!-- End of.*?-->", "", page.read_text(), flags=re.DOTALL)
        for paragraph in re.split(r"\n\s*\n|\n(?=[|#-])", FENCE.sub("", text)):
            for _, found in re.findall(r"(?<!`)(`{1,2})(?!`)(.+?)(?<!`)\1(?!`)", paragraph, re.DOTALL):
                words = " ".join(found.split())
                if len(words.split()) >= 4 and not COMMANDS.match(words):
                    yield str(page.relative_to(ROOT)), words


@cache
def printed() -> str:
    """Return what the product can print: its messages, and the texts in its code and chart."""
    sources = [
        *(ROOT / "operator").rglob("*.py"),
        *(ROOT / "charts").rglob("*.tpl"),
        *(ROOT / "charts").rglob("*.yaml"),
    ]
    texts = [(ROOT / "docs" / "messages.md").read_text(), *(source.read_text() for source in sources)]
    return re.sub(r'"\s+f?"', "", "\n".join(texts))


def pattern(words: str) -> str:
    """Return what finds a quoted message: `…` and what is between quotes may be anything there."""
    parts = re.split(r"…|\"[^\"]*\"|(?:/[\w.:-]+){2,}", words)
    return ".{1,300}?".join(re.escape(part) for part in parts)


OURS = sorted({each for each in quoted() if not each[1].startswith(OF_OTHERS)})


@pytest.mark.parametrize(("page", "words"), OURS)
def test_a_message_that_a_page_quotes_is_one_that_is_printed(page, words):
    assert re.search(pattern(words), printed()), (
        f"{page} quotes what nothing prints (or add how it begins to OF_OTHERS)"
    )


def test_some_quoted_messages_are_found():
    assert ("docs/install.md", "standing by: another installation") in OURS


CONSOLES = [block for block in every_block() if block.language == "console"]
STATES = build_schema(NODE_TRUST)["properties"]["status"]["properties"]["state"]["enum"]
TABLES = {f"$ kubectl get {name}": kind for kind in KINDS for name in (kind.plural, kind.short_name)}


@pytest.mark.parametrize("block", CONSOLES, ids=lambda block: block.place[:60])
def test_what_a_console_shows_has_the_columns_of_the_kind_or_is_a_message(block):
    head, *rows = block.shown
    kind = next((kind for begin, kind in TABLES.items() if re.match(rf"{re.escape(begin)}( +#|$)", block.text)), None)
    if kind is None:
        assert all(re.search(pattern(line.partition(": ")[2]), printed()) for line in block.shown)
        return

    columns = ["NAME", *(column.name.upper() for column in kind.columns if column.priority == 0)]
    assert head.split() == columns
    starts = [re.search(rf"\b{column}\b", head) for column in columns]
    cells = [{c: row[at.start() :].split()[0] for c, at in zip(columns, starts, strict=True) if at} for row in rows]
    assert cells, "a table without rows"
    for cell in cells:
        assert cell.get("REASON", Reason.READY) in set(Reason)
        assert cell.get("STATE", "Current") in STATES
