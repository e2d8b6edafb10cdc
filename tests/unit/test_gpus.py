"""Each worker sees one GPU, while there are any."""

import pytest

from batchpoint.engine.preparation.gpus import devices, variables


def seen(gpus: int, instances: int, processes: int, inherited: dict[str, str] | None = None) -> list[str]:
    names = devices(gpus, inherited or {})
    told = [variables(worker, None, names) for worker in range(instances * processes)]
    return [one.get("CUDA_VISIBLE_DEVICES", "not told") for one in told]


@pytest.mark.parametrize(
    ("gpus", "instances", "processes", "expected"),
    [
        (0, 1, 2, ["not told", "not told"]),
        (1, 1, 2, ["0", ""]),
        (2, 1, 2, ["0", "1"]),
        (4, 2, 2, ["0", "1", "2", "3"]),
        (4, 2, 1, ["0", "1"]),
        (2, 2, 2, ["0", "1", "", ""]),
    ],
)
def test_each_worker_gets_a_gpu_of_its_own_while_there_are_any(
    gpus: int, instances: int, processes: int, expected: list[str]
) -> None:
    assert seen(gpus, instances, processes) == expected


@pytest.mark.parametrize(
    ("visible", "expected"),
    [
        ("2,3", ["2", "3"]),
        (" 3 , 1 ", ["3", "1"]),
        ("GPU-8932f937,GPU-11111111", ["GPU-8932f937", "GPU-11111111"]),
        ("1,-1,2", ["1", ""]),
        ("", ["not told", "not told"]),
    ],
)
def test_the_gpus_that_the_operator_left_visible_are_shared_out(visible: str, expected: list[str]) -> None:
    assert seen(4, 1, 2, {"CUDA_VISIBLE_DEVICES": visible}) == expected


def test_the_script_is_told_how_many_gpus_there_are() -> None:
    assert variables(0, None, ["0", "1"])["AZ_BATCHAI_GPU_COUNT_FOUND"] == "2"


def test_a_job_gets_the_gpus_that_it_was_allotted_and_no_other() -> None:
    told = [variables(worker, (3, 1), ["0", "1", "2", "3"])["CUDA_VISIBLE_DEVICES"] for worker in range(3)]
    assert told == ["3", "1", ""]
    assert variables(0, (), ["0"])["CUDA_VISIBLE_DEVICES"] == "", "others have them all"
    assert variables(0, (3,), ["0", "1"])["CUDA_VISIBLE_DEVICES"] == "", "the operator has hidden it since"
