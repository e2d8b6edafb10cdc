"""Groups of ``az`` that have no work to do here: each says what is offered in their place."""

from batchpoint.cli.commands.refusals import refused

_ALL_MAY = (
    "whoever has the token of the home may do everything. Print it with account get-access-token; "
    "keep the file 'token' of the home to those who may."
)

COMMANDS = (
    refused(
        "storage",
        "Storage accounts and blobs; not offered here.",
        "There is no storage account behind a workspace here: its datastore is a folder of the home. "
        "batch-endpoint invoke --input reads a local folder as it is, job download brings outputs back, and a "
        "container or bucket of your own is registered with datastore create --file datastore.yml.",
        "storage blob list",
    ),
    refused(
        "identity",
        "Managed identities; not offered here.",
        f"There are no managed identities here: {_ALL_MAY}",
        "identity create --name NAME",
    ),
    refused(
        "ad", "Users and service principals; not offered here.", f"There is no directory here: {_ALL_MAY}", "ad sp list"
    ),
    refused(
        "role", "Role assignments; not offered here.", f"There are no roles here: {_ALL_MAY}", "role assignment list"
    ),
    refused(
        "cloud",
        "Clouds; not offered here.",
        "One server is the whole cloud here. Without a word it is the one of the home; name another one with --server "
        "URL or BATCHPOINT_SERVER.",
        "cloud list",
    ),
    refused(
        "config",
        "Settings of az; not offered here.",
        "Defaults are set with configure --defaults group=G workspace=W; all other settings stand in the file "
        "config.toml of the home.",
        "config set defaults.group=research",
    ),
)
