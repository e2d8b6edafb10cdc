"""The control plane's side of the store: nouns, assets, jobs, and opening a home in whatever state it is."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import update

from batchpoint.entities.assets import Code, Environment, Model
from batchpoint.entities.compute import Compute
from batchpoint.entities.data import DataAsset
from batchpoint.entities.datastore import Datastore
from batchpoint.entities.deployment import Deployment
from batchpoint.entities.endpoint import Endpoint, EndpointDefaults
from batchpoint.entities.job import JobError, JobStatus, Progress
from batchpoint.entities.noun import created_now
from batchpoint.errors import (
    IdempotencyKeyReused,
    ResourceConflict,
    ResourceNotFound,
    StoreUnavailable,
    ValidationFailed,
)
from batchpoint.store.migrations.upgrade import configuration
from batchpoint.store.records import RequestKey
from batchpoint.store.schema import REVISIONS, idempotency_keys, metadata
from batchpoint.store.store import Store, open_store
from batchpoint.store.tables.jobs import KEYS_KEPT
from tests.contract.conftest import open_files
from tests.contract.made import ELSEWHERE, W, failed, job, row

# --- nouns


def deployment(name: str, endpoint: str = "digits") -> Deployment:
    return Deployment(name=name, endpoint_name=endpoint, model="azureml:m:1", compute="cpu")


def test_an_endpoint_comes_back_as_it_was_put(store: Store) -> None:
    endpoint = Endpoint(name="digits", tags={"a": "é"}, creation_context=created_now("ada"))
    store.put_endpoint(W, endpoint)
    assert store.get_endpoint(W, "digits") == endpoint
    changed = endpoint.model_copy(update={"description": "of hands"})
    store.put_endpoint(W, changed)
    assert store.list_endpoints(W) == [changed]


def test_the_default_of_an_endpoint_is_a_deployment_that_is_there(store: Store) -> None:
    store.put_endpoint(W, Endpoint(name="digits"))
    store.put_endpoint(W, Endpoint(name="letters"))
    store.put_deployment(W, deployment("first", "letters"))
    changed = Endpoint(name="digits", defaults=EndpointDefaults(deployment_name="first"))
    with pytest.raises(ValidationFailed, match="There is no deployment first"):
        store.put_endpoint(W, changed)
    store.put_deployment(W, deployment("first"))
    assert store.put_endpoint(W, changed) == store.get_endpoint(W, "digits") == changed


def test_names_of_endpoints_are_unique_per_server_whatever_their_case(store: Store) -> None:
    store.put_endpoint(W, Endpoint(name="digits"))
    with pytest.raises(ResourceConflict, match="unique per server"):
        store.put_endpoint(ELSEWHERE, Endpoint(name="DIGITS"))
    assert store.endpoint_workspace("Digits") == W
    assert store.endpoint_workspace("letters") is None
    assert store.get_endpoint(W, "DIGITS") == Endpoint(name="digits")
    assert store.get_endpoint(ELSEWHERE, "digits") is None


def test_nothing_is_seen_or_deleted_from_another_workspace(store: Store) -> None:
    store.put_endpoint(W, Endpoint(name="digits"))
    store.put_deployment(W, deployment("first"))
    store.put_compute(W, Compute(name="cpu"))
    store.put_datastore(W, Datastore(name="blobs"))
    store.put_asset(W, Model(name="m", version="1", path="/m"))
    store.create_job(W, job("j"))
    assert not store.list_endpoints(ELSEWHERE) and not store.delete_endpoint(ELSEWHERE, "digits")
    assert not store.list_deployments(ELSEWHERE, "digits")
    assert not store.get_deployment(ELSEWHERE, "digits", "first")
    assert not store.delete_deployment(ELSEWHERE, "digits", "first")
    assert not store.get_compute(ELSEWHERE, "cpu") and not store.delete_compute(ELSEWHERE, "cpu")
    assert not store.get_datastore(ELSEWHERE, "blobs") and not store.delete_datastore(ELSEWHERE, "blobs")
    assert not store.get_asset(ELSEWHERE, Model, "m", "1") and not store.list_assets(ELSEWHERE, Model)
    assert not store.latest_asset(ELSEWHERE, Model, "m") and store.next_version(ELSEWHERE, Model, "m") == "1"
    assert not store.get_job(ELSEWHERE, "j") and not store.list_jobs(ELSEWHERE)
    with pytest.raises(ResourceNotFound):
        store.request_cancel(ELSEWHERE, "j")


def test_deployments_belong_to_an_endpoint_that_exists(store: Store) -> None:
    with pytest.raises(ResourceNotFound, match="no endpoint digits"):
        store.put_deployment(W, deployment("first"))
    store.put_endpoint(W, Endpoint(name="digits"))
    store.put_endpoint(W, Endpoint(name="letters"))
    for name in ("second", "first"):
        store.put_deployment(W, deployment(name))
    store.put_deployment(W, deployment("first", "letters"))
    assert [one.name for one in store.list_deployments(W, "DIGITS")] == ["first", "second"]
    assert store.delete_deployment(W, "digits", "first") and not store.delete_deployment(W, "digits", "first")
    assert store.get_deployment(W, "letters", "first")


def test_deleting_an_endpoint_takes_its_deployments_and_leaves_its_jobs(store: Store) -> None:
    store.put_endpoint(W, Endpoint(name="digits"))
    store.put_endpoint(W, Endpoint(name="letters"))
    store.put_deployment(W, deployment("first"))
    store.put_deployment(W, deployment("first", "letters"))
    frozen = store.create_job(W, job("j"))
    assert store.delete_endpoint(W, "digits") and not store.delete_endpoint(W, "digits")
    assert store.get_deployment(W, "digits", "first") is None
    assert store.get_deployment(W, "letters", "first")
    assert store.get_job(W, "j") == frozen and store.list_jobs(W, "digits") == [frozen]
    granted = store.claim("j", 0, "mine", "host", 7)
    assert granted and granted.job.settings == frozen.settings


def test_computes_and_datastores_are_put_listed_and_deleted(store: Store) -> None:
    for name in ("b", "a"):
        store.put_compute(W, Compute(name=name))
        store.put_datastore(W, Datastore(name=name, path="/d"))
    store.put_compute(W, Compute(name="a", max_instances=9))
    store.put_compute(ELSEWHERE, Compute(name="a"))
    assert [(c.name, c.max_instances) for c in store.list_computes(W)] == [("a", 9), ("b", 4)]
    assert [d.name for d in store.list_datastores(W)] == ["a", "b"]
    assert store.delete_compute(W, "a") and store.get_compute(W, "a") is None
    assert store.get_compute(ELSEWHERE, "a")
    assert store.delete_datastore(W, "a") and [d.name for d in store.list_datastores(W)] == ["b"]


# --- assets


def model(version: str, path: str = "/m", description: str | None = None) -> Model:
    return Model(name="m", version=version, path=path, description=description)


def test_a_version_keeps_its_content(store: Store) -> None:
    store.put_asset(W, model("1"))
    store.put_asset(W, model("7"))
    with pytest.raises(ResourceConflict, match=r"Version 1 of the model m exists with another path.* 8, the next one"):
        store.put_asset(W, model("1", path="/other"))
    with pytest.raises(ResourceConflict, match="another type"):
        store.put_asset(W, model("1").model_copy(update={"type": "mlflow_model"}))
    assert store.get_asset(W, Model, "m", "1") == model("1")


def test_words_about_a_version_may_change_but_not_when_it_was_made(store: Store) -> None:
    born = datetime(2026, 1, 1, tzinfo=UTC)
    store.put_asset(W, model("1").model_copy(update={"creation_context": created_now("ada", born)}))
    later = created_now("bob", born + timedelta(days=1))
    changes = {"description": "good", "tags": {"a": "b"}, "stage": "Production", "creation_context": later}
    changed = store.put_asset(W, model("1").model_copy(update=changes))
    assert changed == store.get_asset(W, Model, "m", "1")
    assert (changed.description, changed.tags, changed.stage) == ("good", {"a": "b"}, "Production")
    context = changed.creation_context
    assert context and (context.created_at, context.created_by) == (born, "ada")
    assert (context.last_modified_at, context.last_modified_by) == (later.last_modified_at, "bob")


def test_latest_is_the_most_recently_created_version(store: Store) -> None:
    for version in ("1", "9", "2"):
        store.put_asset(W, model(version))
    store.put_asset(W, model("9", description="edited last"))
    latest = store.latest_asset(W, Model, "m")
    assert latest and latest.version == "2"
    assert [one.version for one in store.list_versions(W, Model, "m")] == ["2", "9", "1"]
    assert store.latest_asset(W, Model, "other") is None


def test_the_next_version_follows_the_highest_number(store: Store) -> None:
    assert store.next_version(W, Model, "m") == "1"
    for version in ("9", "10", "2026-01-01", "²"):
        store.put_asset(W, model(version))
    store.archive_asset(W, Model, "m", "10", archived=True)
    assert store.next_version(W, Model, "m") == "11"


def test_kinds_do_not_mix(store: Store) -> None:
    store.put_asset(W, model("1"))
    store.put_asset(W, DataAsset(name="m", version="1", path="/d"))
    store.put_asset(W, Environment(name="m", version="1", image="i", conda_file={"dependencies": ["python=3.9"]}))
    assert store.get_asset(W, DataAsset, "m", "1") == DataAsset(name="m", version="1", path="/d")
    environment = store.get_asset(W, Environment, "m", "1")
    assert environment and environment.conda_file == {"dependencies": ["python=3.9"]}
    assert store.get_asset(W, Code, "m", "1") is None
    assert store.list_assets(W, Model) == [model("1")]


def test_code_is_found_by_its_content(store: Store) -> None:
    code = Code(name="c", version="1", path="/c", content_hash="ab" * 32)
    store.put_asset(W, code)
    store.put_asset(W, Code(name="d", version="1", path="/d"))
    assert store.find_code(W, "ab" * 32) == code
    assert store.find_code(W, "cd" * 32) is None
    assert store.find_code(ELSEWHERE, "ab" * 32) is None


def test_lists_show_the_latest_version_of_each_name(store: Store) -> None:
    for name, version in (("b", "1"), ("a", "2"), ("a", "1")):
        store.put_asset(W, Model(name=name, version=version, path="/m"))
    assert [(m.name, m.version) for m in store.list_assets(W, Model)] == [("a", "1"), ("b", "1")]


def test_an_archived_version_is_hidden_and_still_usable(store: Store) -> None:
    for version in ("1", "2"):
        store.put_asset(W, model(version))
    store.archive_asset(W, Model, "m", "2", archived=True)
    assert [m.version for m in store.list_assets(W, Model)] == ["1"]
    assert [m.version for m in store.list_versions(W, Model, "m")] == ["1"]
    assert [m.version for m in store.list_versions(W, Model, "m", "ArchivedOnly")] == ["2"]
    assert [m.version for m in store.list_versions(W, Model, "m", "All")] == ["2", "1"]
    latest = store.latest_asset(W, Model, "m")
    assert latest and latest.version == "1" and store.get_asset(W, Model, "m", "2")
    store.archive_asset(W, Model, "m", "2", archived=False)
    assert [m.version for m in store.list_assets(W, Model)] == ["2"]


def test_an_archived_name_hides_versions_to_come_and_is_restored_as_a_whole(store: Store) -> None:
    store.put_asset(W, model("1"))
    store.archive_asset(W, Model, "m", None, archived=True)
    store.put_asset(W, model("2"))
    assert store.list_assets(W, Model) == [] and store.list_versions(W, Model, "m") == []
    assert [m.version for m in store.list_assets(W, Model, "ArchivedOnly")] == ["2"]
    latest = store.latest_asset(W, Model, "m")
    assert latest and latest.version == "2"
    with pytest.raises(ResourceConflict, match="Restore m without a version"):
        store.archive_asset(W, Model, "m", "1", archived=False)
    store.archive_asset(W, Model, "m", None, archived=False)
    assert len(store.list_versions(W, Model, "m")) == 2


def test_what_does_not_exist_cannot_be_archived(store: Store) -> None:
    store.put_asset(W, model("1"))
    with pytest.raises(ResourceNotFound, match="no model m version 2"):
        store.archive_asset(W, Model, "m", "2", archived=True)
    with pytest.raises(ResourceNotFound, match="no data asset m"):
        store.archive_asset(W, DataAsset, "m", None, archived=True)


# --- jobs


def test_a_job_comes_back_as_it_was_created(store: Store) -> None:
    new = job("j").model_copy(update={"creation_context": created_now("ada"), "tags": {"a": "b"}})
    assert store.create_job(W, new) == new
    assert store.get_job(W, "j") == store.find_job("j") == new
    assert new.status is JobStatus.PREPARING
    assert store.find_job("nobody") is None


def test_names_of_jobs_are_taken_for_every_workspace(store: Store) -> None:
    store.create_job(W, job("j"))
    for w in (W, ELSEWHERE):
        with pytest.raises(ResourceConflict, match="a job j already"):
            store.create_job(w, job("j", output_folder="/elsewhere"))


KEY = RequestKey("key", "a", "shown")


def test_the_same_request_twice_makes_one_job(store: Store) -> None:
    first = store.create_job(W, job("j1"), KEY)
    assert store.create_job(W, job("j2"), KEY) == first
    assert store.create_job(W, job("j3"), RequestKey("another", "a")).name == "j3"
    assert store.create_job(ELSEWHERE, job("j4"), KEY).name == "j4"
    assert store.create_job(W, job("j5")).name == "j5"
    assert store.create_job(W, job("j6")).name == "j6"
    assert store.find_job("j2") is None


def test_a_key_with_another_request_is_refused_and_makes_nothing(store: Store) -> None:
    store.create_job(W, job("j1"), KEY)
    with pytest.raises(IdempotencyKeyReused, match=r"shown was used for another request.* became job j1"):
        store.create_job(W, job("j2"), RequestKey("key", "b", "shown"))
    assert store.find_job("j2") is None
    assert store.create_job(ELSEWHERE, job("j3"), RequestKey("key", "b", "shown")).name == "j3"


def test_a_key_is_kept_for_a_week_and_then_forgotten(store: Store) -> None:
    store.create_job(W, job("j1"), KEY)
    aged = update(idempotency_keys).values(created_at=datetime.now(UTC) - KEYS_KEPT + timedelta(minutes=1))
    with store._database.writing() as connection:
        connection.execute(aged)
    store.create_job(W, job("j2"), RequestKey("another"))
    assert store.create_job(W, job("j3"), KEY).name == "j1"
    with store._database.writing() as connection:
        connection.execute(aged.values(created_at=datetime.now(UTC) - KEYS_KEPT - timedelta(minutes=1)))
    store.create_job(W, job("j4"), RequestKey("a third"))
    assert store.create_job(W, job("j5"), KEY).name == "j5"


def test_a_repeated_request_is_answered_with_the_job_as_it_stands(store: Store) -> None:
    store.create_job(W, job("j1"), KEY)
    store.request_cancel(W, "j1")
    assert store.create_job(W, job("j1"), KEY).status is JobStatus.CANCELED


def test_an_output_path_belongs_to_one_unfinished_job(store: Store) -> None:
    store.create_job(W, job("j1", output_folder="/out"))
    with pytest.raises(ResourceConflict, match=r"Job j1 .* /out/predictions\.csv"):
        store.create_job(W, job("j2", output_folder="/out/x/.."))
    assert store.find_job("j2") is None
    store.request_cancel(W, "j1")
    store.create_job(W, job("j2", output_folder="/out"))
    granted = store.claim("j2", 0, "mine", "host", 7)
    assert granted
    store.fail(granted.fence, JobError(code="c", message="m"), Progress(), ())
    store.create_job(W, job("j3", output_folder="/out"))


def test_two_jobs_may_share_a_folder_with_different_file_names(store: Store) -> None:
    settings = job("j").settings.model_copy(update={"output_folder": "/out"})
    for name in ("a", "b"):
        own = settings.model_copy(update={"output_file_name": f"{name}.csv"})
        store.create_job(W, job(name).model_copy(update={"settings": own}))
    assert len(store.list_jobs(W)) == 2


def test_jobs_are_listed_newest_first_by_endpoint_and_deployment(store: Store) -> None:
    store.create_job(W, job("j1"))
    store.create_job(W, job("j2", deployment="second"))
    store.create_job(W, job("j3", endpoint="letters"))
    assert [j.name for j in store.list_jobs(W)] == ["j3", "j2", "j1"]
    assert [j.name for j in store.list_jobs(W, "DIGITS")] == ["j2", "j1"]
    assert [j.name for j in store.list_jobs(W, "digits", "second")] == ["j2"]


def test_open_jobs_are_those_that_have_not_ended_oldest_first(store: Store) -> None:
    for name in ("j1", "j2", "j3"):
        store.create_job(W, job(name))
    store.create_job(ELSEWHERE, job("j4"))
    store.request_cancel(W, "j2")
    store.claim("j3", 0, "mine", "host", 7)
    store.request_cancel(W, "j3")
    assert [(j.name, j.status) for j in store.open_jobs()] == [
        ("j1", "Preparing"),
        ("j3", "CancelRequested"),
        ("j4", "Preparing"),
    ]
    assert {name: heart.pid for name, heart in store.heartbeats().items()} == {"j1": 0, "j3": 7, "j4": 0}


def test_editing_a_job_leaves_the_rest_of_it_alone(store: Store) -> None:
    store.create_job(W, job("j").model_copy(update={"properties": {"a": "1"}, "tags": {"old": "x"}}))
    granted = store.claim("j", 0, "mine", "host", 7)
    assert granted
    store.start(granted.fence, 1, 10)
    edited = store.update_job_document(W, "j", tags={"new": "y"}, properties={"b": "2"}, display_name="Ada's")
    assert edited == store.get_job(W, "j")
    assert (edited.tags, edited.properties, edited.display_name) == ({"new": "y"}, {"a": "1", "b": "2"}, "Ada's")
    assert edited.status is JobStatus.RUNNING and edited.description is None
    store.commit(granted.fence, [row(0)], Progress(rows=10))
    found = store.get_job(W, "j")
    assert found and found.tags == {"new": "y"} and found.progress.rows == 10


# --- the file


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "home"
    assert not open_files(tmp_path / "home")


@contextmanager
def file_of(home: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(home / "batchpoint.db", isolation_level=None)
    try:
        yield connection
    finally:
        connection.close()


def schema_of(home: Path) -> list[tuple[str, ...]]:
    with file_of(home) as file:
        # A table that a migration has made anew has its name in quotes.
        unquoted = "replace(sql, '\"', '')"
        return file.execute(f"SELECT type, name, {unquoted} FROM sqlite_master ORDER BY name").fetchall()


def await_first_migration(home: Path) -> None:
    """Leave a file such as a version before the first one would have written."""
    home.mkdir()
    with file_of(home) as file:
        file.execute(
            "CREATE TABLE alembic_version (\n\tversion_num VARCHAR(32) NOT NULL, \n\t"
            "CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)\n)"
        )


def test_a_fresh_home_and_its_file_are_for_their_owner_only(home: Path) -> None:
    before = os.umask(0)
    try:
        open_store(home).close()
    finally:
        os.umask(before)
    assert home.stat().st_mode & 0o777 == 0o700
    assert (home / "batchpoint.db").stat().st_mode & 0o777 == 0o600


def test_what_was_stored_is_there_when_the_home_is_opened_again(home: Path) -> None:
    with open_store(home) as store:
        store.create_job(W, job("j"))
    with open_store(home) as store:
        assert store.find_job("j") == job("j")


def test_migrating_from_the_beginning_leads_to_the_schema_of_a_fresh_file(home: Path, tmp_path: Path) -> None:
    open_store(tmp_path / "fresh").close()
    await_first_migration(home)
    with open_store(home) as store:
        store.create_job(W, job("j"))
    assert schema_of(home) == schema_of(tmp_path / "fresh")
    with file_of(home) as file:
        assert file.execute("SELECT version_num FROM alembic_version").fetchall() == [(REVISIONS[-1],)]


def test_migrations_and_tables_say_the_same(store: Store) -> None:
    with store._database.reading() as connection:
        steps = ScriptDirectory.from_config(configuration(connection)).walk_revisions()
        assert tuple(step.revision for step in steps)[::-1] == REVISIONS
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


@pytest.mark.parametrize("state", ["fresh", "up to date"])
def test_opening_a_current_file_does_without_alembic(home: Path, state: str) -> None:
    if state == "up to date":
        open_store(home).close()
    program = (
        "import pathlib, sys; from batchpoint.store.store import open_store; open_store(pathlib.Path(sys.argv[1]))"
        ".close(); sys.exit('alembic' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-W", "error", "-c", program, home], check=False).returncode == 0


def test_a_ledger_in_memory_needs_no_database() -> None:
    program = "import sys, batchpoint.store.memory; sys.exit('sqlalchemy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_a_file_of_a_newer_version_is_refused_and_left_alone(home: Path) -> None:
    open_store(home).close()
    with file_of(home) as file:
        file.execute("UPDATE alembic_version SET version_num = '9999'")
    before = (home / "batchpoint.db").read_bytes()
    with pytest.raises(StoreUnavailable, match=r"newer Batchpoint .*9999"):
        open_store(home)
    assert (home / "batchpoint.db").read_bytes() == before


def test_a_database_of_something_else_is_refused_and_left_alone(home: Path) -> None:
    home.mkdir()
    with file_of(home) as file:
        file.execute("CREATE TABLE recipes (name TEXT)")
    before = (home / "batchpoint.db").read_bytes()
    with pytest.raises(StoreUnavailable, match=r"something else .*recipes"):
        open_store(home)
    assert (home / "batchpoint.db").read_bytes() == before


def test_a_file_that_is_no_database_is_refused_and_left_alone(home: Path) -> None:
    home.mkdir()
    (home / "batchpoint.db").write_bytes(b"Dear diary, " * 500)
    with pytest.raises(StoreUnavailable, match="not a database"):
        open_store(home)
    assert (home / "batchpoint.db").read_bytes() == b"Dear diary, " * 500


def test_a_home_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(StoreUnavailable, match=r"file/home/batchpoint\.db .*BATCHPOINT_HOME"):
        open_store(tmp_path / "file" / "home")
    (tmp_path / "home" / "batchpoint.db").mkdir(parents=True)
    with pytest.raises(StoreUnavailable, match="Is a directory"):
        open_store(tmp_path / "home")


def test_a_damaged_file_says_what_to_do(home: Path) -> None:
    with open_store(home) as store:
        for number in range(50):
            store.create_job(W, job(f"j{number}"))
    path = home / "batchpoint.db"
    content = path.read_bytes()
    path.write_bytes(content[:4096] + b"\xaa" * (len(content) - 4096))
    with pytest.raises(StoreUnavailable, match="damaged"), open_store(home) as store:
        store.list_jobs(W)


def test_commits_are_durable_and_leave_no_other_files(home: Path) -> None:
    with open_store(home) as store:
        with store._database.writing() as connection:
            answers = {
                pragma: connection.exec_driver_sql(f"PRAGMA {pragma}").scalar()
                for pragma in ("journal_mode", "synchronous", "foreign_keys")
            }
        assert answers == {"journal_mode": "truncate", "synchronous": 2, "foreign_keys": 1}
        store.create_job(W, job("j"))
        assert (home / "batchpoint.db-journal").stat().st_size == 0
        assert {path.name for path in home.iterdir()} == {"batchpoint.db", "batchpoint.db-journal"}


def test_a_transaction_that_fails_leaves_nothing(store: Store) -> None:
    store.create_job(W, job("j"))
    granted = store.claim("j", 0, "mine", "host", 7)
    assert granted
    store.start(granted.fence, 1, 10)
    before = (store.find_job("j"), store.heartbeat("j"))
    unstorable = failed(1, items=1 << 70)
    with pytest.raises(OverflowError):
        store.commit(granted.fence, [row(0), unstorable], Progress(rows=10))
    assert before == (store.find_job("j"), store.heartbeat("j"))
    assert store.ledger("j", 0) == []
