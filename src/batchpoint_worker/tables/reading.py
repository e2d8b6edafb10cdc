"""Opens an item by the ending of its name, and hands it to the reader of its format.

``mlflow_script`` calls it for each item of a mini-batch; it knows every format that is read, and no model.
"""

import os

from batchpoint_worker.tables.parts import split_path
from batchpoint_worker.tables.signature import rejected

MYPY = False
if MYPY:
    from batchpoint_worker.tables.parts import Part
    from batchpoint_worker.tables.wanted import Columns, Wanted

SEPARATORS = {".csv": ",", ".tsv": "\t"}
JSON_LINES = (".jsonl", ".ndjson")
PARQUET = (".parquet", ".pqt")
ARROW = (".feather", ".arrow")
IMAGES = (".png", ".jpg", ".jpeg", ".tiff", ".tif", ".bmp", ".gif")
#: Endings behind that of a file of text → what packed it.
PACKED = {".gz": "gzip", ".zst": "zstd", ".bz2": "bzip2", ".xz": "xz"}


def read(item: str, wanted: "Wanted") -> "Columns":
    """What a job wants of one item; raises Refused for an item that cannot be read or does not fit."""
    path, part = split_path(item)
    where = os.path.basename(path)
    stem, packing = os.path.splitext(where.lower())
    if packing not in PACKED:
        return _read(path, part, where, packing, "", wanted)
    return _read(path, part, where, os.path.splitext(stem)[1], packing, wanted)


def _read(path: str, part: "Part | None", where: str, ending: str, packing: str, wanted: "Wanted") -> "Columns":
    # Imported here: a job has files of one kind, and only the libraries that read them are loaded.
    if ending in SEPARATORS or ending in JSON_LINES or ending == ".json":
        return _read_text(path, part, where, ending, packing, wanted)
    if ending in PARQUET and not packing:
        from batchpoint_worker.tables.files import columnar

        return columnar.read_parquet(path, part, where, wanted)
    if ending in ARROW and not packing:
        from batchpoint_worker.tables.files import columnar

        return columnar.read_arrow(path, where, wanted)
    if ending in IMAGES and not packing:
        from batchpoint_worker.tables.files import images

        return images.read(path, where, wanted)
    raise _unknown(where, ending + packing)


def _read_text(path: str, part: "Part | None", where: str, ending: str, packing: str, wanted: "Wanted") -> "Columns":
    from batchpoint_worker.tables.files.text import Text

    text = Text(path, part, where, PACKED.get(packing, ""))
    if ending in SEPARATORS:
        from batchpoint_worker.tables.files import delimited

        return delimited.read(text, wanted, SEPARATORS[ending])
    from batchpoint_worker.tables.files import json_documents

    if ending in JSON_LINES:
        return json_documents.read_lines(text, wanted)
    return json_documents.read(text, wanted)


def _unknown(where: str, ending: str) -> Exception:
    return rejected(
        "%s: no file of this kind (%s) is read for a model without a scoring script; it can be %s (files of text also "
        "packed: %s). Leave the file out of the input, for example with `exclude`, or give the deployment a script"
        % (where, ending or "a name without an ending", _endings(), " ".join(PACKED))
    )


def _endings() -> str:
    return " ".join((*SEPARATORS, *JSON_LINES, ".json", *PARQUET, *ARROW, *IMAGES))
