"""Owns what conda packages are called on the Python index, and how their versions are written there. Pure.

The builder asks it where no conda channel can be reached.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from batchpoint.entities.naming.credentials import masked
from batchpoint.environments.conda.dependencies import CondaPackage
from batchpoint.errors import EnvironmentBuildFailed

#: Names that differ. What is called the same on both sides needs no line.
_OTHER_NAMES = {
    "dask-core": "dask",
    "faiss": "faiss-cpu",
    "matplotlib-base": "matplotlib",
    "msgpack-python": "msgpack",
    "opencv": "opencv-python-headless",
    "psycopg2": "psycopg2-binary",
    "py-lightgbm": "lightgbm",
    "py-opencv": "opencv-python-headless",
    "py-xgboost": "xgboost",
    "py-xgboost-cpu": "xgboost",
    "py-xgboost-gpu": "xgboost",
    "pyqt": "pyqt5",
    "pytables": "tables",
    "python-graphviz": "graphviz",
    "python-lmdb": "lmdb",
    "pytorch": "torch",
    "pytorch-cpu": "torch",
    "pytorch-gpu": "torch",
    "ruamel_yaml": "ruamel.yaml",
    "tensorflow-base": "tensorflow",
    "tensorflow-eigen": "tensorflow",
    "tensorflow-gpu": "tensorflow",
    "tensorflow-mkl": "tensorflow",
}
#: Libraries and switches that packages of the Python index bring along, or that the machine has.
_BROUGHT_ALONG = re.compile(
    r"^(?:_.*|lib(?!rosa$|sass$|clang$|cst$).*|cuda(?:toolkit|-.*)?|cudnn|nccl|cutensor|pytorch-cuda|pytorch-mutex|"
    r"cpuonly|mkl.*|nomkl|"
    r"intel-openmp|llvm-openmp|blas|openblas|lapack|openssl|ca-certificates|zlib|zstd|bzip2|xz|readline|ncurses|sqlite|"
    r"tk|ld_impl_.*|tzdata|python_abi|yaml|hdf5|arrow-cpp|parquet-cpp|freetype|lcms2|giflib|jpeg|jpeg-turbo|icu|"
    r"gcc.*|gxx.*|gfortran.*|g\+\+|compilers|c-compiler|cxx-compiler|binutils.*|sysroot.*|kernel-headers.*|conda|mamba)$"
)
#: Programs and libraries without which scripts miss something, though something else may have their name on the index.
_NOT_PYTHON = re.compile(
    r"^(?:r-.*|r|bioconductor-.*|perl.*|ffmpeg|git|git-lfs|graphviz|imagemagick|openjdk|java.*|maven|nodejs|npm|yarn|"
    r"julia|"
    r"go|rust|ruby|gdal|proj|geos|poppler|tesseract|wget|curl|unzip|p7zip|pandoc|texlive.*|samtools|bcftools|bedtools|"
    r"blast|bwa|bowtie2?|openmpi|mpich|cupy|pyopencl)$"
)
_FUZZY = re.compile(r"^=(?P<version>[^=].*)$")


@dataclass(frozen=True)
class OnIndex:
    """What to ask the Python index for."""

    requirements: tuple[str, ...]
    #: One sentence for each package.
    notes: tuple[str, ...]


def on_index(packages: Iterable[CondaPackage], has_already: Iterable[str] = ()) -> OnIndex:
    """The same packages there; of those that pip is asked for ``already``, its wishes count, as with conda.

    Raises EnvironmentBuildFailed for what the index does not have.
    """
    already, requirements, notes = set(has_already), [], []
    for package in packages:
        name = _OTHER_NAMES.get(package.name, package.name)
        written = masked(package.written or package.match)
        if _NOT_PYTHON.match(package.name):
            raise EnvironmentBuildFailed(_missed(written), target=package.name)
        if _BROUGHT_ALONG.match(package.name):
            notes.append(f"{written} is left out: packages of the Python index bring along what they need of it.")
            continue
        if re.sub(r"[-_.]+", "-", name).lower() in already or name == "pip":
            continue
        requirement = f"{name}{python_version(package)}"
        requirements.append(requirement)
        notes.append(f"{written} is taken from the Python index, as {requirement}.")
    return OnIndex(tuple(requirements), tuple(notes))


def python_version(package: CondaPackage) -> str:
    """Conda's version as the Python index compares them: ``=1.2`` becomes ``==1.2.*``. The build is left away.

    Raises EnvironmentBuildFailed for what can only be said to conda.
    """
    parts = [_relation(part) for part in package.version.split(",") if part not in ("", "*")]
    joined = ",".join(parts)
    try:
        SpecifierSet(joined)
    except InvalidSpecifier as error:
        written = masked(package.written or package.match)
        raise EnvironmentBuildFailed(
            f"The version of {written!r} cannot be told to the Python index, and no conda channel can be reached. "
            f"Write it as {package.name}=1.2 or {package.name}>=1.2,<2.",
            target=package.name,
        ) from error
    return joined


def _relation(part: str) -> str:
    if fuzzy := _FUZZY.match(part):
        version = fuzzy["version"]
        # A release after the release, as 0.22.2.post1, has nothing below it.
        return f"=={version}.*" if re.fullmatch(r"\d+(?:\.\d+)*", version) else f"=={version}"
    return part if part[0] in "=<>!~" else f"=={part}"


def _missed(written: str) -> str:
    return (
        f"{written} is no Python package, so only a conda channel has it, and none can be reached. Install it on the "
        "machine and take it out of the conda file, name a channel that this machine reaches (the setting "
        "conda_channel_alias leads to a mirror), or name an environment that has it with 'python: /path/to/prefix'."
    )
