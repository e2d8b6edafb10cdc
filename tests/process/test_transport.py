"""The two doors of a server, from outside: what TLS proves, what is refused, and by which names it may be called."""

import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from batchpoint.errors import AccessDenied, ServerUnreachable, UserError
from batchpoint.local import connect
from batchpoint.server.transport.tls.issuing import Pair, new_authority, new_leaf
from batchpoint.settings import Settings
from batchpoint.trust import client_context
from tests.process.homes import eventually
from tests.process.servers import Server, sentence, serving

INFO = "/batchpoint/v1/info"
#: Hosts to ask a server by: one of its own, one of every machine, one that is not its.
HOSTS = ("batch.example.org", "localhost", "evil.example.org")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose HTTPS door is open on every address."""
    home = tmp_path_factory.mktemp("transport") / "home"
    home.mkdir()
    with serving(home, arguments=["--host", "0.0.0.0"]) as found:
        yield found


def bundle(server: Server) -> Path:
    return server.home / "tls" / "bundle.pem"


def port(url: str) -> int:
    found = urlsplit(url).port
    assert found
    return found


def token(server: Server) -> dict[str, str]:
    return {"Authorization": f"Bearer {(server.home / 'token').read_text().strip()}"}


def asked(server: Server, name: str, host: str, path: str = INFO) -> httpx.Response:
    """An answer to a request over TLS with the server's name ``name`` and the header Host ``host``."""
    url = f"https://127.0.0.1:{port(server.https)}{path}"
    with httpx.Client(verify=client_context([bundle(server)]), trust_env=False) as client:
        headers = {"Host": host, **token(server)}
        return client.get(url, headers=headers, extensions={"sni_hostname": name})


def test_with_the_bundle_the_server_is_believed_and_without_it_is_not(server: Server) -> None:
    assert server.https.startswith("https://localhost:")
    assert "No other machine can use it yet" in server.said()
    for address in (server.https, server.https.replace("localhost", "127.0.0.1")):
        believing = httpx.get(address + INFO, verify=client_context([bundle(server)]), headers=token(server))
        assert believing.status_code == 200
        assert "strict-transport-security" not in believing.headers
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            httpx.get(address + INFO, verify=client_context([]), headers=token(server))


def test_curl_believes_the_bundle(server: Server) -> None:
    if not shutil.which("curl"):
        pytest.skip("curl is not installed")
    command = ["curl", "-sS", "--cacert", str(bundle(server)), f"{server.https}{INFO}"]
    asked = subprocess.run([*command, "-H", f"Authorization: {token(server)['Authorization']}"], capture_output=True)
    assert (asked.returncode, asked.stdout[:1]) == (0, b"{"), asked.stderr


@pytest.mark.parametrize(
    ("version", "is_spoken"),
    [(ssl.TLSVersion.TLSv1_1, False), (ssl.TLSVersion.TLSv1_2, True), (ssl.TLSVersion.TLSv1_3, True)],
    ids=lambda value: str(getattr(value, "name", value)),
)
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
def test_tls_is_spoken_from_1_2_on(server: Server, version: ssl.TLSVersion, is_spoken: bool) -> None:
    context = client_context([bundle(server)])
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    with socket.create_connection(("127.0.0.1", port(server.https)), 10) as plain:
        if is_spoken:
            with context.wrap_socket(plain, server_hostname="localhost") as secure:
                assert secure.compression() is None
                return
        with pytest.raises((ssl.SSLError, ConnectionResetError)):
            context.wrap_socket(plain, server_hostname="localhost")


def test_without_tls_the_server_answers_on_loopback_alone(server: Server) -> None:
    # Any other address of this machine does: the whole net 127 is.
    elsewhere = ("127.0.0.2", port(server.url))
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(elsewhere, 10)
    socket.create_connection(("127.0.0.2", port(server.https)), 10).close()
    with pytest.raises(httpx.TransportError):
        httpx.get(f"http://127.0.0.1:{port(server.https)}{INFO}", headers=token(server))


def test_public_names_are_answered_only_on_a_connection_that_was_made_to_one(server: Server) -> None:
    public = "management.azure.com"
    assert asked(server, public, public).status_code == 200
    assert asked(server, public, "localhost").status_code == 200
    refused = asked(server, "localhost", public)
    assert refused.status_code == 401
    assert "'management.azure.com'" in sentence(refused, "InvalidAuthenticationToken")
    assert asked(server, public, "evil.example.org").status_code == 401
    plain = httpx.get(server.url + INFO, headers={"Host": public, **token(server)})
    assert plain.status_code == 401


def test_garbage_and_half_a_handshake_leave_the_server_as_it_was(server: Server) -> None:
    address = ("127.0.0.1", port(server.https))
    waiting = [socket.create_connection(address, 10) for _ in range(20)]
    for index, connection in enumerate(waiting):
        connection.sendall((b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00", b"\0" * 600)[index % 3])
    assert asked(server, "localhost", "localhost").status_code == 200
    for connection in waiting:
        connection.close()
    assert asked(server, "localhost", "localhost").status_code == 200


def test_handshakes_that_never_end_do_not_keep_the_other_door_shut(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    with serving(home, ["prlimit", "--nofile=160:160"], BATCHPOINT_HEAD_PATIENCE_S="120") as server:
        silent = [socket.create_connection(("127.0.0.1", port(server.https)), 10) for _ in range(300)]
        assert httpx.get(server.url + INFO, headers=token(server), timeout=60).status_code == 200
        for connection in silent:
            connection.close()


def test_a_client_speaks_tls_to_a_server_of_its_own_home_and_to_no_other_without_its_authority(
    server: Server, tmp_path: Path
) -> None:
    with connect(Settings(home=server.home, server=server.https)) as client:
        assert client.shares_home
        assert client.workspaces.list()
    elsewhere = Settings(home=tmp_path, server=server.https, token=(server.home / "token").read_text().strip())
    with connect(elsewhere) as client, pytest.raises(ServerUnreachable, match="CERTIFICATE_VERIFY_FAILED"):
        client.workspaces.list()
    named = Settings(home=tmp_path, server=server.https, token=elsewhere.token, server_ca=str(bundle(server)))
    with connect(named) as client:
        assert client.workspaces.list()
    assert list(tmp_path.iterdir()) == []


def test_no_token_is_sent_through_a_network_without_tls(tmp_path: Path) -> None:
    for url in ("http://192.0.2.1:8787", "http://batch.example.org", "HTTP://10.0.0.1", "batch.example.org"):
        with pytest.raises(AccessDenied, match="not sent to"):
            connect(Settings(home=tmp_path, server=url, token="secret"))


@pytest.mark.parametrize("content", [None, "nonsense"])
def test_an_authority_that_cannot_be_read_is_told_by_its_name(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "ca.pem"
    if content:
        path.write_text(content)
    with pytest.raises(UserError, match=r"ca\.pem"):
        connect(Settings(home=tmp_path, server="https://localhost:1", token="t", server_ca=str(path)))


def test_the_operators_certificate_is_replaced_without_a_restart(tmp_path: Path) -> None:
    home, files = tmp_path / "home", tmp_path / "own.pem"
    home.mkdir()
    (authority, first), (_, second) = own_certificate(), own_certificate()
    files.write_bytes(first.pem + authority.certificate_pem)
    settings = {"BATCHPOINT_TLS_CERTIFICATE": str(files), "BATCHPOINT_SERVER_HOSTS_ALLOWED": "batch.example.org"}
    with serving(home, **settings) as server:
        address = ("localhost", port(server.https))
        assert ssl.get_server_certificate(address).encode() == first.certificate_pem
        # Its own home believes it.
        with connect(Settings(home=home, server=server.https)) as client:
            assert client.workspaces.list()
        strict = [asked(server, "localhost", host).headers.get("strict-transport-security") for host in HOSTS]
        assert strict == ["max-age=31536000", None, None]
        files.write_bytes(second.pem)
        eventually(lambda: ssl.get_server_certificate(address).encode() == second.certificate_pem, "the new one")


def own_certificate() -> tuple[Pair, Pair]:
    now = datetime.now(UTC)
    authority = new_authority(now, "theirs")
    return authority, new_leaf(authority, ["localhost"], now, timedelta(days=3))
