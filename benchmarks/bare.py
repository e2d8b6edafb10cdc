"""What we are measured against: the same script over the same files, with nothing around it.

    python -m benchmarks.bare floor SCRIPT INPUT OUT WORKERS MINI_BATCH_SIZE
    python -m benchmarks.bare pool  SCRIPT INPUT OUT WORKERS MINI_BATCH_SIZE

``floor`` forks once for each worker; each takes its contiguous share and writes a part file; the parts are joined. No
retry, no deadline, no record of what is done: less than this the work cannot cost. ``pool`` is ``multiprocessing.Pool``
with ``imap``, as many people write it.
"""

import importlib.util
import multiprocessing
import os
import shutil
import sys
from pathlib import Path

script = None


def floor(path: str, batches: list[list[str]], out: Path, workers: int) -> None:
    share = -(-len(batches) // workers)
    parts = [out.with_name(f"part-{number}") for number in range(workers)]
    children = [_fork(path, batches[n * share : (n + 1) * share], part) for n, part in enumerate(parts)]
    failed = [child for child in children if os.waitpid(child, 0)[1]]
    if failed:
        sys.exit("a worker failed")
    with out.open("wb") as joined:
        for part in parts:
            with part.open("rb") as rows:
                shutil.copyfileobj(rows, joined, 1 << 20)
            part.unlink()


def _fork(path: str, batches: list[list[str]], part: Path) -> int:
    child = os.fork()
    if child:
        return child
    load(path)
    with part.open("w", encoding="utf-8") as rows:
        for batch in batches:
            rows.write("\n".join(script.run(batch)) + "\n")
    os._exit(0)


def pool(path: str, batches: list[list[str]], out: Path, workers: int) -> None:
    with multiprocessing.Pool(workers, load, (path,)) as processes, out.open("w", encoding="utf-8") as rows:
        for result in processes.imap(score, batches):
            rows.write("\n".join(result) + "\n")


def score(batch: list[str]) -> list[str]:
    return script.run(batch)


def load(path: str) -> None:
    """Import the scoring script and call its init()."""
    global script
    spec = importlib.util.spec_from_file_location("script", path)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    script.init()


def mini_batches(folder: str, size: int) -> list[list[str]]:
    names = sorted(entry.name for entry in os.scandir(folder) if not entry.name.startswith((".", "_")))
    paths = [os.path.join(folder, name) for name in names]
    return [paths[start : start + size] for start in range(0, len(paths), size)]


def main() -> None:
    how, path, folder, out, workers, size = sys.argv[1:]
    Path(out).mkdir(parents=True)
    {"floor": floor, "pool": pool}[how](
        path, mini_batches(folder, int(size)), Path(out, "predictions.csv"), int(workers)
    )


if __name__ == "__main__":
    main()
