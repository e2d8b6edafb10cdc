"""``score``: a folder scored by a script in one line, with the engine of a job and no endpoint."""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from batchpoint.cli.call import Call, Outcome
from batchpoint.cli.grammar import Command, Flag
from batchpoint.errors import CommandLineInvalid, UserError

if TYPE_CHECKING:
    from batchpoint.local import ScoreRequest, ScoreResult


def score(call: Call) -> object:
    """Score, showing a bar on a terminal; exit code 1 when the job failed."""
    from batchpoint.cli.printing import report_job
    from batchpoint.cli.progress import Bar
    from batchpoint.local import score as score_here

    request = _request(call)
    with Bar(wanted=not call.flags.json) as bar:
        result = score_here(request, bar.show)
    print(json.dumps(_one_line(result), ensure_ascii=False) if call.flags.json else _summary(result))
    if result.error is not None:
        report_job(result.error)
    return Outcome(exit_code=0 if result.error is None else 1)


def _request(call: Call) -> "ScoreRequest":
    from batchpoint.local import ScoreRequest

    flags = call.flags
    folder, script = _script(_existing(flags.code, "--code"), flags.scoring_script)
    for name in ("workers", "mini_batch_size", "timeout"):
        if getattr(flags, name) is not None and getattr(flags, name) <= 0:
            raise CommandLineInvalid(f"--{name.replace('_', '-')} must be more than 0")
    return ScoreRequest(
        code=folder,
        scoring_script=script,
        model=_existing(flags.model, "--model") if flags.model else None,
        input=_existing(flags.input, "--input"),
        out=Path(flags.out).expanduser().absolute(),
        workers=flags.workers or len(os.sched_getaffinity(0)),
        mini_batch_size=flags.mini_batch_size,
        timeout_s=flags.timeout,
        max_retries=flags.max_retries,
        error_threshold=flags.error_threshold,
        python=flags.python,
        output_file_name=flags.output_file_name,
    )


def _existing(text: str, flag: str) -> Path:
    path = Path(text).expanduser().absolute()
    if not path.exists():
        raise UserError(f"{flag} {text}: there is no such file or folder ({path}).", target=flag)
    return path


def _script(code: Path, named: str | None) -> tuple[Path, str]:
    """Folder and script: ``--code`` may be the script itself, or a folder with one script in it."""
    if code.is_file():
        if named:
            raise CommandLineInvalid("--code names the script itself; --scoring-script goes with a folder")
        return code.parent, code.name
    scripts = sorted(path.name for path in code.glob("*.py"))
    found = named or ("score.py" if "score.py" in scripts else scripts[0] if len(scripts) == 1 else None)
    if found is None:
        listed = ", ".join(scripts) or "no .py file"
        raise UserError(f"--code {code} holds {listed}: say which is the script with --scoring-script NAME.")
    if not (code / found).is_file():
        raise UserError(f"--scoring-script {found}: {code / found} does not exist.", target="--scoring-script")
    return code, found


def _one_line(result: "ScoreResult") -> dict[str, object]:
    return {
        "status": result.status,
        "items": result.items,
        "items_succeeded": result.items_succeeded,
        "items_failed": result.items_failed,
        "rows": result.rows,
        "wall_s": round(result.wall_s, 6),
        "first_result_s": result.first_result_s and round(result.first_result_s, 6),
        "failures": [failure.model_dump() for failure in result.failures],
        "error": result.error and result.error.model_dump(),
        "output": str(result.output) if result.output else None,
        "logs": str(result.logs),
    }


def _summary(result: "ScoreResult") -> str:
    from batchpoint.cli.progress import summary
    from batchpoint.entities.job import Progress

    counts = Progress(
        items=result.items,
        items_succeeded=result.items_succeeded,
        items_failed=result.items_failed,
        rows=result.rows,
    )
    head, *reasons = summary(counts, result.failures)
    speed = f" ({result.items / result.wall_s:,.0f} items/s)" if result.items and result.wall_s else ""
    lines = [f"{head} in {result.wall_s:.1f} s{speed}", *reasons]
    lines += [f"output  {_near(result.output)}"] if result.output else []
    return "\n".join([*lines, f"logs    {_near(result.logs)}"])


def _near(path: Path) -> str:
    """``path`` as seen from the current folder when it lies below it."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


COMMANDS = (
    Command(
        "score",
        "Score a folder with a script: init() once per worker, run(mini_batch) with lists of paths.",
        score,
        (
            Flag("--code", "The scoring script, or the folder that holds it.", "SCRIPT", required=True),
            Flag("--scoring-script", "The script in the folder; default score.py, or the only one.", "NAME"),
            Flag("--model", "File or folder that the script finds in AZUREML_MODEL_DIR.", "PATH"),
            Flag("--input", "File or folder to score.", "PATH", required=True),
            Flag("--out", "Folder for the output.", "DIR", required=True),
            Flag("--workers", "Worker processes; default: as many as cores.", "N", number=int),
            Flag("--mini-batch-size", "Files per run() call; default 10.", "N", number=int, default=10),
            Flag("--timeout", "Seconds for one run() call; default 30.", "S", number=float, default=30.0),
            Flag("--max-retries", "Executions of a mini-batch at most; default 3.", "N", number=int, default=3),
            Flag("--error-threshold", "Failed files that end it; -1 never (default).", "N", number=int, default=-1),
            Flag("--python", "Interpreter or environment folder for the script; default: this one.", "EXE"),
            Flag("--output-file-name", "Default predictions.csv.", "NAME", default="predictions.csv"),
            Flag("--json", "Print one line of JSON instead of a summary."),
        ),
        example="score --code score.py --model model.pkl --input images/ --out results/",
    ),
)
