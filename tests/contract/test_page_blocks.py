"""Every block of commands in the documents is carried out by a test, or says why not."""

from __future__ import annotations

import ast
import re
from collections import Counter

import pytest

from registry_trust.api.parse import check_trust
from tests.page_blocks import CARRIED_OUT, NOT_HERE
from tests.page_commands import FENCE, PAGES, ROOT, every_block
from tools.torture.issuers import objects_of_the_page

BLOCKS = list(every_block())
ROWS = [*(row for rows in CARRIED_OUT.values() for row in rows), *NOT_HERE]
LANGUAGES = {"sh", "console", "text", "yaml", "toml"}
PROGRAMS = r"^(?:\$ )?(?:cat|cosign|docker|helm|kind|kubectl|make|openssl|pipx|podman|registry-trust) (?!is )[\w./-]"


@pytest.mark.parametrize("place", [block.place for block in BLOCKS])
def test_a_block_has_one_row(place):
    assert [row for row in ROWS if place.startswith(row)][1:] == [], "more than one row names it"
    assert any(place.startswith(row) for row in ROWS), (
        f"no test carries this block out: {place!r}. Give it a row in tests/page_blocks.py, with a test or a reason"
    )


def test_a_row_names_one_block():
    found = Counter(row for row in ROWS for block in BLOCKS if block.place.startswith(row))

    assert {row: found[row] for row in ROWS if found[row] != 1} == {}


@pytest.mark.parametrize("test", CARRIED_OUT)
def test_a_test_that_a_row_names_exists_and_takes_its_blocks_from_the_table(test):
    file, _, name = test.partition("::")
    module = ast.parse((ROOT / file).read_text())

    assert name in {each.name for each in module.body if isinstance(each, ast.FunctionDef)}
    called = {
        each.func.id for each in ast.walk(module) if isinstance(each, ast.Call) and isinstance(each.func, ast.Name)
    }
    assert called & {"own_blocks", "blocks_of"}


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_block_says_what_it_is_and_commands_are_called_commands(page):
    for _, language, text in FENCE.findall(page.read_text()):
        assert language in LANGUAGES, text
        if language == "text":
            assert not re.match(PROGRAMS, text), f"commands are a block of sh, or of console: {text}"


def test_what_the_torture_takes_from_the_page_on_rotation_is_a_certificate_a_bundle_and_a_good_trust():
    certificate, bundle, trust = objects_of_the_page("harbor.corp.test:5000")

    assert (certificate["kind"], bundle["kind"]) == ("Certificate", "Bundle")
    assert check_trust(trust) == ()
    assert trust["spec"]["clientCertificates"][0]["secretRef"]["name"] == certificate["spec"]["secretName"]
    (source,) = (each["configMapKeyRef"] for each in trust["spec"]["caCertificates"])
    assert source == {"name": bundle["metadata"]["name"], "key": bundle["spec"]["target"]["configMap"]["key"]}


@pytest.mark.parametrize("name", ["cert-manager", "trust-manager"])
def test_the_page_on_rotation_names_the_version_whose_controllers_were_tried(name):
    (version,) = re.findall(
        rf"^\t\S+/{name} v(\d+\.\d+)\.\d+$", (ROOT / "tools/go/issuers/go.mod").read_text(), re.MULTILINE
    )

    assert f"{name} {version}" in (ROOT / "docs/rotation.md").read_text()
