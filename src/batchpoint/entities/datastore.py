"""Places for bytes: a folder of the server's machine, a blob container, a bucket."""

import re
from typing import Annotated, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, SecretStr, model_validator

from batchpoint.entities.naming import names
from batchpoint.entities.noun import CreationContext, Lowered, Noun, Tags, problem_with

DatastoreType = Literal["local_folder", "azure_blob", "azure_data_lake_gen2", "s3"]
CredentialsType = Literal["none", "account_key", "sas", "service_principal", "access_key"]

#: Key that a type cannot do without → how to write it.
_REQUIRED: dict[str, tuple[tuple[str, str], ...]] = {
    "local_folder": (),
    "azure_blob": (
        ("account_name", "account_name: <storage account>"),
        ("container_name", "container_name: <container>"),
    ),
    "azure_data_lake_gen2": (("account_name", "account_name: <storage account>"), ("filesystem", "filesystem: <name>")),
    "s3": (("bucket", "bucket: <bucket>"),),
}
_FIELDS_OF: dict[str, frozenset[str]] = {
    "local_folder": frozenset({"path"}),
    "azure_blob": frozenset({"account_name", "container_name", "endpoint", "protocol", "endpoint_url", "credentials"}),
    "azure_data_lake_gen2": frozenset(
        {"account_name", "filesystem", "endpoint", "protocol", "endpoint_url", "credentials"}
    ),
    "s3": frozenset({"bucket", "prefix", "endpoint_url", "region", "credentials"}),
}
#: Which secrets go together, and what they are called together; the first that is complete counts.
_GROUPS: tuple[tuple[CredentialsType, tuple[str, ...]], ...] = (
    ("account_key", ("account_key",)),
    ("sas", ("sas_token",)),
    ("access_key", ("access_key", "secret_key")),
    ("service_principal", ("tenant_id", "client_id", "client_secret")),
)
_TAKES: dict[str, frozenset[str]] = {
    "azure_blob": frozenset({"account_key", "sas", "service_principal"}),
    "azure_data_lake_gen2": frozenset({"account_key", "sas", "service_principal"}),
    "s3": frozenset({"access_key"}),
}


def _our_type(value: object) -> object:
    """``local`` is another word for ``local_folder``."""
    lowered = value.strip().lower() if isinstance(value, str) else value
    return "local_folder" if lowered == "local" else lowered


class Credentials(Noun):
    """Secrets of a datastore. Printing one shows asterisks."""

    spellings: ClassVar[dict[str, str]] = {
        "aws_access_key_id": "access_key",
        "access_key_id": "access_key",
        "aws_secret_access_key": "secret_key",
        "secret_access_key": "secret_key",
        "aws_session_token": "session_token",
    }
    refusals: ClassVar[dict[str, str]] = {
        "certificate": "certificates are not offered; write account_key, sas_token, or tenant_id, client_id and"
        " client_secret",
        "thumbprint": "certificates are not offered; write account_key, sas_token, or tenant_id, client_id and"
        " client_secret",
    }

    #: Key of the storage account (``azure_blob``).
    account_key: SecretStr | None = None
    #: Shared access signature, with or without its question mark (``azure_blob``).
    sas_token: SecretStr | None = None
    #: Id of an access key (``s3``).
    access_key: SecretStr | None = None
    #: The secret half of the access key (``s3``).
    secret_key: SecretStr | None = None
    #: Of temporary access keys (``s3``).
    session_token: SecretStr | None = None
    #: Directory of a service principal (``azure_blob``, ``azure_data_lake_gen2``).
    tenant_id: str | None = None
    #: Id of the service principal.
    client_id: str | None = None
    #: Its password.
    client_secret: SecretStr | None = None
    #: Kept for the record.
    resource_url: str | None = None
    #: Kept for the record.
    authority_url: str | None = None

    @property
    def type(self) -> CredentialsType:
        """What the secrets are together; ``none`` for a block without any."""
        return next((kind for kind, keys in _GROUPS if all(getattr(self, key) for key in keys)), "none")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        for kind, keys in _GROUPS:
            lacking = [key for key in keys if not getattr(self, key)]
            if lacking and len(lacking) < len(keys):
                raise problem_with(lacking[0], f"{kind} credentials need {' and '.join(keys)}; add {lacking[0]}")
        return self

    def revealed(self) -> dict[str, str]:
        """The secrets in clear text, for whoever opens the datastore or asked to see them."""
        values = {name: getattr(self, name) for name in type(self).model_fields}
        return {
            name: value.get_secret_value() if isinstance(value, SecretStr) else value
            for name, value in values.items()
            if value
        }


class Datastore(Noun):
    """A place for bytes that inputs are read from and outputs are written to."""

    schema_name: ClassVar[str] = "DatastoreSchema"
    output_only: ClassVar[frozenset[str]] = frozenset({"id", "creation_context", "resourceGroup", "credentials_type"})
    refusals: ClassVar[dict[str, str]] = {
        "type=azure_file": "azure_file datastores are not served; mount the share on the server's machine and register"
        " its folder with type: local and path: <folder>, or copy the files to a container and write type: azure_blob",
        "type=azure_data_lake_gen1": "azure_data_lake_gen1 datastores are not served, their service was shut down in"
        " 2024; register the account that the data went to, with type: azure_blob or azure_data_lake_gen2",
    }
    examples: ClassVar[dict[str, str]] = {"name": "name: <datastore name>"}
    name_rules: ClassVar[dict[str, names.NameRule]] = {"name": names.DATASTORE}

    #: What URIs call it: ``azureml://datastores/<name>/paths/…``.
    name: str
    #: ``local_folder`` (also written ``local``), ``azure_blob``, ``azure_data_lake_gen2`` or ``s3``.
    type: Annotated[DatastoreType, BeforeValidator(_our_type)] = "local_folder"
    #: Folder on the server's machine (``local_folder``).
    path: str | None = None
    #: Storage account (``azure_blob``, ``azure_data_lake_gen2``).
    account_name: str | None = None
    #: Container of the account (``azure_blob``).
    container_name: str | None = None
    #: File system of the account, which is a container (``azure_data_lake_gen2``).
    filesystem: str | None = None
    #: Domain of the cloud (``azure_blob``).
    endpoint: str = "core.windows.net"
    #: ``https`` or ``http``; ``wasbs`` and ``abfss`` mean ``https``.
    protocol: Annotated[Literal["https", "http", "wasbs", "wasb", "abfss", "abfs"], Lowered] = "https"
    #: Bucket (``s3``).
    bucket: str | None = None
    #: Folder of the bucket that paths start from (``s3``).
    prefix: str = ""
    #: Whole address of the service, where it is not the cloud's own: an emulator, MinIO and the like.
    endpoint_url: str | None = None
    #: Region (``s3``).
    region: str | None = None
    #: Secrets; without them the datastore is read anonymously, or as the server's own identity.
    credentials: Credentials | None = None
    #: Text for people.
    description: str | None = None
    #: Words to find it by; a value is never empty.
    tags: Tags = Field(default_factory=dict)
    #: Whether outputs go here that name no place.
    is_default: bool = False

    #: What kind of secrets the server keeps; None in a request that says nothing about them.
    credentials_type: CredentialsType | None = None
    id: str | None = None
    creation_context: CreationContext | None = None

    @property
    def foreign_keys(self) -> frozenset[str]:
        """Keys that only datastores of another type have."""
        return frozenset().union(*_FIELDS_OF.values()) - _FIELDS_OF[self.type]

    @property
    def is_local(self) -> bool:
        """True for a folder of the server's machine."""
        return self.type == "local_folder"

    @property
    def container(self) -> str:
        """Container, file system or bucket; "" for a folder."""
        return self.container_name or self.filesystem or self.bucket or ""

    @property
    def service_url(self) -> str:
        """Address of the blob service, without a slash at the end (Azure kinds)."""
        if self.endpoint_url:
            return self.endpoint_url.rstrip("/")
        scheme = "http" if self.protocol == "http" else "https"
        return f"{scheme}://{self.account_name}.blob.{self.endpoint}"

    @property
    def place(self) -> str:
        """The place itself, whatever the datastore is called: two datastores with one place are the same bytes."""
        if self.is_local:
            return self.path or ""
        if self.type == "s3":
            return "/".join(part for part in (self.endpoint_url or "s3:", self.container, self.prefix) if part)
        return f"{self.service_url}/{self.container}"

    @model_validator(mode="after")
    def _fits_its_type(self) -> Self:
        for key, example in _REQUIRED[self.type]:
            if not getattr(self, key):
                raise problem_with(key, f"a datastore of type {self.type} needs this key; add {example}")
        mine = _FIELDS_OF[self.type]
        for key in sorted(self.foreign_keys):
            if getattr(self, key) and getattr(self, key) != type(self).model_fields[key].default:
                raise problem_with(
                    key, f"a datastore of type {self.type} has no such key; it has {', '.join(sorted(mine))}"
                )
        if self.credentials and self.credentials.type != "none" and self.credentials.type not in _TAKES[self.type]:
            takes = ", ".join(sorted(_TAKES[self.type]))
            raise problem_with(
                "credentials", f"a datastore of type {self.type} takes {takes}, not {self.credentials.type}"
            )
        self._check_address()
        return self

    def _check_address(self) -> None:
        if self.endpoint_url and not re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#]*)?", self.endpoint_url):
            raise problem_with("endpoint_url", f'"{self.endpoint_url}" is no address; write https://<host>[:<port>]')
        if not re.fullmatch(r"[A-Za-z0-9.\-]+(:\d+)?", self.endpoint):
            raise problem_with("endpoint", f'"{self.endpoint}" is no domain; write core.windows.net, or leave it out')
        for key in ("account_name", "container_name", "filesystem", "bucket"):
            value = getattr(self, key)
            if value and not re.fullmatch(r"[$]?[A-Za-z0-9][A-Za-z0-9._\-]*", value):
                raise problem_with(
                    key, f'"{value}" is no such name; letters, digits, dots and hyphens, without slashes'
                )
        if ".." in self.prefix.split("/"):
            raise problem_with("prefix", "it leads out of the bucket; write it without '..'")
