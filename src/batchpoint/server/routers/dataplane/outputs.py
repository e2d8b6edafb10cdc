"""Where official clients find what a job wrote: the place of its output, and the asset by which they ask for it."""

from dataclasses import dataclass

from batchpoint.entities.job import Job
from batchpoint.entities.workspace import Workspace
from batchpoint.storage.uri import DatastorePath, PathType, parse_uri


@dataclass(frozen=True)
class OutputPlace:
    """A place in a datastore."""

    #: With the workspace of the datastore; a folder ends with ``/``.
    uri: str
    type: PathType


def output_place(job: Job, workspace: Workspace) -> OutputPlace | None:
    """The folder that a job has for itself, or its one file in a folder that others may write into as well.

    None for a job that has published nothing, and for a place in no datastore.
    """
    place = parse_uri(job.settings.output_uri) if job.settings.output_uri and job.has_published else None
    if not isinstance(place, DatastorePath):
        return None
    folder = f"{place.long(workspace.subscription, workspace.resource_group, workspace.name).rstrip('/')}/"
    is_shared = (job.parent_job_name or job.name) not in place.path.split("/")
    if is_shared and job.settings.has_one_file:
        return OutputPlace(f"{folder}{job.settings.output_file_name}", "uri_file")
    return OutputPlace(folder, "uri_folder")
