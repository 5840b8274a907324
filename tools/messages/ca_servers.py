"""Server certificates among the CA certificates: they vouch for themselves."""

from __future__ import annotations

from registry_trust.core.reasons import Reason
from tools import pki
from tools.messages.cases import Table, accepted
from tools.pki import issue, root


def issued_server() -> pki.Issued:
    return issue("harbor.corp.example", pki.curve_key(8), issuer=root(), ca=False, names=("harbor.corp.example",))


SELF_SIGNED = issue(
    "harbor.corp.example", pki.curve_key(20), ca=False, names=("harbor.corp.example",), usages=(pki.SERVER_AUTH,)
)

ACCEPTED: Table = (
    accepted(
        "the server certificate of another issuer is accepted with a warning",
        lambda: issued_server().pem,
        Reason.NOT_CA,
    ),
    accepted(
        "a server certificate after its CA is accepted with a warning",
        lambda: root().pem + issued_server().pem,
        Reason.NOT_CA,
        count=2,
    ),
    accepted("a self-signed server certificate is accepted with a warning", lambda: SELF_SIGNED.pem, Reason.NOT_CA),
    accepted(
        "a self-signed server certificate that names another host is accepted with a warning that says so",
        lambda: issue("other", pki.curve_key(20), ca=False, names=("other.corp.example", "10.0.0.1")).pem,
        Reason.NOT_CA,
    ),
    accepted(
        "a self-signed CA that names the registry in its Common Name alone is accepted with a warning",
        lambda: issue("Harbor.corp.example", pki.curve_key(22), ca=True).pem,
        Reason.COMMON_NAME_ONLY,
    ),
    accepted(
        "a self-signed CA with the registry's name in its subjectAltName is accepted",
        lambda: issue("harbor.corp.example", pki.curve_key(22), ca=True, names=("harbor.corp.example",)).pem,
    ),
)
