"""What a job leaves beside its rows when it ends: the dead letters and the manifest, in this order.

``ending`` calls it before it says in the store that the job has ended, so that whoever sees it ended finds both.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from batchpoint.engine.patience.hold import Hold
from batchpoint.engine.preparation.plan import read_plan
from batchpoint.engine.publishing import dead_letters, manifest
from batchpoint.engine.publishing.dead_letters import DeadLetters
from batchpoint.engine.publishing.manifest import Ending
from batchpoint.engine.publishing.output import Published
from batchpoint.engine.publishing.places import OutputPlace
from batchpoint.entities.evidence.manifest import MANIFEST_SHA256
from batchpoint.entities.job import FAILED_ITEMS_PATH, JobStatus, Progress
from batchpoint.errors import JobFailed
from batchpoint.storage.job_folder import JobFolder

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Proof:
    """One job's, at the end of one revision."""

    hold: Hold
    folder: JobFolder
    home: Path
    #: When this driver began.
    began: datetime

    def complete(self, place: OutputPlace, progress: Progress, published: Published) -> Mapping[str, str]:
        """Leave both for a job whose output stands; answers the properties that say so. A repeat writes the same.

        Raises OutputUnwritable, SegmentCorrupt, OSError, Fenced.
        """
        letters = self._letters(progress)
        # A driver that has lost the job meanwhile ends here, and touches nothing beside the output of its successor.
        self.hold.ledger.beat(self.hold.fence, progress)
        name = dead_letters.publish(letters, self.hold.job, self.folder, place)
        told = {
            MANIFEST_SHA256: self._manifest(Ending(JobStatus.COMPLETED, progress, self.began, published, letters, name))
        }
        if letters is None and FAILED_ITEMS_PATH not in self.hold.job.properties:
            return told
        where = place.shown(name) if name else str(self.folder.failed_items)
        return {**told, FAILED_ITEMS_PATH: where if letters is not None else ""}

    def break_off(self, status: JobStatus, progress: Progress) -> None:
        """Leave both in the folder of a job that failed or was canceled, as far as the disk takes them.

        Raises Fenced.
        """
        self.hold.ledger.beat(self.hold.fence, progress)
        try:
            letters = self._letters(progress)
            self._manifest(Ending(status, progress, self.began, letters=letters))
        except (JobFailed, OSError, ValueError, KeyError) as error:
            log.warning("dead letters or manifest could not be written: %s", error)

    def _letters(self, progress: Progress) -> DeadLetters | None:
        # A plan of a million items is not read for nothing.
        plan = read_plan(self.folder.plan_items, self.folder.plan_header) if progress.items_failed else None
        if plan is None:
            self.folder.failed_items.unlink(missing_ok=True)
            return None
        return dead_letters.write(self.hold.rows(failed_only=True), plan, self.folder)

    def _manifest(self, ending: Ending) -> str:
        return manifest.write(self.hold.job, self.hold.fence, self.folder, self.home, ending)
