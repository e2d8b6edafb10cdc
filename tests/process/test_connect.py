"""``batchpoint connect``: what it prints is run by real shells and used; while nobody answers, it prints nothing."""

import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from batchpoint.cli.output import shells
from batchpoint.server.transport.tls.issuing import new_authority, new_leaf
from batchpoint.settings import Settings
from tests.process.servers import Server, serving

VARIABLES = {
    *("ARM_CLOUD_METADATA_URL", "AZUREML_CURRENT_CLOUD", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"),
    *("IDENTITY_ENDPOINT", "IDENTITY_HEADER"),
}
#: Names of folders and secrets are not always kind.
ODD = "a b'c\"d$HOME`id`\\e\u2019f\\\\'; é*?[x]#~!&|<>(){}%\tz\\"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a home in a folder with an odd name."""
    home = tmp_path_factory.mktemp("connect") / "it's a $HOME"
    home.mkdir()
    with serving(home) as found:
        yield found


def environ(home: Path) -> dict[str, str]:
    return {**os.environ, **Settings(home=home).child_environ()}


def connect(home: Path, *flags: str, **more: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "batchpoint", "connect", *flags]
    return subprocess.run(command, env={**environ(home), **more}, capture_output=True, text=True, timeout=60)


def refused(home: Path, *flags: str, **more: str) -> str:
    """What a connect says that fails and prints nothing for a shell to run."""
    ended = connect(home, *flags, **more)
    assert (ended.returncode, ended.stdout) == (1, ""), ended
    assert "Traceback" not in ended.stderr
    return ended.stderr


SHELLS = {
    "bash": ["bash", "-euc"],
    "zsh": ["zsh", "-f", "-euc"],
    "sh": ["sh", "-euc"],
    "fish": ["fish", "--no-config", "-c"],
    "powershell": ["pwsh", "-NoProfile", "-Command"],
    "python": [sys.executable, "-c"],
}


def run_by(shell: str, lines: str, names: set[str]) -> dict[str, str]:
    """The values of ``names`` in a child of a shell that has run ``lines``."""
    if not shutil.which(SHELLS[shell][0]):
        pytest.skip(f"{SHELLS[shell][0]} is not installed")
    child = f"import json, os; print(json.dumps({{n: os.environ[n] for n in {sorted(names)!r}}}))"
    run = {"python": f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {child!r}])"}
    word = "& " if shell == "powershell" else ""
    after = run.get(shell, f"{word}'{sys.executable}' -c \"{child}\"")
    said = subprocess.check_output([*SHELLS[shell], f"{lines}\n{after}"], text=True, timeout=60)
    found: dict[str, str] = json.loads(said)
    return found


@pytest.mark.parametrize("shell", shells.SHELLS)
def test_every_shell_gets_values_as_they_are(shell: str) -> None:
    values = {"ONE": ODD, "TWO": "two\nlines", "THREE": "plain"}
    assert run_by(shell, shells.lines(shell, values), set(values)) == values


@pytest.mark.parametrize("shell", ["bash", "fish", "python"])
def test_what_is_printed_is_run_by_a_shell_and_reaches_the_server(server: Server, shell: str) -> None:
    ended = connect(server.home, "--shell", shell)
    assert ended.returncode == 0, ended.stderr
    found = run_by(shell, ended.stdout, VARIABLES)
    assert found["ARM_CLOUD_METADATA_URL"] == f"{server.https}/metadata/endpoints?api-version=2019-05-01"
    believing = ssl.create_default_context(cafile=found["REQUESTS_CA_BUNDLE"])
    (cloud,) = httpx.get(found["ARM_CLOUD_METADATA_URL"], verify=believing).json()
    assert cloud["name"] == found["AZUREML_CURRENT_CLOUD"]
    assert found["ARM_CLOUD_METADATA_URL"].startswith(cloud["resourceManager"])
    given = httpx.get(
        found["IDENTITY_ENDPOINT"],
        params={"api-version": "2019-08-01", "resource": server.https},
        headers={"X-IDENTITY-HEADER": found["IDENTITY_HEADER"]},
        verify=believing,
    )
    headers = {"Authorization": f"Bearer {given.json()['access_token']}"}
    listed = httpx.get(f"{server.https}/subscriptions?api-version=2022-12-01", headers=headers, verify=believing)
    assert listed.status_code == 200
    assert len(listed.json()["value"]) == 1


def test_curl_uses_the_variables(server: Server) -> None:
    if not shutil.which("curl"):
        pytest.skip("curl is not installed")
    script = (
        f'eval "$({sys.executable} -m batchpoint connect --only-show-errors)"\n'
        'curl -sSf "$ARM_CLOUD_METADATA_URL"; curl -sSf -H "X-IDENTITY-HEADER: $IDENTITY_HEADER" '
        '"$IDENTITY_ENDPOINT?api-version=2019-08-01&resource=https://management.azure.com/"'
    )
    ended = subprocess.run(["bash", "-euc", script], env=environ(server.home), capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr == ""
    assert "access_token" in ended.stdout


def test_a_server_elsewhere_is_connected_by_its_address_token_and_authority(server: Server, tmp_path: Path) -> None:
    flags = ["--server", server.https, "--ca", str(server.home / "tls" / "ca.pem")]
    ended = connect(tmp_path / "mine", *flags, BATCHPOINT_TOKEN=(server.home / "token").read_text().strip())
    assert ended.returncode == 0, ended.stderr
    found = run_by("bash", ended.stdout, VARIABLES)
    bundle = Path(found["SSL_CERT_FILE"])
    assert bundle.is_relative_to(tmp_path / "mine" / "tls")
    assert httpx.get(found["ARM_CLOUD_METADATA_URL"], verify=ssl.create_default_context(cafile=str(bundle))).is_success
    assert "not believed" in refused(tmp_path / "other", *flags[:2], BATCHPOINT_TOKEN="t")


def test_nothing_is_printed_for_a_principal_that_does_not_exist(server: Server) -> None:
    assert "nobody-here" in refused(server.home, "--principal", "nobody-here")


def test_nothing_is_printed_without_a_server(server: Server, tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert "batchpoint serve" in refused(home)
    home.mkdir()
    with serving(home) as killed:
        killed.kill()
    assert (home / "server.json").exists()
    assert "batchpoint serve" in refused(home)
    assert "https://" in refused(home, "--server", server.url)


def test_nothing_is_printed_when_another_program_has_the_port(server: Server) -> None:
    token = (server.home / "token").read_text().strip()
    page = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
    with _answering(page, None) as (url, _):
        assert "speaks no TLS. Write http://" in refused(server.home, "--server", url)
    authority, files = new_authority(datetime.now(UTC), "theirs"), server.home.parent
    (files / "theirs.pem").write_bytes(authority.certificate_pem)
    leaf = new_leaf(authority, ["localhost"], datetime.now(UTC), timedelta(days=1))
    (files / "leaf.pem").write_bytes(leaf.pem)
    with _answering(page, files / "leaf.pem") as (url, heard):
        assert "not believed" in refused(server.home, "--server", url)
        assert token.encode() not in b"".join(heard)
        assert "not the server" in refused(server.home, "--server", url, "--ca", str(files / "theirs.pem"))


@contextmanager
def _answering(answer: bytes, certificate: Path | None) -> Iterator[tuple[str, list[bytes]]]:
    """A program that says ``answer`` to whoever connects; its address, and what it has heard."""
    heard: list[bytes] = []
    context = None
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)

    def answer_all() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            try:
                with context.wrap_socket(connection, server_side=True) if context else connection as spoken:
                    heard.append(spoken.recv(65536))
                    spoken.sendall(answer)
            except OSError:
                connection.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answer_all)
        thread.start()
        try:
            yield f"https://localhost:{listener.getsockname()[1]}", heard
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


class Proxy:
    """``connect --proxy`` as a process, and the lines that it prints."""

    def __init__(self, home: Path) -> None:
        command = [sys.executable, "-m", "batchpoint", "connect", "--proxy", "--port", "0"]
        self.process = subprocess.Popen(
            command, env=environ(home), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self.process.stdout
        lines = iter(self.process.stdout.readline, "")
        self.lines = "".join(line for _, line in zip(range(9), lines, strict=False))
        names = {"HTTPS_PROXY", "https_proxy", "NO_PROXY", *VARIABLES - {"ARM_CLOUD_METADATA_URL"}}
        self.variables = run_by("bash", self.lines, names - {"AZUREML_CURRENT_CLOUD"})
        self.url = self.variables["HTTPS_PROXY"]

    def said(self, sent: bytes) -> bytes:
        """What it answers to these bytes, until it closes."""
        address = urlsplit(self.url)
        with socket.create_connection((address.hostname, address.port), 20) as connection:
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: connection.recv(65536), b""))


@pytest.fixture(scope="module")
def proxy(server: Server) -> Iterator[Proxy]:
    found = Proxy(server.home)
    yield found
    if found.process.poll() is None:
        found.process.kill()
    found.process.communicate()


def test_the_proxy_leads_named_hosts_to_the_server_with_certificates_of_theirs(server: Server, proxy: Proxy) -> None:
    believing = ssl.create_default_context(cafile=proxy.variables["REQUESTS_CA_BUNDLE"])
    with httpx.Client(proxy=proxy.url, verify=believing, trust_env=False) as client:
        for host in ("management.azure.com", "login.microsoftonline.com", "batchpoint.blob.core.windows.net"):
            assert client.get(f"https://{host}/batchpoint/v1/info").status_code == 401
        headers = {"Authorization": f"Bearer {(server.home / 'token').read_text().strip()}"}
        answer = client.get("https://management.azure.com/batchpoint/v1/info", headers=headers)
        assert answer.json()["home"] == (server.home / "id").read_text().strip()
        (cloud,) = client.get("https://management.azure.com/metadata/endpoints?api-version=2019-05-01").json()
        assert cloud["resourceManager"] == "https://management.azure.com/"


@pytest.mark.parametrize(
    "request_line",
    [
        "CONNECT example.org:443 HTTP/1.1",
        "CONNECT azuremlexampledata.blob.core.windows.net:443 HTTP/1.1",
        "CONNECT management.azure.com:22 HTTP/1.1",
        "CONNECT 127.0.0.1:443 HTTP/1.1",
        "GET http://management.azure.com/ HTTP/1.1",
        "GET / HTTP/1.1",
    ],
)
def test_the_proxy_forwards_nothing_else(proxy: Proxy, request_line: str) -> None:
    said = proxy.said(f"{request_line}\r\nHost: x\r\n\r\n".encode())
    assert said.startswith(b"HTTP/1.1 403 Forbidden\r\n")
    assert b"forwards nothing else" in said


def test_garbage_does_not_end_the_proxy(proxy: Proxy) -> None:
    for sent in (b"", b"\0" * 100, b"CONNECT\r\n\r\n", b"\xff\xfe a b\r\n\r\n", b"A" * (1 << 20)):
        try:
            assert proxy.said(sent).startswith(b"HTTP/1.1 400")
        except OSError:
            # It hung up before all was sent.
            assert len(sent) > 1 << 16
    said = proxy.said(b"CONNECT management.azure.com:443 HTTP/1.1\r\n\r\nthis is no TLS")
    assert said.startswith(b"HTTP/1.1 200 ")
    assert proxy.process.poll() is None


def test_the_proxy_says_when_its_server_is_gone_and_ends_when_it_is_told_to(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    with serving(home):
        proxy = Proxy(home)
        address = urlsplit(proxy.url)
        held = socket.create_connection((address.hostname, address.port), 20)
        held.sendall(b"CONNECT management.azure.com:443 HTTP/1.1\r\n\r\n")
        assert held.recv(100).startswith(b"HTTP/1.1 200 ")
    said = proxy.said(b"CONNECT management.azure.com:443 HTTP/1.1\r\n\r\n")
    assert said.startswith(b"HTTP/1.1 502 ")
    assert b"batchpoint serve" in said
    proxy.process.send_signal(signal.SIGINT)
    rest, said_to_people = proxy.process.communicate(timeout=60)
    held.close()
    assert (proxy.process.returncode, rest) == (0, "")
    assert "Traceback" not in said_to_people


def test_a_port_of_the_proxy_that_is_taken_is_told_with_nothing_printed(server: Server, proxy: Proxy) -> None:
    assert "--port" in refused(server.home, "--proxy", "--port", str(urlsplit(proxy.url).port))
    assert connect(server.home, "--port", "1").returncode == 2


def test_secrets_do_not_pile_up(server: Server) -> None:
    given = [json.loads(_connection(server).content)["identity_header"] for _ in range(25)]
    believing = ssl.create_default_context(cafile=str(server.home / "tls" / "bundle.pem"))

    def works(header: str) -> bool:
        answer = httpx.get(
            f"{server.https}/msi/token?api-version=2019-08-01&resource=https://management.azure.com/",
            headers={"X-IDENTITY-HEADER": header},
            verify=believing,
        )
        return answer.is_success

    assert works(given[-1])
    assert not works(given[0])


def _connection(server: Server) -> httpx.Response:
    headers = {"Authorization": f"Bearer {(server.home / 'token').read_text().strip()}"}
    return httpx.post(f"{server.url}/batchpoint/v1/connections", json={}, headers=headers).raise_for_status()
