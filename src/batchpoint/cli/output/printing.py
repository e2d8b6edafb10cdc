"""How a result reaches stdout, and an error stderr: formats, JMESPath, colours.

``cli/__main__`` calls it with whatever a command returned; ``shapes`` turns nouns into JSON first.
"""

import json
import re
import sys
from collections import OrderedDict
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, TextIO

from batchpoint.cli.grammar import PROGRAM
from batchpoint.errors import BatchpointError, CommandLineInvalid, UserError
from batchpoint.settings import wants_colour

if TYPE_CHECKING:
    from jmespath.parser import ParsedResult

    from batchpoint.entities.job import JobError

#: Columns that a table leaves out, and those that it starts with.
_TABLE_SKIPS = frozenset({"id", "type", "etag", "principal_id", "object_id", "request_id", "is_owner"})
_TABLE_STARTS = (
    "time",
    "name",
    "principal_name",
    "version",
    "latest_version",
    "display_name",
    "status",
    "items_failed",
    "provisioning_state",
)
#: Nobody reads a table for fractions of a second.
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d+)?(?:\+00:00|Z)")


def compiled(query: str | None) -> "ParsedResult | None":
    """The JMESPath expression behind ``--query``.

    Raises CommandLineInvalid, before anything is done, when it does not parse.
    """
    if query is None:
        return None
    import jmespath
    from jmespath.exceptions import JMESPathError

    try:
        return jmespath.compile(query)
    except JMESPathError as error:
        raise CommandLineInvalid(f"--query is no JMESPath expression: {error}") from error


def put(value: object, style: str, query: "ParsedResult | None" = None, *, server: str = "") -> None:
    """Print a command's result in one of the formats; ``server`` is the URL that the pages of jobs stand under."""
    if value is None or style == "none":
        return
    from batchpoint.cli.output.shapes import shaped

    result = shaped(value, server)
    if query is not None:
        result = _searched(query, result)
    if result is None:
        return
    text = render(result, style)
    if style in ("jsonc", "yamlc") and coloured(sys.stdout):
        _put_coloured(text, style)
    elif text:
        encoding = sys.stdout.encoding or "utf-8"
        print(text.encode(encoding, "backslashreplace").decode(encoding))


def _searched(query: "ParsedResult", result: Any) -> Any:
    """What the expression finds; the maps that it spells out itself are OrderedDicts, all others plain dicts."""
    from jmespath import Options
    from jmespath.exceptions import JMESPathError

    try:
        return query.search(result, Options(dict_cls=OrderedDict))
    except JMESPathError as error:
        raise UserError(
            f"--query does not fit the result: {error}. The command itself was carried out; look at its result with "
            "-o json and without --query.",
            target="--query",
        ) from error


def render(result: Any, style: str) -> str:
    """``result`` as text, without the last newline."""
    if style in ("json", "jsonc"):
        return json.dumps(result, indent=2, sort_keys=True, ensure_ascii=False)
    if style in ("yaml", "yamlc"):
        import yaml

        plain = json.loads(json.dumps(result))
        text: str = yaml.safe_dump(plain, sort_keys=True, default_flow_style=False, allow_unicode=True)
        return text.removesuffix("\n").removesuffix("\n...")
    return _tsv(result) if style == "tsv" else _table(result)


def _tsv(result: Any) -> str:
    return "\n".join(_tsv_row(row) for row in _rows(result))


def _tsv_row(row: Any) -> str:
    if isinstance(row, dict):
        # Who spells a map out in --query means its order: scripts read the columns by their place.
        keys = row if isinstance(row, OrderedDict) else sorted(row)
        return "\t".join(_tsv_cell(row[key]) for key in keys)
    if isinstance(row, list):
        return "\t".join(_tsv_cell(cell) for cell in row)
    return _plain(row)


def _tsv_cell(cell: Any) -> str:
    # A list becomes its length and a map nothing, so that the columns of all rows stay in step.
    if isinstance(cell, list):
        return str(len(cell))
    return "" if isinstance(cell, dict) else _plain(cell)


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)


def _rows(result: Any) -> list[Any]:
    return result if isinstance(result, list) else [result]


def _table(result: Any) -> str:
    rows = [_table_row(row) for row in _rows(result)]
    columns: list[str] = []
    for row in rows:
        columns += [key for key in row if key not in columns]
    if not all(isinstance(row, OrderedDict) for row in _rows(result)):
        columns.sort(key=lambda key: _TABLE_STARTS.index(key) if key in _TABLE_STARTS else len(_TABLE_STARTS))
    if not columns:
        return ""
    cells = [[row.get(key, "") for key in columns] for row in rows]
    widths = [max(len(_title(key)), *(len(row[at]) for row in cells)) for at, key in enumerate(columns)]
    lines = [[_title(key) for key in columns], ["-" * width for width in widths], *cells]
    return "\n".join(_aligned(line, widths) for line in lines)


def _aligned(cells: Iterable[str], widths: Iterable[int]) -> str:
    return "  ".join(f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True)).rstrip()


def _table_row(row: Any) -> dict[str, str]:
    if isinstance(row, list):
        return {f"column{at}": _plain(cell) for at, cell in enumerate(row, 1) if not isinstance(cell, dict | list)}
    if not isinstance(row, dict):
        return {"result": _plain(row)}
    scalars = {key: value for key, value in row.items() if not isinstance(value, dict | list)}
    if isinstance(row, OrderedDict):
        return {key: _one_line(value) for key, value in scalars.items()}
    # A table of nothing but skipped columns would be empty: then they are what was asked for.
    kept = {key: value for key, value in scalars.items() if key.lower() not in _TABLE_SKIPS} or scalars
    return {key: _table_cell(value) for key, value in kept.items()}


def _table_cell(value: Any) -> str:
    text = _one_line(value)
    if moment := _MOMENT.fullmatch(text):
        return f"{moment[1]}Z"
    if not text.removeprefix("azureml:").startswith("/subscriptions/"):
        return text
    # An id of six names would push the other columns out of sight; its last name says enough, with its version.
    *_, name, versions, last = text.split("/")
    return f"{name}:{last}" if versions == "versions" else last


def _one_line(value: Any) -> str:
    return "" if value is None else _plain(value).replace("\n", " ")


def _title(key: str) -> str:
    return key[:1].upper() + key[1:]


def coloured(stream: TextIO) -> bool:
    """True when ``stream`` is a terminal whose owner has not asked for plain text."""
    return stream.isatty() and wants_colour()


def _put_coloured(text: str, style: str) -> None:
    from rich.console import Console
    from rich.syntax import Syntax

    Console(file=sys.stdout, soft_wrap=True).print(Syntax(text, style.removesuffix("c"), background_color="default"))


def report(error: BatchpointError | OSError) -> None:
    """Print an error as ``az`` does: ``(code) message``, then code and first line of the message again."""
    code = error.code if isinstance(error, BatchpointError) else "OSError"
    message = error.message if isinstance(error, BatchpointError) else str(error)
    _report(code, message)
    if isinstance(error, BatchpointError) and not isinstance(error, UserError):
        point_to_explanation(code)


#: What stands above the last line of a traceback.
_ENDS_A_TRACE = re.compile(r"\s|Traceback")


def report_job(error: "JobError") -> None:
    """Print why a job failed: the user's traceback first, then in one line what came of it."""
    message = error.message.strip()
    # The engine puts a sentence of its own below a traceback; a traceback alone ends in its best line.
    trace, _, sentence = message.rpartition("\n\n")
    if not trace:
        trace, _, sentence = message.rpartition("\n")
        trace = message if _ENDS_A_TRACE.match(trace.rpartition("\n")[2]) else trace
    print(f"{trace}\n\n" if trace else "", _red(f"({error.code})"), f" {sentence}", sep="", file=sys.stderr)
    point_to_explanation(error.code)


def point_to_explanation(code: str) -> None:
    """Name the command that says more about a code, where there is more to say."""
    from batchpoint.explanations import find

    if find(code):
        print(f"More about it: {PROGRAM} explain {code}", file=sys.stderr)


def _report(code: str, message: str) -> None:
    first = message.partition("\n")[0].removesuffix(":")
    print(f"{_red(f'({code})')} {message}\nCode: {code}\nMessage: {first}", file=sys.stderr)


def _red(text: str) -> str:
    return f"\033[31m{text}\033[0m" if coloured(sys.stderr) else text
