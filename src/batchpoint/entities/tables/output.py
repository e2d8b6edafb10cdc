"""What the gathered file looks like."""

from typing import Literal

#: ``azure``: the text that the cloud service writes. ``csv``: RFC 4180 with a header. ``jsonl``: an object per line.
#: ``parquet``: columns with their types.
OutputFormat = Literal["azure", "csv", "jsonl", "parquet"]

#: How the columns with a model's predictions are called: ``prediction``, or as the model's signature says.
PredictionColumns = Literal["azure", "signature"]

#: In ``passthrough_columns``: every column of the input.
ALL_COLUMNS = "*"

_NAMES: dict[OutputFormat, str] = {"jsonl": "predictions.jsonl", "parquet": "predictions.parquet"}


def default_name(output_format: OutputFormat) -> str:
    """Name of the gathered file when nobody names it."""
    return _NAMES.get(output_format, "predictions.csv")
