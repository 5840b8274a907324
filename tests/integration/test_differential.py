"""What we accept, every runtime loads whole: mutated certificates, keys and bundles before our validator and before Go.

The full run: `python -m tests.integration.differential 100000`.
"""

from __future__ import annotations

import re

import pytest

from tests.cluster.judge import Verdict
from tests.integration import differential, specimens
from tests.integration.differential import Case, Figures
from tests.unit import pki

CASES, SEED = 5_000, 1

UNREADABLE = "CertificateParse: is no certificate that runtimes can read: "

PAIR = "Pair: "

REVIEWED = {
    UNREADABLE
    + "the certificate can't be parsed": "cryptography refuses it: bytes after the last field of a structure "
    "(Go reads over them), a malformed extension that Go does not look into, a point that is not on its curve. None is "
    "made by any CA, and the operator could not report what such a certificate says.",
    UNREADABLE
    + ".* is followed by other bytes": "Bytes after a structure that is complete; Go reads over them in some "
    "places, and other TLS libraries on the way don't.",
    UNREADABLE + "the serial number is negative": "Go 1.23 and newer refuse it.",
    UNREADABLE + "notAfter is earlier than notBefore": "Never valid: Go parses it and refuses every chain.",
    UNREADABLE + "(?:policyMappings|policyConstraints|inhibitAnyPolicy) ": "Go 1.24 and newer parse it, and refuse.",
    UNREADABLE
    + "not(?:Before|After) is no time in UTC": "Go also reads times without seconds or with an offset, which "
    "RFC 5280 4.1.2.5 forbids; cryptography refuses them.",
    UNREADABLE + "basicConstraints has a path length": "The newest Go refuses it.",
    UNREADABLE + "subjectAltName has a URI": "Go's rules for URIs were narrowed from version to version; ours are "
    "narrower than each.",
    UNREADABLE + "certificatePolicies ": "The newest Go is stricter with policies than the older one, or the other way "
    "round; ours is as strict as both.",
    PAIR + "CertificateParse: ": "A chain whose later certificates are damaged: X509KeyPair parses the first "
    "one alone, and the registry would refuse what is sent after it.",
    "NotCA: .* is no CA certificate": "Go loads it, and no chain ends in it.",
    "NotCA: .* is self-signed and lacks": "Go loads it, and no chain ends in it.",
    "Expired: ": "Go loads it, and no chain is valid with it: it is the only certificate of its source.",
    "EmptyData: ": "Nothing is not what anybody meant.",
    "UnsupportedExtension: ": "Go loads it, and every chain through it fails as unhandled in one supported version.",
    f"(?:{PAIR})?UnsupportedAlgorithm: .* has an RSA key": "The newest Go refuses to verify with it "
    "(under 1,024 bits, a bad exponent), in TLS (over 8,192), or it only costs time.",
    f"(?:{PAIR})?UnsupportedAlgorithm: .* has a key of": "Go parses the certificate without its key, and can't "
    "verify with it; DSA even makes older versions panic.",
    PAIR + "KeyUnsupported: is a private key of": "X509KeyPair takes it, and TLS 1.3 has no signature for it.",
    PAIR + "KeyUnsupported: has the label": "X509KeyPair takes any label that ends in PRIVATE KEY.",
    PAIR + "KeyParse: says ": "X509KeyPair tries all forms whatever the label says; other programs go by the label.",
    PAIR
    + "KeyParse: is no private key": "cryptography refuses it: numbers that don't fit together or a public part that "
    "belongs to another key (Go ignores it), or bytes after the key.",
    PAIR + "KeyEncrypted: ": "It says that it is encrypted, and is not: Go reads the first key after it.",
    PAIR + "KeyMismatch: ": "Older X509KeyPair compares the moduli of RSA keys alone, not their exponents.",
    PAIR + "KeyAmbiguous: ": "X509KeyPair takes the first of several; which one is meant is a guess.",
    PAIR + "KeyParse: ": "X509KeyPair passes over other blocks before the key.",
    PAIR + "Swapped: ": "X509KeyPair passes over other blocks.",
    f"(?:{PAIR})?InvalidPEM: ": "Text that Go's decoder skips or repairs in silence, in a way that changed between "
    "its versions: damaged or indented lines, headers, stray bytes, blocks without a beginning or an end. What a "
    "person meant by it is unknown, and with several blocks it loses some.",
    f"(?:{PAIR})?TooLarge: ": "Over a limit that protects the operator.",
}
"""What a Go version takes as a whole and we refuse, and why that is right; the first that fits counts."""


@pytest.fixture(scope="module")
def figures(tmp_path_factory) -> Figures:
    return differential.run(CASES, SEED, folder=tmp_path_factory.mktemp("certs.d"), every=8)


def test_nothing_that_we_accept_is_refused_or_dropped_by_go_or_by_a_loader(figures):
    assert figures.rejected_by_go == []
    assert figures.accepted > CASES / 20
    assert figures.vouched > CASES / 200
    assert figures.loaded > figures.accepted / 8


def test_what_go_accepts_and_we_refuse_is_reviewed(figures):
    found = {kind for kind in figures.stricter if not any(re.match(known, kind) for known in REVIEWED)}

    assert {kind: figures.examples[kind] for kind in found} == {}


def test_a_bundle_of_which_go_would_drop_a_part_is_refused(figures):
    assert figures.dropped_by_go > CASES / 10


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
