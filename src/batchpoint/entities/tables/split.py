"""How large files are cut, so that many workers score one of them."""

from typing import ClassVar

from pydantic import Field, model_validator

from batchpoint.entities.noun import Noun, problem_with
from batchpoint.entities.tables.sizes import Size


class Split(Noun):
    """The size of the parts that CSV, TSV, JSON Lines and Parquet files are cut into; other files stay whole."""

    examples: ClassVar[dict[str, str]] = {"rows": "rows: 10000, or bytes: 10mb"}

    #: Rows of a part; the last part of a file may have fewer.
    rows: int | None = Field(default=None, ge=1)
    #: Bytes of a part, ``10mb``; it ends with the row that goes beyond them.
    bytes: Size | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _one_of_both(self) -> "Split":
        if (self.rows is None) == (self.bytes is None):
            raise problem_with("rows", "split wants one of rows and bytes; write rows: 10000, or bytes: 10mb")
        return self
