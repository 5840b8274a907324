"""What we accept, every runtime loads whole: mutated certificates, keys and bundles before our validator and before Go.

The full run: `python -m tests.integration.differential 100000`.
"""

from __future__ import annotations

import re

import pytest

from tests.integration import differential, key_shapes, specimens
from tests.integration.differential import Case, Figures
from tests.integration.reviewed import STRICTER_THAN_GO
from tools import pki
from tools.cluster.judge import JUDGES, Verdict, judge

pytestmark = pytest.mark.tools("oracle")

CASES, SEED = 2_500, 1


@pytest.fixture(scope="module")
def figures(tmp_path_factory) -> Figures:
    return differential.run(CASES, SEED, folder=tmp_path_factory.mktemp("certs.d"), every=8)


def test_nothing_that_we_accept_is_refused_or_dropped_by_go_or_by_a_loader(figures):
    assert figures.rejected_by_go == []
    assert figures.accepted > CASES / 20
    assert figures.vouched > CASES / 200
    assert figures.loaded > figures.accepted / 8


def test_what_go_accepts_and_we_refuse_is_reviewed(figures):
    found = {kind for kind in figures.stricter if not any(re.match(known, kind) for known in STRICTER_THAN_GO)}

    assert {kind: figures.examples[kind] for kind in found} == {}


def test_a_bundle_with_broken_text_of_which_go_would_drop_a_part_is_refused(figures):
    assert figures.dropped_by_go > CASES / 20


def test_every_key_that_both_versions_of_go_load_is_taken_whatever_its_form_and_label():
    judged = [differential.examine(Case(name, certificate=leaf, key=key)) for name, leaf, key in key_shapes.shapes()]
    loaded = [[not verdict.pair for verdict in judge(tool, (one.given for one in judged))] for tool in JUDGES]
    refused = {
        one.refusal: one.case.origin
        for one, *by_go in zip(judged, *loaded, strict=True)
        if one.accepted is None and all(by_go)
    }

    assert refused.keys() == {"Pair: KeyUnsupported: is a private key of the curve P-#"}, refused
    assert sum(all(by_go) for by_go in zip(*loaded, strict=True)) > 2_000
    for tool in JUDGES:
        written = judge(tool, (one.written for one in judged))
        assert [one.case.origin for one, verdict in zip(judged, written, strict=True) if verdict.pair] == []


def test_the_same_seed_makes_the_same_cases_and_another_makes_others():
    def sample(seed):
        return list(differential.cases(400, seed))

    assert sample(1) == sample(1)
    assert sample(1) != sample(2)


def test_every_public_root_of_this_machine_is_accepted_and_loaded_by_go():
    if not specimens.public_roots():
        pytest.skip("needs the public roots of the machine (Debian: ca-certificates)")
    judged = differential.examine(Case("public roots", ca=b"".join(specimens.public_roots())))

    assert judged.refusal == ""
    assert len(judged.accepted.pems) == len(set(specimens.public_roots()))


ALL, SOME = pki.root().pem + pki.root(1).pem, pki.root().pem


@pytest.mark.parametrize(
    ("case", "verdict", "words"),
    [
        (Case("x", ca=ALL), Verdict("go", 2, 1, "", "", 0, "", "", False), "1 of 2 certificates"),
        (Case("x", ca=ALL), Verdict("go", 1, 2, "", "", 0, "", "", False), "2 of 2 certificates"),
        (Case("x", ca=SOME), Verdict("go", 1, 1, "unknown authority", "", 0, "", "", False), "unknown authority"),
        (
            Case("x", certificate=pki.client().pem, key=pki.pkcs8(pki.client().key)),
            Verdict("go", 0, 0, "", "no match", 1, "", "", False),
            "no match",
        ),
    ],
)
def test_the_run_would_notice_what_go_refuses_or_drops(case, verdict, words):
    (problem,) = differential._rejections(differential.examine(case), verdict)

    assert words in problem
