"""``python -m tests.simulation.world --seed N [--trace]``: plays one seed, or many, and tells what happened."""

import argparse
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.simulation.world.world import played


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.world")
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--count", type=int, default=1, help="how many of them")
    parser.add_argument("--trace", action="store_true", help="tell every event of the last one")
    parser.add_argument("--keep-going", action="store_true", help="play on when an invariant breaks")
    chosen = parser.parse_args()
    seen: Counter[str] = Counter()
    began, broken = time.perf_counter(), []
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        for seed in range(chosen.seed, chosen.seed + chosen.count):
            try:
                world = played(seed, Path(folder))
            except AssertionError as error:
                if not chosen.keep_going:
                    raise
                broken.append(seed)
                print(str(error).splitlines()[0])
                continue
            seen += world.seen
            if chosen.trace:
                print("\n".join(world.trace))
    for what, times in sorted(seen.items()):
        print(f"{times:8,}  {what}")
    seconds = time.perf_counter() - began
    print(f"{chosen.count} seeds in {seconds:.1f} s, {len(broken)} broken {broken[:20]}")


if __name__ == "__main__":
    main()
