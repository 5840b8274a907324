"""Extensions of a certificate: which ones there are, and whether every Go runtime can read and honour them.

A runtime drops a certificate with a malformed known extension without a word, and refuses a chain with an unknown
critical one; both are found here. Source: crypto/x509 of Go 1.20 to 1.26, the strictest of them where they differ.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from registry_trust.core.x509.der import BOOLEAN, INTEGER, OCTET_STRING, OID, DERError, DERReader

SERVER_AUTH, CLIENT_AUTH, ANY_USAGE = "1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2", "2.5.29.37.0"

_EMAIL, _DNS, _URI, _IP = 0x81, 0x82, 0x86, 0x87
_LABEL = r"[!-\-/-~]{1,63}"
_DOMAIN = re.compile(rf"\.?{_LABEL}(?:\.{_LABEL})*")
_URI_FORM = re.compile(
    r"[a-z][a-z0-9+.-]*:"
    r"(?://(?:[a-z0-9._~-]+@)?(?:[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*|\[[0-9a-f:.]+\])?(?::[0-9]{1,5})?(?=[/?#]|$))?"
    r"(?:[a-z0-9._~:/?@!$&'()*+,;=-]|%[0-9a-f]{2})*(?:#(?:[a-z0-9._~:/?@!$&'()*+,;=-]|%[0-9a-f]{2})*)?",
    re.IGNORECASE,
)


@dataclass(slots=True)
class Extensions:
    """What the extensions say; the defaults are those of a certificate without any."""

    has_basic_constraints: bool = False
    is_ca: bool = False
    path_length: int | None = None
    """How many intermediate CAs may be below this one; None for any number."""
    may_sign_certificates: bool = True
    is_said_to_sign: bool = False
    """Whether there is a keyUsage with keyCertSign; without any keyUsage, Go lets a CA sign all the same."""
    extended_usages: tuple[str, ...] = ()
    dns_names: tuple[str, ...] = ()
    ip_addresses: tuple[str, ...] = ()
    has_alternative_names: bool = False
    permitted: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    has_name_constraints: bool = False
    has_policy_rules: bool = False
    """Whether there is one of those that Go follows from 1.24 on, critical or not."""
    unhandled: list[str] = field(default_factory=list)


def serves(extensions: Extensions) -> bool:
    """Say whether servers may use a certificate with these (Go: no extendedKeyUsage, or one with serverAuth or any)."""
    usages = extensions.extended_usages
    return not usages or bool({SERVER_AUTH, ANY_USAGE} & set(usages))


def read_extensions(sequence: DERReader) -> Extensions:
    """Read the content of the SEQUENCE of extensions.

    Raises:
        DERError: a duplicate, or one whose content Go's parser refuses.
    """
    found = Extensions()
    seen: set[str] = set()
    while sequence:
        extension = sequence.inside("an extension")
        number = extension.oid("an extension's type")
        critical = extension.boolean("an extension's critical mark") if extension.next_is(BOOLEAN) else False
        value = extension.read(f"extension {number}", OCTET_STRING)
        if number in seen:
            raise DERError(f"extension {number} appears twice")
        seen.add(number)
        handled = _read_one(found, number, DERReader(value), critical=critical)
        if critical and not handled:
            found.unhandled.append(number)
    return found


def _read_one(found: Extensions, number: str, value: DERReader, *, critical: bool) -> bool:
    """Read one extension into `found`; return whether every supported Go honours it where it is critical."""
    if critical and number in _NEVER_CRITICAL:
        raise DERError(f"extension {number} is marked critical, which RFC 5280 forbids")
    read = _READERS.get(number)
    return read is not None and read(found, value)


def _key_usage(found: Extensions, value: DERReader) -> bool:
    bits, _ = value.bits("keyUsage")
    found.is_said_to_sign = bool(bits) and bool(bits[0] & 0x04)
    found.may_sign_certificates = found.is_said_to_sign or not any(bits)
    return True


def _extended_usages(found: Extensions, value: DERReader) -> bool:
    usages = value.inside("extendedKeyUsage")
    numbers = []
    while usages:
        numbers.append(usages.oid("extendedKeyUsage"))
    found.extended_usages = tuple(numbers)
    return True


def _basic_constraints(found: Extensions, outer: DERReader) -> bool:
    value = outer.inside("basicConstraints")
    found.has_basic_constraints = True
    found.is_ca = value.boolean("basicConstraints") if value.next_is(BOOLEAN) else False
    if value.next_is(INTEGER):
        found.path_length = value.integer("basicConstraints")
        if not 0 <= found.path_length < 1 << 31:
            raise DERError("basicConstraints has a path length that is not a small number")
    return True


def _key_identifier(_: Extensions, value: DERReader) -> bool:
    value.read("subjectKeyIdentifier", OCTET_STRING)
    return True


def _authority_identifier(_: Extensions, value: DERReader) -> bool:
    identifier = value.inside("authorityKeyIdentifier")
    if identifier.next_is(0x80):
        identifier.read("authorityKeyIdentifier", 0x80)
    return True


def _policy_mappings(found: Extensions, value: DERReader) -> bool:
    found.has_policy_rules = True
    mappings = value.inside("policyMappings")
    while mappings:
        mapping = mappings.inside("policyMappings")
        mapping.read("policyMappings", OID)
        mapping.read("policyMappings", OID)
    return False  # honoured from Go 1.24 on only


def _policy_constraints(found: Extensions, value: DERReader) -> bool:
    found.has_policy_rules = True
    constraints = value.inside("policyConstraints")
    for tag in (0x80, 0x81):
        if constraints.next_is(tag):
            constraints.integer("policyConstraints", tag)
    return False  # honoured from Go 1.24 on only


def _inhibit_any_policy(found: Extensions, value: DERReader) -> bool:
    found.has_policy_rules = True
    value.integer("inhibitAnyPolicy")
    return False  # honoured from Go 1.24 on only


def _ascii(content: bytes, what: str) -> str:
    if not content.isascii():
        raise DERError(f"{what} has characters that are not ASCII")
    return content.decode("ascii")


def _alternative_names(found: Extensions, outer: DERReader) -> bool:
    value = outer.inside("subjectAltName")
    dns: list[str] = []
    addresses: list[str] = []
    known = False
    while value:
        tag, content, _ = value.element("subjectAltName")
        known = known or tag in (_EMAIL, _DNS, _URI, _IP)
        if tag in (_EMAIL, _DNS):
            text = _ascii(content, "subjectAltName")
            if tag == _DNS:
                dns.append(text.lower())
        elif tag == _URI:
            if not _URI_FORM.fullmatch(_ascii(content, "subjectAltName")):
                raise DERError("subjectAltName has a URI that can't be read")
        elif tag == _IP:
            if len(content) not in (4, 16):
                raise DERError("subjectAltName has an IP address that is neither 4 nor 16 bytes long")
            addresses.append(str(ipaddress.ip_address(content)))
    found.dns_names, found.ip_addresses, found.has_alternative_names = tuple(dns), tuple(addresses), known
    return known


def _name_constraints(found: Extensions, outer: DERReader) -> bool:
    what = "nameConstraints"
    value = outer.inside(what)
    permitted, excluded = value.optional(what, 0xA0), value.optional(what, 0xA1)
    value.end(what)
    outer.end(what)
    if not permitted and not excluded:
        raise DERError("nameConstraints is empty")
    handled = True
    lists: list[tuple[str, ...]] = []
    for subtrees in (permitted, excluded):
        names: list[str] = []
        while subtrees:
            tag, content, _ = subtrees.inside(what).element(what)
            if tag == _DNS:
                names.append(_domain(content, what))
            elif tag == _IP:
                names.append(_network(content, what))
            elif tag in (_EMAIL, _URI):
                _domain(content.rpartition(b"@")[2], what)
            else:
                handled = False
        lists.append(tuple(names))
    found.permitted, found.excluded = lists
    found.has_name_constraints = True
    return handled


def _domain(content: bytes, what: str) -> str:
    text = _ascii(content, what)
    if text and (len(text) > 253 or not _DOMAIN.fullmatch(text)):
        raise DERError(f"{what} has a domain that is none")
    return text.lower()


def _network(content: bytes, what: str) -> str:
    half = len(content) // 2
    mask = int.from_bytes(content[half:], "big")
    width = half * 8
    host_bits = mask ^ ((1 << width) - 1)
    if len(content) not in (8, 32) or host_bits & (host_bits + 1):
        raise DERError(f"{what} has an IP range that is none")
    address = ipaddress.ip_address(content[:half])
    return str(ipaddress.ip_network((address, width - host_bits.bit_length()), strict=False))


def _distribution_points(_: Extensions, outer: DERReader) -> bool:
    what = "cRLDistributionPoints"
    value = outer.inside(what)
    while value:
        name = value.inside(what).optional(what, 0xA0)
        if name is not None:
            general = name.inside(what, 0xA0)
            while general.next_is(0x86):
                general.read(what, 0x86)
    return True


def _policies(_: Extensions, outer: DERReader) -> bool:
    value = outer.inside("certificatePolicies")
    seen: set[str] = set()
    while value:
        number = value.inside("certificatePolicies").oid("certificatePolicies", large_arcs=True)
        if number in seen:
            raise DERError(f"certificatePolicies names {number} twice")
        seen.add(number)
    return True


def _authority_info(_: Extensions, outer: DERReader) -> bool:
    value = outer.inside("authorityInfoAccess")
    while value:
        access = value.inside("authorityInfoAccess")
        access.oid("authorityInfoAccess")
        if access.next_is(0x86):
            access.read("authorityInfoAccess", 0x86)
    return True


_READERS: dict[str, Callable[[Extensions, DERReader], bool]] = {
    "2.5.29.14": _key_identifier,
    "2.5.29.15": _key_usage,
    "2.5.29.17": _alternative_names,
    "2.5.29.19": _basic_constraints,
    "2.5.29.30": _name_constraints,
    "2.5.29.31": _distribution_points,
    "2.5.29.32": _policies,
    "2.5.29.33": _policy_mappings,
    "2.5.29.35": _authority_identifier,
    "2.5.29.36": _policy_constraints,
    "2.5.29.37": _extended_usages,
    "2.5.29.54": _inhibit_any_policy,
    "1.3.6.1.5.5.7.1.1": _authority_info,
}
_NEVER_CRITICAL = frozenset({"2.5.29.14", "2.5.29.35", "1.3.6.1.5.5.7.1.1"})
"""Key identifiers and authorityInfoAccess: Go refuses a certificate in which one of them is critical."""
