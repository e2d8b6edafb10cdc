"""The one reader of environment variables and of ``config.toml`` in the home folder.

Entry points call ``Settings.load`` once and pass the result down by value.
"""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from batchpoint.errors import UserError

DEFAULT_SUBSCRIPTION = "00000000-0000-0000-0000-000000000000"


@dataclass(frozen=True)
class Settings:
    """What the operator decided. Every field can be set in ``config.toml`` or as ``BATCHPOINT_<NAME>``."""

    #: Folder that keeps store, datastores, jobs and environments.
    home: Path = field(default_factory=lambda: Path.home() / ".batchpoint")
    #: URL of the server to talk to; empty: the one running on the same home, else none.
    server: str = ""
    #: Bearer token for ``server``; empty: the token file of the home.
    token: str = ""
    #: Subscription of commands that name none.
    subscription: str = DEFAULT_SUBSCRIPTION
    #: Resource group of commands that name none.
    resource_group: str = "default"
    #: Workspace of commands that name none.
    workspace: str = "default"
    #: What resources that name no location show as theirs.
    location: str = "local"
    #: Seconds that init() may take; Azure's engine has 600 for its first task.
    init_timeout_s: float = 600.0
    #: Bytes of stdout and of stderr kept for each worker; the rest is dropped with a note.
    worker_log_limit_bytes: int = 10_000_000
    #: Megabytes of one row that run() returns; longer ones fail their mini-batch with ResultTooLarge.
    max_row_mb: int = 64
    #: Megabytes of all rows of one mini-batch; more fail it with ResultTooLarge.
    max_result_mb: int = 1024
    #: Seconds between two samples of memory, processors and disk in the logs of a job.
    resource_monitor_interval_s: float = 600.0
    #: Seconds that a job on a Ray compute waits for its first instance before it fails.
    ray_patience_s: float = 300.0
    #: Seconds without an answer after which an instance on a Ray node counts as lost.
    ray_silence_s: float = 30.0
    #: Seconds that a job waits while a disk that it writes to is full; then it fails. 15 minutes.
    storage_patience_s: float = 900.0
    #: Seconds that a preflight may take: the build of the environment and the scoring of a sample.
    preflight_limit_s: float = 1800.0
    #: Preflights that a server makes at once.
    preflights_at_once: int = 4
    #: Environments that a server builds at once because somebody asked for them by name; jobs build theirs besides.
    environment_builds_at_once: int = 4
    #: Seconds that a transaction on the store waits for another one.
    store_busy_timeout_s: float = 30.0
    #: Network file systems that the home may stand on all the same, by their kinds, comma-separated: "nfs4".
    network_file_systems_allowed: str = ""
    #: Seconds without a sign of life after which a job's driver is taken for dead, killed and replaced; one that cannot
    #: reach the store ends itself after two thirds of them.
    driver_lease_s: float = 30.0
    #: Drivers of one job that may die in a row without getting any further; then the job fails.
    driver_deaths_max: int = 10
    #: Seconds an idle supervisor stays before it exits.
    supervisor_idle_s: float = 5.0
    #: Private and loopback hosts that an input URL may name all the same, comma-separated.
    input_hosts_allowed: str = ""
    #: Folders on the server's machine that everybody may name paths in, comma-separated; the owner may name any path.
    local_roots_allowed: str = ""
    #: Endpoints of one subscription at most.
    endpoints_per_subscription: int = 100
    #: Deployments of one subscription at most, whatever their endpoints.
    deployments_per_subscription: int = 500
    #: Deployments of one endpoint at most.
    deployments_per_endpoint: int = 20
    #: Instances that one job may ask for, however many its compute has.
    instances_per_job: int = 100
    #: Worker processes that a job may ask for on each of its instances.
    workers_per_instance: int = 256
    #: Seconds that a job may hold its instances; then it fails. 21 days.
    job_lifetime_s: float = 1_814_400.0
    #: The same on a compute of tier low_priority. 7 days.
    low_priority_job_lifetime_s: float = 604_800.0
    #: Tags that users may put on one job.
    tags_per_job: int = 50
    #: Properties that users may put on one job.
    properties_per_job: int = 50
    #: Characters of the key of a job's tag or property.
    tag_key_length: int = 100
    #: Characters of the value of a job's tag or property.
    tag_value_length: int = 1000
    #: Characters of a job's description.
    description_length: int = 5000
    #: Characters of a job's display name.
    display_name_length: int = 256
    #: Seconds for which an access token is good, from 60 to 86400.
    token_lifetime_s: int = 3600
    #: Days after which the server signs its tokens with a new key; the old one stays until its last token has expired.
    token_key_days: float = 30.0
    #: Names in the Host header that the server answers to besides loopback, comma-separated; its certificate is made
    #: out to them. "*.batch.example.org" stands for every name with one more label.
    server_hosts_allowed: str = ""
    #: Domain whose names <account>.blob.<domain> lead to this server, with a port if need be: for clients that make the
    #: addresses of storage accounts themselves. Empty: accounts stand in the path.
    storage_host: str = ""
    #: Requests a second that one caller may send to the server, over a longer time; it may send twice as many at once.
    #: More are answered with 429 and told when to come again. 0: as many as they like.
    requests_per_second: float = 200.0
    #: Requests of one caller that the server answers at once; more get 429. 0 for no limit.
    requests_in_progress: int = 40
    #: Proxies in front of the server whose word is taken for where a request comes from, comma-separated addresses.
    trusted_proxies: str = ""
    #: Jobs of one workspace that may wait for instances; invocations beyond them are answered with 429.
    queued_jobs_per_workspace: int = 20_000
    #: Megabytes of a request's body where it is JSON. Files may have any size.
    json_body_limit_mb: int = 8
    #: Seconds from the beginning of a connection or request within which address and headers must have arrived.
    head_patience_s: float = 10.0
    #: Seconds within which a client must send or take 64 KiB while a request or its answer is on the way.
    slow_client_patience_s: float = 30.0
    #: Seconds that a connection without a request is kept.
    idle_connection_s: int = 20
    #: Certificate that the server shows instead of one of its own making: a PEM file with its chain below it. It is
    #: read again when it changes.
    tls_certificate: str = ""
    #: Private key of ``tls_certificate``, a PEM file without a passphrase; empty: it stands in the same file.
    tls_key: str = ""
    #: PEM file of the authority that the certificate of ``server`` comes from; empty: the home's, else the system's.
    server_ca: str = ""
    #: What runs the workers of computes with ``isolation: container``: podman, docker or the path of one of them;
    #: empty: the first of them that is on the server's machine.
    container_runtime: str = ""
    #: Network of those workers: default, which is the runtime's own bridge, none, or host.
    container_network: str = "default"
    #: Tracking server of MLflow's that ``models:/…`` and ``runs:/…`` are looked up at; empty: what the variable
    #: MLFLOW_TRACKING_URI says, else none. What its client logs in with, it takes from its own variables.
    mlflow_tracking_uri: str = ""
    #: Address that names of conda channels in conda files are relative to; a mirror has its own.
    conda_channel_alias: str = "https://conda.anaconda.org"
    #: Seconds within which a conda channel must have sent its index; after them it counts as out of reach.
    conda_patience_s: float = 60.0
    #: Folder of wheels on the server's machine that environments are built from before any package index is asked.
    wheels_folder: str = ""
    #: true: environments are built from ``wheels_folder`` alone, and no package index and no conda channel is asked.
    no_index: bool = False
    #: Package index for the environments of this home instead of the public one. Credentials in it are never shown.
    index_url: str = ""
    #: Further package indexes, separated by commas. Credentials in them are never shown.
    extra_index_url: str = ""

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None, *, home: str | None = None) -> "Settings":
        """Defaults, overridden by ``<home>/config.toml``, overridden by the environment; ``home`` wins over all.

        Raises UserError when a value has the wrong type, ``config.toml`` does not parse or the home can be no folder.
        """
        environ = os.environ if environ is None else environ
        given = Path(home or environ.get("BATCHPOINT_HOME") or Path.home() / ".batchpoint").expanduser()
        # Processes of a home know each other by its path: there must be one, also through links and dots.
        folder = Path(os.path.realpath(given))
        above = next(place for place in (folder, *folder.parents) if os.path.lexists(place))
        if not above.is_dir():
            raise UserError(
                f"{folder} cannot be a home: {above} is no folder. Name another with --home or BATCHPOINT_HOME.",
                target=str(folder),
            )
        values = _from_file(folder / "config.toml")
        values |= {
            f.name: environ[f"BATCHPOINT_{f.name.upper()}"]
            for f in fields(cls)
            if f"BATCHPOINT_{f.name.upper()}" in environ
        }
        values["home"] = folder
        if not values.get("mlflow_tracking_uri"):
            values["mlflow_tracking_uri"] = environ.get("MLFLOW_TRACKING_URI", "")
        return cls(**{f.name: _typed(f.name, values[f.name]) for f in fields(cls) if f.name in values})

    @classmethod
    def sources(cls, environ: Mapping[str, str] | None = None, *, home: str | None = None) -> dict[str, str]:
        """Where each setting that ``load`` would find comes from: ``config.toml`` or a variable."""
        environ = os.environ if environ is None else environ
        path = cls.load(environ, home=home).home / "config.toml"
        variables = {f.name: f"BATCHPOINT_{f.name.upper()}" for f in fields(cls)}
        in_file = dict.fromkeys(_from_file(path), str(path))
        return in_file | {name: variable for name, variable in variables.items() if variable in environ}

    def child_environ(self) -> dict[str, str]:
        """The environment of a process of ours: this one's, with these settings and without a relative PYTHONPATH."""
        # Drivers and supervisors speak to the store, never to a server.
        own = {f"BATCHPOINT_{f.name.upper()}": str(getattr(self, f.name)) for f in fields(self)}
        unused = {"BATCHPOINT_SERVER", "BATCHPOINT_TOKEN"}
        environ = {name: value for name, value in {**os.environ, **own}.items() if name not in unused}
        if path := environ.get("PYTHONPATH"):
            environ["PYTHONPATH"] = os.pathsep.join(str(Path(part).absolute()) for part in path.split(os.pathsep))
        return environ


def in_the_way(host: str, environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Variables that keep programs from reaching a server of ours at ``host``, or from logging in there, and why."""
    environ = os.environ if environ is None else environ
    spared = {name.strip().lower() for key in ("no_proxy", "NO_PROXY") for name in environ.get(key, "").split(",")}
    proxies = ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")
    found = {} if {host.lower(), "*"} & spared else dict.fromkeys(proxies, f"requests go to it; add {host} to NO_PROXY")
    found |= dict.fromkeys(
        ("AZURE_CLIENT_SECRET", "AZURE_CLIENT_CERTIFICATE_PATH", "AZURE_FEDERATED_TOKEN_FILE"),
        "DefaultAzureCredential logs in to the public cloud with it; unset it",
    )
    return {name: why for name, why in found.items() if environ.get(name)}


def wants_colour(environ: Mapping[str, str] | None = None) -> bool:
    """False when the person at the terminal asked for plain text."""
    environ = os.environ if environ is None else environ
    return not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"


def armed_failpoints(environ: Mapping[str, str] | None = None) -> str:
    """What a test has armed, see ``batchpoint.failpoints``; empty for everybody else."""
    return (os.environ if environ is None else environ).get("BATCHPOINT_FAILPOINT", "")


def _truth(text: str) -> bool:
    return {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}[
        text.strip().lower()
    ]


_MEANT: dict[Any, str] = {_truth: "true or false"}


def _from_file(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not valid TOML: {error}. Mend or remove it.", target=str(path)) from error
    unknown = sorted(values.keys() - {f.name for f in fields(Settings)})
    if unknown:
        known = ", ".join(f.name for f in fields(Settings))
        raise UserError(f"{path} has the unknown setting {unknown[0]!r}; settings are: {known}.", target=unknown[0])
    return values


def _typed(name: str, value: Any) -> Any:
    wanted: Any = {field.name: field.type for field in fields(Settings)}[name]
    if wanted is bool:
        wanted, value = _truth, str(value)
    try:
        return wanted(value)
    except (TypeError, ValueError, KeyError) as error:
        raise UserError(
            f"The setting {name} is {value!r}, which is not {_MEANT.get(wanted, f'a {wanted.__name__}')}. "
            f"It stands in config.toml or in BATCHPOINT_{name.upper()}.",
            target=name,
        ) from error
