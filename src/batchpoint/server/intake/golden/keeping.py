"""Golden rows of a deployment: kept under the hash of their content as models are, frozen in a job as local paths.

``creation`` and ``invocation`` call it; whether they still come out, the engine finds out.
"""

from batchpoint.entities.deployment import Deployment
from batchpoint.entities.tables.golden_rows import FrozenGoldenRows, GoldenForm, GoldenRows
from batchpoint.errors import Problem, ValidationFailed
from batchpoint.server.intake.keeping import kept
from batchpoint.server.intake.locations import local_path_of
from batchpoint.server.lookup import Desk


def kept_golden_rows(desk: Desk, golden: GoldenRows | None) -> GoldenRows | None:
    """With both places copied. Raises ValidationFailed where the expected output is no file."""
    if golden is None:
        return None
    expected, _ = kept(desk, golden.expected)
    if not local_path_of(desk.vouched, expected).is_file():
        message = "must be one file: the output that a job over the golden input writes"
        raise ValidationFailed("deployment", (Problem("properties.goldenRows.expected", message),))
    return golden.model_copy(update={"input": kept(desk, golden.input)[0], "expected": expected})


def frozen_golden_rows(desk: Desk, deployment: Deployment) -> FrozenGoldenRows | None:
    """As a job keeps them: paths of this machine, and the form of output that they are compared in."""
    golden = deployment.golden_rows
    if golden is None:
        return None
    form = GoldenForm.model_validate({name: getattr(deployment, name) for name in GoldenForm.model_fields})
    paths = {name: str(local_path_of(desk.vouched, getattr(golden, name))) for name in ("input", "expected")}
    return FrozenGoldenRows(**paths, tolerance=golden.tolerance, form=form)
