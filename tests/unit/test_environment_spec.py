"""What a conda file asks for, and the sentences about what it cannot have."""

import pytest

from batchpoint.entities.assets import Environment, EnvironmentBuild
from batchpoint.environments.reasons import reason_of
from batchpoint.environments.spec import EnvironmentSpec, read_spec
from batchpoint.errors import NotSupported


def spec(*dependencies: object, image: str | None = "registry/base:latest") -> EnvironmentSpec:
    return read_spec(
        Environment(image=image, conda_file={"name": "e", "channels": ["x"], "dependencies": list(dependencies)})
    )


@pytest.mark.parametrize(
    ("pin", "version", "wanted"),
    [
        ("python=3.6.2", "3.6", "3.6.2"),
        ("python==3.6.2", "3.6", "3.6.2"),
        ("python=3.7", "3.7", "3.7"),
        ("python==3.8.*", "3.8", "3.8"),
        ("python 3.8.10", "3.8", "3.8.10"),
        ("python=3.8.10=h12debd9_1", "3.8", "3.8.10"),
        ("conda-forge::python=3.9", "3.9", "3.9"),
        ("Python=3.9", "3.9", "3.9"),
        ("python=3", None, "==3.*"),
        ("python>=3.8", None, ">=3.8"),
        ("python >=3.8, <3.12", None, ">=3.8,<3.12"),
        ("python", None, ""),
    ],
)
def test_every_way_to_pin_python_is_read(pin: str, version: str | None, wanted: str) -> None:
    read = spec(pin, "pip")
    assert (read.python_version, read.python_wanted) == (version, wanted)


def test_pip_packages_are_normalised_sorted_and_freed_of_comments() -> None:
    read = spec(
        "python=3.8",
        "pip=20.2",
        {"pip": ["numpy >=1.2,<2", "six  # for old code", "# nothing", 'a; python_version<"3.9"', "six"]},
    )
    assert read.requirements == ('a; python_version < "3.9"', "numpy<2,>=1.2", "six")


@pytest.mark.parametrize(
    "line",
    ["azureml-core", "azureml_core==1.2", "AzureML-Defaults>=1", "azureml-dataset-runtime[fuse]", "azureml.core~=1.0"],
)
def test_packages_of_the_original_service_are_passed_over_with_a_note(line: str) -> None:
    read = spec({"pip": [line, "six"]})
    assert read.requirements == ("six",)
    assert any(line in note for note in read.notes)


def test_the_image_is_passed_over_with_a_note() -> None:
    assert "registry/base:latest" in spec("python=3.8").notes[0]
    assert spec("python=3.8", image=None).notes == ()


def test_indexes_of_the_conda_file_become_options_of_our_writing() -> None:
    read = spec({"pip": ["--extra-index-url https://host/whl/cpu", "-i=https://host/simple", "six"]})
    assert read.index_options == ("--extra-index-url=https://host/whl/cpu", "--index-url=https://host/simple")


@pytest.mark.parametrize(
    ("dependency", "told"),
    [
        ("numpy=1.21=a=b=c", "cannot be read"),
        ("numpy; rm -rf", "cannot be read"),
        ("https://host/numpy-1.conda", "cannot be read"),
        ("python=2.7", "3.6 or later"),
        ("python=3.5", "3.6 or later"),
        ("python=3.6|3.7", "cannot be read"),
        ({"npm": ["x"]}, "cannot be read"),
        ({"pip": "six"}, "cannot be read"),
        (7, "cannot be read"),
        ({"pip": ["-r requirements.txt"]}, "List the packages themselves"),
        ({"pip": ["-e ."]}, "List the packages themselves"),
        ({"pip": ["--python=/bin/sh"]}, "List the packages themselves"),
        ({"pip": ["--find-links ./wheels"]}, "https URL"),
        ({"pip": ["--index-url https://a --no-verify"]}, "https URL"),
        ({"pip": ["./wheels/x.whl"]}, "is a path"),
        ({"pip": ["file:///etc/x"]}, "is a path"),
        ({"pip": ["x-1.0-py3-none-any.whl"]}, "is a path"),
        ({"pip": ["x @ file:///etc/x"]}, "a place that is not served"),
        ({"pip": ["git+https://host/x.git"]}, "'name @ git+https://host/x.git'"),
        ({"pip": ["six\n--index-url https://evil"]}, "control characters"),
        ({"pip": ["a; python_version < '3\n--pre'"]}, "control characters"),
        ({"pip": ["x.tar.gz[extra]; python_version > '3'"]}, "is a path"),
        ({"pip": ["six=1.0"]}, "cannot be read"),
    ],
)
def test_what_cannot_be_had_is_refused_with_what_to_do(dependency: object, told: str) -> None:
    with pytest.raises(NotSupported) as raised:
        spec(dependency)
    assert told in raised.value.message


@pytest.mark.parametrize("url", ["https://host/x.whl", "git+https://host/x.git@v1"])
def test_a_package_may_be_named_by_its_url(url: str) -> None:
    (requirement,) = spec({"pip": [f"x @ {url}"]}).requirements
    assert requirement.replace(" ", "") == f"x@{url}"


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        (Environment(image="base:1"), "names only the image 'base:1'"),
        (Environment(build=EnvironmentBuild(path="./docker")), "'build' needs a container runtime"),
        (Environment(image="x", conda_file={}, os_type="windows"), "only 'linux'"),
        (Environment(name="x"), "names neither packages nor Python"),
        (Environment(conda_file={"dependencies": "six"}), "must be a list"),
    ],
)
def test_what_needs_a_container_is_refused_with_what_to_do(environment: Environment, told: str) -> None:
    with pytest.raises(NotSupported) as raised:
        read_spec(environment)
    assert told in raised.value.message


def test_the_hash_is_that_of_what_is_built() -> None:
    first = spec("python=3.8", {"pip": ["six", "numpy"]})
    assert (
        spec("python==3.8", "pip", {"pip": ["numpy", " six", "azureml-core"]}, image="other").content_hash
        == first.content_hash
    )
    others = [spec("python=3.9", {"pip": ["six", "numpy"]}), spec("python=3.8", {"pip": ["six"]})]
    assert first.content_hash not in {other.content_hash for other in others}


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        (
            "Resolving\nerror: No solution found\n  cause: Because x was not found\n         And so on.\n",
            "No solution found\nBecause x was not found\nAnd so on.",
        ),
        (
            "  \u00d7 No solution found:\n  \u2570\u2500\u25b6 Because there is no x==9\n      we stop.\n",
            "No solution found:\nBecause there is no x==9\nwe stop.",
        ),
        (
            "Collecting x\nERROR: Could not find x\nERROR: No matching distribution\n",
            "Could not find x\nNo matching distribution",
        ),
        ("one\ntwo\n\nthree\n", "two\nthree"),
        ("", ""),
    ],
)
def test_the_reason_of_an_installer_is_taken_out_of_its_drawing(output: str, reason: str) -> None:
    assert reason_of(output) == reason
