"""What is made for a deployment that names no script, so that people see what runs."""

from typing import Any

from batchpoint.entities.noun import Noun


class Generated(Noun):
    """The script that would do the same, and what the model runs in."""

    #: Python that scores as the deployment does; it may be kept as a scoring script and changed.
    scoring_script: str
    #: The conda document of the environment; None for an interpreter that exists.
    conda_file: dict[str, Any] | None = None
    #: Sentences about what was added, and what is not checked.
    notes: tuple[str, ...] = ()
