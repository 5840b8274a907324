"""Reviewed: everything that Go, or the grammar of image references, takes and this project refuses, and why.

The differential tests fail on a refusal that is not listed here. The key is a regular expression for the refusal.
"""

UNREADABLE = 'CertificateParse: (?:"…" )?can\'t be read as a certificate: '

PAIR = "Pair: "

STRICTER_THAN_GO = {
    UNREADABLE + "Python's cryptography library can't parse it": "Bytes after the last field of a structure "
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
    "NotCA: .* is not a CA certificate": "Go loads it, and no chain ends in it, not even one of itself alone.",
    "Expired: ": "Go loads it, and no chain is valid with it: it is the only certificate of its source.",
    "EmptyData: ": "Nothing is not what anybody meant.",
    "UnsupportedExtension: ": "Go loads it, and every chain through it fails as unhandled in one supported version.",
    f"(?:{PAIR})?UnsupportedAlgorithm: .* has an RSA key": "The newest Go refuses to verify with it "
    "(under 1,024 bits, a bad exponent), in TLS (over 8,192), or it only costs time.",
    f"(?:{PAIR})?UnsupportedAlgorithm: .* has a key of": "Go parses the certificate without its key, and can't "
    "verify with it; DSA even makes older versions panic.",
    PAIR + "KeyUnsupported: is a private key of": "X509KeyPair takes it, and TLS 1.3 has no signature for it.",
    PAIR + "KeyParse: is not a readable private key": "Bytes after the key (Go reads over them), or numbers of an RSA "
    "key that one of the Go versions refuses.",
    PAIR + "KeyEncrypted: ": "It says that it is encrypted, and is not: Go reads the first key after it.",
    PAIR + "KeyUsage: ": "The key of a CA or of a server must not be on the nodes, whether it works or not.",
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

STRICTER_THAN_THE_GRAMMAR = {
    r"InvalidPort: .* has no port between # and #": "The grammar takes any digits; nothing can connect to such a port.",
    r"InvalidPort: .* has a port with a leading zero": "The same port under another directory name: a trap.",
    r"InvalidHost: .* is not a canonical IPv# address": "No host of that name can exist (its last label is a "
    "number), and what looks like an address is read differently by each resolver.",
    r"InvalidHost: .* has a label longer than the # characters": "No DNS name can have it (RFC 1035 2.3.4).",
    r"InvalidHost: .* is longer than the # characters": "No DNS name can be it (RFC 1035 2.3.4).",
    r"InvalidHost: .* has # characters, but at most # are allowed": "No file system could hold every name that stands "
    "for it (NAME_MAX), so it could be written and never be taken away.",
    r"InvalidHost: .* has no IPv# address between the brackets": "The grammar takes any hexadecimal digits and colons.",
    r"InvalidHost: .* is not the canonical form of the address": "The same address under another directory name.",
    r"ReservedHost: .* is Docker Hub": "Its images are named docker.io, and no runtime asks another name for them.",
}
"""What an image reference can name and we refuse, and why that is right."""
