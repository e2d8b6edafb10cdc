"""What the name of a file says of it: the kind of table or image, and how it is packed.

Preflight and the splitting of files ask here. The worker, which cannot import this package, has the same endings in
``batchpoint_worker/tables/reading.py``.
"""

from pathlib import PurePath

#: Endings → kinds that a model without a script can be given.
KINDS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".parquet": "parquet",
    ".pqt": "parquet",
    ".feather": "arrow",
    ".arrow": "arrow",
    **dict.fromkeys((".png", ".jpg", ".jpeg", ".tiff", ".tif", ".bmp", ".gif"), "image"),
}
#: Kinds that hold rows.
TABLES = frozenset({"csv", "tsv", "jsonl", "json", "parquet", "arrow"})
#: Kinds of text that can be cut between two rows.
ROWS_OF_TEXT = frozenset({"csv", "tsv", "jsonl"})
#: Endings behind that of a file → what packed it.
PACKED = {".gz": "gzip", ".zst": "zstd", ".bz2": "bzip2", ".xz": "xz"}


def kind_of(name: str) -> tuple[str, str]:
    """The kind of a file and what packed it, each empty where that is not known."""
    path = PurePath(name.lower())
    packed = PACKED.get(path.suffix, "")
    return KINDS.get(PurePath(path.stem).suffix if packed else path.suffix, ""), packed
