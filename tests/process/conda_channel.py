"""A conda channel in a folder: packages in both formats, made here, and a server that hands them out slowly or not."""

import bz2
import hashlib
import io
import json
import sys
import tarfile
import threading
import zipfile
from collections.abc import Callable, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow
from rattler.platform import Subdir

PLATFORM = str(Subdir.current())
#: Of the standard library, what no scoring script needs.
_LEFT_OUT = frozenset(
    ("test", "tests", "idlelib", "tkinter", "turtledemo", "lib2to3", "ensurepip", "site-packages", "__pycache__")
)
#: A file's content, the file to copy, or where a link leads.
Content = bytes | Path | str


class CondaChannel:
    """A folder with packages and the indexes of both its parts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for part in ("noarch", PLATFORM):
            (folder / part).mkdir(parents=True, exist_ok=True)

    @property
    def address(self) -> str:
        return self.folder.as_uri()

    def add(
        self, name: str, version: str, files: Mapping[str, Content], *depends: str, old_format: bool = False
    ) -> None:
        """A package for this machine; the name says what it is called in ``files`` relative to the prefix."""
        self._add(PLATFORM, name, version, files, depends, old_format=old_format)

    def add_module(self, name: str, version: str, *depends: str) -> None:
        """A package for every Python, with one module that says its version."""
        files = {f"site-packages/{name.replace('-', '_')}.py": f"VERSION = {version!r}\n".encode()}
        self._add("noarch", name, version, files, depends, old_format=False)

    def add_python(self) -> None:
        """The interpreter of this test, with most of its standard library."""
        minor = f"python{sys.version_info.major}.{sys.version_info.minor}"
        library = Path(sys.base_prefix) / "lib" / minor
        files: dict[str, Content] = {f"bin/{minor}": (Path(sys.base_prefix) / "bin" / minor).resolve()}
        files |= {"bin/python": minor, "bin/python3": minor}
        for path in library.rglob("*"):
            place = path.relative_to(library)
            if path.is_file() and not any(part in _LEFT_OUT or part.startswith("config-") for part in place.parts):
                files[f"lib/{minor}/{place}"] = path.resolve()
        self.add("python", ".".join(map(str, sys.version_info[:3])), files)

    def _add(
        self,
        part: str,
        name: str,
        version: str,
        files: Mapping[str, Content],
        depends: Sequence[str],
        *,
        old_format: bool,
    ) -> None:
        stem = f"{name}-{version}-0"
        index: dict[str, Any] = {"name": name, "version": version, "build": "0", "build_number": 0, "subdir": part}
        index |= {"depends": list(depends), **({"noarch": "python"} if part == "noarch" else {})}
        about = {"info/index.json": json.dumps(index).encode(), "info/paths.json": _paths(files)}
        if part == "noarch":
            about["info/link.json"] = b'{"noarch": {"type": "python"}, "package_metadata_version": 1}'
        if old_format:
            path = self.folder / part / f"{stem}.tar.bz2"
            path.write_bytes(bz2.compress(_tar({**about, **files}), 1))
        else:
            path = self.folder / part / f"{stem}.conda"
            _write_conda(path, stem, about, files)
        content = path.read_bytes()
        record = {**index, "size": len(content)}
        record |= {kind: hashlib.new(kind, content).hexdigest() for kind in ("sha256", "md5")}
        self._enter(part, "packages" if old_format else "packages.conda", path.name, record)

    def _enter(self, part: str, section: str, file: str, record: Mapping[str, Any]) -> None:
        for one in ("noarch", PLATFORM):
            path = self.folder / one / "repodata.json"
            known = json.loads(path.read_text()) if path.exists() else {"packages": {}, "packages.conda": {}}
            if one == part:
                known[section][file] = record
            path.write_text(json.dumps({"info": {"subdir": one}, **known, "repodata_version": 1}))


def _write_conda(path: Path, stem: str, about: Mapping[str, Content], files: Mapping[str, Content]) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", '{"conda_pkg_format_version": 2}')
        for kind, content in (("pkg", files), ("info", about)):
            packed: bytes = pyarrow.compress(_tar(content), codec="zstd", asbytes=True)
            archive.writestr(f"{kind}-{stem}.tar.zst", packed)


def _tar(files: Mapping[str, Content]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in files.items():
            if isinstance(content, Path):
                archive.add(content, name, recursive=False)
                continue
            entry = tarfile.TarInfo(name)
            entry.mode = 0o644
            if isinstance(content, str):
                entry.type, entry.linkname = tarfile.SYMTYPE, content
                archive.addfile(entry)
            else:
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def _paths(files: Mapping[str, Content]) -> bytes:
    entries = []
    for name, content in files.items():
        data = b"" if isinstance(content, str) else content if isinstance(content, bytes) else content.read_bytes()
        kind = "softlink" if isinstance(content, str) else "hardlink"
        digest = hashlib.sha256(data).hexdigest()
        entries.append({"_path": name, "path_type": kind, "sha256": digest, "size_in_bytes": len(data)})
    return json.dumps({"paths": entries, "paths_version": 1}).encode()


def write_wheel(folder: Path, name: str, version: str) -> None:
    """A wheel with one module that says its version."""
    about = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": f"VERSION = {version!r}\n",
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{about}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{about}/RECORD"] = "".join(f"{file},,\n" for file in (*files, f"{about}/RECORD"))
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        for file, text in files.items():
            archive.writestr(file, text)


class Hosting:
    """Hands out a folder over HTTP below ``/``; ``before`` is called with the path and headers of each request."""

    def __init__(
        self, folder: Path, before: Callable[[str, Mapping[str, str]], int] = lambda path, headers: 200
    ) -> None:
        class Answer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status = before(self.path, dict(self.headers.items()))
                file = folder / self.path.split("?")[0].lstrip("/")
                content = file.read_bytes() if status == 200 and file.is_file() else b""
                self.send_response(status if status != 200 or file.is_file() else 404)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(content)

            do_HEAD = do_GET  # noqa: N815

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
