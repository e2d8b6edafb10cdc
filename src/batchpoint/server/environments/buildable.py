"""The rules for environments that are made known or built: what no job could build, and what is not the caller's.

Intake and the routes of builds ask it; it builds nothing.
"""

from urllib.parse import unquote, urlsplit

from batchpoint.entities.assets import Environment
from batchpoint.entities.naming.credentials import masked_document
from batchpoint.environments.spec import read_spec
from batchpoint.server.intake.locations import allowed_path
from batchpoint.server.lookup import Desk


def check_buildable(desk: Desk, environment: Environment) -> None:
    """Raises NotSupported for what cannot be built, LocalPathNotAllowed for a channel in a folder of others."""
    if environment.python:
        return
    spec = read_spec(environment)
    for channel in (*spec.channels, *(package.channel for package in spec.conda)):
        if urlsplit(channel).scheme == "file":
            allowed_path(desk, unquote(urlsplit(channel).path))


def without_credentials(environment: Environment) -> Environment:
    """As it is shown: credentials in the addresses of its conda file are masked."""
    if environment.conda_file is None:
        return environment
    return environment.model_copy(update={"conda_file": masked_document(environment.conda_file)})


def with_credentials(environment: Environment, known: Environment | None) -> Environment:
    """``known`` once more where it is sent back as it was shown: then it has the credentials that it had."""
    if known is None or without_credentials(known).conda_file != environment.conda_file:
        return environment
    return environment.model_copy(update={"conda_file": known.conda_file})
