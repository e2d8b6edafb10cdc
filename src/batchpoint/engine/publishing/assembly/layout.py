"""What the files of one job's output look like: their format, their names, how large they become."""

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from batchpoint.entities.job import JobSettings
from batchpoint.entities.tables.output import OutputFormat


@dataclass(frozen=True)
class Layout:
    """Of one output."""

    format: OutputFormat = "azure"
    #: Whether azure's text is rows with commas between their fields, as for a model without a script.
    has_fields: bool = False
    #: Bytes with which a file is full; None: there is one file.
    shard_size: int | None = None

    @property
    def is_verbatim(self) -> bool:
        """True where the output is what stands in the segments, and in one file."""
        return self.shard_size is None and self.format in ("azure", "jsonl")

    @property
    def has_quotes(self) -> bool:
        """True where a line may end within quotes."""
        return self.format in ("azure", "csv")

    @property
    def has_records(self) -> bool:
        """False where nobody can tell where a row ends: what a script returns for azure may have any line breaks."""
        return self.format != "azure" or self.has_fields


def layout_of(settings: JobSettings) -> Layout:
    """The one that the job asks for."""
    return Layout(settings.output_format, settings.is_no_code, settings.output_shard_size)


def shard_name(name: str, number: int) -> str:
    """``predictions.csv`` → ``predictions-00000.csv``."""
    path = PurePosixPath(name)
    return f"{path.stem}-{number:05}{path.suffix}"


def is_shard_of(name: str, of: str) -> bool:
    """Whether a file called so could be a shard of the output ``of``, be it of another job."""
    path = PurePosixPath(of)
    return re.fullmatch(rf"{re.escape(path.stem)}-\d{{5,}}{re.escape(path.suffix)}", name) is not None
