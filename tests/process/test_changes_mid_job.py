"""What a job was accepted with is what it runs with, whatever is changed or deleted meanwhile, the release included.

T-G6: deployment and code changed. T-G7: deployment, model, endpoint, datastore deleted. T-G8: another default. T-G9:
the home of the last release, with an open and an ended job, is taken over by this one.
"""

import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import create_engine

from batchpoint.client import Client
from batchpoint.entities.assets import Model
from batchpoint.entities.data import Input
from batchpoint.entities.datastore import Datastore
from batchpoint.entities.deployment import CodeConfiguration
from batchpoint.entities.endpoint import Endpoint
from batchpoint.entities.job import JobStatus
from batchpoint.errors import ResourceConflict
from batchpoint.store.migrations.upgrade import configuration
from batchpoint.store.store import Store, open_store
from tests.process.engine_jobs import Engine, W, workers_of
from tests.process.homes import deploy, ended, eventually, expected_rows
from tests.process.kill_campaign import Campaign

ANSWERS_OTHERWISE = "def init(): pass\ndef run(paths): return ['other'] * len(paths)\n"


def started(client: Client, folder: Path) -> tuple[str, Path]:
    """A job that stands at its gate in run(), and the gate."""
    gate = folder / "gate"
    wanted = deploy(client, folder, "waits_at_a_gate.py", GATE=str(gate), GATE_AT="run")
    job = client.endpoints.invoke("ep1", wanted).name
    eventually((gate / "reached").exists, "run()")
    return job, gate


def other_deployment(client: Client, folder: Path, name: str) -> None:
    code = folder / f"code-{name}"
    code.mkdir()
    (code / "score.py").write_text(ANSWERS_OTHERWISE)
    found = client.deployments.get("ep1", "dp1")
    changes = {"name": name, "code_configuration": CodeConfiguration(code=str(code), scoring_script="score.py")}
    changed = found.model_copy(update={**changes, "environment_variables": {}, "mini_batch_size": 100})
    client.deployments.create_or_update(changed, set_default=name != "dp1", skip_script_validation=True)


def change_deployment(client: Client, folder: Path) -> None:
    other_deployment(client, folder, "dp1")


def switch_default(client: Client, folder: Path) -> None:
    other_deployment(client, folder, "dp2")


def delete_deployment(client: Client, folder: Path) -> None:
    with pytest.raises(ResourceConflict, match="default"):
        client.deployments.delete("ep1", "dp1")
    other_deployment(client, folder, "dp2")
    client.deployments.delete("ep1", "dp1")


def delete_endpoint(client: Client, folder: Path) -> None:
    client.endpoints.delete("ep1")
    client.endpoints.create_or_update(Endpoint(name="ep1"))


def change_model(client: Client, folder: Path) -> None:
    (folder / "model" / "weights").write_text("others")
    client.models.create_or_update(Model(name="m", version="1", path=str(folder / "model")))


@pytest.mark.parametrize(
    "change", [change_deployment, switch_default, delete_deployment, delete_endpoint, change_model]
)
def test_a_job_keeps_what_it_was_accepted_with(client: Client, store: Store, tmp_path: Path, change: object) -> None:
    job, gate = started(client, tmp_path / "files")
    frozen = client.jobs.get(job)
    assert callable(change)
    change(client, tmp_path / "files")
    (gate / "open").touch()
    found = ended(client, job)
    assert found.status is JobStatus.COMPLETED, found.error
    assert (found.deployment_name, found.endpoint_name) == (frozen.deployment_name, frozen.endpoint_name)
    kept = store.find_job(job)
    assert kept
    output = Path(kept.settings.output_folder, kept.settings.output_file_name)
    assert output.read_text() == expected_rows(4)


def test_a_job_outlives_the_name_of_a_folder(client: Client, tmp_path: Path) -> None:
    folder, gate = tmp_path / "files", tmp_path / "files" / "gate"
    wanted = deploy(client, folder, "waits_at_a_gate.py", GATE=str(gate), GATE_AT="run")
    client.datastores.create_or_update(Datastore(name="d", type="local", path=str(folder)))
    source = Input(path="azureml://datastores/d/paths/in")
    job = client.endpoints.invoke("ep1", wanted.model_copy(update={"input": source})).name
    eventually((gate / "reached").exists, "run()")
    client.datastores.delete("d")
    (gate / "open").touch()
    assert ended(client, job).status is JobStatus.COMPLETED


# ---- another release ----------------------------------------------------------------------------------------------


def test_a_home_of_the_last_release_goes_on_where_it_stood(engine: Engine) -> None:
    engine.run("good.py", engine.items(6, bad=[1], folder="earlier"), name="before")
    campaign = Campaign(engine, seed=41, items=400)
    campaign.fire(drivers=1, workers=0)
    campaign.driver.send_signal(signal.SIGKILL)
    campaign.driver.wait()
    eventually(lambda: not workers_of(campaign.folder), "workers outlive their driver")
    stood = {(row.mini_batch, row.parts) for row in engine.store.ledger("job", 0)}
    before = engine.ended("before").rows
    engine.store.close()
    take_back(engine.home, "0003")
    engine.store = open_store(engine.home)
    assert [row.parts for row in engine.ended("before").rows] == [row.parts for row in before]
    campaign.finish.touch()
    campaign.driver = engine.start_driver("job")
    found = engine.wait(campaign.driver)
    assert found.status is JobStatus.COMPLETED and len(found.lines) == 400
    assert stood and stood <= {(row.mini_batch, row.parts) for row in found.rows}
    assert [job.name for job in engine.store.list_jobs(W)] == ["job", "before"]


def take_back(home: Path, revision: str) -> None:
    """Put everything that an earlier schema has room for into a file of that schema."""
    from alembic import command

    now, then = home / "batchpoint.db", home / "then.db"
    database = create_engine(f"sqlite:///{then}")
    with database.begin() as connection:
        command.upgrade(configuration(connection), revision)
    database.dispose()
    with closing(sqlite3.connect(then)) as file:
        file.execute("ATTACH ? AS now", (str(now),))
        for (table,) in file.execute("SELECT name FROM main.sqlite_master WHERE type = 'table'").fetchall():
            if table in ("alembic_version", "sqlite_sequence"):
                continue
            columns = ", ".join(f'"{row[1]}"' for row in file.execute(f"PRAGMA main.table_info({table})"))
            file.execute(f"INSERT INTO main.{table} ({columns}) SELECT {columns} FROM now.{table}")
        file.commit()
    then.replace(now)
