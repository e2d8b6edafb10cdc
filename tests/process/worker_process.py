"""A real worker process, driven over real pipes by the tests of this folder."""

import json
import os
import signal
import subprocess
import sys
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "tests" / "scoring_scripts"


def interpreter(version: str) -> str | None:
    """An interpreter of that minor version under $PYENV_ROOT/versions or on PATH, if one starts."""
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    on_path = [Path(folder) / f"python{version}" for folder in os.environ.get("PATH", "").split(os.pathsep)]
    for candidate in [*sorted(root.glob(f"{version}.*/bin/python")), *on_path]:
        if candidate.exists() and subprocess.run([candidate, "-c", ""], capture_output=True).returncode == 0:
            return str(candidate)
    return None


class WorkerProcess:
    """One worker; what it printed and how it ended are known once it was waited for."""

    def __init__(self, folder: Path, script: str, python: str = sys.executable, **settings: Any) -> None:
        self.folder = folder
        self.environment: dict[str, str] = settings.pop("environment", {})
        self.items: list[str] = []
        self.segment = folder / "segment"
        self.package = folder / "path"
        self.package.mkdir(exist_ok=True)
        (self.package / "batchpoint_worker").symlink_to(ROOT / "src" / "batchpoint_worker")
        self._spans: list[tuple[int, int]] = []
        self._spawn(python)
        self.start = self._start(script, settings)
        self.send(self.start)

    def _spawn(self, python: str) -> None:
        command_read, self._commands = os.pipe()
        answers, answer_write = os.pipe()
        self.stdout, self.stderr = self.folder / "stdout", self.folder / "stderr"
        environment = {**os.environ, "PYTHONPATH": str(self.package), "PYTHONDONTWRITEBYTECODE": "1"}
        with self.stdout.open("wb") as out, self.stderr.open("wb") as err:
            self.process = subprocess.Popen(
                [python, "-m", "batchpoint_worker", str(command_read), str(answer_write)],
                pass_fds=(command_read, answer_write),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env={**environment, **self.environment},
                cwd=self.folder,
                start_new_session=True,
            )
        os.close(command_read)
        os.close(answer_write)
        self._answers = os.fdopen(answers, "rb")

    def _start(self, script: str, settings: dict[str, Any]) -> dict[str, Any]:
        return {
            "t": "Start",
            "protocol": 1,
            "code_path": str(SCRIPTS),
            "scoring_script": script,
            "input_root": "/data/in",
            "plan_items": str(self.folder / "plan.items"),
            "segment": str(self.segment),
            "output_action": "append_row",
            "provenance": False,
            "output_format": "azure",
            "no_code": None,
            "argv": ["--mini_batch_size", "10"],
            "working_dir": str(self.folder / "work"),
            "scratch": str(self.folder / "scratch"),
            "entry_log": str(self.folder / "entry_script_log" / "node0"),
            "agent": "process007",
            "logging_level": "info",
            "row_limit": 64 << 20,
            "result_limit": 1 << 30,
            **settings,
        }

    def send(self, command: dict[str, Any]) -> None:
        os.write(self._commands, (json.dumps(command) + "\n").encode())

    def answer(self) -> dict[str, Any]:
        """The next answer; EOFError when the worker has gone."""
        line = self._answers.readline()
        if not line:
            raise EOFError
        assert len(line) <= 64 * 1024
        assert line.endswith(b"\n")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def ready(self) -> dict[str, Any]:
        answer = self.answer()
        assert answer["t"] == "Ready", answer
        return answer

    def post(self, *mini_batches: Sequence[str | bytes]) -> None:
        """Plans the mini-batches and sends them in one message."""
        work = []
        with (self.folder / "plan.items").open("ab") as plan:
            for names in mini_batches:
                span = b"".join(os.fsencode(name) + b"\0" for name in names)
                work.append([len(self._spans), 1, len(self.items), len(names), plan.tell(), len(span)])
                plan.write(span)
                self.items += [os.fsdecode(name) for name in names]
                self._spans.append((work[-1][4], len(span)))
        self.send({"t": "Score", "work": work})

    def score(self, *names: str | bytes) -> dict[str, Any]:
        """Scores one mini-batch and waits for the answer."""
        self.post(names)
        answer = self.answer()
        assert (answer["m"], answer["a"]) == (len(self._spans) - 1, 1)
        return answer

    def rows(self, answer: dict[str, Any]) -> str:
        """The rows that an answer points at."""
        assert answer["t"] == "Scored", answer
        data = self.segment.read_bytes()[answer["off"] : answer["off"] + answer["len"]]
        assert len(data) == answer["len"]
        assert zlib.crc32(data) == answer["crc"]
        return data.decode()

    def shut_down(self) -> int:
        self.send({"t": "Shutdown"})
        assert self.answer() == {"t": "Bye"}
        return self.wait()

    def hang_up(self) -> None:
        """The driver dies: both channels close at once."""
        if self._commands >= 0:
            os.close(self._commands)
            self._commands = -1

    def wait(self) -> int:
        return self.process.wait(timeout=60)

    def end(self) -> None:
        """Nothing of the worker is left behind, whatever the test did."""
        self.hang_up()
        self._answers.close()
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
