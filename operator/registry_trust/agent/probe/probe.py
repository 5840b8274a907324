"""Probe: asks a registry as a runtime of this node would, with the same files, and says whether pulls will work.

It contacts the registry's own host and port and nothing else: what a registry names itself (a token server, a
redirect) could be any address that a node reaches, so it is shown and not followed. At most two handshakes: the first
without a client certificate, and the second with the one that Go would send, to a server that was verified.
"""

from __future__ import annotations

import contextlib
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from registry_trust.agent.probe.conversation import StopWhen, converse, presenting, verifying
from registry_trust.agent.probe.files import NotAsTheRuntime, load, proxy_of
from registry_trust.agent.probe.network import Resolver, TimeLimit, Unreachable, connect, resolve
from registry_trust.core.layout import Reader
from registry_trust.core.reasons import Reason
from registry_trust.core.registry import is_loopback, split
from registry_trust.core.text import quote
from registry_trust.core.verdict.certificates import read
from registry_trust.core.verdict.judge import Trusted, judge_answer, judge_server, sending
from registry_trust.core.verdict.sending import ClientFiles
from registry_trust.core.verdict.sighting import Ending, Sighting
from registry_trust.core.verdict.tls_messages import ServerMessages
from registry_trust.core.verdict.verdict import Verdict, unknown
from registry_trust.core.x509.hosts import server_of

SECONDS = 15.0
"""For a whole probe with all its handshakes."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked.

    Attributes:
        registry: `host[:port]` as in an image reference, checked.
        directory: the one that the runtime uses for it, by its path in this process' file system; empty if none.
        reader: who reads that directory.
        system: the node's own roots (`files.system_roots`); None if they can't all be seen.
        environment: the runtime's own; its proxy variables make a probe pointless.
        own_network: whether this process has the node's own network, and not that of a pod.
    """

    registry: str
    directory: str
    reader: Reader
    system: tuple[bytes, ...] | None = field(default=None, repr=False)
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    own_network: bool = False


def probe(question: Question, now: datetime, resolver: Resolver = resolve, seconds: float = SECONDS) -> Verdict:
    """Return the verdict on pulls from one registry; whatever the registry does, it comes in time and raises nothing.

    Args:
        question: what is asked.
        now: this node's time.
        resolver: addresses of a host.
        seconds: for all of it.
    """
    registry = question.registry
    if is_loopback(registry):
        return not_as_loopback(registry)
    proxy = proxy_of(question.environment, registry)
    if proxy:
        return not_through(proxy, registry)
    try:
        trust = replace(load(registry, question.directory, question.reader), system=question.system)
    except NotAsTheRuntime as error:
        return unknown(Reason.NOT_PROBED, str(error))
    return _ask(_Registry(registry, resolver, TimeLimit(time.monotonic() + seconds), question.own_network), trust, now)


def not_as_loopback(registry: str) -> Verdict:
    """Return the verdict on a host that runtimes do not verify."""
    return unknown(Reason.NOT_PROBED, f"runtimes do not verify {quote(registry)}: it is this node itself")


def not_through(variable: str, registry: str) -> Verdict:
    """Return the verdict on a registry that the runtime reaches through a proxy."""
    gist = f"the runtime has {variable} in its environment, so it asks a proxy and not {quote(registry)}"
    return unknown(Reason.NOT_PROBED, f"{gist}; add the host to NO_PROXY if it should not")


@dataclass(frozen=True, slots=True)
class _Registry:
    name: str
    resolver: Resolver
    deadline: TimeLimit
    own_network: bool

    def talk(self, context: ssl.SSLContext, stop_when: StopWhen) -> Sighting:
        host, port = server_of(self.name), int(split(self.name)[1] or 443)
        try:
            connection = connect(host, port, self.resolver, self.deadline, own_network=self.own_network)
        except Unreachable as error:
            return Sighting(Ending.UNREACHABLE, str(error))
        return converse(context, host, connection, self.deadline, stop_when, ask=self.name)


def _ask(registry: _Registry, trust: Trusted, now: datetime) -> Verdict:
    def sends_a_pair(messages: ServerMessages) -> bool:
        choice = sending(Sighting(Ending.STOPPED, messages=messages), trust)
        return choice.pair is not None or bool(choice.doubt)

    first = registry.talk(_verifying(trust), sends_a_pair)
    verdict = judge_server(registry.name, first, trust, now)
    if verdict is not None:
        return verdict
    choice = sending(first, trust)
    if choice.doubt:
        return unknown(Reason.VERDICT_UNCLEAR, f"{choice.doubt}; pull once, and see")
    if choice.pair is None:
        return judge_answer(registry.name, first, trust, None)
    return _present(registry, trust, choice.pair, first)


def _verifying(trust: Trusted) -> ssl.SSLContext:
    """Return a context that trusts all of this; without those that OpenSSL can't read."""
    own = [each.der for each in read(trust.own) if each is not None]
    for authorities in ([*own, *(trust.system or ())], own):
        with contextlib.suppress(ssl.SSLError):
            return verifying(authorities)
    return verifying(())


def _present(registry: _Registry, trust: Trusted, pair: ClientFiles, first: Sighting) -> Verdict:
    try:
        context = presenting(pair)
    except OSError:
        # Not repeated: OpenSSL's words may hold some of what is in the file.
        return unknown(Reason.NOT_PROBED, f"{pair.certificate} and {pair.key} can't be loaded as a pair")
    verified = first.messages.chain

    def is_another_server(messages: ServerMessages) -> bool:
        return messages.chain != verified

    second = registry.talk(context, is_another_server)
    if second.ending is Ending.STOPPED:
        gist = f"{quote(registry.name)} showed other certificates the second time, so no client certificate was sent"
        return unknown(Reason.VERDICT_UNCLEAR, f"{gist}; if servers differ behind one name, ask each")
    if not second.messages.chain:
        gist = f"{quote(registry.name)} did not answer the second time: {second.detail}"
        return unknown(Reason.REGISTRY_UNREACHABLE, gist)
    return judge_answer(registry.name, second, trust, pair)
