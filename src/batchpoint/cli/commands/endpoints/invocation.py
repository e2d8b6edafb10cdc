"""``batch-endpoint invoke``: three generations of flags become one invocation."""

from pathlib import Path
from typing import Any

from batchpoint.cli import documents
from batchpoint.cli.call import Call
from batchpoint.cli.grammar import FILE, SET, Flag
from batchpoint.errors import CommandLineInvalid, UserError

_INPUT_FLAGS = ("input", "input_path", "input_dataset", "input_local_path")


def invoke(call: Call) -> object:
    """Start a job and return it as it stands right now."""
    from batchpoint.entities.data import Invocation

    flags = call.given("deployment_name", "job_name", "experiment_name", "mini_batch_size", "instance_count") | _input(
        call
    )
    if call.flags.name or not call.flags.file:
        flags["endpoint_name"] = documents.needed(call, "name")
    if call.flags.output_path:
        flags["output_path"] = _output_path(call.flags.output_path)
    sets = [*_map_words("inputs", call.flags.inputs), *_map_words("outputs", call.flags.outputs)]
    invocation = documents.load(call, Invocation, flags, sets=sets)
    if invocation.endpoint_name is None:
        raise CommandLineInvalid(f"{call.flags.file} names no endpoint: add --name, or endpoint: to the file")
    return call.client.endpoints.invoke(invocation.endpoint_name, invocation, upload=call.flags.upload)


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


def _output_path(text: str) -> str:
    """A folder of a registered datastore, or (ours) a local one."""
    path = text.removeprefix("folder:")
    if "://" in path and not path.startswith("azureml:"):
        raise UserError(
            f"--output-path {text}: the output goes to a folder of a registered datastore, "
            "azureml://datastores/NAME/paths/FOLDER, or to a local folder.",
            target="--output-path",
        )
    return path if path.startswith(("azureml:", "/subscriptions/")) else str(Path(path).expanduser().absolute())


def _map_words(key: str, words: list[str] | None) -> list[str]:
    """``--inputs`` as further ``--set`` words: one JSON map, or pairs below the key."""
    if not words:
        return []
    if len(words) == 1 and words[0].lstrip().startswith("{"):
        return [f"{key}={words[0]}"]
    return [f"{key}.{word}" if "=" in word or at % 2 == 0 else word for at, word in enumerate(words)]


FLAGS = (
    Flag("--name -n", "Name of the endpoint.", "NAME"),
    Flag("--deployment-name -d", "Deployment; without it the endpoint's default.", "NAME"),
    Flag("--input --input-data", "Folder or file: local, a URI, or azureml:NAME:VERSION.", "DATA"),
    Flag("--input-type", "uri_folder or uri_file.", "TYPE", choices=("uri_folder", "uri_file")),
    Flag("--input-path", "Spelling of 2021: folder:URI or file:URI.", "URI"),
    Flag("--input-dataset", "Spelling of 2021: azureml:NAME:VERSION.", "REF"),
    Flag("--input-local-path", "Spelling of 2021: a local folder or file.", "PATH"),
    Flag("--include", "Score only files whose path matches: '*.png'.", "GLOB", many=True),
    Flag("--exclude", "Leave out files whose path matches.", "GLOB", many=True),
    Flag("--inputs", "The one input as a map: x.path=DATA x.type=TYPE, or JSON.", "MAP", many=True),
    Flag("--outputs", "The one output as a map: x.path=URI, or JSON.", "MAP", many=True),
    Flag("--output-path", "Folder for the output: azureml://datastores/… or a local one.", "URI"),
    Flag("--mini-batch-size -m", "Files per run() call.", "N", number=int),
    Flag("--instance-count -c", "Instances for this job.", "N", number=int),
    Flag("--job-name", "Name of the job; must be new.", "NAME"),
    Flag("--experiment-name", "Experiment of the job.", "NAME"),
    Flag("--upload", "Copy local input to the datastore even where it could be read in place."),
    FILE,
    SET,
)
