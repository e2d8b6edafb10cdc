"""What az knows and ``batchpoint`` has to: server, token, subscription and defaults, as variables of its process."""

import os

from azure.cli.core._profile import Profile
from azure.cli.core.cloud import HARD_CODED_CLOUD_LIST

#: Setting of ``az configure --defaults`` → variable.
DEFAULTS = {"group": "BATCHPOINT_RESOURCE_GROUP", "workspace": "BATCHPOINT_WORKSPACE"}


def variables_for(cli_ctx, words):
    """Variables that let ``batchpoint`` act as whom az has signed in, on the server that is the cloud of az.

    With a cloud of Microsoft's chosen, or a server or home named otherwise, ``batchpoint`` finds its server itself.
    """
    variables = {}
    for name, variable in DEFAULTS.items():
        value = cli_ctx.config.get("defaults", name, fallback=None)
        if value:
            variables[variable] = value
    if _names_a_server(words) or cli_ctx.cloud.name in {cloud.name for cloud in HARD_CODED_CLOUD_LIST}:
        return variables
    return {**variables, **_signed_in(cli_ctx)}


def _names_a_server(words):
    said = {word.partition("=")[0] for word in words}
    return bool({"--server", "--home"} & said) or "BATCHPOINT_SERVER" in os.environ


def _signed_in(cli_ctx):
    """Raises what az raises when nobody is signed in."""
    endpoints = cli_ctx.cloud.endpoints
    wanted = cli_ctx.data.get("subscription_id")
    token, subscription, _ = Profile(cli_ctx=cli_ctx).get_raw_token(subscription=wanted)
    variables = {
        "BATCHPOINT_SERVER": endpoints.resource_manager.rstrip("/"),
        "BATCHPOINT_TOKEN": token[1],
        "BATCHPOINT_SUBSCRIPTION": subscription,
    }
    # az takes certificates from the one variable, batchpoint from the other.
    trusted = os.environ.get("BATCHPOINT_SERVER_CA") or os.environ.get("REQUESTS_CA_BUNDLE")
    return {**variables, **({"BATCHPOINT_SERVER_CA": trusted} if trusted else {})}
