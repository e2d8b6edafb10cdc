"""What ``batchpoint score`` is asked, and the job that it makes of it.

``score`` calls it; it runs nothing.
"""

import secrets
from dataclasses import dataclass
from pathlib import Path

from batchpoint.entities.assets import Environment
from batchpoint.entities.data import Input
from batchpoint.entities.job import Job, JobSettings
from batchpoint.entities.tables.output import OutputFormat, PredictionColumns, default_name
from batchpoint.entities.tables.split import Split
from batchpoint.errors import UserError
from batchpoint.mlmodel import read_mlmodel
from batchpoint.mlmodel.environment import environment_of

#: How the names of runs begin.
PREFIX = "score-"
_MINI_BATCH_SIZE = 10


@dataclass(frozen=True)
class ScoreRequest:
    """What ``batchpoint score`` was asked."""

    #: A script, or a folder of code with ``scoring_script`` in it; None: ``model`` is an MLflow model, which scores.
    code: Path | None
    input: Path
    #: Folder for the output file and the logs.
    out: Path
    workers: int
    scoring_script: str | None = None
    model: Path | None = None
    #: Files for one call; None: 10, or what the run to redrive has.
    mini_batch_size: int | None = None
    timeout_s: float = 30
    max_retries: int = 3
    error_threshold: int = -1
    isolate_failures: bool = True
    #: Interpreter or environment folder; None: our own or, without a script, the environment of the model.
    python: str | None = None
    #: None: predictions.csv, .jsonl or .parquet, or what the run to redrive wrote.
    output_file_name: str | None = None
    #: None: azure, or what the run to redrive has.
    output_format: OutputFormat | None = None
    #: Columns of the input beside each prediction, and how columns of predictions are called; only without a script.
    passthrough_columns: tuple[str, ...] = ()
    prediction_columns: PredictionColumns = "azure"
    #: Size of the parts that large files are cut into; None: files stay whole, or what the run to redrive has.
    split: Split | None = None
    #: Score again what failed in the latest run that left something below ``out``, into the same file.
    redrive: bool = False
    #: Name of the run to redrive; None: the latest.
    run: str | None = None


def job_of(request: ScoreRequest) -> Job:
    """A new run. Raises UserError for what is not there, and for a model that cannot score by itself."""
    code, script = _code(request) if request.code else ("", "")
    name = _checked(request)
    return Job(
        name=f"{PREFIX}{secrets.token_hex(4)}",
        endpoint_name="",
        deployment_name="",
        experiment_name="score",
        settings=JobSettings(
            code_path=code,
            scoring_script=script,
            model_path=str(request.model.absolute()) if request.model else None,
            environment=_environment(request),
            input=Input(
                type="uri_folder" if request.input.is_dir() else "uri_file", path=str(request.input.absolute())
            ),
            output_folder=str(request.out.absolute()),
            output_file_name=name,
            output_format=request.output_format or "azure",
            passthrough_columns=request.passthrough_columns,
            prediction_columns=request.prediction_columns,
            split=request.split,
            mini_batch_size=request.mini_batch_size or _MINI_BATCH_SIZE,
            max_concurrency_per_instance=request.workers,
            max_retries=request.max_retries,
            timeout_s=request.timeout_s,
            error_threshold=request.error_threshold,
            isolate_failures=request.isolate_failures,
        ),
    )


def _checked(request: ScoreRequest) -> str:
    """The name of the output file. Raises UserError for paths that are not there, or stand in each other's way."""
    for path, what in ((request.input, "input"), (request.model, "model")):
        if path is not None and not path.exists():
            raise UserError(f"The {what} {path} does not exist.", target=str(path))
    name = (
        default_name(request.output_format or "azure") if request.output_file_name is None else request.output_file_name
    )
    if name in {"", ".", ".."} or Path(name).name != name:
        raise UserError(f"The output file name {name!r} is no plain file name; the folder is named apart.", target=name)
    if request.out.resolve().is_relative_to(request.input.resolve()):
        raise UserError(
            f"The output folder {request.out} lies in the input folder {request.input}: what stands there would be "
            "scored too. Name an output folder beside it.",
            target=str(request.out),
        )
    return name


def _environment(request: ScoreRequest) -> Environment | None:
    if request.code is None:
        return _environment_of_model(request)
    return Environment(python=request.python) if request.python else None


def _environment_of_model(request: ScoreRequest) -> Environment:
    """Raises ValidationFailed and UserError for a model that cannot score by itself."""
    assert request.model is not None
    told = read_mlmodel(request.model.absolute())
    if not told.is_pyfunc:
        raise UserError(
            f"The MLflow model {request.model} has no flavour python_function, by which it is scored without a script; "
            f"its flavours: {', '.join(told.flavors)}. Name a script with --code.",
            target=str(request.model),
        )
    return Environment(python=request.python) if request.python else environment_of(told).environment


def _code(request: ScoreRequest) -> tuple[str, str]:
    """The folder, and the script in it."""
    assert request.code is not None
    code = request.code.absolute()
    if code.is_file():
        return str(code.parent), request.scoring_script or code.name
    if not code.is_dir():
        raise UserError(f"The code {code} does not exist. Name a scoring script, or a folder that holds one.")
    if request.scoring_script:
        if not (code / request.scoring_script).is_file():
            raise UserError(f"The folder {code} has no {request.scoring_script}.", target=request.scoring_script)
        return str(code), request.scoring_script
    scripts = sorted(path.name for path in code.glob("*.py"))
    if len(scripts) != 1:
        names = ", ".join(scripts) or "none"
        raise UserError(f"Which script of {code} scores? Name it with --scoring-script; there are: {names}.")
    return str(code), scripts[0]
