"""The certificates of a home: who signs them, for which names, for how long, and what is made of damaged files."""

import dataclasses
import ssl
import stat
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from batchpoint.errors import UserError
from batchpoint.server.transport.tls.certificates import Certificates
from batchpoint.server.transport.tls.issuing import Pair, new_authority, new_leaf
from batchpoint.settings import Settings
from batchpoint.trust import client_context, write_bundle

TODAY = datetime.now(UTC).replace(microsecond=0)
AFTERWARDS = timedelta(days=61)


class Clock:
    def __init__(self) -> None:
        self.now = TODAY

    def __call__(self) -> datetime:
        return self.now


def shown(certificates: Certificates, name: str = "localhost", bundle: Path | None = None) -> x509.Certificate:
    """What a client sees that asks for ``name``, and believes ``bundle`` if one is given."""
    believing = client_context([bundle]) if bundle else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if not bundle:
        believing.check_hostname, believing.verify_mode = False, ssl.CERT_NONE
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = believing.wrap_bio(to_client, to_server, server_hostname=name)
    server = certificates.context.wrap_bio(to_server, to_client, server_side=True)
    for end in (client, server, client):
        try:
            end.do_handshake()
        except ssl.SSLWantReadError:
            continue
    found = client.getpeercert(binary_form=True)
    assert found
    return x509.load_der_x509_certificate(found)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path)


def test_a_new_home_gets_an_authority_for_ten_years_and_a_leaf_that_it_signs(settings: Settings) -> None:
    certificates = Certificates(settings)
    tls = settings.home / "tls"
    authority = x509.load_pem_x509_certificate((tls / "ca.pem").read_bytes())
    leaf = shown(certificates, bundle=tls / "ca.pem")
    leaf.verify_directly_issued_by(authority)
    assert authority.not_valid_after_utc - TODAY > timedelta(days=3650)
    assert leaf.not_valid_after_utc - TODAY < timedelta(days=91)
    assert authority.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert not leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert (mode(tls), mode(tls / "authority.pem"), mode(tls / "server.pem")) == (0o700, 0o600, 0o600)
    assert b"PRIVATE" not in (tls / "ca.pem").read_bytes() + (tls / "bundle.pem").read_bytes()
    assert not [path for path in tls.iterdir() if path.name.startswith(".")]


def test_the_leaf_is_for_loopback_and_every_name_that_the_operator_allows(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, server_hosts_allowed="Batch.example.org, *.blob.example.org,10.1.2.3")
    expected = {"localhost", "127.0.0.1", "::1", "*.localhost", "*.blob.localhost"}
    expected |= {"batch.example.org", "*.blob.example.org", "10.1.2.3"}
    assert Certificates(settings).names == expected
    bundle = tmp_path / "tls" / "bundle.pem"
    for name in ("batch.example.org", "bp1.blob.example.org", "a.blob.localhost", "127.0.0.1"):
        assert shown(Certificates(settings), name, bundle)


def test_a_name_that_no_certificate_can_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="'a name' is no host name"):
        Certificates(Settings(home=tmp_path, server_hosts_allowed="a name"))


def test_what_is_there_is_used_again_unless_it_lacks_a_name(settings: Settings) -> None:
    first, again = shown(Certificates(settings)), shown(Certificates(settings))
    assert first == again
    assert shown(Certificates(dataclasses.replace(settings, server_hosts_allowed="10.1.2.3"))) != first


def test_a_leaf_is_replaced_while_the_server_runs_and_by_the_same_authority(settings: Settings) -> None:
    clock = Clock()
    clock.now -= AFTERWARDS
    certificates = Certificates(settings, now=clock)
    bundle, context = settings.home / "tls" / "bundle.pem", certificates.context
    first, believed = shown(certificates), bundle.read_bytes()
    certificates.refresh()
    assert shown(certificates) == first
    clock.now += AFTERWARDS
    certificates.refresh()
    assert shown(certificates, bundle=bundle) != first
    assert shown(certificates).not_valid_after_utc > first.not_valid_after_utc
    assert certificates.context is context
    assert bundle.read_bytes() == believed


def test_an_authority_that_ends_before_its_leaf_would_is_replaced_and_the_bundle_with_it(settings: Settings) -> None:
    clock = Clock()
    certificates = Certificates(settings, now=clock)
    believed = (settings.home / "tls" / "ca.pem").read_bytes()
    clock.now += timedelta(days=3652 - 80)
    certificates.refresh()
    now_believed = (settings.home / "tls" / "ca.pem").read_bytes()
    assert now_believed != believed
    bundle = (settings.home / "tls" / "bundle.pem").read_bytes()
    assert now_believed.strip() in bundle
    assert believed.strip() not in bundle


def test_a_damaged_leaf_is_made_anew(settings: Settings) -> None:
    first = shown(Certificates(settings))
    path = settings.home / "tls" / "server.pem"
    for damaged in (b"", b"nonsense", path.read_bytes()[:300], (settings.home / "tls" / "ca.pem").read_bytes()):
        path.write_bytes(damaged)
        found = shown(Certificates(settings), bundle=settings.home / "tls" / "bundle.pem")
        assert found != first
        assert mode(path) == 0o600


@pytest.mark.parametrize("damage", [lambda pem: b"", lambda pem: pem[:400], lambda pem: pem.replace(b"M", b"N")])
def test_a_damaged_authority_is_told_and_left_for_its_owner(
    settings: Settings, damage: Callable[[bytes], bytes]
) -> None:
    Certificates(settings)
    path = settings.home / "tls" / "authority.pem"
    path.write_bytes(damaged := damage(path.read_bytes()))
    with pytest.raises(UserError, match=r"authority\.pem .* remove it to have another made"):
        Certificates(settings)
    assert path.read_bytes() == damaged
    path.unlink()
    assert shown(Certificates(settings), bundle=settings.home / "tls" / "bundle.pem")


def test_public_files_that_are_damaged_or_gone_are_written_again(settings: Settings) -> None:
    Certificates(settings)
    tls = settings.home / "tls"
    before = {name: (tls / name).read_bytes() for name in ("ca.pem", "bundle.pem")}
    (tls / "ca.pem").write_bytes(b"half")
    (tls / "bundle.pem").unlink()
    Certificates(settings)
    assert {name: (tls / name).read_bytes() for name in before} == before


def test_what_a_crash_left_aside_is_swept(settings: Settings) -> None:
    (settings.home / "tls").mkdir()
    left = settings.home / "tls" / ".batchpoint-0011.aside"
    left.write_bytes(b"a key")
    Certificates(settings)
    assert not left.exists()


def test_public_names_are_certified_only_when_they_are_asked_for(settings: Settings) -> None:
    certificates = Certificates(settings)
    bundle = settings.home / "tls" / "bundle.pem"
    ours = shown(certificates)
    for name in ("management.azure.com", "batchpoint.blob.core.windows.net", "e.westeurope.inference.ml.azure.com"):
        found = shown(certificates, name, bundle)
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert names.get_values_for_type(x509.DNSName) == [name]
        assert shown(certificates, name) == found
    assert shown(certificates, "www.example.org") == ours
    assert "management.azure.com" not in certificates.names


def test_the_bundle_has_the_systems_authorities_and_does_not_grow(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    Certificates(settings)
    bundle = settings.home / "tls" / "bundle.pem"
    believed = bundle.read_bytes()
    assert believed.count(b"BEGIN CERTIFICATE") > 50
    # As in a shell that was connected.
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    (settings.home / "tls" / "authority.pem").unlink()
    Certificates(settings)
    assert bundle.read_bytes() != believed
    gone = believed[: believed.index(b"END CERTIFICATE")]
    assert gone not in bundle.read_bytes()
    write_bundle(bundle, [])
    assert b"Batchpoint" not in bundle.read_bytes()


class Own:
    """The files of a certificate that an operator has brought."""

    def __init__(self, folder: Path) -> None:
        self.certificate, self.key = folder / "own.pem", folder / "own.key"
        self.settings = Settings(home=folder, tls_certificate=str(self.certificate), tls_key=str(self.key))
        self.put(self.made())

    def made(self) -> Pair:
        return new_leaf(new_authority(TODAY, "theirs"), ["batch.example.org"], TODAY, timedelta(days=30))

    def put(self, pair: Pair) -> None:
        self.certificate.write_bytes(pair.certificate_pem)
        self.key.write_bytes(pair.pem.removesuffix(pair.certificate_pem))


def version_nobody_knows(certificate: x509.Certificate) -> bytes:
    """The certificate, of a version that the library does not read."""
    der = certificate.public_bytes(serialization.Encoding.DER).replace(
        b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x07", 1
    )
    return ssl.DER_cert_to_PEM_cert(der).encode("ascii")


@pytest.fixture
def own(tmp_path: Path) -> Own:
    return Own(tmp_path)


def test_the_operators_certificate_is_shown_and_read_again_when_it_changes(own: Own) -> None:
    certificates = Certificates(own.settings)
    assert certificates.names == {"batch.example.org"}
    first = shown(certificates)
    own.put(second := own.made())
    certificates.refresh()
    assert shown(certificates) == second.certificate != first


def test_a_change_that_cannot_be_used_leaves_the_old_certificate_until_it_is_mended(
    own: Own, caplog: pytest.LogCaptureFixture
) -> None:
    certificates = Certificates(own.settings)
    first, second = shown(certificates), own.made()
    own.certificate.write_bytes(second.certificate_pem)
    certificates.refresh()
    certificates.refresh()
    assert shown(certificates) == first
    own.certificate.write_bytes(version_nobody_knows(first))
    certificates.refresh()
    assert shown(certificates) == first
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR"]
    own.put(second)
    certificates.refresh()
    assert shown(certificates) == second.certificate


def test_a_certificate_that_cannot_be_used_is_refused_with_what_is_wrong(own: Own) -> None:
    pair = own.made()
    secret = serialization.BestAvailableEncryption(b"secret")
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8)
    for key, said in (
        (own.made().pem, "cannot be used together: KEY_VALUES_MISMATCH"),
        (b"nonsense", "cannot be used together"),
        (pair.key.private_bytes(*form, secret), "is encrypted"),
    ):
        own.put(pair)
        own.key.write_bytes(key)
        with pytest.raises(UserError, match=said) as refused:
            Certificates(own.settings)
        assert str(own.key) in refused.value.message
    own.put(pair)
    own.certificate.write_bytes(b"nonsense")
    with pytest.raises(UserError, match=r"own\.pem, .* does not begin with a certificate"):
        Certificates(own.settings)
    own.key.unlink()
    with pytest.raises(UserError, match=r"own\.key: No such file"):
        Certificates(own.settings)
    with pytest.raises(UserError, match="tls_certificate is not"):
        Certificates(Settings(home=own.settings.home, tls_key=str(own.key)))


def test_the_operator_is_warned_once_a_day_of_a_certificate_that_ends_soon(
    own: Own, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    certificates = Certificates(own.settings, now=clock)
    certificates.refresh()
    assert not caplog.records
    for days, warnings in ((17, 1), (0, 1), (1, 2)):
        clock.now += timedelta(days=days)
        certificates.refresh()
        assert len(caplog.records) == warnings
    assert str(own.certificate) in caplog.text


def test_nothing_below_tls_1_2_is_spoken(settings: Settings) -> None:
    assert Certificates(settings).context.minimum_version is ssl.TLSVersion.TLSv1_2
