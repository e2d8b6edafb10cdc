"""Owns how a conda prefix comes to be: channels asked, packages solved or taken from the lock, installed.

Runs in a process of its own, see ``__main__``. What it prints is for the log, and is masked by whoever reads it.
"""

import asyncio
import datetime
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from batchpoint.environments.conda import lock
from batchpoint.environments.conda.prefix import FAILED, NO_CHANNEL, NOTE, Prefix

if TYPE_CHECKING:
    from rattler import Client, Gateway, RepoDataRecord

_SOLVER_LIMIT = datetime.timedelta(minutes=10)
#: So often a request is sent again that was not answered; a machine without a network is not asked for long.
_RETRIES = 2
#: What a request says when there is nobody to answer it, or somebody in between who does not let it through.
_OUT_OF_REACH = re.compile(
    r"dns error|connect error|\(Connect\)|connection (?:refused|reset|closed)|timed? ?out|operation timed|tunnel|proxy|"
    r"certificate|tls|handshake|incompletemessage|error sending request|"
    r"\((?:403 Forbidden|407 [\w ]+|429 [\w ]+|5\d\d [\w ]+)\)",
    re.IGNORECASE,
)
_HAS_CREDENTIALS = re.compile(r"://[^/]+@|/t/")


class _Absent(Exception):
    """Why a channel was not reached."""


async def made(prefix: Prefix) -> int:
    """Make it; the exit code. What could not be done is printed, the solver's own words first."""
    from rattler import Client, Gateway
    from rattler.platform import Subdir

    platform = str(Subdir.current())
    client = Client.default_client(max_retries=_RETRIES)
    records = lock.read(Path(prefix.folder), platform, (*prefix.channels, *(one for _, one in prefix.packages)))
    if records is None:
        gateway = Gateway(client=client)
        reached = await _reached(prefix, gateway, platform)
        if not reached:
            return NO_CHANNEL
        try:
            records = await _solved(prefix, reached, gateway, platform)
        except _errors() as error:
            print(f"error: {_told(error)}")
            return FAILED
        lock.write(Path(prefix.folder), platform, records)
    else:
        print(f"{len(records)} packages stand in the lock of this environment and are taken from there.")
    return await _installed(prefix, records, client, platform)


async def _reached(prefix: Prefix, gateway: "Gateway", platform: str) -> list[str]:
    """The channels that answer; a note for each other one, unless none answers. Raises ValueError for a wrong one."""
    wanted = list(dict.fromkeys((*prefix.channels, *(channel for _, channel in prefix.packages if channel))))
    answers = await asyncio.gather(
        *(_asked(channel, prefix, gateway, platform) for channel in wanted), return_exceptions=True
    )
    for channel, answer in zip(wanted, answers, strict=True):
        if isinstance(answer, _Absent):
            print(f"{NOTE}The conda channel {channel} cannot be reached: {answer}.")
        elif isinstance(answer, BaseException):
            raise ValueError(f"The conda channel {channel} cannot be used: {_told(answer)}") from answer
    return [channel for channel, answer in zip(wanted, answers, strict=True) if answer is None]


async def _asked(channel: str, prefix: Prefix, gateway: "Gateway", platform: str) -> None:
    """Fetch the channel's index, which the solver then finds in the gateway."""
    from rattler.platform import Subdir

    is_local = channel.startswith("file:")
    if prefix.is_offline and not is_local:
        raise _Absent("the setting no_index is on, so no network is asked")
    began = time.monotonic()
    try:
        async with asyncio.timeout(prefix.patience_s):
            await gateway.names([channel], [Subdir(platform), Subdir("noarch")])
    except TimeoutError as error:
        raise _Absent(f"nothing came within {prefix.patience_s:g} s (the setting conda_patience_s)") from error
    except _errors() as error:
        told = _told(error)
        # Whoever sends credentials and is refused has wrong ones.
        is_refused = "403" in told and _HAS_CREDENTIALS.search(channel)
        if is_local or is_refused or not _OUT_OF_REACH.search(told):
            raise
        tries = f"{_RETRIES + 1} tries in {time.monotonic() - began:.1f} s"
        raise _Absent(f"{told.splitlines()[-1].removeprefix('Caused by: ')} ({tries})") from error


async def _solved(prefix: Prefix, reached: Sequence[str], gateway: "Gateway", platform: str) -> "list[RepoDataRecord]":
    from rattler import VirtualPackage, solve
    from rattler.platform import Subdir

    began = time.monotonic()
    records = await solve(
        sources=reached,
        specs=[f"{channel}::{match}" if channel else match for match, channel in prefix.packages],
        gateway=gateway,
        platforms=[Subdir(platform), Subdir("noarch")],
        virtual_packages=VirtualPackage.detect(),
        timeout=_SOLVER_LIMIT,
    )
    print(f"Solved {len(records)} conda packages in {time.monotonic() - began:.1f} s")
    return records


async def _installed(prefix: Prefix, records: "list[RepoDataRecord]", client: "Client", platform: str) -> int:
    from rattler import install

    for record in records:
        print(f"  {record.name.source} {record.version} {record.build}")
    try:
        # Scripts of packages do not run: what is installed here is files.
        await install(records, prefix.path, client=client, show_progress=False, execute_link_scripts=False)
    except _errors() as error:
        # What was solved before may have been withdrawn: the next attempt solves anew.
        lock.forget(Path(prefix.folder), platform)
        print(f"error: {_told(error)}")
        return FAILED
    return 0


def _errors() -> tuple[type[Exception], ...]:
    """Whatever rattler refuses with: its errors share no class of their own."""
    from rattler import exceptions

    named = [getattr(exceptions, name) for name in exceptions.__all__]
    return (OSError, *(one for one in named if issubclass(one, Exception) and not issubclass(one, Warning)))


def _told(error: BaseException) -> str:
    return str(error).strip() or type(error).__name__
