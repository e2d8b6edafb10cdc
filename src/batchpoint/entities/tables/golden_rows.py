"""Inputs whose predictions are known, kept with a deployment to notice when it begins to answer differently."""

from typing import ClassVar

from pydantic import Field

from batchpoint.entities.noun import Noun
from batchpoint.entities.tables.output import OutputFormat, PredictionColumns
from batchpoint.entities.tables.split import Split


class GoldenRows(Noun):
    """A folder of sample files, the output that they must lead to, and how near is near enough."""

    examples: ClassVar[dict[str, str]] = {
        "input": "input: <folder with a few input files>",
        "expected": "expected: <the output that they must lead to>",
    }

    #: A file or folder of inputs, kept by content as models are.
    input: str
    #: The file that a job over them must write, row for row.
    expected: str
    #: Numbers may differ by so much, as a part of their size; text never.
    tolerance: float = Field(default=1e-6, ge=0, lt=1)


class GoldenForm(Noun):
    """What a deployment says of its output; ``expected`` looks like that, whatever a single job asks for."""

    output_format: OutputFormat = "azure"
    passthrough_columns: tuple[str, ...] = ()
    prediction_columns: PredictionColumns = "azure"
    provenance: bool = False
    split: Split | None = None
    mini_batch_size: int = 10


class FrozenGoldenRows(GoldenRows):
    """As a job keeps them: paths of the server's machine."""

    #: None: that of the job.
    form: GoldenForm | None = None
