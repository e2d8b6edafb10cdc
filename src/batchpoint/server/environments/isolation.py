"""Environments on computes whose workers run in containers: what is refused early, and where build contexts are kept.

``creation`` asks when a deployment or an environment is made, ``invocation`` when a job is frozen.
"""

from batchpoint.compute.containers.runtime import check_image, find_program, missing
from batchpoint.entities.assets import Environment
from batchpoint.entities.compute import Compute
from batchpoint.environments.spec import needs_container
from batchpoint.errors import NotSupported
from batchpoint.server.environments.buildable import check_buildable
from batchpoint.server.intake.keeping import kept
from batchpoint.server.intake.locations import local_path_of
from batchpoint.server.lookup import Desk


def check_environment(desk: Desk, environment: Environment | None, compute: Compute) -> None:
    """Refuses what no job on ``compute`` could run in. Raises NotSupported and what the builder refuses."""
    if compute.isolation == "container":
        _check_contained(desk, environment, compute)
    elif environment is not None:
        if needs_container(environment):
            what = f"the image {environment.image!r}" if environment.image else "a build context"
            raise NotSupported(
                f"The environment is {what}, and workers of compute {compute.name} are processes of the server's "
                f"machine. Have them run in containers (compute update --name {compute.name} --isolation container), "
                "or add a conda_file with the Python version and the packages, or name an existing interpreter with "
                "'python: /path/to/venv'.",
                target="environment",
            )
        check_buildable(desk, environment)


def _check_contained(desk: Desk, environment: Environment | None, compute: Compute) -> None:
    chosen = desk.settings.container_runtime
    if find_program(chosen) is None:
        raise NotSupported(
            f"Compute {compute.name} runs workers in containers (isolation: container). {missing(chosen)}",
            target="compute",
        )
    if environment is None or not (environment.image or environment.build):
        raise NotSupported(
            f"Compute {compute.name} runs workers in containers, and the environment names no image. Add image: <name> "
            f"or build: with path: <folder with a Dockerfile> to it, or use a compute with isolation: process.",
            target="environment.image",
        )
    if environment.image:
        check_image(environment.image)
    if environment.conda_file is not None:
        check_buildable(desk, environment.model_copy(update={"image": None, "build": None}))


def with_kept_context(desk: Desk, environment: Environment) -> Environment:
    """The environment with its build context copied under its content hash; as it is where it has none."""
    if environment.build is None:
        return environment
    path, _ = kept(desk, environment.build.path)
    local_path_of(desk.vouched, path)
    return environment.model_copy(update={"build": environment.build.model_copy(update={"path": path})})


def frozen(desk: Desk, environment: Environment) -> Environment:
    """As a job keeps it: the build context is a folder of this machine."""
    if environment.build is None:
        return environment
    folder = local_path_of(desk.keeping(environment), environment.build.path)
    return environment.model_copy(update={"build": environment.build.model_copy(update={"path": str(folder)})})
