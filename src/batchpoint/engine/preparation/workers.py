"""What one worker of a job is started with: its environment, its command line, its first message.

Called by the driver for every StartWorker; all of it follows from the job's frozen settings.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from batchpoint.compute import machine
from batchpoint.compute.pool import Slot, WorkerSpec
from batchpoint.engine.messages import PROTOCOL, line
from batchpoint.engine.preparation import gpus
from batchpoint.engine.preparation.model_folder import place_model
from batchpoint.entities.job import Job
from batchpoint.storage.job_folder import JobFolder

#: It lies beside our own package and is never imported by it.
WORKER_PACKAGE = Path(__file__).parents[3] / "batchpoint_worker"
MB = 1024 * 1024
#: Variables of our own process that would change the user's interpreter.
_NOT_INHERITED = ("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__")
#: Libraries that start a thread per core in each worker unless told otherwise.
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS", "POLARS_MAX_THREADS")


@dataclass(frozen=True)
class WorkerStart:
    """Everything that the workers of one job have in common."""

    job: Job
    folder: JobFolder
    python: str
    #: Root of the plan's paths.
    input_root: str
    #: Names of segments begin with this: ``<epoch>.<nonce>``.
    segment_prefix: str
    inherited: Mapping[str, str]
    #: Seconds between two samples of what machine and workers use, as scripts are told.
    sample_every_s: float = 600.0
    #: How large one row, and all rows of one mini-batch, may be, in MB.
    max_row_mb: int = 64
    max_result_mb: int = 1024

    @property
    def is_contained(self) -> bool:
        """True where each worker has a container of its own."""
        return self.job.settings.place.isolation == "container"

    def prepare(self) -> None:
        """Make the folders that workers need; safe to repeat."""
        for path in (self.folder.segments, self.folder.scratch, self.folder.staging, self.folder.worker_package):
            path.mkdir(parents=True, exist_ok=True)
        _link(WORKER_PACKAGE, self.folder.worker_package / WORKER_PACKAGE.name)
        if self.job.settings.model_path:
            model = Path(self.job.settings.model_path)
            place_model(model, self.folder.model / model.name)

    def spec(self, worker: int, slot: Slot) -> WorkerSpec:
        """How the pool starts this worker."""
        user = self.folder.logs / "user"
        self.scratch(worker).mkdir(parents=True, exist_ok=True)
        return WorkerSpec(
            slot=slot,
            python=self.python,
            environment=self._environment(worker, slot),
            worker_package=self.folder.worker_package,
            stdout=user / "stdout" / slot.node / f"{slot.agent}.stdout.txt",
            stderr=user / "stderr" / slot.node / f"{slot.agent}.stderr.txt",
        )

    def first_line(self, worker: int, slot: Slot) -> bytes:
        """The Start message."""
        settings = self.job.settings
        scratch = str(self.scratch(worker))
        return line(
            {
                "t": "Start",
                "protocol": PROTOCOL,
                "code_path": settings.code_path,
                "scoring_script": settings.scoring_script,
                "input_root": self.input_root,
                "plan_items": str(self.folder.plan_items),
                "segment": str(self.folder.segments / self.segment(worker)),
                "output_action": settings.output_action,
                "provenance": settings.provenance,
                "output_format": settings.output_format,
                "no_code": self._no_code(),
                "argv": self._arguments(),
                "working_dir": scratch,
                "scratch": scratch,
                "entry_log": str(self.folder.logs / "user" / "entry_script_log" / slot.node),
                "agent": slot.agent,
                "logging_level": settings.logging_level,
                "row_limit": self.max_row_mb * MB,
                "result_limit": self.max_result_mb * MB,
            }
        )

    def _no_code(self) -> dict[str, object] | None:
        settings = self.job.settings
        if not settings.is_no_code:
            return None
        return {
            "model": str(self.folder.model / Path(settings.model_path or "").name),
            "passthrough_columns": list(settings.passthrough_columns),
            "prediction_columns": settings.prediction_columns,
        }

    def segment(self, worker: int) -> str:
        """Name of the segment that this worker appends to."""
        return f"{self.segment_prefix}.{worker}"

    def scratch(self, worker: int) -> Path:
        """Working and temporary directory of a worker."""
        return self.folder.scratch / str(worker)

    def _environment(self, worker: int, slot: Slot) -> dict[str, str]:
        settings = self.job.settings
        chosen = settings.environment_variables
        # An image has an environment of its own.
        inherited = {} if self.is_contained else self.inherited
        environment = {name: value for name, value in inherited.items() if _is_inherited(name)}
        threads = str(max(1, self._cores() // self._worker_count()))
        environment |= {name: threads for name in _THREADS if name not in self.inherited}
        environment |= self._job_variables() | self._gpu_variables(slot) | chosen
        if "MLFLOW_TRACKING_URI" in chosen and "MLFLOW_RUN_ID" not in chosen:
            environment.pop("MLFLOW_RUN_ID")  # a tracking server of the user's own does not know the job
        environment["TMPDIR"] = chosen.get("TMPDIR") or str(self.scratch(worker))
        if self.is_contained:
            environment.setdefault("HOME", str(self.scratch(worker)))
        elif "PATH" not in chosen:  # `python` in a script means its own
            environment["PATH"] = os.pathsep.join([str(Path(self.python).parent), environment.get("PATH", os.defpath)])
        search = [str(self.folder.worker_package), *filter(None, [chosen.get("PYTHONPATH")])]
        return environment | {"PYTHONPATH": os.pathsep.join(search)}

    def _cores(self) -> int:
        """Cores for all workers of the job."""
        place = self.job.settings.place
        return int(place.cpus) * self.job.settings.instance_count if place.type == "ray" else os.cpu_count() or 1

    def _gpu_variables(self, slot: Slot) -> dict[str, str]:
        if self.job.settings.place.type == "ray":
            return {}
        worker = slot.instance * self.job.settings.max_concurrency_per_instance + slot.process
        return gpus.variables(worker, self.job.gpus, gpus.devices(machine.gpus(), self.inherited))

    def _worker_count(self) -> int:
        return self.job.settings.instance_count * self.job.settings.max_concurrency_per_instance

    def _job_variables(self) -> dict[str, str]:
        name, experiment = self.job.name, self.job.experiment_name
        variables = {
            "AZUREML_BI_OUTPUT_PATH": str(self.folder.staging),
            "AZUREML_RUN_ID": name,
            "AZUREML_ROOT_RUN_ID": name,
            "AZUREML_EXPERIMENT_NAME": experiment,
            "AZUREML_ARM_PROJECT_NAME": experiment,
            "MLFLOW_TRACKING_URI": self.folder.tracking.as_uri(),
            "MLFLOW_RUN_ID": name,
            "MLFLOW_EXPERIMENT_NAME": experiment,
            # Later versions take a folder for a store only where somebody says so.
            "MLFLOW_ALLOW_FILE_STORE": "true",
            **_workspace_variables(self.job.id or ""),
        }
        if self.job.settings.model_path:
            variables["AZUREML_MODEL_DIR"] = str(self.folder.model)
        return variables

    def _arguments(self) -> list[str]:
        """The switches that the field's engine gives its scripts, with what they come to here."""
        settings = self.job.settings
        switches: dict[str, object] = {
            "client_sdk_version": 0,
            "scoring_module_name": settings.scoring_script,
            "mini_batch_size": settings.mini_batch_size,
            "error_threshold": settings.error_threshold,
            "output_action": settings.output_action,
            "logging_level": settings.logging_level.upper(),
            "run_invocation_timeout": f"{settings.timeout_s:g}",
            "run_max_try": settings.max_retries,
            "append_row_file_name": settings.output_file_name,
            "append_row_dataframe_header": False,
            "process_count_per_node": settings.max_concurrency_per_instance,
            "output": self.folder.staging,
            "input_fds_0": self.input_root,
            "input0": self.input_root,
            "allowed_failed_count": -1,
            "allowed_failed_percent": 100,
            "task_overhead_timeout": 30,
            "progress_update_timeout": f"{3 * (settings.timeout_s + 30):g}",
            "first_task_creation_timeout": 600,
            "resource_monitor_interval": f"{self.sample_every_s:g}",
            "copy_logs_to_parent": False,
            "push_metrics_to_parent": False,
            "nice": 0,
            "create_snapshot_at_runtime": False,
        }
        return [word for name, value in switches.items() for word in (f"--{name}", str(value))]


def _workspace_variables(arm_id: str) -> dict[str, str]:
    """Where a job stands, as its id says; nothing for a job without an endpoint."""
    segments = arm_id.split("/")
    if len(segments) < 9:
        return {}
    return {
        "AZUREML_ARM_SUBSCRIPTION": segments[2],
        "AZUREML_ARM_RESOURCEGROUP": segments[4],
        "AZUREML_ARM_WORKSPACE_NAME": segments[8],
    }


def _is_inherited(name: str) -> bool:
    """Our own settings, a token among them, are nothing to the script; where the home is, it may know."""
    return name == "BATCHPOINT_HOME" or not (name.startswith("BATCHPOINT_") or name in _NOT_INHERITED)


def slots(job: Job) -> tuple[Slot, ...]:
    """The places of a job's workers: ``max_concurrency_per_instance`` on each of ``instance_count`` instances."""
    settings = job.settings
    return tuple(
        Slot(instance, process)
        for process in range(settings.max_concurrency_per_instance)
        for instance in range(settings.instance_count)
    )


def _link(target: Path, link: Path) -> None:
    try:
        link.symlink_to(target)
    except FileExistsError:
        if link.resolve() != target.resolve():
            link.unlink()
            link.symlink_to(target)
