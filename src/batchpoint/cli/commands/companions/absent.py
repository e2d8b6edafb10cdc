"""Groups of ``az`` that have no work to do here: each says what is offered in their place."""

from batchpoint.cli.commands.refusals import refused

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
        "There are no managed identities to create here: a program is a service principal (principal create --name "
        "NAME), and batchpoint connect --principal NAME lets its clients think that they run with a managed identity.",
        "identity create --name NAME",
    ),
    refused(
        "ad",
        "The directory of az; see user and principal.",
        "Users and service principals are made with user create and principal create, and listed with user list and "
        "principal list; what they may do, role says.",
        "ad sp list",
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
