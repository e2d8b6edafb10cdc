"""The command line that starts one worker in a container. Pure; the pool runs it.

Whatever comes from users (names of images, paths, variables) stands where it can be no option: behind an equals sign,
behind ``--``, or in a file that the container reads.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from batchpoint.compute.containers.runtime import Runtime
from batchpoint.compute.oom import WORKER_BADNESS
from batchpoint.errors import EnvironmentBuildFailed

#: Label of every container: the folder of the job that it works for.
LABEL = "batchpoint.job"
Network = Literal["default", "none", "host"]

#: $1: folder of the channels; $2: the interpreter, empty for the image's own.
#: The shell stays as the first process of the container: signals kill the first process of one only from outside, and
#: when it ends everything else in there ends with it. Both ends of the pipes for prints are opened, which never waits.
WORK = """
own_path=$PYTHONPATH
. "$1/variables"
if [ -n "$2" ]; then
  python=$2; PATH="${2%/*}:$PATH"
else
  python=$(command -v python || command -v python3) || { echo "there is no python in the image" >&2; exit 125; }
  if [ -n "$own_path" ]; then PYTHONPATH="$PYTHONPATH:$own_path"; fi
fi
export PATH PYTHONPATH
"$python" -m batchpoint_worker "$1/in" "$1/out" </dev/null 1<>"$1/stdout" 2<>"$1/stderr"
exit $?
"""
#: Says which Python a worker would run on; $1 as $2 above.
PROBE = """
python=${1:-$(command -v python || command -v python3)}
[ -n "$python" ] || { echo "there is no python in the image" >&2; exit 1; }
exec "$python" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])'
"""


@dataclass(frozen=True)
class Mounts:
    """Folders and files of this machine that a container sees, each under its own path."""

    read_only: tuple[Path, ...] = ()
    writable: tuple[Path, ...] = ()


@dataclass(frozen=True)
class Box:
    """What all containers of a job have in common."""

    runtime: Runtime
    #: Id of the image: the same content for all workers, whatever its name comes to mean meanwhile.
    image: str
    mounts: Mounts
    #: Folder of the job.
    job: Path
    #: Of whoever runs the job: files that workers write belong to them.
    uid: int
    gid: int
    network: Network = "default"
    #: Bytes that one container may have; 0: no limit.
    memory: int = 0
    #: Name of this machine, which its containers share.
    host: str = ""


def work_command(box: Box, name: str, mark: str, channels: Path, python: str, gpus: str, package: Path) -> list[str]:
    """Starts a worker; ``mark`` is by what its processes are known, ``gpus`` the devices that it may see."""
    mounts = Mounts(box.mounts.read_only, (*box.mounts.writable, channels))
    return [
        *_run(box, mounts),
        f"--name={name}",
        f"--label={LABEL}={box.job}",
        f"--env={mark}",
        f"--workdir={package}",
        f"--network={box.network}" if box.network != "default" else "",
        f"--hostname={box.host}" if box.host and box.network != "host" else "",
        f"--memory={box.memory}" if box.memory else "",
        # Without it as much again could be swapped out.
        f"--memory-swap={box.memory}" if box.memory else "",
        f"--oom-score-adj={WORKER_BADNESS}",
        *_gpus(box.runtime, gpus),
        "--entrypoint=/bin/sh",
        "--",
        box.image,
        "-c",
        WORK,
        "sh",
        str(channels),
        python,
    ]


def probe_command(box: Box, python: str) -> list[str]:
    """Prints the version of the Python that workers would run on."""
    return [
        *_run(box, box.mounts),
        "--network=none",
        "--entrypoint=/bin/sh",
        "--",
        box.image,
        "-c",
        PROBE,
        "sh",
        python,
    ]


def _run(box: Box, mounts: Mounts) -> list[str]:
    is_root = box.uid == 0
    return [
        box.runtime.program,
        "run",
        "--rm",
        "--pull=never",
        f"--user={box.uid}:{box.gid}",
        # Without a daemon the runtime would make somebody else of a caller who is not root.
        "--userns=keep-id" if box.runtime.kind == "podman" and not is_root else "",
        # Podman would hand on the proxies of the server, and the passwords in their addresses.
        "--http-proxy=false" if box.runtime.kind == "podman" else "",
        "--cap-drop=all",
        # Root reads what belongs to others, as without a container; it can do nothing else of what root can.
        "--cap-add=DAC_OVERRIDE" if is_root else "",
        "--security-opt=no-new-privileges",
        # Else SELinux keeps containers from the folders of their job.
        "--security-opt=label=disable",
        *_mounted(mounts),
    ]


def _mounted(mounts: Mounts) -> list[str]:
    """Folders before what lies in them; what may be written wins over what may be read."""
    chosen = dict.fromkeys(mounts.read_only, True) | dict.fromkeys(mounts.writable, False)
    return [_mount(path, is_read_only) for path, is_read_only in sorted(chosen.items(), key=_depth)]


def _depth(mounted: tuple[Path, bool]) -> tuple[int, str]:
    return len(mounted[0].parts), str(mounted[0])


def _mount(path: Path, is_read_only: bool) -> str:
    source, target = str(path.resolve()), str(path)
    if not {",", '"', "\n"} & {*source, *target}:
        return f"--mount=type=bind,source={source},target={target}{',readonly' if is_read_only else ''}"
    if {":", "\n"} & {*source, *target}:
        raise EnvironmentBuildFailed(
            f"The path {target!r} cannot be mounted into a container: it holds a comma or quotes beside a colon, or "
            "the end of a line. Rename the folder.",
            target=target,
        )
    return f"--volume={source}:{target}{':ro' if is_read_only else ''}"


def _gpus(runtime: Runtime, names: str) -> list[str]:
    if not names:
        return []
    if runtime.kind == "docker":
        # The option is a line of CSV.
        return [f'--gpus="device={names}"']
    return [f"--device=nvidia.com/gpu={name.strip()}" for name in names.split(",")]


def without_gaps(command: Sequence[str]) -> list[str]:
    """The words of ``command`` up to ``--`` without those that are empty; all that follow."""
    end = command.index("--")
    return [*(word for word in command[:end] if word), *command[end:]]
