"""What a process must not load: each of these libraries costs more than all the rest of a light process."""

import subprocess
import sys

import pytest

WEB = {"fastapi", "starlette", "uvicorn", "httpx"}
#: SQLAlchemy brings asyncio along.
STORE = {"sqlalchemy", "alembic", "asyncio"}
SCIENCE = {"numpy", "pandas", "sklearn"}


@pytest.mark.parametrize(
    ("words", "heavy"),
    [
        (["-m", "batchpoint", "--help"], WEB | STORE | SCIENCE | {"pydantic", "rich", "jmespath"}),
        (["-m", "batchpoint", "batch-endpoint", "invoke", "--help"], WEB | STORE | SCIENCE | {"pydantic", "rich"}),
        (["-c", "import batchpoint.cli.commands.machine.score"], WEB | STORE | SCIENCE | {"pydantic", "rich"}),
        (["-c", "import batchpoint.engine.score"], WEB | STORE | SCIENCE),
        (["-c", "import batchpoint.engine.__main__"], WEB | SCIENCE | {"alembic"}),
        (["-c", "import batchpoint.server.supervisor"], WEB | SCIENCE | {"alembic"}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_process_loads_only_what_it_uses(words: list[str], heavy: set[str]) -> None:
    ended = subprocess.run([sys.executable, "-X", "importtime", *words], capture_output=True, text=True, check=True)
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in ended.stderr.splitlines()}
    assert not loaded & heavy
