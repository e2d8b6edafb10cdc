"""The certificates of a server: its authority and leaf in ``<home>/tls``, or the operator's own, renewed as it runs.

``serve`` makes one and hands its context to the listener, which asks it to look again now and then.
"""

import logging
import os
import ssl
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TypeVar

from batchpoint.errors import BatchpointError, UserError
from batchpoint.server.transport import names
from batchpoint.server.transport.tls.issuing import (
    LEAF_LIFETIME,
    LEAF_RENEWAL,
    UNREADABLE,
    Pair,
    end_of,
    names_in,
    new_authority,
    new_leaf,
    read_pair,
)
from batchpoint.settings import Settings
from batchpoint.storage.atomic import aside_path, sweep, write_atomically
from batchpoint.trust import authority_file, bundle_file, tls_folder, write_bundle

log = logging.getLogger(__name__)

C = TypeVar("C", bound=ssl.SSLContext)

_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
#: Contexts for public names that are kept; whoever asks for more names has them made anew.
_PUBLIC_KEPT = 64
#: How long before its end an operator is warned of a certificate.
_WARNED_BEFORE = timedelta(days=14)


class PublicContext(ssl.SSLContext):
    """What a connection has that asked, while it was made, for a name of the public cloud."""


class Certificates:
    """What the server shows to its clients. ``context`` stays the same object while its certificate changes."""

    def __init__(self, settings: Settings, now: Callable[[], datetime] | None = None) -> None:
        """Makes what is missing. Raises UserError for files that cannot be used."""
        self._now = now or (lambda: datetime.now(UTC))
        self._folder = tls_folder(settings.home)
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._home = settings.home
        self._own = _OwnFiles(settings.tls_certificate, settings.tls_key) if settings.tls_certificate else None
        if settings.tls_key and not self._own:
            raise UserError("tls_key is set and tls_certificate is not. Set both, or neither.", target="tls_key")
        self._names = _wanted_names(settings)
        self._public: dict[str, PublicContext] = {}
        self._public_since = self._now()
        self._complained = ""
        self._warned_on: date | None = None
        sweep(self._folder, older_than_s=0)
        self._authority = self._authority_kept()
        self._leaf: Pair | None = None
        self.context = _fresh(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
        self.context.sni_callback = self._choose
        self._show()

    @property
    def names(self) -> frozenset[str]:
        """Names and addresses that the server can prove to be."""
        return self._own.names() if self._own else frozenset(self._names)

    def refresh(self) -> None:
        """Replace what ends soon or has changed. What cannot be used is told to the log, and the old one stays."""
        try:
            if self._now() - self._public_since > LEAF_RENEWAL:
                self._forget_public()
            if self._own is None:
                self._renew()
            elif self._own.have_changed():
                self._show()
                log.info("the certificate was read again", extra={"file": self._own.certificate})
            self._warn_of_end()
            self._complained = ""
        except (BatchpointError, OSError) as error:
            if str(error) != self._complained:
                log.error("the certificate cannot be replaced; the old one is still shown: %s", error)
            self._complained = str(error)

    def _warn_of_end(self) -> None:
        """Once a day, of a certificate that nobody but the operator can renew."""
        today = self._now().date()
        if self._own and self._warned_on != today and self._own.ends() - self._now() < _WARNED_BEFORE:
            self._warned_on = today
            log.warning("the certificate in %s ends on %s", self._own.certificate, self._own.ends().date())

    def _renew(self) -> None:
        assert self._leaf is not None
        if self._leaf.ends - self._now() <= LEAF_RENEWAL:
            self._authority = self._authority_kept()
            self._show()
            self._forget_public()
            log.info("the certificate was renewed", extra={"until": self._leaf.ends.isoformat()})

    def _show(self) -> None:
        """Have new connections see what is now in the files."""
        if self._own:
            pem = self._own.read()
            _load(_fresh(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)), pem, self._folder, self._own)
        else:
            self._leaf = self._leaf_kept()
            pem = self._leaf.pem + self._authority.certificate_pem
        _load(self.context, pem, self._folder, self._own)
        write_bundle(bundle_file(self._home), [self._authority.certificate_pem, *([pem] if self._own else [])])

    def _authority_kept(self) -> Pair:
        """The authority of the home. Raises UserError when its file is damaged: clients believe in that very one."""
        path = self._folder / "authority.pem"
        found = None
        if path.is_file():
            try:
                found = read_pair(path.read_bytes())
            except (ValueError, TypeError) as error:
                raise UserError(
                    f"{path} does not hold the key and certificate of this server's authority any more ({error}). "
                    "Put it back from a copy; or remove it to have another made, and give its "
                    f"{authority_file(self._home)} to whoever has a copy of the old one.",
                    target=str(path),
                ) from error
        if found is None or found.ends - self._now() <= LEAF_LIFETIME:
            found = new_authority(self._now(), os.urandom(4).hex())
            write_atomically(path, found.pem, mode=0o600)
        public = authority_file(self._home)
        if not public.is_file() or public.read_bytes() != found.certificate_pem:
            write_atomically(public, found.certificate_pem, mode=0o644)
        return found

    def _leaf_kept(self) -> Pair:
        """The leaf in the files, or another one where that one ends soon, is damaged or lacks a name."""
        path = self._folder / "server.pem"
        try:
            found = read_pair(path.read_bytes())
        except (FileNotFoundError, ValueError, TypeError):
            found = None
        if (
            found is None
            or found.ends - self._now() <= LEAF_RENEWAL
            or not found.is_issued_by(self._authority)
            or not found.names >= set(self._names)
        ):
            found = new_leaf(self._authority, self._names, self._now(), LEAF_LIFETIME)
            write_atomically(path, found.pem, mode=0o600)
        return found

    def _choose(self, connection: ssl.SSLObject | ssl.SSLSocket, name: str | None, _: ssl.SSLContext) -> None:
        """A client that asks for a name of the public cloud was led here by a proxy that it chose itself."""
        if name and names.is_public(name):
            connection.context = self._public_context(name.lower())

    def _public_context(self, name: str) -> PublicContext:
        if name not in self._public:
            if len(self._public) >= _PUBLIC_KEPT:
                self._public.clear()
            leaf = new_leaf(self._authority, [name], self._now(), LEAF_LIFETIME)
            context = _fresh(PublicContext(ssl.PROTOCOL_TLS_SERVER))
            _load(context, leaf.pem + self._authority.certificate_pem, self._folder)
            self._public[name] = context
        return self._public[name]

    def _forget_public(self) -> None:
        self._public.clear()
        self._public_since = self._now()


class _OwnFiles:
    """The certificate that an operator brings, and whether its files have changed."""

    def __init__(self, certificate: str, key: str) -> None:
        self.certificate = certificate
        self.paths = tuple(Path(name).expanduser() for name in (certificate, key) if name)
        self._seen: list[tuple[int, int, int]] = []
        self._ends, self._names = datetime.max.replace(tzinfo=UTC), frozenset[str]()

    def read(self) -> bytes:
        """Chain and key. Raises UserError when a file cannot be read."""
        self._seen = self._state()
        texts = []
        for path in self.paths:
            try:
                texts.append(path.read_bytes())
            except OSError as error:
                raise UserError(
                    f"The server's certificate cannot be read: {path}: {error.strerror}. It is named by the settings "
                    "tls_certificate and tls_key.",
                    target=str(path),
                ) from error
        self._ends, self._names = self._read_certificate(texts[0])
        return b"\n".join(texts)

    def _read_certificate(self, pem: bytes) -> tuple[datetime, frozenset[str]]:
        try:
            return end_of(pem), names_in(pem)
        except UNREADABLE as error:
            raise UserError(
                f"{self.paths[0]}, which the setting tls_certificate names, does not begin with a certificate in PEM "
                f"that can be read ({error}).",
                target="tls_certificate",
            ) from error

    def ends(self) -> datetime:
        return self._ends

    def have_changed(self) -> bool:
        return self._state() != self._seen

    def names(self) -> frozenset[str]:
        return self._names

    def _state(self) -> list[tuple[int, int, int]]:
        found = (path.stat() for path in self.paths if path.exists())
        return [(state.st_mtime_ns, state.st_ino, state.st_size) for state in found]


def _wanted_names(settings: Settings) -> list[str]:
    extra = names.extra_names(settings)
    wrong = [name for name in extra if not names.is_certifiable(name)]
    if wrong:
        raise UserError(
            f"{wrong[0]!r} is no host name or address that a certificate can be made out to. It stands in the setting "
            "server_hosts_allowed or in --host.",
            target=wrong[0],
        )
    return [*names.LOOPBACK, *names.OWN_WILDCARDS, *extra]


def _fresh(context: C) -> C:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.set_ciphers(_CIPHERS)
    context.set_alpn_protocols(["http/1.1"])
    return context


def _load(context: ssl.SSLContext, pem: bytes, folder: Path, own: _OwnFiles | None = None) -> None:
    """Have ``context`` show ``pem``: the library reads from a file only, so it gets one for a moment."""
    files: Sequence[object] = own.paths if own else [folder]
    shown = " and ".join(str(path) for path in files)

    def encrypted() -> bytes:
        raise UserError(f"The key in {shown} is encrypted. Give tls_key without a passphrase.", target="tls_key")

    aside = aside_path(folder)
    descriptor = os.open(aside, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
        context.load_cert_chain(aside, password=encrypted)
    except ssl.SSLError as error:
        raise UserError(
            f"The certificate and key in {shown} cannot be used together: {error.reason or error}. The certificate "
            "comes first in tls_certificate, with those that lead to its authority below it; tls_key has its key.",
            target="tls_certificate",
        ) from error
    finally:
        aside.unlink()
