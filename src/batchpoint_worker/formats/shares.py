"""How many rows of a table each item of a mini-batch has, written on the table where no reader of rows sees it.

``tables.predictions`` writes it, ``results`` reads it for columns that say where a row comes from.
"""

MYPY = False
if MYPY:
    from typing import Any

_KEY = "batchpoint.rows_of_items"


def with_shares(table: "Any", counts: "list[int]") -> "Any":
    """The table of Arrow, or the DataFrame, with the number of rows that each item has."""
    text = ",".join(map(str, counts))
    if hasattr(table, "replace_schema_metadata"):
        return table.replace_schema_metadata({_KEY: text})
    # Before pandas 1.0 there is no place for it.
    if hasattr(table, "attrs"):
        table.attrs[_KEY] = text
    return table


def shares_of(table: "Any") -> "list[int]":
    """The numbers that stand on it; none where nobody wrote any."""
    schema = getattr(table, "schema", None)
    if schema is not None and hasattr(schema, "metadata"):
        text = (schema.metadata or {}).get(_KEY.encode(), b"").decode()
    else:
        attributes = getattr(table, "attrs", None)
        text = attributes.get(_KEY, "") if isinstance(attributes, dict) else ""
    return [int(count) for count in text.split(",") if count.isdigit()]
