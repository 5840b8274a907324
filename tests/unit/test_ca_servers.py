"""A server's own certificate in `caCertificates`: it vouches for itself, and the warning says what that means."""

from __future__ import annotations

import pytest

from registry_trust.core.reasons import Reason
from tests.unit.ca_tables import accepted, check_accepted
from tools import pki
from tools.pki import issue, root


def issued_server() -> pki.Issued:
    return issue("harbor.corp.example", pki.curve_key(8), issuer=root(), ca=False, names=("harbor.corp.example",))


SELF_SIGNED = issue(
    "harbor.corp.example", pki.curve_key(20), ca=False, names=("harbor.corp.example",), usages=(pki.SERVER_AUTH,)
)


@pytest.mark.parametrize(
    ("data", "count", "warnings"),
    [
        accepted(
            "row 77: the server certificate of another issuer is accepted with a warning",
            lambda: issued_server().pem,
            1,
            (
                Reason.NOT_CA,
                (
                    'certificate 1 of 1, line 1: "CN=harbor.corp.example" is a server certificate issued by "CN=Corp '
                    'Root 0", not a CA: it works only for exactly this certificate, so when the registry gets a new '
                    "one, this must follow at once; put the certificate of its issuer here instead"
                ),
            ),
        ),
        accepted(
            "row 77: a server certificate after its CA is accepted with a warning",
            lambda: root().pem + issued_server().pem,
            2,
            (
                Reason.NOT_CA,
                (
                    'certificate 2 of 2, line 10: "CN=harbor.corp.example" is a server certificate issued by "CN=Corp '
                    'Root 0", not a CA: it works only for exactly this certificate, so when the registry gets a new '
                    "one, this must follow at once; remove it, its issuer is here, too"
                ),
            ),
        ),
        accepted(
            "row 78: a self-signed server certificate is accepted with a warning",
            lambda: SELF_SIGNED.pem,
            1,
            (
                Reason.NOT_CA,
                (
                    'certificate 1 of 1, line 1: "CN=harbor.corp.example" is a self-signed server certificate, '
                    "not a CA: it works only for exactly this certificate, so when the registry gets a new one, "
                    "this must follow at once"
                ),
            ),
        ),
        accepted(
            "row 78: a self-signed server certificate that names another host is accepted with a warning that says so",
            lambda: issue("other", pki.curve_key(20), ca=False, names=("other.corp.example", "10.0.0.1")).pem,
            1,
            (
                Reason.NOT_CA,
                (
                    'certificate 1 of 1, line 1: "CN=other" is a self-signed server certificate, not a CA: it '
                    "works only for exactly this certificate, so when the registry gets a new one, this must "
                    "follow at once. It does not name harbor.corp.example:5000"
                ),
            ),
        ),
        accepted(
            "a self-signed CA that names the registry in its Common Name alone is accepted with a warning",
            lambda: issue("Harbor.corp.example", pki.curve_key(22), ca=True).pem,
            1,
            (
                Reason.COMMON_NAME_ONLY,
                (
                    'certificate 1 of 1, line 1: "CN=Harbor.corp.example" names harbor.corp.example:5000 in its Common '
                    "Name alone. If the registry shows this very certificate, every pull fails with "
                    '"x509: certificate relies on legacy Common Name field, use SANs instead"; make it again: '
                    "openssl req -x509 -newkey rsa:4096 -noenc -keyout registry.key -out ca.crt -days 365 -subj "
                    '"/CN=harbor.corp.example" -addext "subjectAltName=DNS:harbor.corp.example"'
                ),
            ),
        ),
        accepted(
            "a self-signed CA with the registry's name in its subjectAltName is accepted",
            lambda: issue("harbor.corp.example", pki.curve_key(22), ca=True, names=("harbor.corp.example",)).pem,
            1,
        ),
    ],
)
def test_accepted(data, count, warnings):
    check_accepted(data(), count, warnings)
