"""From a datastore in an object store, and its secrets, to a fsspec file system; and what may go wrong in one.

``ObjectStore`` is built on it. Names are taken as they are: what looks like a query or a version in one is part of it.
"""

import logging
from typing import TYPE_CHECKING, Any

from batchpoint.entities.datastore import Credentials, Datastore
from batchpoint.errors import NotSupported

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

#: Type of datastore → the extra that brings its library.
EXTRAS = {"azure_blob": "azure", "azure_data_lake_gen2": "azure", "s3": "s3"}
_TIMEOUT_S = 60
_CONNECT_S = 15


def open_file_system(datastore: Datastore, credentials: Credentials | None) -> "AbstractFileSystem":
    """The file system that ``<container>/<name>`` is a path in. Raises NotSupported where the library is missing."""
    for library in ("adlfs", "aiobotocore", "azure", "botocore", "fsspec", "s3fs"):
        # They log requests with their headers and queries.
        logging.getLogger(library).setLevel(logging.WARNING)
    secrets = credentials.revealed() if credentials else {}
    try:
        return _s3(datastore, secrets) if datastore.type == "s3" else _azure(datastore, secrets)
    except ImportError as error:
        extra = EXTRAS[datastore.type]
        raise NotSupported(
            f"The datastore {datastore.name} is of type {datastore.type}, and the library for it ({error.name}) is not "
            f"installed where Batchpoint runs. Install it with: pip install 'batchpoint[{extra}]'",
            target=datastore.name,
        ) from error


def troubles(datastore: Datastore) -> tuple[type[Exception], ...]:
    """Everything that the library of an open datastore raises when the store or the network is at fault."""
    # Both libraries put some failures of the store into a plain RuntimeError or ValueError.
    plain: tuple[type[Exception], ...] = (OSError, RuntimeError, ValueError, TimeoutError)
    if datastore.type == "s3":
        from aiohttp import ClientError as HttpError
        from botocore.exceptions import BotoCoreError, ClientError

        return (*plain, BotoCoreError, ClientError, HttpError)
    from aiohttp import ClientError as HttpError
    from azure.core.exceptions import AzureError

    return (*plain, AzureError, HttpError)


def _azure(datastore: Datastore, secrets: dict[str, str]) -> "AbstractFileSystem":
    from adlfs import AzureBlobFileSystem

    class PlainNames(AzureBlobFileSystem):  # type: ignore[misc]
        @classmethod
        def _strip_protocol(cls, path: Any) -> Any:
            return path.rstrip("/") if isinstance(path, str) else [cls._strip_protocol(one) for one in path]

        def split_path(self, path: str, delimiter: str = "/", return_container: bool = False) -> tuple[str, str, None]:
            container, _, name = path.partition("/")
            return container, name, None

        def do_connect(self) -> None:
            super().do_connect()
            _never_retry(self.service_client)

    return PlainNames(
        datastore.account_name,
        connection_timeout=_CONNECT_S,
        read_timeout=_TIMEOUT_S,
        skip_instance_cache=True,
        use_listings_cache=False,
        **_azure_identity(datastore, secrets),
    )


def _azure_identity(datastore: Datastore, secrets: dict[str, str]) -> dict[str, str]:
    where = f"BlobEndpoint={datastore.service_url};"
    if "account_key" in secrets:
        return {
            "connection_string": f"AccountName={datastore.account_name};AccountKey={secrets['account_key']};{where}"
        }
    if "sas_token" in secrets:
        return {"connection_string": f"SharedAccessSignature={secrets['sas_token'].removeprefix('?')};{where}"}
    if "client_secret" not in secrets and datastore.service_url.startswith("http:"):
        return {"connection_string": where}
    # Without any, the library reads anonymously, or as the machine's identity when AZURE_STORAGE_ANON is false.
    principal = {name: text for name, text in secrets.items() if name in ("tenant_id", "client_id", "client_secret")}
    return {**principal, "account_host": datastore.service_url.partition("://")[2]}


def _never_retry(client: Any) -> None:
    """What fails is tried again in one place, and that is above."""
    for policy in client._pipeline._impl_policies:
        if hasattr(policy, "total_retries"):
            policy.total_retries = 0


def _s3(datastore: Datastore, secrets: dict[str, str]) -> "AbstractFileSystem":
    from s3fs import S3FileSystem

    class PlainNames(S3FileSystem):  # type: ignore[misc]
        retries = 1

        def split_path(self, path: str) -> tuple[str, str, None]:
            bucket, _, key = path.removeprefix("s3://").partition("/")
            return bucket, key, None

    return PlainNames(
        key=secrets.get("access_key"),
        secret=secrets.get("secret_key"),
        token=secrets.get("session_token"),
        anon=not secrets and not _ambient_keys(),
        endpoint_url=datastore.endpoint_url,
        client_kwargs={"region_name": datastore.region} if datastore.region else {},
        config_kwargs={"connect_timeout": _CONNECT_S, "read_timeout": _TIMEOUT_S, "retries": {"max_attempts": 0}},
        skip_instance_cache=True,
        use_listings_cache=False,
    )


def _ambient_keys() -> bool:
    """Whether the machine itself has an identity: variables, a profile, the role of an instance."""
    import botocore.session

    return botocore.session.get_session().get_credentials() is not None
