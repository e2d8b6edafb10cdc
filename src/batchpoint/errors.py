"""Every error that Batchpoint raises on purpose, in one tree.

Raised everywhere, mapped to HTTP by ``arm/error_body.py`` and to exit codes by ``cli/__main__``; knows neither.

    BatchpointError
    ├── UserError               the caller can mend it
    │   ├── ValidationFailed        a document or request with one or more problems
    │   ├── CommandLineInvalid      words or flags that no command has
    │   ├── ReferenceInvalid        a name, URI or reference that cannot be read
    │   ├── ResourceNotFound        a noun that does not exist
    │   ├── ResourceConflict        a name or version that is taken, or a state that forbids it
    │   ├── IdempotencyKeyReused    a request with the key of another request
    │   ├── NotSupported            understood, but not offered here
    │   ├── DatastoreUnavailable    an object store that refuses, or does not answer
    │   ├── LimitExceeded           more of something than a setting allows
    │   ├── RequestMalformed, RequestTooLarge, RequestHeadTooLarge, RequestTooSlow, MethodNotAllowed
    │   ├── TooManyRequests         more requests in a while than a setting allows
    │   │   └── QueueFull               more jobs that wait than a setting allows
    │   ├── AccessDenied            no token, a wrong one, or a foreign host
    │   ├── AuthorizationFailed     a known caller who may not do this
    │   ├── BlobRefused             a request to a storage account, refused in the words of its clients
    │   └── LocalPathNotAllowed     a path on the server's machine, named by somebody else than its owner
    ├── JobFailed               ends a job; its text becomes the job's error message
    │   ├── InputEmpty, InputUnreadable
    │   ├── EnvironmentBuildFailed, GoldenRowsDiffer
    │   ├── ScriptUnusable, InitFailed
    │   ├── ErrorThresholdExceeded, NoSuccessfulItems, WorkersKeepDying, DriverKeepsDying
    │   ├── OutputAlreadyExists, OutputUnwritable
    │   ├── ComputeDeleted, ComputeUnavailable, JobLifetimeExceeded, NoSpaceLeft, DiskFailed
    │   └── SegmentCorrupt
    ├── Fenced                  another driver owns the job now, or the job has ended
    │   └── CancelRequested         somebody asked to cancel before the job could be finished
    ├── StoreUnavailable        the store could not be read or written
    │   ├── StorageFull             its disk is full; nothing that was stored is lost
    │   └── StoreDamaged            its file is damaged: waiting does not help
    ├── ServerBusy              the server has as many connections as it can hold
    ├── ServerUnreachable       the client found no server where it was told to look
    └── InternalError           a fault of ours
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


class BatchpointError(Exception):
    """Batchpoint could not do what was asked."""

    #: Stable, machine-readable name of the error; part of the public interface.
    code = "BatchpointError"

    def __init__(self, message: str | None = None, *, target: str | None = None) -> None:
        self.message = message or (type(self).__doc__ or "").strip()
        #: What the error is about: a key, a name, a path.
        self.target = target
        super().__init__(self.message)


class UserError(BatchpointError):
    """The request cannot be carried out as it stands."""

    code = "UserError"


@dataclass(frozen=True)
class Problem:
    """One thing wrong in a document: where it stands, and what is allowed there."""

    #: Dotted path of the key, "" for the document itself.
    key: str
    #: A sentence that says what is wrong and what to do.
    message: str
    #: 1-based line in the file, when the document came from one.
    line: int | None = None


class ValidationFailed(UserError):
    """The document has problems."""

    code = "ValidationError"

    def __init__(self, subject: str, problems: tuple[Problem, ...], *, source: str | None = None) -> None:
        self.subject = subject
        self.problems = problems
        self.source = source
        super().__init__(self._text(), target=source)

    def _text(self) -> str:
        where = f" in {self.source}" if self.source else ""
        count = len(self.problems)
        lines = [f"{count} problem{'s' if count != 1 else ''}{where} ({self.subject}):"]
        for problem in self.problems:
            line = f"line {problem.line}: " if problem.line else ""
            key = f"{problem.key}: " if problem.key else ""
            lines.append(f"  {line}{key}{problem.message}")
        return "\n".join(lines)


class CommandLineInvalid(UserError):
    """The command line cannot be read."""

    code = "CommandLineError"


class ReferenceInvalid(UserError):
    """The name, URI or reference cannot be read."""

    code = "InvalidReference"


class ResourceNotFound(UserError):
    """The resource does not exist."""

    code = "ResourceNotFound"


class ResourceConflict(UserError):
    """The resource exists already or is in a state that forbids this."""

    code = "ResourceConflict"


class IdempotencyKeyReused(UserError):
    """The request has the idempotency key of another request."""

    code = "IdempotencyKeyReused"


class NotSupported(UserError):
    """This is understood but not offered here."""

    code = "NotSupported"


class LimitExceeded(UserError):
    """There would be more of this than a setting allows."""

    code = "LimitExceeded"


class DatastoreUnavailable(UserError):
    """The datastore cannot be read or written."""

    code = "DatastoreUnavailable"


class RequestMalformed(UserError):
    """The request is not written as HTTP has it."""

    code = "RequestMalformed"


class RequestTooLarge(UserError):
    """The body of the request is larger than this server takes."""

    code = "RequestTooLarge"


class RequestHeadTooLarge(UserError):
    """The address and headers of the request are longer, or more, than this server takes."""

    code = "RequestHeadTooLarge"


class RequestTooSlow(UserError):
    """The request did not arrive in the time that it has; send it again."""

    code = "RequestTooSlow"


class MethodNotAllowed(UserError):
    """There is something at this address, but not for this method."""

    code = "MethodNotAllowed"


class TooManyRequests(UserError):
    """There were more requests than one caller may send in this time; send them more slowly."""

    code = "TooManyRequests"


class QueueFull(TooManyRequests):
    """As many jobs wait as may wait in one workspace; invoke again when some have begun."""

    code = "QueueFull"


class AccessDenied(UserError):
    """The request carries no valid token."""

    code = "InvalidAuthenticationToken"


class AuthorizationFailed(UserError):
    """The caller may not do this here."""

    code = "AuthorizationFailed"


class LocalPathNotAllowed(UserError):
    """Only the owner of the home may name a path on the server's machine."""

    code = "LocalPathNotAllowed"


class BlobRefused(UserError):
    """The request to a storage account is refused."""

    code = "BlobRefused"
    #: Status and headers of the answer, and what clients of blob storage call it.
    status = 400
    storage_code = "InvalidInput"
    headers: Mapping[str, str] = MappingProxyType({})


class JobFailed(BatchpointError):
    """The job failed."""

    code = "JobFailed"


class InputEmpty(JobFailed):
    """The input has no files."""

    code = "InputEmpty"


class InputUnreadable(JobFailed):
    """The input cannot be read."""

    code = "InputUnreadable"


class EnvironmentBuildFailed(JobFailed):
    """The environment could not be built."""

    code = "EnvironmentBuildFailed"


class GoldenRowsDiffer(JobFailed):
    """The golden rows of the deployment do not come out as expected."""

    code = "GoldenRowsDiffer"


class ScriptUnusable(JobFailed):
    """The scoring script cannot be loaded."""

    code = "ScriptUnusable"


class InitFailed(JobFailed):
    """init() failed in every worker."""

    code = "InitFailed"


class WorkersKeepDying(JobFailed):
    """Workers die before they can score anything."""

    code = "WorkersKeepDying"


class DriverKeepsDying(JobFailed):
    """One driver of the job after the other died, and it got no further."""

    code = "DriverKeepsDying"


class ErrorThresholdExceeded(JobFailed):
    """More items failed than error_threshold allows."""

    code = "ErrorThresholdExceeded"


class NoSuccessfulItems(JobFailed):
    """No item was scored successfully."""

    code = "NoSuccessfulItems"


class OutputAlreadyExists(JobFailed):
    """The output file exists already; it was left as it is."""

    code = "OutputAlreadyExists"


class OutputUnwritable(JobFailed):
    """The output cannot be written."""

    code = "OutputUnwritable"


class ComputeUnavailable(JobFailed):
    """The compute gives the job no instance."""

    code = "ComputeUnavailable"


class ComputeDeleted(JobFailed):
    """The compute was deleted while the job waited for its instances."""

    code = "ComputeDeleted"


class JobLifetimeExceeded(JobFailed):
    """The job took longer than a job may."""

    code = "JobLifetimeExceeded"


class NoSpaceLeft(JobFailed):
    """A disk that the job writes to stayed full for too long."""

    code = "NoSpaceLeft"


class DiskFailed(JobFailed):
    """A disk that the job works on reported an error, twice."""

    code = "DiskFailed"


class SegmentCorrupt(JobFailed):
    """Scored rows on disk are not what was written."""

    code = "SegmentCorrupt"


class Fenced(BatchpointError):
    """Another driver has taken this job over."""

    code = "Fenced"


class CancelRequested(Fenced):
    """Somebody asked to cancel this job."""

    code = "CancelRequested"


class StoreUnavailable(BatchpointError):
    """The store cannot be read or written."""

    code = "StoreUnavailable"


class StorageFull(StoreUnavailable):
    """The disk of the store is full."""

    code = "StorageFull"


class StoreDamaged(StoreUnavailable):
    """The file of the store is damaged."""

    code = "StoreDamaged"


class ServerBusy(BatchpointError):
    """The server has as many connections as it can hold; try again in a moment."""

    code = "ServerBusy"


class ServerUnreachable(BatchpointError):
    """No server answers."""

    code = "ServerUnreachable"


class InternalError(BatchpointError):
    """A fault inside Batchpoint."""

    code = "InternalServerError"
