"""Which certificates are believed: those of the system and, beside them, those of a server of ours.

The server writes the bundle for other programs, the client makes the context of its own connections. Knows no noun.
"""

import re
import ssl
from collections.abc import Iterable
from pathlib import Path

from batchpoint.errors import UserError
from batchpoint.storage.atomic import write_atomically

_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----\s[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----")


def tls_folder(home: Path) -> Path:
    """Where a home keeps keys and certificates."""
    return home / "tls"


def authority_file(home: Path) -> Path:
    """The certificate of the home's authority; no secret."""
    return tls_folder(home) / "ca.pem"


def bundle_file(home: Path) -> Path:
    """What programs are told to believe when they speak to the server of ``home``."""
    return tls_folder(home) / "bundle.pem"


def write_bundle(path: Path, extra: Iterable[bytes]) -> None:
    """Put ``extra`` certificates and those of the system into ``path``, unless that is what stands there."""
    texts = [*extra, *(place.read_bytes() for place in _places_of_the_system(path.parent))]
    unique = dict.fromkeys(block.strip() for text in texts for block in _CERTIFICATE.findall(text))
    wanted = b"\n".join(unique) + b"\n"
    if not path.is_file() or path.read_bytes() != wanted:
        write_atomically(path, wanted, mode=0o644)


def _places_of_the_system(ours: Path) -> list[Path]:
    # A shell that was connected names our own bundle as the system's; what it is made of must not come from itself.
    paths = ssl.get_default_verify_paths()
    named = [Path(name) for name in (paths.cafile, paths.openssl_cafile) if name]
    found = [path for path in named if path.is_file() and path.resolve().parent != ours.resolve()][:1]
    return found or [Path(_certifi())]


def _certifi() -> str:
    import certifi

    return certifi.where()


def client_context(more: Iterable[Path]) -> ssl.SSLContext:
    """The context of a client that believes the system and the certificates in the files ``more``.

    Raises UserError for a file that cannot be read or holds none.
    """
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if not context.get_ca_certs() and not ssl.get_default_verify_paths().capath:
        context.load_verify_locations(_certifi())
    for path in more:
        context.load_verify_locations(cadata=certificates_in(path).decode("ascii"))
    return context


def certificates_in(path: Path) -> bytes:
    """The certificates in a file, as PEM. Raises UserError when it cannot be read or holds none."""
    try:
        found = _CERTIFICATE.findall(path.read_bytes())
    except OSError as error:
        message = f"The certificates in {path} cannot be read: {error.strerror}. Name the PEM file of an authority."
        raise UserError(message, target=str(path)) from error
    blocks = b"\n".join(found) + b"\n"
    try:
        ssl.create_default_context(cadata=blocks.decode("ascii"))
    except ssl.SSLError as error:
        message = f"{path} holds no certificate in PEM ({error.reason}). Name the PEM file of an authority."
        raise UserError(message, target=str(path)) from error
    return blocks
