"""Scores the golden input of a job and compares what comes out, unless that was done with this very environment.

The driver calls it before anything else is scored, a preflight where a deployment is made. What has passed is noted
beside the environment, so that one that is built anew is checked again.
"""

import csv
import hashlib
import json
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from batchpoint.engine.golden.compare import difference
from batchpoint.engine.sampling.sample import Sample, Sampled, run_sample
from batchpoint.entities.job import Job, JobSettings
from batchpoint.entities.tables.golden_rows import FrozenGoldenRows, GoldenForm, GoldenRows
from batchpoint.entities.tables.parts import shown
from batchpoint.errors import GoldenRowsDiffer
from batchpoint.settings import Settings
from batchpoint.storage.atomic import write_atomically
from batchpoint.storage.listing import list_file, list_folder

#: What of a job's settings changes what its output says.
_MATTERS = (
    *("code_path", "scoring_script", "model_path", "environment_variables", "mini_batch_size", "provenance"),
    *("output_format", "passthrough_columns", "prediction_columns", "split", "golden_rows"),
)
_REMEDY = (
    "Where model and code are those that the golden rows were made with, look for a library whose version has changed "
    "(environment show --built lists them); if this output is right, give the deployment new golden rows."
)


def check_golden_rows(
    job: Job,
    folder: Path,
    settings: Settings,
    python: str,
    image: str,
    note: Callable[[str], None],
    still_wanted: Callable[[], None],
) -> None:
    """Raises GoldenRowsDiffer with the first row that is another one.

    ``folder`` gets the files of the sample and is removed; ``python`` is the interpreter, ``image`` the id of the image
    where workers run in containers. ``still_wanted`` is called again and again and raises to stop it.
    """
    golden = job.settings.golden_rows
    if golden is None:
        return
    job = _in_their_form(job, golden)
    passed = _note_of(job.settings, settings.home, python, image)
    if passed.exists():
        return
    note("The golden rows are scored first: they have not come out with this environment yet.")
    shutil.rmtree(folder, ignore_errors=True)
    try:
        _compare(golden, job, _scored(golden, job, folder, settings, python, still_wanted))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):
        passed.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(passed, f"{golden.model_dump_json()}\n".encode())
    note("The golden rows came out as expected.")


def _in_their_form(job: Job, golden: FrozenGoldenRows) -> Job:
    """The job with the output that the deployment asks for, and not what was asked of this job alone."""
    if golden.form is None:
        return job
    form = {name: getattr(golden.form, name) for name in GoldenForm.model_fields}
    return job.model_copy(update={"settings": job.settings.model_copy(update=form)})


def _scored(
    golden: GoldenRows, job: Job, folder: Path, settings: Settings, python: str, still_wanted: Callable[[], None]
) -> Sampled:
    place = Path(golden.input)
    items = list_file(place).items if place.is_file() else list_folder(place, (), (), still_wanted).items
    sample = Sample(
        settings=job.settings.model_copy(update={"golden_rows": None, "output_shard_size": None}),
        root=str(place.parent if place.is_file() else place),
        items=items,
        folder=folder,
        python=python,
        arm_id=job.id or "",
    )
    sampled = run_sample(sample, settings, still_wanted=still_wanted)
    still_wanted()
    return sampled


def _compare(golden: GoldenRows, job: Job, sampled: Sampled) -> None:
    name = Path(golden.expected).name
    if sampled.failed:
        failed = sampled.failed[0]
        raise GoldenRowsDiffer(
            f"The golden input {shown(failed.items[0])} could not be scored: {failed.reason} ({failed.code}). {_REMEDY}"
        )
    output = sampled.output / job.settings.output_file_name
    if not sampled.completed or not output.is_file():
        why = sampled.job.error.message if sampled.job.error else "the job wrote no output"
        raise GoldenRowsDiffer(f"The golden input could not be scored: {why}")
    try:
        found = difference(Path(golden.expected), output, job.settings.output_format, golden.tolerance)
    except (ValueError, OSError, csv.Error, RecursionError, NotImplementedError) as error:
        form = job.settings.output_format
        raise GoldenRowsDiffer(
            f"The golden rows cannot be compared: {name} is not in the format {form}: {error}."
        ) from error
    if found is not None:
        raise GoldenRowsDiffer(f"The golden rows do not come out: {name}, {found.sentence}. {_REMEDY}", target=name)


def _note_of(settings: JobSettings, home: Path, python: str, image: str) -> Path:
    """The file that is there once this has passed."""
    environments = home / "environments"
    prefix = Path(python).parent.parent if python else Path()
    said = settings.model_dump(mode="json", include=set(_MATTERS))
    stamp = [image, str(prefix), *(_stamps(prefix) if python else ())]
    key = hashlib.sha256(json.dumps([said, stamp], sort_keys=True).encode()).hexdigest()[:32]
    if prefix.is_relative_to(environments):
        return environments / prefix.relative_to(environments).parts[0] / "golden" / key
    return home / "golden" / key


def _stamps(prefix: Path) -> list[tuple[int, int]]:
    """What changes when an environment is built anew, or packages are put into it or taken out."""
    folders = [prefix, *sorted(prefix.glob("lib/python*/site-packages"))]
    found = [folder.stat() for folder in folders if folder.is_dir()]
    return [(one.st_ino, one.st_mtime_ns) for one in found]
