"""A container runtime for tests, with a storage of its own, and images made from the files of this machine.

Nothing is fetched: the image holds a shell, the Python that runs the tests and the libraries of both.
"""

import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

IMAGE = "localhost/batchpoint-test:1"
_LEFT_OUT = frozenset({"test", "site-packages", "idlelib", "lib2to3", "ensurepip", "tkinter", "__pycache__"})
_LIBRARY = re.compile(r"(?:=>\s*)?(/\S+)\s+\(0x")


@dataclass(frozen=True)
class Podman:
    """Podman, as the environment of processes that use it."""

    folder: Path
    program: str
    #: Podman refuses a longer path than 50 characters for it, silently where it tidies up.
    state: Path

    @property
    def environ(self) -> dict[str, str]:
        return {
            "CONTAINERS_CONF": str(self.folder / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(self.folder / "storage.conf"),
            "BATCHPOINT_CONTAINER_RUNTIME": self.program,
        }

    def run(self, *words: str, typed: bytes = b"") -> str:
        """What it prints."""
        done = subprocess.run(
            [self.program, *words], input=typed, capture_output=True, env={**os.environ, **self.environ}, check=False
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode()

    def containers(self) -> list[str]:
        """Names of all that there are, running or not."""
        return self.run("ps", "--all", "--format={{.Names}}").split()

    def remove(self) -> None:
        self.run("rm", "--all", "--force", "--time=0")
        # Unmounts what it has mounted, which a removal of the folder cannot.
        self.run("system", "reset", "--force")
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.rmtree(self.state, ignore_errors=True)


def podman(folder: Path) -> Podman:
    """One with a storage of its own below ``folder`` and the test image in it."""
    program = shutil.which("podman")
    assert program is not None, "podman is not installed"
    folder.mkdir(parents=True)
    state = Path(tempfile.mkdtemp(prefix="podman-", dir="/tmp"))
    (folder / "storage.conf").write_text(
        f'[storage]\ndriver = "overlay"\ngraphroot = "{folder}/graph"\nrunroot = "{state}"\n'
    )
    # Inside a container or a small virtual machine nobody may raise limits, and there is no journal.
    (folder / "containers.conf").write_text(
        '[containers]\ndefault_ulimits = ["nofile=1024:4096", "nproc=4096:4096"]\n'
        f'[engine]\nruntime = "runc"\ncgroup_manager = "cgroupfs"\nevents_logger = "none"\ntmp_dir = "{folder}/tmp"\n'
    )
    made = Podman(folder, program, state)
    made.run("import", "--change=ENV PATH=/usr/local/bin:/bin", "-", IMAGE, typed=root_file_system())
    return made


def root_file_system() -> bytes:
    """A tar of a system with ``/bin/sh`` and ``python``."""
    python = Path(os.path.realpath(sys.executable))
    library = Path(json.__file__).parents[1]
    files = {f"usr/local/lib/{library.name}/{path.relative_to(library)}": path for path in _files(library)}
    files |= {"usr/local/bin/python": python, "bin/sh": Path("/bin/sh").resolve(), "bin/cat": Path("/bin/cat")}
    for program in (*files.values(),):
        if program.suffix == ".so" or program.parent.name == "bin":
            files |= {str(path).lstrip("/"): path.resolve() for path in _libraries(program)}
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        for name, path in sorted(files.items()):
            tar.add(path, name)
        folder = tarfile.TarInfo("tmp")
        folder.type, folder.mode = tarfile.DIRTYPE, 0o1777
        tar.addfile(folder)
    return made.getvalue()


def _files(library: Path) -> Iterator[Path]:
    for here, folders, names in os.walk(library):
        folders[:] = [name for name in folders if name not in _LEFT_OUT and not name.startswith("config-")]
        yield from (Path(here) / name for name in names)


def _libraries(program: Path) -> list[Path]:
    done = subprocess.run(["ldd", program], capture_output=True, text=True, check=False)
    return [Path(found) for found in _LIBRARY.findall(done.stdout)]
