"""The actor that Ray starts on a node: it unpacks the code that was sent along and passes messages to it.

The bridge hands this class to Ray by value, so it must stand alone: no import of ours outside its functions.
"""


class NodeActor:
    """One instance. Only ``bytes`` go in and come out."""

    def __init__(self, archive: bytes, digest: str, name: str, log_limit_bytes: int) -> None:
        import importlib
        import os
        import sys
        import tempfile
        from pathlib import Path

        wanted = os.environ.get("BATCHPOINT_NODE_FOLDER", "")
        root = Path(wanted or Path(tempfile.gettempdir(), f"batchpoint-{os.getuid()}"))
        path = root / "agents" / f"{digest}.zip"
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        if root.stat().st_uid != os.getuid():
            raise PermissionError(f"{root} belongs to another user")
        path.parent.mkdir(exist_ok=True)
        if not path.exists():
            aside = path.with_suffix(f".{os.getpid()}")
            aside.write_bytes(archive)
            aside.replace(path)
        # A Batchpoint that is installed on the node must not take the place of what came along.
        for known in [module for module in sys.modules if module.partition(".")[0] == "batchpoint"]:
            del sys.modules[known]
        sys.path.insert(0, str(path))
        agent = importlib.import_module("batchpoint.compute.ray.node.agent")
        self._agent = agent.Agent(root, name, log_limit_bytes)

    def ask(self, message: bytes) -> bytes:
        """Answer a question."""
        return bytes(self._agent.ask(message))

    def push(self, message: bytes) -> bytes:
        """Take commands and files."""
        return bytes(self._agent.push(message))

    def pull(self, message: bytes) -> bytes:
        """What happened since the last call; waits a second for something to happen."""
        return bytes(self._agent.pull(message))
