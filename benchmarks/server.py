"""`make bench-server`: how long a server takes to answer on this machine, with a job running and with a long queue.

32 clients send 100 requests a second, nine reads to a write, while the worker of one job keeps a core busy; then 10,000
jobs wait for a compute of one instance, and are listed and cancelled. The same load on an application that does nothing
is the floor, in the same run. Exit status 1 when a bar is missed.

Options: --seconds N (20), --clients N (32), --rate N (100), --queue N (10000), --crowd, --json FILE.
"""

import argparse
import itertools
import json
import os
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from batchpoint.store.store import open_store
from benchmarks import load
from benchmarks.load import Answers, Ask
from benchmarks.served import SPACE, VERSION, Served, idle_application
from benchmarks.table import Bar, print_bars

READS = ("job", "jobs", "jobs of endpoint", "endpoint", "deployments", "log", "logs", "data")
WRITES = ("put endpoint", "put data", "invoke", "cancel")
#: Answers of a server that has too much to do; 404 to who cancels what was refused before.
REFUSALS = (429, 503, 404)


def main() -> int:
    options = parse()
    with tempfile.TemporaryDirectory(prefix="batchpoint-server-") as folder:
        with Served(Path(folder)) as server:
            server.prepare()
            with idle_application() as url:
                floor = load.run(url, {}, options.clients, options.rate, options.seconds, mix(server, "f"))
            mixed = server.load(options.clients, options.rate, options.seconds, mix(server, "m"))
            crowd = server.load(8 * options.clients, 10 * options.rate, 10 if options.crowd else 0, mix(server, "c"))
            took, failed = enqueue(server, options.queue)
            idle = server.idle_share()
            listed = server.load(8, options.rate / 10, options.seconds, lists(server, options.queue))
            cancelled = server.load(8, options.rate / 10, options.seconds, cancels(options.queue))
            memory = server.memory_mb()
        claims = claims_a_second(Path(folder) / "home")
    rows = report(floor, {"mixed": mixed, "ten times": crowd, "queue": listed, "cancel": cancelled})
    print(f"\n{options.queue:,} jobs were queued by 8 clients in {took:.0f} s ({options.queue / took:,.0f} a second).")
    print(f"With them the idle server takes {idle:.1%} of a core and {memory:.0f} MB; {claims:,.0f} claims a second.")
    if options.json:
        said = {"rows": rows, "enqueue_s": took, "idle_share": idle, "memory_mb": memory, "claims": claims}
        Path(options.json).write_text(json.dumps(said, indent=1), encoding="utf-8")
    bars = [
        Bar("reads, p99, one job running", 150, mixed.percentile(0.99, READS), "ms"),
        Bar("writes, p99, one job running", 400, mixed.percentile(0.99, WRITES), "ms"),
        Bar("errors of the mix", 0, mixed.failed(), ""),
        Bar("lists, p99, with the queue", 150, listed.percentile(0.99), "ms"),
        Bar("cancels, p99, with the queue", 400, cancelled.percentile(0.99), "ms"),
        Bar("errors with the queue", 0, failed + listed.failed() + cancelled.failed(), ""),
        Bar("queueing them", 120, took, "s"),
        Bar("idle server with the queue", 5, 100 * idle, "%"),
    ]
    if options.crowd:
        bars.append(Bar("ten times the rate: accepted, p99", 1000, crowd.percentile(0.99), "ms"))
        bars.append(Bar("ten times the rate: other errors", 0, crowd.failed(REFUSALS), ""))
    print_bars(bars)
    return int(any(bar.measured > bar.at_most for bar in bars))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-server", description=__doc__)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--rate", type=float, default=100)
    parser.add_argument("--queue", type=int, default=10_000)
    parser.add_argument("--crowd", action="store_true", help="ten times the rate, too: some of it may be refused")
    parser.add_argument("--json", default="")
    return parser.parse_args()


def mix(server: Served, mark: str) -> Callable[[int], Ask]:
    """Nine reads to a write, in an order that is the same in every run; ``mark`` keeps the names of runs apart."""
    draw = random.Random(1)
    reads = server.reads()
    writes = itertools.count()

    def next_ask(number: int) -> Ask:
        if number % 10 != 9:
            return draw.choice(reads)
        write = next(writes)
        kind, turn = WRITES[write % 4], write // 4
        if kind == "put endpoint":
            return server.put_endpoint(f"{mark}-endpoint-{turn % 20}", turn)
        if kind == "put data":
            return server.put_data(f"{mark}-data-{turn % 5}", str(turn + 1))
        if kind == "invoke":
            return server.invoke(f"{mark}-job-{turn}")
        # Of some time ago, so that it has surely been accepted.
        return cancel(f"{mark}-job-{turn - 2}") if turn > 2 else server.put_endpoint(f"{mark}-endpoint-0", 0)

    return next_ask


def cancel(job: str) -> Ask:
    return Ask("cancel", "POST", f"{SPACE}/jobs/{job}/cancel{VERSION}")


def enqueue(server: Served, count: int) -> tuple[float, int]:
    """Seconds that 8 clients take to have so many jobs accepted, and how many were not."""
    began = time.perf_counter()
    next_ask = lambda number: server.invoke(f"queued-{number}") if number < count else None  # noqa: E731
    answers = server.load(8, 0, 0, next_ask)
    return time.perf_counter() - began, answers.failed()


def lists(server: Served, count: int) -> Callable[[int], Ask]:
    """First pages, pages in the middle, and those of an endpoint."""
    middle = server.link_of_page(count // 400)
    paths = {
        "first page": f"{SPACE}/jobs{VERSION}",
        "middle page": middle,
        "of endpoint": f"/endpoints/{server.endpoint}/jobs{VERSION}",
    }
    asks = [Ask(kind, "GET", path) for kind, path in paths.items()]
    return lambda number: asks[number % len(asks)]


def cancels(count: int) -> Callable[[int], Ask]:
    """Jobs from everywhere in the queue."""
    order = random.Random(2).sample(range(count), count)
    return lambda number: cancel(f"queued-{order[number]}")


def claims_a_second(home: Path, count: int = 200) -> float:
    """How fast drivers get hold of jobs in a store with the queue."""
    with open_store(home) as store:
        names = [job.name for job in store.open_jobs()][:count]
        began = time.perf_counter()
        for name in names:
            store.claim(name, 0, "nonce-of-a-benchmark", "host", os.getpid())
        return len(names) / (time.perf_counter() - began)


def report(floor: Answers, parts: dict[str, Answers]) -> list[dict[str, object]]:
    """Prints a line for each kind of request; the floor is that of all requests."""
    bottom = {share: floor.percentile(share) for share in (0.5, 0.99)}
    print(f"Load over the last five minutes: {os.getloadavg()[1]:.1f} on {os.cpu_count()} cores. Milliseconds;")
    print(f"an application that does nothing: p50 {bottom[0.5]:.1f}, p99 {bottom[0.99]:.1f}, which is 1x.\n")
    print(f"{'':10}{'':18}{'count':>7}{'p50':>9}{'':>8}{'p99':>9}{'':>8}{'errors':>9}")
    rows: list[dict[str, object]] = []
    for part, answers in parts.items():
        groups: dict[str, Sequence[str]] = {kind: (kind,) for kind in answers.seconds}
        if part in ("mixed", "ten times") and answers.seconds:
            groups |= {"READS": READS, "WRITES": WRITES}
        for name, kinds in groups.items():
            p50, p99 = answers.percentile(0.5, kinds), answers.percentile(0.99, kinds)
            count, errors = answers.count(kinds), [status for kind in kinds for status in answers.errors.get(kind, [])]
            ratios = f"{p50 / bottom[0.5]:>7.1f}x", f"{p99 / bottom[0.99]:>7.1f}x"
            said = f"{len(errors)} {sorted(set(errors))}" if errors else "0"
            print(f"{part:10}{name:18}{count:>7}{p50:>9.1f}{ratios[0]}{p99:>9.1f}{ratios[1]}{said:>9}")
            rows.append({"part": part, "kind": name, "count": count, "p50": p50, "p99": p99, "errors": len(errors)})
    return rows


if __name__ == "__main__":
    raise SystemExit(main())
