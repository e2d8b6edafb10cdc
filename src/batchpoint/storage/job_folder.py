"""Names every file of a job; no other module joins these paths.

<home>/jobs/<job>/
  lock                    flock: held by the driver that is alive
  driver.log              what the driver itself logged
  plan.items  plan.json   the frozen plan
  seg/<epoch>.<nonce>.<worker>   rows, appended by one worker
  tries/<revision>.<epoch>       failed tries, as one driver knew them
  worker/batchpoint_worker       link to the worker package, alone in its folder
  scratch/                temporary directory of the scripts
  channels/               what workers in containers and their driver speak through
  golden/                 the golden rows, while they are scored
  staging/                what summary_only scripts write
  failed_items.jsonl      each item that failed, and why     manifest.json   what the job read, ran and wrote
  input/                  downloaded input                unfetched.<revision>.json   what could not be
  ledger.jsonl            only of "score": what it needs to score again what failed
  gathered/               output on its way to an object store
  mlruns/                 what scripts log to MLflow
  logs/  user_logs/       the tree that users know
"""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class JobFolder:
    """The folder of one job on the machine that runs it."""

    path: Path

    @property
    def lock(self) -> Path:
        return self.path / "lock"

    @property
    def driver_log(self) -> Path:
        return self.path / "driver.log"

    @property
    def plan_items(self) -> Path:
        return self.path / "plan.items"

    @property
    def plan_header(self) -> Path:
        return self.path / "plan.json"

    @property
    def kept_ledger(self) -> Path:
        """The ledger of a job without a store, once it has ended with something left to score."""
        return self.path / "ledger.jsonl"

    @property
    def segments(self) -> Path:
        return self.path / "seg"

    @property
    def tries(self) -> Path:
        return self.path / "tries"

    @property
    def worker_package(self) -> Path:
        """Folder for PYTHONPATH: it holds ``batchpoint_worker`` and nothing else."""
        return self.path / "worker"

    @property
    def scratch(self) -> Path:
        return self.path / "scratch"

    @property
    def channels(self) -> Path:
        """Pipes and variables of workers in containers."""
        return self.path / "channels"

    @property
    def golden(self) -> Path:
        """While golden rows are scored: the files of that small job."""
        return self.path / "golden"

    @property
    def staging(self) -> Path:
        return self.path / "staging"

    @property
    def published(self) -> Path:
        """Names of the output files; see ``storage.published``."""
        return self.path / "published.json"

    @property
    def failed_items(self) -> Path:
        """One JSON object for each item that failed; see ``engine.publishing.dead_letters``."""
        return self.path / "failed_items.jsonl"

    @property
    def manifest(self) -> Path:
        """What a job that has ended read, ran and wrote; see ``entities.evidence.manifest``."""
        return self.path / "manifest.json"

    @property
    def published_hashes(self) -> Path:
        """What those files held in each revision; see ``storage.published``."""
        return self.path / "published_hashes.json"

    @property
    def tracking(self) -> Path:
        """MLFLOW_TRACKING_URI, unless the deployment names another one."""
        return self.path / "mlruns"

    @property
    def input(self) -> Path:
        return self.path / "input"

    def unfetched(self, revision: int) -> Path:
        """Items of the input that this revision of the job could not fetch, and why."""
        return self.path / f"unfetched.{revision}.json"

    @property
    def gathered(self) -> Path:
        """Where the output is put together that goes to an object store."""
        return self.path / "gathered"

    @property
    def model(self) -> Path:
        """AZUREML_MODEL_DIR: holds the model under its own last path segment."""
        return self.path / "model"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def user_log(self) -> Path:
        """What ``job stream`` of a single-node job shows."""
        return self.path / "user_logs" / "std_log_0.txt"

    @property
    def execution_log(self) -> Path:
        """Step events; ``job stream`` prints this one."""
        return self.logs / "azureml" / "executionlogs.txt"

    @property
    def stdout_log(self) -> Path:
        return self.logs / "azureml" / "stdoutlogs.txt"

    @property
    def stderr_log(self) -> Path:
        return self.logs / "azureml" / "stderrlogs.txt"

    @property
    def chaos(self) -> Path:
        """What harm was done to the job on purpose."""
        return self.logs / "sys" / "chaos.csv"

    @property
    def environment_log(self) -> Path:
        return self.logs / "azureml" / "environment_build_log.txt"


def job_folder(home: Path, job: str) -> JobFolder:
    """The folder of ``job`` under ``home``."""
    return JobFolder(home / "jobs" / job)
