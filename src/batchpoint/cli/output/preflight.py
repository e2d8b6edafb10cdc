"""A preflight as a calm list: each check with its mark as it ends, its findings below, one line at the end.

``create --validate`` and ``invoke --dry-run`` show it; the lines come from the client.
"""

import sys
from collections.abc import Iterable
from typing import Any

from batchpoint.cli.call import Call, Outcome
from batchpoint.cli.grammar import FORMATS, PROGRAM, Flag
from batchpoint.cli.output.printing import coloured

#: As everywhere, but a person at a terminal gets the list alone.
OUTPUT = Flag("--output -o", f"{', '.join(FORMATS)}; default json.", "FORMAT", choices=FORMATS)

_MARKS = {"ok": ("✓", "32"), "warning": ("!", "33"), "error": ("✕", "31"), "skipped": ("·", "2"), "note": ("·", "2")}
_WIDTH = 58


def is_for_a_person(call: Call) -> bool:
    """True where nobody has asked for the result in a format, and a terminal is there to read it."""
    return not call.flags.output and not call.flags.query and sys.stdout.isatty()


def follow(call: Call, lines: Iterable[dict[str, Any]], last_words: str) -> Outcome:
    """Show the lines as they come; answer all of them, with exit code 1 when there is an error."""
    shown = _List(call)
    for line in lines:
        shown.take(line)
    shown.close(last_words)
    code = int(shown.counts["error"] > 0)
    if is_for_a_person(call):
        return Outcome(None, code)
    call.flags.output = call.flags.output or "json"
    return Outcome(shown.findings if call.flags.output in ("table", "tsv") else shown.shape(), code)


class _List:
    """What stands on the terminal, and what is answered in the end."""

    def __init__(self, call: Call) -> None:
        self._say = call.say
        self._live = sys.stderr.isatty() and not call.flags.only_show_errors
        self._colour = coloured(sys.stderr)
        self.checks: list[dict[str, Any]] = []
        self.findings: list[dict[str, Any]] = []
        self.estimate: dict[str, Any] | None = None
        self.counts = {"error": 0, "warning": 0, "note": 0}
        #: Found by the running check, told when it has ended.
        self._waiting: list[dict[str, Any]] = []
        self._is_open = False

    def take(self, line: dict[str, Any]) -> None:
        """One line of the preflight."""
        kind = line.get("line")
        said = {key: value for key, value in line.items() if key != "line"}
        if kind == "check":
            self._take_check(said)
        elif kind == "finding":
            self._take_finding(said)
        elif kind == "log":
            self._clear()
            self._say(self._dim(f"    │ {said['text']}"))
        elif kind == "estimate":
            self.estimate = said
        elif kind == "end":
            # Of a thousand findings of one kind a few are told.
            for word in self.counts:
                before = sum(one["severity"] == word and one["check"] == "deployment" for one in self.findings)
                self.counts[word] = before + int(said[word])

    def close(self, last_words: str) -> None:
        """The last line: how many there are of each, and what was not done because of that."""
        self._clear()
        for text in self._estimated():
            self._say(text)
        counts = [f"{count} {word}{'s' * (count != 1)}" for word, count in self.counts.items() if count]
        told = ", ".join(counts) or "Nothing stands in the way"
        self._say(f"\n{self._bold(told)}. {last_words}")
        codes = self._codes()
        if codes:
            more = f"it: {PROGRAM} explain {codes[0]}" if len(codes) == 1 else f"each: {PROGRAM} explain CODE"
            self._say(f"More about {more}")

    def shape(self) -> dict[str, Any]:
        """As it is printed for programs."""
        found = {"ok": not self.counts["error"], "counts": self.counts, "checks": self.checks}
        found["findings"] = self.findings
        return found | ({"estimate": self.estimate} if self.estimate else {})

    def _estimated(self) -> list[str]:
        """What an estimate says, if this was one."""
        told = self.estimate
        if told is None:
            return []
        # Imported here: whoever asks for help waits for it.
        from batchpoint.entities.tables.sizes import size_in_words

        items, batches = told["items"], told["mini_batches"]
        work = f"{items:,} file{'s' * (items != 1)} in {batches:,} mini-batch{'es' * (batches != 1)}"
        read, written = size_in_words(told["input_bytes"]), size_in_words(told["output_bytes"])
        lines = [
            f"\n{work}, {read} to read, about {written} to write.",
            f"A worker needs {size_in_words(told['worker_peak_bytes'])} and is ready after {_span(told['start_s'])}.\n",
            self._dim(f"{'instances':>9}  {'workers':>7}  {'duration, 8 times of 10':<26}  {'memory':>9}"),
        ]
        for one in told["durations"]:
            span = f"{_span(one['low_s'])} to {_span(one['high_s'])}"
            line = f"{one['instances']:>9}  {one['workers']:>7}  {span:<26}  {size_in_words(one['memory_bytes']):>9}"
            lines.append(self._bold(line) if one["instances"] == told["instance_count"] else line)
        return lines

    def _codes(self) -> list[str]:
        from batchpoint.explanations import find

        codes = dict.fromkeys(one["code"] for one in self.findings if one["severity"] == "error")
        return [code for code in codes if find(code)]

    def _take_check(self, said: dict[str, Any]) -> None:
        self._clear()
        if said["state"] == "runs":
            if self._live:
                print(self._dim(f"  {said['title']} …"), end="", file=sys.stderr, flush=True)
                self._is_open = True
            return
        self.checks.append(said)
        self._say(self._check_line(said))
        for one in self._waiting:
            self._say(self._finding_lines(one))
        self._waiting = []

    def _take_finding(self, said: dict[str, Any]) -> None:
        self.counts[said["severity"]] += 1
        self.findings.append(said)
        self._waiting.append(said)

    def _check_line(self, said: dict[str, Any]) -> str:
        mark, colour = _MARKS[said["state"]]
        if said["state"] == "ok" and any(one["severity"] == "note" for one in self._waiting):
            colour = "32"
        seconds = said.get("seconds", 0.0)
        took = f"{seconds:.1f} s" if seconds >= 0.05 else ""
        told = "  ".join(filter(None, (said.get("said", ""), took)))
        title = f"{said['title']:<{_WIDTH}}" if told else said["title"]
        title = self._dim(title) if said["state"] == "skipped" else title
        return f"{self._in(colour, mark)} {title}{self._dim(told)}".rstrip()

    def _finding_lines(self, one: dict[str, Any]) -> str:
        mark, colour = _MARKS[one["severity"]]
        where = [one["file"]] if one["file"] else []
        where += [f"column {one['column']!r}"] if one["column"] else []
        where += [f"{'line' if one['file'].endswith('.py') else 'row'} {one['row']:,}"] if one["row"] else []
        head = f"    {self._in(colour, mark)} {self._bold(', '.join(where))}{': ' if where else ''}"
        text = one["message"].replace("\n", "\n      ")
        lines = [f"{head}{text} {self._dim('(' + one['code'] + ')')}"]
        lines += [f"      → {one['fix']}"] if one["fix"] else []
        return "\n".join(lines)

    def _clear(self) -> None:
        if self._is_open:
            print("\r\033[K", end="", file=sys.stderr, flush=True)
            self._is_open = False

    def _in(self, code: str, text: str) -> str:
        return f"\033[{code}m{text}\033[0m" if self._colour and text else text

    def _dim(self, text: str) -> str:
        return self._in("2", text)

    def _bold(self, text: str) -> str:
        return self._in("1", text)


def _span(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    if seconds < 3600:
        return f"{seconds / 60:.1f} min"
    return f"{seconds / 3600:.1f} h"
