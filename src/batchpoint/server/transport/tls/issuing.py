"""Makes keys and certificates: an authority of our own, and leaves that it signs. Bytes in, bytes out.

``certificates`` keeps them in files. Everything is PEM; a private key stands before the certificate that it is for.
"""

import datetime
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

#: Ten years, and two leap days.
AUTHORITY_LIFETIME = datetime.timedelta(days=3652)
LEAF_LIFETIME = datetime.timedelta(days=90)
#: How long before its end a leaf is replaced.
LEAF_RENEWAL = datetime.timedelta(days=30)
#: What comes of a certificate that others have made, and that cannot be read.
UNREADABLE = (ValueError, x509.InvalidVersion, x509.DuplicateExtension, x509.UnsupportedGeneralNameType)
#: Clocks of clients may be behind.
_BACKDATED = datetime.timedelta(days=1)


@dataclass(frozen=True)
class Pair:
    """A certificate and its private key."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @property
    def pem(self) -> bytes:
        private = self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return private + self.certificate_pem

    @property
    def certificate_pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def ends(self) -> datetime.datetime:
        return self.certificate.not_valid_after_utc

    def is_issued_by(self, authority: "Pair") -> bool:
        try:
            self.certificate.verify_directly_issued_by(authority.certificate)
        except (ValueError, TypeError, InvalidSignature):
            return False
        return True

    @property
    def names(self) -> frozenset[str]:
        """Host names and addresses that it is made out to."""
        return _names_of(self.certificate)


def end_of(pem: bytes) -> datetime.datetime:
    """Until when the first certificate in ``pem`` is good. Raises one of UNREADABLE."""
    return x509.load_pem_x509_certificate(pem).not_valid_after_utc


def names_in(pem: bytes) -> frozenset[str]:
    """Host names and addresses that the first certificate in ``pem`` is made out to. Raises one of UNREADABLE."""
    return _names_of(x509.load_pem_x509_certificate(pem))


def _names_of(certificate: x509.Certificate) -> frozenset[str]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return frozenset()
    addresses = found.get_values_for_type(x509.IPAddress)
    return frozenset([*found.get_values_for_type(x509.DNSName), *(str(address) for address in addresses)])


def read_pair(pem: bytes) -> Pair:
    """Raises ValueError when ``pem`` is not a key on an elliptic curve followed by the certificate for it."""
    key = serialization.load_pem_private_key(pem, password=None)
    certificate = x509.load_pem_x509_certificate(pem)
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
        raise ValueError("the key is not the one of the certificate")
    return Pair(key, certificate)


def new_authority(now: datetime.datetime, owner: str) -> Pair:
    """An authority that certifies itself; ``owner`` tells it from others in a list of them."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Batchpoint"),
            x509.NameAttribute(NameOID.COMMON_NAME, f"Batchpoint authority {owner}"),
        ]
    )
    usage = _usage(signs_certificates=True)
    certificate = (
        _begun(name, name, key, now, now + AUTHORITY_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Pair(key, certificate)


def new_leaf(authority: Pair, names: Sequence[str], now: datetime.datetime, lifetime: datetime.timedelta) -> Pair:
    """A certificate for a server of these ``names``; it does not outlive its authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = authority.certificate
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Batchpoint server")])
    certificate = (
        _begun(subject, issuer.subject, key, now, min(now + lifetime, authority.ends))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key()), critical=False)
        .sign(authority.key, hashes.SHA256())
    )
    return Pair(key, certificate)


def _begun(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    now: datetime.datetime,
    end: datetime.datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
