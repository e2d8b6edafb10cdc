"""``score``: a folder scored by a script or an MLflow model in one line, with the engine of a job and no endpoint."""

import json
import math
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from batchpoint.cli.call import Call, Outcome
from batchpoint.cli.grammar import PROGRAM, Command, Flag
from batchpoint.entities.tables.output import OutputFormat, PredictionColumns
from batchpoint.errors import CommandLineInvalid, UserError

if TYPE_CHECKING:
    from batchpoint.engine.score import ScoreResult
    from batchpoint.engine.score_request import ScoreRequest
    from batchpoint.entities.tables.split import Split


_SIZE = "a size above 0, such as 500kb, 10mb or 1gb"


def score(call: Call) -> object:
    """Score, showing a bar on a terminal; exit code 1 when the job failed."""
    from batchpoint.cli.output.printing import report_job
    from batchpoint.cli.output.progress import Bar
    from batchpoint.engine.score import score as score_here

    request = _request(call)
    if request.code is None and not request.python:
        call.say("The environment of the model is built first, unless it is there; --python EXE takes another one.")
    with Bar(wanted=not call.flags.json) as bar:
        result = score_here(request, call.settings, bar.show)
    print(json.dumps(_one_line(result), ensure_ascii=False) if call.flags.json else _summary(result))
    if result.error is not None:
        report_job(result.error)
    return Outcome(exit_code=0 if result.error is None else 1)


def _request(call: Call) -> "ScoreRequest":
    from batchpoint.engine.score_request import ScoreRequest

    flags = call.flags
    for name in ("workers", "mini_batch_size", "timeout"):
        given = getattr(flags, name)
        if given is not None and not 0 < given < math.inf:
            raise CommandLineInvalid(f"--{name.replace('_', '-')} must be a number above 0")
    _check_what_scores(call)
    return ScoreRequest(
        code=_existing(flags.code, "--code") if flags.code else None,
        scoring_script=flags.scoring_script,
        model=_existing(flags.model, "--model") if flags.model else None,
        input=_existing(flags.input, "--input"),
        out=Path(flags.out).expanduser().absolute(),
        workers=flags.workers or _cores(),
        mini_batch_size=flags.mini_batch_size,
        timeout_s=flags.timeout,
        max_retries=flags.max_retries,
        error_threshold=flags.error_threshold,
        isolate_failures=not flags.no_isolate_failures,
        python=flags.python,
        output_file_name=flags.output_file_name,
        output_format=flags.output_format,
        passthrough_columns=tuple(flags.passthrough_columns or ()),
        prediction_columns=flags.prediction_columns or "azure",
        split=_split(call),
        redrive=flags.redrive or flags.run is not None,
        run=flags.run,
    )


def _check_what_scores(call: Call) -> None:
    flags = call.flags
    if not flags.code and not flags.model:
        raise CommandLineInvalid("--code or --model is needed: a scoring script, or an MLflow model that needs none")
    needless = [
        flag for flag in ("scoring_script", "passthrough_columns", "prediction_columns") if getattr(flags, flag)
    ]
    wrong = [flag for flag in needless if (flag == "scoring_script") != bool(flags.code)]
    if wrong:
        only = "with --code" if wrong[0] == "scoring_script" else "for an MLflow model without --code"
        raise CommandLineInvalid(f"--{wrong[0].replace('_', '-')} is only {only}")


def _split(call: Call) -> "Split | None":
    from batchpoint.entities.tables.split import Split

    rows, size = call.flags.split_rows, call.flags.split_bytes
    if rows is None and size is None:
        return None
    if rows is not None and size is not None:
        raise CommandLineInvalid("--split-rows and --split-bytes name two sizes of a part; keep one of them")
    try:
        return Split.model_validate({"rows": rows} if size is None else {"bytes": size})
    except ValueError as error:
        flag, what = ("--split-rows", "a number above 0, such as 10000") if size is None else ("--split-bytes", _SIZE)
        raise CommandLineInvalid(f"{flag} {rows if size is None else size} is not {what}") from error


def _cores() -> int:
    """Those that this process may use, where the system says so."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _existing(text: str, flag: str) -> Path:
    path = Path(text).expanduser().absolute()
    if flag == "--model" and text.startswith(("models:/", "runs:/")):
        raise UserError(
            f"--model {text}: score takes a file or a folder. Bring the model here with mlflow artifacts download, or "
            f"deploy it: a deployment takes model: {text}.",
            target=flag,
        )
    if not path.exists():
        raise UserError(f"{flag} {text}: there is no such file or folder ({path}).", target=flag)
    return path


def _one_line(result: "ScoreResult") -> dict[str, object]:
    progress = result.progress
    return {
        "status": str(result.status),
        "items": progress.items,
        "items_succeeded": progress.items_succeeded,
        "items_failed": progress.items_failed,
        "rows": progress.rows,
        "wall_s": round(result.wall_s, 6),
        "first_result_s": None if result.first_result_s is None else round(result.first_result_s, 6),
        "failures": [failure.model_dump() for failure in result.failures],
        "error": result.error.model_dump() if result.error else None,
        "output": str(result.output) if result.output else None,
        "failed_items": str(result.failed_items) if result.failed_items else None,
        "logs": str(result.logs),
    }


def _summary(result: "ScoreResult") -> str:
    from batchpoint.cli.output.causes import explained, told
    from batchpoint.cli.output.progress import pace, summary

    items = result.progress.items_succeeded
    speed = f" ({pace(items / result.wall_s)})" if items and result.wall_s else ""
    lines = [f"{summary(result.progress)} in {result.wall_s:.1f} s{speed}"] if result.progress.items else []
    lines += told(result.failures, sys.stdout)
    lines += [f"means   {PROGRAM} explain {code}" for code in explained(result.failures)]
    lines += [f"failed  {_near(result.failed_items)}"] if result.failed_items else []
    lines += [f"output  {_near(result.output)}"] if result.output else []
    if result.redrivable and (result.error is not None or result.progress.items_failed):
        lines += [
            f"again   the same command with --redrive scores what failed in {result.redrivable}, and nothing else"
        ]
    return "\n".join([*lines, f"logs    {_near(result.logs)}"])


def _near(path: Path) -> str:
    """``path`` as seen from the current folder when it lies below it."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


COMMANDS = (
    Command(
        "score",
        "Score a folder with a script, init() once per worker and run(mini_batch) with lists of paths; or with an "
        "MLflow model, which needs none.",
        score,
        (
            Flag("--code", "The scoring script, or the folder that holds it; an MLflow model needs none.", "SCRIPT"),
            Flag("--scoring-script", "The script in the folder; needed when it holds several.", "NAME"),
            Flag(
                "--model",
                "File or folder that the script finds in AZUREML_MODEL_DIR; without --code the model that scores.",
                "PATH",
            ),
            Flag("--input", "File or folder to score.", "PATH", required=True),
            Flag("--out", "Folder for the output.", "DIR", required=True),
            Flag("--workers", "Worker processes; default: as many as cores.", "N", number=int),
            Flag("--mini-batch-size", "Files per run() call; default 10.", "N", number=int),
            Flag("--timeout", "Seconds for one run() call; default 30.", "S", number=float, default=30.0),
            Flag("--max-retries", "Executions of a mini-batch at most; default 3.", "N", number=int, default=3),
            Flag("--error-threshold", "Failed files that end it; -1 never (default).", "N", number=int, default=-1),
            Flag(
                "--no-isolate-failures",
                "Lose a failing mini-batch whole; by default it is halved to find the guilty files.",
            ),
            Flag(
                "--python",
                "Interpreter or environment folder that scores; default: this one, without --code the model's own.",
                "EXE",
            ),
            Flag("--output-file-name", "Default predictions.csv.", "NAME"),
            Flag(
                "--output-format",
                "azure (default), csv with a header, jsonl or parquet.",
                "FORMAT",
                choices=get_args(OutputFormat),
            ),
            Flag(
                "--passthrough-columns",
                "Columns of the input beside each prediction, '*' for all; without --code.",
                "NAME",
                many=True,
            ),
            Flag(
                "--prediction-columns",
                "signature: call columns of predictions as the model does; without --code.",
                "NAMES",
                choices=get_args(PredictionColumns),
            ),
            Flag(
                "--split-rows",
                "Cut tables into parts of so many rows, items of their own; default whole.",
                "N",
                number=int,
            ),
            Flag("--split-bytes", "Cut tables into parts of about this size, such as 10mb; default whole.", "SIZE"),
            Flag("--redrive", "Score again what failed in the latest run in --out, into the same file."),
            Flag(
                "--run",
                "Run to redrive, such as score-1a2b3c4d; default the latest in --out that can be. Implies --redrive.",
                "NAME",
            ),
            Flag("--json", "Print one line of JSON instead of a summary."),
        ),
        example="score --code score.py --model model.pkl --input images/ --out results/",
    ),
)
