"""What scoring costs, for each item and each byte, fitted to the timed calls of a sample; and how far that may be off.

Pure. ``forecast`` makes a duration of it.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Timed:
    """One call of run() that was timed."""

    items: int
    size: int
    seconds: float


@dataclass(frozen=True)
class Costs:
    """Seconds of one worker that has a processor for itself."""

    per_call: float
    per_item: float
    per_byte: float

    def of(self, items: float, size: float) -> float:
        """Of one call with so many items and bytes."""
        return self.per_call + self.per_item * items + self.per_byte * size


def fit(calls: Sequence[Timed]) -> Costs:
    """The costs that come nearest to the calls, none of them negative; relative errors count."""
    if not calls:
        return Costs(0.0, 0.0, 0.0)
    has_sizes = len({one.size / one.items for one in calls}) > 1 and any(one.size for one in calls)
    has_counts = len({one.items for one in calls}) > 1
    columns = [0, *([1] if has_counts else []), *([2] if has_sizes else [])]
    while True:
        found = _solved(calls, columns)
        worst = min(columns, key=lambda column: found[column])
        if found[worst] >= 0 or len(columns) == 1:
            break
        columns.remove(worst)
    per_call, per_item, per_byte = (max(0.0, one) for one in found)
    if not has_counts:
        # All calls were of one size: what is paid for the call is paid for its items.
        return Costs(0.0, per_call / calls[0].items, per_byte)
    return Costs(per_call, per_item, per_byte)


def _solved(calls: Sequence[Timed], columns: Sequence[int]) -> list[float]:
    """Least squares over the chosen ones of (call, item, byte), each call weighed by its own length."""
    scale = max(1.0, max(one.size for one in calls))
    rows = [((1.0, float(one.items), one.size / scale), one.seconds) for one in calls]
    mean = sum(one.seconds for one in calls) / len(calls)
    weights = [1.0 / (one.seconds + mean + 1e-9) for one in calls]
    width = len(columns)
    matrix = [[0.0] * (width + 1) for _ in columns]
    for (values, seconds), weight in zip(rows, weights, strict=True):
        for i, column in enumerate(columns):
            for j, other in enumerate(columns):
                matrix[i][j] += weight * values[column] * values[other]
            matrix[i][width] += weight * values[column] * seconds
    solved = _eliminated(matrix)
    found = [0.0, 0.0, 0.0]
    for column, value in zip(columns, solved, strict=True):
        found[column] = value / scale if column == 2 else value
    return found


def _eliminated(matrix: list[list[float]]) -> list[float]:
    """Gauss and Jordan, for at most three unknowns; what cannot be told apart is 0."""
    count = len(matrix)
    for i in range(count):
        pivot = max(range(i, count), key=lambda row: abs(matrix[row][i]))
        matrix[i], matrix[pivot] = matrix[pivot], matrix[i]
        if abs(matrix[i][i]) < 1e-12:
            continue
        for row in range(count):
            if row != i:
                factor = matrix[row][i] / matrix[i][i]
                matrix[row] = [one - factor * other for one, other in zip(matrix[row], matrix[i], strict=True)]
    return [matrix[i][count] / matrix[i][i] if abs(matrix[i][i]) >= 1e-12 else 0.0 for i in range(count)]


def spread(calls: Sequence[Timed], whole: Timed, number_of_calls: int, draws: int = 200) -> tuple[float, float]:
    """The 10th and the 90th percentile of the seconds of all calls, beside what ``fit`` says of them (1 is that).

    The calls are drawn again and again, as if another sample had been taken, and what each call is off by is drawn too.
    """
    expected = _total(fit(calls), whole, number_of_calls)
    if len(calls) < 3 or expected <= 0:
        return 0.75, 1.35
    dice = random.Random(7)
    found = []
    for _ in range(draws):
        drawn = dice.choices(calls, k=len(calls))
        costs = fit(drawn)
        left = [one.seconds - costs.of(one.items, one.size) for one in drawn]
        # The mean of so many calls that were not timed is off by as much as they are few.
        noise = sum(dice.choices(left, k=min(number_of_calls, 50))) / min(number_of_calls, 50)
        found.append((_total(costs, whole, number_of_calls) + noise * number_of_calls) / expected)
    found.sort()
    return max(0.05, found[draws // 10]), found[-draws // 10]


def _total(costs: Costs, whole: Timed, calls: int) -> float:
    return costs.per_call * calls + costs.per_item * whole.items + costs.per_byte * whole.size
