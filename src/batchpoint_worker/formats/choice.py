"""Chooses the encoder of a worker; the session asks it once, at the start.

A worker of a job that asks for nothing imports none of the others.
"""

from batchpoint_worker.rows import Verbatim

MYPY = False
if MYPY:
    from batchpoint_worker.formats.encoders import Encoder
    from batchpoint_worker.protocol import Start


def encoder_of(start: "Start") -> "Verbatim | Encoder":
    """The one that writes what the job asks for."""
    is_no_code = start.no_code is not None
    if start.output_format == "azure" and not is_no_code:
        return Verbatim(start.limits)
    if start.output_format == "parquet":
        from batchpoint_worker.formats.typed import Typed

        return Typed(start.limits, is_no_code)
    from batchpoint_worker.formats import encoders

    if start.output_format == "jsonl":
        return encoders.JsonLines(start.limits, is_no_code)
    return encoders.CommaSeparated(start.limits, is_no_code, start.output_format == "csv")
