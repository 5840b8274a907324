"""What a probe says of a registry by what it shows, and by what the trust has."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from registry_trust.core.reasons import Reason
from registry_trust.core.verdict.judge import judge_server
from registry_trust.core.verdict.sighting import Ending, Sighting
from registry_trust.core.verdict.verdict import State
from tools import pki
from tools.messages import probes
from tools.messages.cluster import NOW, REGISTRY
from tools.messages.probes import cases, server, shows, trusts, verdict
from tools.pki import root

EACH = pytest.mark.parametrize("case", cases(), ids=lambda case: case.sentence)


@EACH
def test_the_verdict_is(case):
    found = verdict(case)

    assert (found.state, found.problem.reason) == (case.state, case.reason), found.problem.message


@EACH
def test_a_verdict_shows_each_certificate_and_is_printable(case):
    found = verdict(case)

    assert len(found.shown) == len(case.seen.messages.chain)
    for text in (found.problem.message, *found.shown):
        assert text.isascii()
        assert text.isprintable()


@pytest.mark.parametrize("system", [None, ()])
def test_a_trust_without_a_certificate_never_verifies(system):
    found = judge_server(REGISTRY, shows(server(root())), replace(trusts(), system=system), NOW)

    assert found is not None
    assert found.state is (State.FAILED if system == () else State.UNKNOWN)


def test_a_root_of_the_system_vouches_as_one_of_the_trust_does():
    trust = replace(trusts(root(1)), system=(root().der,))

    assert judge_server(REGISTRY, shows(server(root())), trust, NOW) is None


def test_the_last_second_of_a_certificate_is_valid_and_the_next_is_not():
    ours = shows(server(root(), not_after=NOW))

    assert judge_server(REGISTRY, ours, trusts(root()), NOW) is None
    late = judge_server(REGISTRY, ours, trusts(root()), NOW + timedelta(seconds=1))
    assert late is not None
    assert late.problem.reason is Reason.OUTSIDE_VALIDITY


@pytest.mark.parametrize(
    ("names", "named"),
    [
        (("*.corp.example",), True),
        (("HARBOR.Corp.Example",), True),
        (("*.example",), False),
        (("h*.corp.example",), False),
        (("*.harbor.corp.example",), False),
        (("harbor.corp.example.",), False),
        (("10.0.0.7",), False),
    ],
)
def test_names_count_as_go_counts_them(names, named):
    found = judge_server(REGISTRY, shows(server(root(), names=names)), trusts(root()), NOW)

    assert (found is None) is named


def test_a_maze_of_certificates_with_one_name_ends_and_is_unclear():
    maze = [
        pki.issue("Corp Root 0", pki.ed25519_key(n), issuer=pki.issue("Corp Root 0", pki.ed25519_key(n + 1)), ca=True)
        for n in range(40)
    ]
    leaf = pki.issue("x", pki.ed25519_key(99), issuer=maze[0], names=(REGISTRY.partition(":")[0],))

    found = judge_server(REGISTRY, shows(leaf, *maze), trusts(root(1)), NOW)

    assert found is not None
    assert found.state is State.UNKNOWN
    assert "too many certificates" in found.problem.message


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: rot13\r\n\r\n",
        b"HTTP/1.1 200 OK\nServer: x\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"\x00\xff\r\n\r\n",
        b"",
    ],
)
def test_an_answer_that_clients_read_in_different_ways_has_no_status(answer):
    assert Sighting(Ending.ANSWERED, answer=answer).status == 0


@pytest.mark.parametrize(
    ("header", "urls"),
    [
        ('Bearer realm="https://a.example/t",service="x"', ("https://a.example/t",)),
        ('bearer service="x",realm="https://a.example/t"', ("https://a.example/t",)),
        ("Bearer realm=https://a.example/t", ("",)),
        ('Basic realm="x"', ()),
    ],
)
def test_the_token_server_of_a_challenge_is(header, urls):
    answer = probes.answers(f"HTTP/1.1 401 Unauthorized\nWWW-Authenticate: {header}")

    assert Sighting(Ending.ANSWERED, answer=answer).leads_to() == urls
