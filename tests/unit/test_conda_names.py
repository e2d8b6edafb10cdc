"""How conda writes packages, channels and versions, and what the Python index calls the same."""

import pytest

from batchpoint.entities.assets import Environment
from batchpoint.environments.conda.dependencies import address, is_public, read_channels, read_item
from batchpoint.environments.conda.index_names import on_index
from batchpoint.environments.spec import EnvironmentSpec, needs_container, read_spec
from batchpoint.errors import EnvironmentBuildFailed, NotSupported


def spec(channels: list[str], *dependencies: object) -> EnvironmentSpec:
    return read_spec(Environment(conda_file={"channels": channels, "dependencies": list(dependencies)}))


@pytest.mark.parametrize(
    ("written", "solver", "index"),
    [
        ("numpy", "numpy", "numpy"),
        ("numpy=1.21", "numpy =1.21", "numpy==1.21.*"),
        ("numpy==1.21", "numpy ==1.21", "numpy==1.21"),
        ("numpy 1.21", "numpy ==1.21", "numpy==1.21"),
        ("numpy >=1.18, <2", "numpy >=1.18,<2", "numpy>=1.18,<2"),
        ("pandas=1.3.*", "pandas =1.3", "pandas==1.3.*"),
        ("pandas 1.3*", "pandas =1.3", "pandas==1.3.*"),
        ("pandas=*", "pandas", "pandas"),
        ("scikit-learn=0.22.2.post1", "scikit-learn =0.22.2.post1", "scikit-learn==0.22.2.post1"),
        ("x=1.0=py37_0", "x ==1.0 py37_0", "x==1.0"),
        ("x=1.0=*cuda*", "x ==1.0 *cuda*", "x==1.0"),
        ("x 1.0 py37_0", "x ==1.0 py37_0", "x==1.0"),
        ("x[version='>=2,<3', build='cuda*']", "x >=2,<3 cuda*", "x>=2,<3"),
        ("X~=1.4", "x ~=1.4", "x~=1.4"),
        ("x!=1.5", "x !=1.5", "x!=1.5"),
        ("conda-forge::x=2", "x =2", "x==2.*"),
        ("https://host/own::x=2", "x =2", "x==2.*"),
        ("pytorch=1.8", "pytorch =1.8", "torch==1.8.*"),
        ("py-xgboost<2", "py-xgboost <2", "xgboost<2"),
        ("opencv", "opencv", "opencv-python-headless"),
        ("tensorflow-gpu=1.15", "tensorflow-gpu =1.15", "tensorflow==1.15.*"),
        ("librosa", "librosa", "librosa"),
    ],
)
def test_a_package_is_asked_for_in_both_languages(written: str, solver: str, index: str) -> None:
    package = read_item(written)
    assert package.match == solver
    found = on_index([package])
    assert found.requirements == (index,)
    assert found.notes == (f"{written} is taken from the Python index, as {index}.",)


@pytest.mark.parametrize(
    "name", ["cudatoolkit=10.1", "libgcc", "libstdcxx-ng", "openssl", "gcc_linux-64", "mkl", "_openmp_mutex", "cpuonly"]
)
def test_what_is_no_python_package_and_comes_along_anyway_is_left_out_with_a_note(name: str) -> None:
    found = on_index([read_item(name)])
    assert found.requirements == ()
    assert found.notes[0].startswith(f"{name} is left out")


@pytest.mark.parametrize("name", ["ffmpeg", "r-base=4", "openjdk", "graphviz", "nodejs", "gdal", "wget"])
def test_what_a_script_would_miss_is_refused_with_what_to_do(name: str) -> None:
    with pytest.raises(EnvironmentBuildFailed, match="is no Python package, so only a conda channel has it") as raised:
        on_index([read_item(name)])
    assert "conda_channel_alias" in raised.value.message


def test_a_choice_of_versions_can_only_be_told_to_conda() -> None:
    with pytest.raises(EnvironmentBuildFailed, match=r"Write it as x=1\.2 or x>=1\.2,<2"):
        on_index([read_item("x=1.0|2.0")])


def test_what_pip_is_asked_for_as_well_counts_as_pip_says_it() -> None:
    assert on_index([read_item("scikit_learn=1"), read_item("six")], {"scikit-learn"}).requirements == ("six",)


def test_the_vendors_channels_are_those_of_the_community() -> None:
    for vendor in ("defaults", "anaconda", "main", "https://repo.anaconda.com/pkgs/main"):
        channels, notes = read_channels({"channels": ["own", vendor, "conda-forge"]})
        assert channels == ("own", "conda-forge")
        assert notes == (f"The conda channel {vendor} is not asked: its packages are taken from conda-forge.",)
    assert read_channels({})[0] == ("conda-forge",)
    assert read_channels({"channels": ["x", "nodefaults"]}) == (("x",), ())
    assert spec(["defaults"], "defaults::six").conda[0].channel == "conda-forge"


def test_a_channel_is_a_name_below_the_alias_or_an_address() -> None:
    assert address("conda-forge", "https://mirror/conda/") == "https://mirror/conda/conda-forge"
    assert address("https://host/own/", "https://mirror") == "https://host/own"
    assert address("file:///own", "https://mirror") == "file:///own"
    assert is_public("conda-forge")
    assert is_public("https://conda.anaconda.org/pytorch/")
    assert not any(map(is_public, ("acme", "https://conda.acme.example/conda-forge", "file:///conda-forge")))


def test_a_file_with_python_and_pip_alone_asks_no_channel() -> None:
    read = spec(["defaults"], "python=3.8", "pip=20", {"pip": ["six"]})
    assert (read.conda, read.channels, read.notes) == ((), (), ())


def test_python_comes_from_the_channel_where_any_package_does() -> None:
    read = spec(["conda-forge"], "numpy", "python=3.8.10", "pip<21", {"pip": ["six"]})
    assert [one.match for one in read.conda] == ["numpy", "python =3.8.10", "pip <21"]
    assert [one.match for one in spec([], "numpy").conda] == ["numpy", "python >=3.6"]


def test_the_hash_knows_channels_and_packages_and_not_their_order() -> None:
    first = spec(["a", "b"], "x=1", "y")
    assert spec(["a", "b"], "y", "x=1").content_hash == first.content_hash
    others = (spec(["b", "a"], "x=1", "y"), spec(["a", "b"], "x=2", "y"), spec(["a", "b"], "x=1", "b::y"))
    assert first.content_hash not in {other.content_hash for other in others}


@pytest.mark.parametrize(
    "line", ["https://ana:secret@host/x.whl", "--extra-index-url ana:secret@host/simple", "x @ ftp://ana:secret@host/x"]
)
def test_a_refusal_quotes_no_password(line: str) -> None:
    with pytest.raises(NotSupported) as raised:
        spec([], {"pip": [line]})
    assert "secret" not in raised.value.message
    assert "***@host" in raised.value.message


def test_channels_that_are_no_list_are_refused() -> None:
    with pytest.raises(NotSupported, match="'channels' of the conda file must be a list"):
        read_spec(Environment(conda_file={"channels": "conda-forge", "dependencies": ["numpy"]}))


def test_what_needs_a_container_is_told_from_what_does_not() -> None:
    assert needs_container(Environment(image="base:1"))
    assert not needs_container(Environment(image="base:1", conda_file={"dependencies": ["python"]}))
    assert not needs_container(Environment(python="/usr/bin/python3"))
