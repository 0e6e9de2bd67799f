"""A server certificate for a machine that has none: self-signed, made once, renewed before it expires."""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from netserve.doors import Tls
from netserve.files import write_atomically

LOOPBACK = ("localhost", "127.0.0.1", "::1")
VALIDITY = datetime.timedelta(days=825)
RENEWAL = datetime.timedelta(days=30)
"""A certificate with less than this left is made anew."""
_CLOCK_SKEW = datetime.timedelta(hours=1)


def ensure(folder: Path, names: Sequence[str] = LOOPBACK) -> Tls:
    """Return key and certificate (key.pem and certificate.pem in ``folder``) for these host names and IP addresses.

    They are kept as long as they are readable, belong together, have exactly these names and do not expire within
    RENEWAL. The key has mode 0600. Raises OSError if the folder cannot be written.
    """
    tls = Tls(folder / "certificate.pem", folder / "key.pem")
    if not _usable(tls, names):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _certificate(key, names)
        write_atomically(
            tls.key,
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            ),
        )
        write_atomically(tls.certificate, certificate.public_bytes(serialization.Encoding.PEM), mode=0o644)
    return tls


def _usable(tls: Tls, names: Sequence[str]) -> bool:
    try:
        certificate = x509.load_pem_x509_certificate(tls.certificate.read_bytes())
        key = serialization.load_pem_private_key(tls.key.read_bytes(), password=None)
        alternatives = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (OSError, ValueError, TypeError, x509.ExtensionNotFound):
        return False
    now = datetime.datetime.now(datetime.UTC)
    return (
        key.public_key() == certificate.public_key()
        and set(alternatives) == set(_general_names(names))
        and certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc - RENEWAL
    )


def _certificate(key: ec.EllipticCurvePrivateKey, names: Sequence[str]) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    now = datetime.datetime.now(datetime.UTC)
    public = key.public_key()
    usage = dict.fromkeys(
        (
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "key_cert_sign",
            "crl_sign",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_SKEW)
        .not_valid_after(now + VALIDITY)
        .add_extension(x509.SubjectAlternativeName(_general_names(names)), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(digital_signature=True, **usage), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(public), critical=False)
        .sign(key, hashes.SHA256())
    )


def _general_names(names: Sequence[str]) -> list[x509.GeneralName]:
    return [_general_name(each) for each in names]


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
