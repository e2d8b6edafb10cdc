"""``prune`` and ``doctor``: the home of this machine, kept small and found healthy. They act on it directly."""

import re
import sys
from typing import TYPE_CHECKING, Any

from batchpoint.cli.call import Call, Outcome
from batchpoint.cli.grammar import FORMATS, YES, Command, Flag
from batchpoint.errors import CommandLineInvalid, NotSupported

if TYPE_CHECKING:
    from collections.abc import Sequence

    from batchpoint.upkeep.findings import Finding
    from batchpoint.upkeep.rules import Limits, Removal

_UNITS_S = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 7 * 86400.0}
_UNITS_B = {"k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_KINDS = ("jobs", "segments", "logs", "environments", "uploads")
_SHOWN = {"problem": "problem", "warning": "warning", "fixed": "fixed", "ok": "ok"}


def prune(call: Call) -> object:
    """List what would go; let it go after ``--yes`` or a yes at the terminal."""
    return pruned(call, frozenset(name for name in _KINDS if getattr(call.flags, name)))


def pruned(call: Call, chosen_kinds: frozenset[str], *, with_leftovers: bool = True) -> object:
    """The same for kinds of a command's own choice, with or without what dead processes left anywhere."""
    _require_own_home(call, "prune")
    limits = _limits(call, chosen_kinds)
    from batchpoint.upkeep.prune import look, remove

    chosen = look(call.settings.home, limits)
    if not with_leftovers:
        chosen = [one for one in chosen if one.kind in chosen_kinds]
    asks = _is_terminal() and not call.flags.yes
    if call.flags.dry_run or not chosen or not (asks or call.flags.yes):
        _say_what_to_do(call, chosen)
        return _rows(call, chosen)
    if asks:
        _put(call, _rows(call, chosen))
    gone: list[Removal] = []
    question = f"Remove {'this' if len(chosen) == 1 else f'these {len(chosen):,}'} ({_total(chosen)})?"
    call.remove(question, lambda: gone.extend(remove(call.settings.home, chosen)))
    kept = len(chosen) - len(gone)
    call.say(f"Removed {_total(gone)}." + (f" {kept:,} came into use meanwhile and stayed." if kept else ""))
    return None if asks else _rows(call, gone)


def _say_what_to_do(call: Call, chosen: "Sequence[Removal]") -> None:
    if not chosen:
        call.say("Nothing is old enough to go.")
    elif not call.flags.yes or call.flags.dry_run:
        call.say(f"{_total(chosen)} would go; nothing was removed. Remove it with --yes.")


def _limits(call: Call, chosen: frozenset[str]) -> "Limits":
    from batchpoint.upkeep.rules import USUAL, Kind, Limits

    kinds = frozenset(map(Kind, chosen))
    return Limits(
        kinds=kinds or USUAL,
        older_than_s=_measured(call.flags.older_than, "--older-than", _UNITS_S, "d", "30d, 12h"),
        max_bytes=None if call.flags.max_size is None else int(_bytes(call.flags.max_size)),
    )


def _bytes(text: str) -> float:
    return _measured(text.lower().removesuffix("b"), "--max-size", {**_UNITS_B, "": 1}, "", "20g, 500m")


def _measured(text: str, flag: str, units: dict[str, Any], default: str, examples: str) -> float:
    """A number with a unit. Raises CommandLineInvalid for anything else."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]?)", text.strip().lower())
    unit = (found[2] or default) if found else None
    if found is None or unit not in units:
        raise CommandLineInvalid(f"{flag} {text!r} cannot be read; write a number with its unit, as in {examples}")
    return float(found[1]) * float(units[unit])


def _rows(call: Call, removals: "Sequence[Removal]") -> list[dict[str, object]]:
    if _style(call) == "table":
        return [
            {"kind": str(one.kind), "what": one.name, "size": _size(one.size), "why": one.reason} for one in removals
        ]
    return [{"kind": str(one.kind), "name": one.name, "bytes": one.size, "reason": one.reason} for one in removals]


def _total(removals: "Sequence[Removal]") -> str:
    return _size(sum(one.size for one in removals))


def _size(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:,.1f} TB"


def doctor(call: Call) -> object:
    """Look at everything; exit code 1 when there is a problem."""
    _require_own_home(call, "doctor")
    from batchpoint.local import ensure_supervisor
    from batchpoint.upkeep.doctor import examine, mend

    findings = examine(call.settings, deep=call.flags.deep, start_supervisor=lambda: ensure_supervisor(call.settings))
    if call.flags.fix:
        findings = [mend(finding) if _may_mend(call, finding) else finding for finding in findings]
    ill = any(finding.level == "problem" for finding in findings)
    if _is_terminal() and not call.flags.output and not call.flags.query:
        print(_report(findings))
        return Outcome(exit_code=int(ill))
    _style(call)
    return Outcome([finding.shape() for finding in findings], int(ill))


def _may_mend(call: Call, finding: "Finding") -> bool:
    if finding.mend is None or not finding.asks or call.flags.yes:
        return finding.mend is not None
    if not _is_terminal():
        return False
    print(f"{finding.message}\nRemove it? (y/n): ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _report(findings: "Sequence[Finding]") -> str:
    width = max((len(finding.check) for finding in findings), default=0)
    lines = []
    for finding in findings:
        lines.append(f"{finding.level:<8} {finding.check:<{width}}  {finding.message}")
        if finding.remedy:
            lines.append(f"{'':<8} {'':<{width}}  → {finding.remedy}")
    return "\n".join(lines)


def _require_own_home(call: Call, command: str) -> None:
    if call.settings.server:
        raise NotSupported(
            f"{command} works on the files of a home, and --server (or BATCHPOINT_SERVER) names a server. Run it on "
            "that server's machine, without the server's name; it may go on running.",
            target="server",
        )


def _is_terminal() -> bool:
    return sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty()


def _style(call: Call) -> str:
    """The format that was chosen; a table for people at a terminal."""
    if not call.flags.output:
        call.flags.output = "table" if _is_terminal() else "json"
    return str(call.flags.output)


def _put(call: Call, rows: object) -> None:
    from batchpoint.cli.output.printing import put

    put(rows, _style(call))


_OUTPUT = Flag(
    "--output -o", f"{', '.join(FORMATS)}; default a table on a terminal, else json.", "FORMAT", choices=FORMATS
)

_OLDER_THAN = Flag(
    "--older-than",
    "Age since the end of a job, or the last use of anything else: 12h, 30d, 0; default 30d.",
    "AGE",
    default="30d",
)
_MAX_SIZE = Flag(
    "--max-size",
    "Bytes that environments may take in all (20g); the least recently used go first. Default no limit.",
    "SIZE",
)
_DRY_RUN = Flag("--dry-run", "List what would go and ask nothing.")
#: Flags of a command that prunes one kind.
PRUNING = (_OLDER_THAN, _MAX_SIZE, _DRY_RUN, YES, _OUTPUT)

COMMANDS = (
    Command(
        "prune",
        "Remove from this home what can be made again or nobody needs; without --yes only list it.",
        prune,
        (
            _OLDER_THAN,
            _MAX_SIZE,
            _DRY_RUN,
            Flag("--segments", "Choose plans, segments and downloads of ended jobs."),
            Flag("--environments", "Choose environments that no open job uses."),
            Flag("--uploads", "Choose content that nothing refers to. These three are chosen when none is named."),
            Flag("--logs", "Choose logs of ended jobs."),
            Flag("--jobs", "Choose ended jobs as a whole, as job delete does; their output stays."),
            YES,
            _OUTPUT,
        ),
        example="prune --older-than 30d --max-size 20g",
    ),
    Command(
        "doctor",
        "Say what is wrong with this home and what to do about it; exit code 1 when there is a problem.",
        doctor,
        (
            Flag("--deep", "Also read every segment and every output again."),
            Flag("--fix", "Mend what can be mended without loss; ask before anything is removed."),
            YES,
            _OUTPUT,
        ),
        example="doctor --deep",
    ),
)
