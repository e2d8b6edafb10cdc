"""``component``: the parts of pipelines, which are not offered here."""

from batchpoint.cli.commands.refusals import refused

_SENTENCE = (
    "Pipeline components are not offered here: a deployment is a model with a scoring script. "
    "Write one with type: model and run: batch-deployment create --file deployment.yml"
)

COMMANDS = tuple(
    refused(f"component {verb}", f"{meaning}; not offered here.", _SENTENCE, f"component {verb}")
    for verb, meaning in {
        "create": "Create a pipeline component",
        "show": "Show a pipeline component",
        "list": "List pipeline components",
        "update": "Change a pipeline component",
        "archive": "Hide a pipeline component",
        "restore": "Show a pipeline component again",
        "delete": "Delete a pipeline component",
    }.items()
)
