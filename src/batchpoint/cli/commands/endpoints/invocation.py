"""``batch-endpoint invoke``: three generations of flags become one invocation, which is waited for if asked."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from batchpoint.cli import documents
from batchpoint.cli.call import Call
from batchpoint.cli.grammar import SET, Flag
from batchpoint.cli.output.preflight import OUTPUT
from batchpoint.entities.tables.output import OutputFormat
from batchpoint.errors import CommandLineInvalid, UserError

if TYPE_CHECKING:
    from batchpoint.entities.data import Invocation

_INPUT_FLAGS = ("input", "input_path", "input_dataset", "input_local_path")


def invoke(call: Call) -> object:
    """Start a job; answer it as it stands right now, or with ``--wait`` as it ended."""
    output_dir, waits = _waiting(call)
    invocation = _invocation(call)
    if call.flags.dry_run or call.flags.estimate:
        return _checked(call, invocation)
    call.flags.output = call.flags.output or "json"
    if invocation.chaos:
        from batchpoint.cli.commands.endpoints.chaos import experiment

        return experiment(call, invocation)
    if output_dir is not None:
        from batchpoint.cli.output.waiting import check_free

        check_free(output_dir)
    job = call.client.endpoints.invoke(invocation.endpoint_name or "", invocation, upload=call.flags.upload)
    if not waits:
        return job
    from batchpoint.cli.output.waiting import wait

    return wait(call, job, limit_s=call.flags.wait_timeout, fetch_to=output_dir)


def _checked(call: Call, invocation: "Invocation") -> object:
    """Say what would become of the invocation, or how long it would take; start nothing."""
    from batchpoint.cli.output.preflight import follow

    given = [name for name in ("wait", "wait_timeout", "output_dir", "chaos") if getattr(call.flags, name)]
    if given:
        flag = "--estimate" if call.flags.estimate else "--dry-run"
        raise CommandLineInvalid(f"{flag} starts no job; leave out --{given[0].replace('_', '-')}")
    lines = call.client.preflights.invocation(
        invocation.endpoint_name or "", invocation, upload=call.flags.upload, estimate=call.flags.estimate
    )
    return follow(call, lines, "No job was started.")


def _waiting(call: Call) -> tuple[Path | None, bool]:
    """The folder to fetch into, and whether to wait at all."""
    flags = call.flags
    if flags.wait_timeout is not None and not flags.wait_timeout > 0:
        raise CommandLineInvalid(f"--wait-timeout is {flags.wait_timeout:g}; give the seconds, more than 0")
    implied = [name for name in ("wait", "wait_timeout", "output_dir") if getattr(flags, name)]
    if implied and flags.no_wait:
        raise CommandLineInvalid(f"--{implied[-1].replace('_', '-')} waits for the job; leave out --no-wait")
    return Path(flags.output_dir).expanduser().absolute() if flags.output_dir else None, bool(implied)


def _invocation(call: Call) -> "Invocation":
    from batchpoint.entities.data import Invocation

    flags = (
        call.given("deployment_name", "job_name", "experiment_name", "mini_batch_size", "instance_count", "chaos")
        | call.given("output_format")
        | _input(call)
        | _split(call)
    )
    if call.flags.name or not call.flags.file:
        flags["endpoint_name"] = documents.needed(call, "name")
    if call.flags.output_path:
        flags["output_path"] = _output_path(call.flags.output_path)
    sets = [*_map_words("inputs", call.flags.inputs), *_map_words("outputs", call.flags.outputs)]
    invocation = documents.load(call, Invocation, flags, sets=sets)
    if invocation.endpoint_name is None:
        raise CommandLineInvalid(f"{call.flags.file} names no endpoint: add --name, or endpoint: to the file")
    return invocation


def _input(call: Call) -> dict[str, Any]:
    """The values of ``input`` that the flags give."""
    given = call.given(*_INPUT_FLAGS)
    if len(given) > 1:
        names = " and ".join(f"--{name.replace('_', '-')}" for name in given)
        raise CommandLineInvalid(f"{names} name two inputs; keep one of them")
    values: dict[str, Any] = {"input.path": next(iter(given.values()))} if given else {}
    if call.flags.input_type:
        values["input.type"] = call.flags.input_type
    for name in ("include", "exclude"):
        if getattr(call.flags, name):
            values[f"input.{name}"] = getattr(call.flags, name)
    return values


def _split(call: Call) -> dict[str, Any]:
    given = call.given("split_rows", "split_bytes")
    if len(given) > 1:
        raise CommandLineInvalid("--split-rows and --split-bytes name two sizes of a part; keep one of them")
    return {"split": {name.removeprefix("split_"): size for name, size in given.items()}} if given else {}


def _output_path(text: str) -> str:
    """A folder of a registered datastore by any of its names, which the server reads, or (ours) a local one."""
    path = text.removeprefix("folder:")
    if path.lower().startswith(("http://", "https://")):
        raise UserError(
            f"--output-path {text}: the output goes to a folder of a registered datastore, "
            "azureml://datastores/NAME/paths/FOLDER, or to a local folder.",
            target="--output-path",
        )
    is_uri = "://" in path or path.startswith(("azureml:", "/subscriptions/", "runs:"))
    return path if is_uri else str(Path(path).expanduser().absolute())


def _map_words(key: str, words: list[str] | None) -> list[str]:
    """``--inputs`` as further ``--set`` words: one JSON map, or pairs below the key."""
    if not words:
        return []
    if len(words) == 1 and words[0].lstrip().startswith("{"):
        _check_json(key, words[0])
        return [f"{key}={words[0]}"]
    return [f"{key}.{word}" if "=" in word or at % 2 == 0 else word for at, word in enumerate(words)]


def _check_json(key: str, text: str) -> None:
    try:
        json.loads(text)
    except ValueError as error:
        raise CommandLineInvalid(
            f"--{key} {text} is no JSON: {error}. Put it in single quotes, or write --{key} x.path=DATA"
        ) from error


_AS_DEPLOYED = "default what the deployment says"

FLAGS = (
    Flag("--name -n", "Name of the endpoint; default the one in the file.", "NAME", of="endpoint"),
    Flag("--deployment-name -d", "Deployment; default the endpoint's default.", "NAME", of="deployment"),
    Flag("--input --input-data", "Folder or file: local, a URI, or azureml:NAME:VERSION.", "DATA"),
    Flag(
        "--input-type",
        "uri_folder or uri_file; default what is found there.",
        "TYPE",
        choices=("uri_folder", "uri_file"),
    ),
    Flag("--input-path", "Spelling of 2021: folder:URI or file:URI.", "URI"),
    Flag("--input-dataset", "Spelling of 2021: azureml:NAME:VERSION.", "REF"),
    Flag("--input-local-path", "Spelling of 2021: a local folder or file.", "PATH"),
    Flag("--include", "Score only files whose path matches: '*.png'; default all.", "GLOB", many=True),
    Flag("--exclude", "Leave out files whose path matches; default none.", "GLOB", many=True),
    Flag("--inputs", "The one input as a map: x.path=DATA x.type=TYPE, or JSON.", "MAP", many=True),
    Flag("--outputs", "The one output as a map: x.path=URI, or JSON.", "MAP", many=True),
    Flag(
        "--output-path",
        "Folder for the output, local or azureml://datastores/…; default azureml/JOB/score in the default datastore.",
        "URI",
    ),
    Flag("--mini-batch-size -m", f"Files per run() call; {_AS_DEPLOYED}.", "N", number=int),
    Flag(
        "--output-format",
        f"azure, csv with a header, jsonl or parquet; {_AS_DEPLOYED}.",
        "FORMAT",
        choices=get_args(OutputFormat),
    ),
    Flag("--split-rows", f"Score large tables in parts of so many rows; {_AS_DEPLOYED}.", "N", number=int),
    Flag("--split-bytes", f"Score large tables in parts of about this size, 10mb; {_AS_DEPLOYED}.", "SIZE"),
    Flag("--instance-count -c", f"Instances for this job; {_AS_DEPLOYED}.", "N", number=int),
    Flag("--job-name", "Name of the job, which must be new; default batchjob-GUID.", "NAME"),
    Flag("--experiment-name", "Experiment of the job; default the endpoint's name.", "NAME"),
    Flag("--upload", "Copy local input to the datastore even where it could be read in place."),
    Flag("--wait", "Wait for the job and print it as it ended; exit code 0 completed, 1 failed, 2 not finished."),
    Flag(
        "--wait-timeout",
        "Seconds to wait at most, then exit code 2; default no limit. Implies --wait.",
        "S",
        number=float,
    ),
    Flag("--output-dir", "New or empty folder to fetch the output into, all or nothing. Implies --wait.", "DIR"),
    Flag(
        "--chaos",
        "Run a second job beside a clean one, under random kills and stops, and compare their outputs: "
        "kill=2%,slow=1%. Waits for both; exit code 0 only when they are equal.",
        "CHANCES",
    ),
    Flag("--dry-run", "Check this very invocation - files, columns, a scored sample, output - and start no job."),
    Flag("--estimate", "Tell how long the job would take, from a timed sample; start none."),
    Flag("--no-wait", "Return as soon as there is a job; the default."),
    Flag("--file -f", "YAML file with inputs, outputs, endpoint and deployment; flags win over it.", "FILE"),
    SET,
    OUTPUT,
)
