"""What a deployment makes of its MLflow model: whether it can do without a script, and the environment that it names.

``creation`` calls it for each deployment, the router for one that is shown. Only the model folder's own words are read.
"""

from pathlib import Path

from batchpoint.entities.assets import Environment, Model
from batchpoint.entities.deployment import Deployment
from batchpoint.entities.tables.generated import Generated
from batchpoint.errors import BatchpointError, NotSupported, Problem, UserError, ValidationFailed
from batchpoint.mlmodel import MLMODEL, MLModel, read_mlmodel
from batchpoint.mlmodel.environment import OF_MODEL, ModelEnvironment, environment_of
from batchpoint.mlmodel.script import script_of
from batchpoint.server.environments.buildable import without_credentials
from batchpoint.server.intake.locations import local_path_of
from batchpoint.server.lookup import Desk

_GIVE_CODE = "Give code_configuration with the folder of your code and the scoring_script in it."
_UNCHECKED = (
    "The model has no signature: what files hold is handed to it unchecked. Save it with signature=infer_signature(…) "
    "to have columns and types checked."
)


def environment_wanted(desk: Desk, wanted: Deployment, model: Model) -> str | Environment | None:
    """The environment that the deployment names or, where it names none, the one that its MLflow model asks for.

    Raises ValidationFailed or NotSupported where there is no script and the model cannot do without one.
    """
    told: MLModel | None
    if wanted.code_configuration is None:
        told = _scorable(desk, wanted, model)
    else:
        _refuse_what_scripts_do_themselves(wanted)
        told = _told_of_mlflow_model(desk, model)
    if told is None or not _is_left_to_the_model(desk, wanted.environment):
        return wanted.environment
    if wanted.code_configuration and not told.documents:
        return None
    return _environment(told, without_script=wanted.code_configuration is None).environment


def generated(desk: Desk, deployment: Deployment) -> Generated | None:
    """What stands in for a script, to be shown; None for a deployment with one, and where the model is gone."""
    if deployment.code_configuration is not None or not isinstance(deployment.model, str):
        return None
    try:
        model = desk.vouched.referenced(Model, deployment.model)
        folder = local_path_of(desk.keeping(model), model.path)
        told = read_mlmodel(folder)
        notes, conda_file = [] if told.signature else [_UNCHECKED], None
        if isinstance(deployment.environment, str):
            environment = desk.vouched.referenced(Environment, deployment.environment)
            conda_file = without_credentials(environment).conda_file
            notes += _environment(told, without_script=True).notes if OF_MODEL in environment.properties else ()
    except BatchpointError:
        return None
    script = script_of(folder.name, deployment.passthrough_columns, deployment.prediction_columns)
    return Generated(scoring_script=script, conda_file=conda_file, notes=tuple(notes))


def _is_left_to_the_model(desk: Desk, environment: str | Environment | None) -> bool:
    """True where none is named, or one that was made from a model: of this one, or of the one that was there before."""
    if not isinstance(environment, str):
        return environment is None
    if environment.startswith("/") and not environment.startswith("/subscriptions/"):
        return False
    return OF_MODEL in desk.referenced(Environment, environment).properties


def _scorable(desk: Desk, wanted: Deployment, model: Model) -> MLModel:
    if wanted.output_action == "summary_only":
        message = "without a script nothing writes an output; choose append_row, or give a script that writes its own"
        raise ValidationFailed("deployment", (Problem("properties.outputAction", message),))
    folder = local_path_of(desk.keeping(model), model.path)
    if model.type != "mlflow_model":
        hint = " Its folder has an MLmodel file: register it with type: mlflow_model." if _has_mlmodel(folder) else ""
        raise NotSupported(
            f"A deployment without code_configuration scores an MLflow model, and the model {model.name}:"
            f"{model.version} is a {model.type}.{hint} {_GIVE_CODE}",
            target="code_configuration",
        )
    told = _read(folder)
    if not told.is_pyfunc:
        raise NotSupported(
            f"The MLflow model {folder.name} has no flavour python_function, by which it is scored without a script; "
            f"its flavours: {', '.join(told.flavors)}. Save it again with python_function, or write a script that "
            f"loads it in its own way. {_GIVE_CODE}",
            target="model",
        )
    return told


def _refuse_what_scripts_do_themselves(wanted: Deployment) -> None:
    given = {
        "passthroughColumns": wanted.passthrough_columns != (),
        "predictionColumns": wanted.prediction_columns != "azure",
    }
    message = "is for an MLflow model without a script; a script returns the columns that it wants. Remove it."
    problems = tuple(Problem(f"properties.{key}", message) for key, is_given in given.items() if is_given)
    if problems:
        raise ValidationFailed("deployment", problems)


def _told_of_mlflow_model(desk: Desk, model: Model) -> MLModel | None:
    """A script may load a model whose MLmodel file is of no use to us."""
    folder = local_path_of(desk.keeping(model), model.path)
    if model.type != "mlflow_model" or not _has_mlmodel(folder):
        return None
    try:
        return read_mlmodel(folder)
    except UserError:
        return None


def _environment(told: MLModel, *, without_script: bool) -> ModelEnvironment:
    try:
        return environment_of(told, without_script=without_script)
    except ValidationFailed as error:
        raise _named_as_users_do(error, told.folder) from error


def _read(folder: Path) -> MLModel:
    try:
        return read_mlmodel(folder)
    except ValidationFailed as error:
        raise _named_as_users_do(error, folder) from error


def _named_as_users_do(error: ValidationFailed, folder: Path) -> ValidationFailed:
    """Where the copy stands on this machine is nothing to them; which file and line of it is, and travels as text."""
    source = (error.source or "").replace(str(folder), folder.name)
    return ValidationFailed("model", tuple(Problem(one.key, _placed(one, source)) for one in error.problems))


def _placed(problem: Problem, source: str) -> str:
    return f"{source}{f' line {problem.line}' if problem.line else ''}: {problem.message}"


def _has_mlmodel(folder: Path) -> bool:
    return (folder / MLMODEL).is_file()
