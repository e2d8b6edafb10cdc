"""Where a line of the output comes from: three columns in front of it, for jobs that ask for them.

Used by rows. The columns are written as ``DataFrame.to_csv(sep=" ")`` would write them, by these rules alone, so that
they do not depend on the version of any library.
"""

from batchpoint_worker.tables.parts import split_path

MYPY = False
if MYPY:
    from collections.abc import Iterator, Sequence

    from batchpoint_worker.tables.parts import Part

#: What a field with one of these needs quotes for.
_SPECIAL = frozenset(' "\n\r')


class Origin:
    """The items that one call of ``run()`` got, and how its results are theirs.

    As many results as items: each belongs to the item in its place. As many as the rows of parts of files: each belongs
    to its row. Items of one file: all results are its own. Otherwise nobody knows, unless whoever made the results says
    how many each item has: the file is "", and the rows of the call are counted through. The rows of a part begin with
    the first one that it has of its file.
    """

    def __init__(self, names: "Sequence[bytes]", mini_batch: int) -> None:
        self._items = [split_path(name.decode("utf-8", "backslashreplace")) for name in names]
        self.mini_batch = mini_batch
        self._tail = " %d " % mini_batch
        self._runs = iter(())  # type: Iterator[_Run]
        self._run = _Run("", None, 0)
        self._file = ""
        self._begin = 0
        self._row = 0

    def share(self, results: int) -> None:
        """Says how many results there are, before the first is asked for."""
        self._runs = iter(self._shared(results))
        self._run = _Run("", None, 0)
        self._begin = 0

    def places(self, results: int, shares: "Sequence[int]" = ()) -> "tuple[list[str], list[int]]":
        """Of so many results the file of each and the row in it, where they become columns; each item has its share."""
        files, rows = [], []  # type: list[str], list[int]
        known = len(shares) == len(self._items)
        for run in self._of_items(shares) if known else self._shared(results):
            files += [run.file] * run.results
            rows += range(run.first_row, run.first_row + run.results)
        return files, rows

    def columns(self, index: int) -> str:
        """File, row in it and mini-batch, for the next line of result ``index``; lines are asked for in order."""
        while index >= self._begin + self._run.results:
            self._begin += self._run.results
            self._run = next(self._runs)
            self._file, self._row = _quoted(self._run.file), self._run.first_row
        row = self._row
        if self._run.part is None:
            self._row += 1
        else:
            row += index - self._begin
        return self._file + " " + str(row) + self._tail

    def _of_items(self, counts: "Sequence[int]") -> "list[_Run]":
        return [_Run(file, part, count) for (file, part), count in zip(self._items, counts)]

    def _shared(self, results: int) -> "list[_Run]":
        """Which results are of which item, in order."""
        items = self._items
        if len(items) == results:
            return self._of_items([1] * results)
        rows = [part.rows for _, part in items if part is not None]
        if len(rows) == len(items) and sum(rows) == results:
            return self._of_items(rows)
        file, part = items[0]
        return [_Run(file, part, results) if {file} == {name for name, _ in items} else _Run("", None, results)]

    def element(self, index: int, text: str) -> str:
        """A result that is text: each line of it gets its columns."""
        return "\n".join([self.columns(index) + line for line in text.split("\n")])

    def records(self, pieces: "Iterator[bytes]") -> "Iterator[bytes]":
        """Rows of a DataFrame, a whole number in each piece; a quoted field may go on over several lines."""
        index = 0
        for piece in pieces:
            labelled = []
            is_open = False
            for line in piece.split(b"\n")[:-1]:
                if not is_open:
                    labelled.append(self.columns(index).encode("utf-8"))
                    index += 1
                # A quote within a field is doubled, so that an odd number of them opens or closes one.
                is_open ^= line.count(b'"') % 2 == 1
                labelled.append(line + b"\n")
            yield b"".join(labelled)


class _Run:
    """Results of one item that follow each other."""

    __slots__ = ("file", "first_row", "part", "results")

    def __init__(self, file: str, part: "Part | None", results: int) -> None:
        self.file = file
        self.part = part
        self.first_row = 0 if part is None else part.first_row
        self.results = results


def _quoted(text: str) -> str:
    return '"%s"' % text.replace('"', '""') if not text or not _SPECIAL.isdisjoint(text) else text
