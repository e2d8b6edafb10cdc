"""What has become of an environment on the server's machine: a noun of ours, the same in JSON as in memory. Pure."""

from typing import Literal

from pydantic import BaseModel, ConfigDict


class EnvironmentState(BaseModel):
    """Whether an environment is built, where, and with what."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str = ""
    version: str = ""
    #: ``existing`` for one that names an interpreter: nothing is built for it.
    state: Literal["absent", "building", "built", "failed", "existing"]
    #: The folder with everything, on the server's machine.
    path: str = ""
    #: The Python that scripts run in.
    interpreter: str = ""
    #: ``3.11.7``
    python: str = ""
    #: Bytes on the disk.
    size: int = 0
    #: Moments as ISO-8601, UTC.
    built_at: str = ""
    last_used: str = ""
    #: How long the build took.
    seconds: float = 0.0
    #: Sentences about what was left out or taken from elsewhere.
    notes: tuple[str, ...] = ()
    #: Files that pin what was installed; a rebuild installs the same.
    locks: tuple[str, ...] = ()
    #: What was installed: ``name==1.2``, and file names of conda packages.
    packages: tuple[str, ...] = ()
    #: Why the last build that was asked for by name failed, the installer's own words first.
    error: str = ""
    #: For whom it is being built.
    caller: str = ""
