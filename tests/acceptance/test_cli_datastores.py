"""Datastores from the command line: each verb read back, jobs that read and write through them, and no secret told."""

import json
import uuid
from pathlib import Path

import pytest

from tests.acceptance.command_line import Az, with_deployment
from tests.acceptance.typed import ROWS
from tests.object_stores import ACCOUNT, ACCOUNT_KEY, BlobService, S3Service

#: The datastores of every workspace.
OWN = ["workspaceartifactstore", "workspaceblobstore"]
NUMBERS = {f"in/{number}.txt": str(number).encode() for number in range(7)}


@pytest.fixture
def box(blob_service: BlobService) -> str:
    """A private container with numbers to score."""
    name = f"box{uuid.uuid4().hex}"
    blob_service.container(name, NUMBERS | {"in2/x.txt": b"1", "model/offset.txt": b"100"}).close()
    return name


@pytest.fixture
def registered(box: str, blob_service: BlobService, az: Az) -> Az:
    """Commands of a home whose datastore ``blobs`` is that container."""
    write(
        "blobs.yml",
        name="blobs",
        type="azure_blob",
        account_name=ACCOUNT,
        container_name=box,
        endpoint_url=blob_service.url,
        credentials={"account_key": ACCOUNT_KEY},
    )
    az("datastore create --file blobs.yml -o none")
    return az


def write(file: str, **values: object) -> None:
    # JSON is YAML.
    Path(file).write_text(json.dumps(values))


def downloaded(az: Az, job: str) -> str:
    az(f"job download --name {job} --download-path got-{job}")
    return (Path(f"got-{job}") / "predictions.csv").read_text()


def finished(az: Az, flags: str) -> str:
    job = az(f"batch-endpoint invoke -n digits {flags} --query name -o tsv").out.strip()
    az(f"job stream --name {job}")
    return job


def test_a_datastore_is_created_shown_listed_updated_and_deleted(registered: Az, box: str, home: Path) -> None:
    az = registered
    shown = az("datastore show --name blobs").json
    assert (shown["type"], shown["container_name"], shown["credentials_type"]) == ("azure_blob", box, "account_key")
    assert "credentials" not in shown
    assert az("datastore show -n blobs -i").json["credentials"] == {"account_key": ACCOUNT_KEY}
    assert az("datastore list --query [].name -o tsv").out.split() == ["blobs", *OWN]
    assert (
        az("datastore list --max-results 1 --include-secrets --query [0].credentials.account_key -o tsv").out
        == f"{ACCOUNT_KEY}\n"
    )
    az("datastore update --name blobs --set description=New tags.a=b -o none")
    after = az("datastore show -n blobs --include-secrets").json
    assert (after["description"], after["tags"], after["credentials"]) == (
        "New",
        {"a": "b"},
        {"account_key": ACCOUNT_KEY},
    )
    az("datastore update -n blobs --skip-validation --set credentials.sas_token=?sig=abc -o none")
    assert az("datastore show -n blobs -i").json["credentials"] == {"sas_token": "?sig=abc"}
    assert az("datastore show -n blobs").json["credentials_type"] == "sas"
    assert [path.stat().st_mode & 0o777 for path in (home / "secrets").iterdir()] == [0o600]
    az("datastore update --file blobs.yml --set description=Again -o none")
    assert az("datastore show -n blobs -i").json["credentials"] == {"account_key": ACCOUNT_KEY}
    assert az("datastore delete -n blobs --yes").out == ""
    assert az("datastore list --query [].name -o tsv").out.split() == OWN
    assert list((home / "secrets").iterdir()) == []
    # The data stays: registered again it is all there.
    az("datastore create --file blobs.yml -o none")


def test_a_folder_of_the_machine_is_a_second_datastore_to_read_and_to_write(az: Az) -> None:
    with_deployment(az)
    write("mine.yml", name="mine", type="local", path="elsewhere")
    shown = az("datastore create -f mine.yml").json
    assert (shown["type"], shown["path"]) == ("local_folder", str(Path.cwd() / "elsewhere"))
    assert "endpoint" not in shown
    Path("data").rename("elsewhere")
    to = "azureml://datastores/mine/paths/results"
    job = finished(az, f"--input azureml://datastores/mine/paths/ --output-path {to}")
    assert downloaded(az, job) == ROWS
    assert Path("elsewhere/results/predictions.csv").read_text() == ROWS
    # What that job wrote lies in the folder that this one reads.
    again = finished(az, f"--input azureml://datastores/mine/paths/ --output-path {to}2")
    assert downloaded(az, again) == ROWS
    assert az("datastore delete -n mine --yes").out == ""
    assert Path("elsewhere/results/predictions.csv").is_file()


def test_a_job_reads_blobs_writes_objects_and_is_read_by_the_next_one(
    registered: Az, box: str, s3_service: S3Service, home: Path
) -> None:
    az, bucket = registered, f"bucket{uuid.uuid4().hex}"
    s3_service.bucket(bucket, {})
    write(
        "objects.yml",
        name="objects",
        type="s3",
        bucket=bucket,
        endpoint_url=s3_service.url,
        region="us-east-1",
        credentials={"access_key": "key", "secret_key": "S3SECRET"},
    )
    az("datastore create --file objects.yml -o none")
    with_deployment(az)
    to = "azureml://datastores/objects/paths/results"
    job = finished(az, f"--input azureml://datastores/blobs/paths/in --output-path {to}")
    assert downloaded(az, job) == ROWS
    assert az(f"job show -n {job} --query outputs.score.path -o tsv").out == f"{to}\n"
    # The same path again: refused, and what stands there stays.
    source = f"wasbs://{box}@{ACCOUNT}.blob.core.windows.net/in"
    flags = f"--input {source} --output-path {to} --query name -o tsv"
    refused = az(f"batch-endpoint invoke -n digits {flags}").out.strip()
    assert "OutputAlreadyExists" in az(f"job stream --name {refused}", code=1).err
    # By its URL, from a single file, into another folder.
    single = finished(az, f"--input wasbs://{box}@{ACCOUNT}.blob.core.windows.net/in/3.txt --output-path {to}-single")
    assert downloaded(az, single) == "3.txt: 103\n"
    told = "".join(
        az(f"{line} --debug").out + az(f"{line} --debug").err
        for line in (f"job show -n {job}", "job list", "datastore list", "datastore show -n objects")
    )
    written = b"".join(
        path.read_bytes() for path in home.rglob("*") if path.is_file() and path.parent.name != "secrets"
    )
    for secret in (ACCOUNT_KEY, "S3SECRET"):
        assert secret not in told
        assert secret.encode() not in written


def test_a_model_in_a_datastore_is_fetched_once_and_kept(registered: Az, blob_service: BlobService, box: str) -> None:
    az = registered
    made = az(
        "model create --name offsets --version 1 --type custom_model --path azureml://datastores/blobs/paths/model/"
    ).json
    assert made["path"].startswith("azureml://")
    assert made["path"].endswith("/model/")
    assert "/datastores/workspaceblobstore/paths/LocalUpload/" in made["path"]
    with_deployment(az)
    az("batch-deployment update -n blue -e digits --set model=azureml:offsets:1 -o none")
    blob_service.client(box).delete_blob("model/offset.txt")
    assert downloaded(az, finished(az, "--input data")) == ROWS


def test_a_folder_in_the_web_is_scored(az: Az, blob_service: BlobService, monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"open{uuid.uuid4().hex}"
    blob_service.container(name, NUMBERS | {"in2/x.txt": b"1"}, public=True).close()
    monkeypatch.setenv("BATCHPOINT_INPUT_HOSTS_ALLOWED", f"127.0.0.1:{blob_service.port}")
    with_deployment(az)
    assert downloaded(az, finished(az, f"--input {blob_service.url}/{name}/in")) == ROWS


def test_a_datastore_that_a_job_needs_is_not_deleted(registered: Az) -> None:
    az = registered
    with_deployment(az)
    az("batch-deployment update -n blue -e digits --set environment_variables.SLEEP_S=60 -o none")
    job = az(
        "batch-endpoint invoke -n digits --input azureml://datastores/blobs/paths/in --query name -o tsv"
    ).out.strip()
    refused = az("datastore delete -n blobs --yes", code=1)
    assert job in refused.err
    az(f"job cancel --name {job}")
    az(f"job stream --name {job}")
    az("datastore delete -n blobs --yes")


@pytest.mark.parametrize(
    ("sets", "told"),
    [
        ("container_name=nowhere", "There is no container or bucket nowhere"),
        ("credentials.account_key=d3Jvbmc=", "AuthorizationFailure"),
        ("endpoint_url=http://127.0.0.1:9/x", "attempts"),
        (
            "credentials.account_key=null credentials.access_key=a",
            "access_key credentials need access_key and secret_key",
        ),
        ("account_name=null", "add account_name: <storage account>"),
        ("type=azure_file", "mount the share on the server's machine"),
        ("type=azure_data_lake_gen1", "shut down in 2024"),
        ("type=gcs", "Allowed: local_folder, azure_blob"),
        ("endpoint_url=ftp://x", "is no address; write https://"),
        ("container_name=a/b", "without slashes"),
        ("bucket=x", "has no such key"),
        ("name=a/b", "name"),
        ("credentials.certificate=x", "certificates are not offered"),
    ],
)
def test_a_datastore_that_cannot_be_is_answered_with_the_place_and_the_remedy(
    az: Az, box: str, blob_service: BlobService, sets: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("batchpoint.storage.objects.store._PAUSE_S", 0.0)
    write(
        "blobs.yml",
        name="blobs",
        type="azure_blob",
        account_name=ACCOUNT,
        container_name=box,
        endpoint_url=blob_service.url,
        credentials={"account_key": ACCOUNT_KEY},
    )
    refused = az(f"datastore create --file blobs.yml --set {sets}", code=1)
    assert told in refused.err
    assert ACCOUNT_KEY not in refused.err
    assert az("datastore list --query [].name -o tsv").out.split() == OWN


def test_a_datastore_that_is_not_reached_yet_can_be_registered_all_the_same(az: Az) -> None:
    write(
        "later.yml",
        name="later",
        type="azure_blob",
        account_name="acct",
        container_name="box",
        endpoint_url="http://127.0.0.1:9/x",
    )
    assert "--skip-validation" in az("datastore create --file later.yml", code=1).err
    assert az("datastore create --file later.yml --skip-validation").json["credentials_type"] == "none"
    assert az("datastore show -n later -i").json["credentials"] == {}
