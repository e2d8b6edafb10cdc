"""Prints what was measured: walls and CPU as ratios over the floor, slopes, and each bar with met or missed."""

import math
import os
import statistics
from dataclasses import dataclass

from benchmarks.measure import Cost

Medians = dict[str, dict[str, float]]


@dataclass(frozen=True)
class Bar:
    """What we hold ourselves to."""

    name: str
    at_most: float
    measured: float
    unit: str


def print_walls(costs: dict[str, dict[str, list[Cost]]], wall: Medians, cpu: Medians) -> None:
    rounds = len(next(iter(costs.values()))["floor"])
    print(f"\nMedians of {rounds} rounds; wall and CPU of the whole process tree, over the floor's.")
    print(f"Load of the machine over the last quarter of an hour: {os.getloadavg()[2]:.1f} on {os.cpu_count()} cores.")
    print("Spread: (slowest - fastest) / median of the floor; differences below it mean nothing.\n")
    print(f"{'':24}{'floor':>16}{'':8}{'batchpoint':>16}{'Pool':>16}")
    print(f"{'workload':24}{'wall':>8}{'CPU':>8}{'spread':>8}{'wall':>8}{'CPU':>8}{'wall':>8}{'CPU':>8}")
    for name in costs:
        floor = [c.wall_s for c in costs[name]["floor"]]
        spread = (max(floor) - min(floor)) / wall[name]["floor"]
        cells = f"{wall[name]['floor']:7.2f}s{cpu[name]['floor']:7.2f}s{spread:8.0%}"
        print(f"{name:24}{cells}{_ratios(name, 'ours', wall, cpu)}{_ratios(name, 'pool', wall, cpu)}")


def _ratios(name: str, runner: str, wall: Medians, cpu: Medians) -> str:
    return "".join(f"{m[name][runner] / m[name]['floor']:7.2f}x" for m in (wall, cpu))


def print_tables(costs: dict[str, dict[str, list[Cost]]], memory: dict[str, dict[str, float]]) -> None:
    """A block for each input: medians of wall and CPU, also over those of the floor in the same round, and memory."""
    rounds = len(next(iter(costs.values()))["limit_mlflow"])
    print(
        f"\nMedians of {rounds} rounds, peers fewer. x: over limit_mlflow in the same round. Memory: of all processes."
    )
    print(f"Load of the machine over the last quarter of an hour: {os.getloadavg()[2]:.1f} on {os.cpu_count()} cores.")
    for name, by in costs.items():
        print(f"\n{name:28}{'wall':>9}{'x':>8}{'spread':>9}{'CPU':>9}{'x':>8}{'memory':>11}")
        for runner, runs in by.items():
            cells = [_cell(runs, by["limit_mlflow"], what) for what in ("wall_s", "cpu_s")]
            walls = [cost.wall_s for cost in runs]
            spread = (max(walls) - min(walls)) / statistics.median(walls)
            seen = f"{memory[name][runner]:8.0f} MB" if name in memory else ""
            print(f"  {runner:26}{cells[0]}{spread:9.0%}{cells[1]}{seen}")


def _cell(runs: list[Cost], floor: list[Cost], what: str) -> str:
    values, floors = ([getattr(cost, what) for cost in some] for some in (runs, floor))
    ratio = statistics.median(value / other for value, other in zip(values, floors))
    return f"{statistics.median(values):7.2f} s{ratio:7.2f}x"


def print_slopes(slopes: dict[str, tuple[str, str, int]], wall: Medians, cpu: Medians) -> dict[str, float]:
    """Large minus small: what one more item costs. Returns our wall slope over the floor's."""
    print("\nFixed cost: one item, from command to exit.\n")
    for name in (n for n in wall if " 1 by " in n):
        print(f"{name:24}" + "".join(f"{r:>12} {wall[name][r]:6.2f} s" for r in ("floor", "ours", "pool")))
    print("\nSlope: the larger input minus the smaller one, microseconds for each item more; over the floor's.\n")
    print(f"{'':24}{'floor':>12}{'batchpoint':>20}{'Pool':>20}")
    print(f"{'':24}{'wall':>12}{'wall':>12}{'CPU':>8}{'wall':>12}{'CPU':>8}")
    for name, (small, large, more) in slopes.items():
        rise = {r: [m[large][r] - m[small][r] for m in (wall, cpu)] for r in ("floor", "ours", "pool")}
        line = f"{name:24}{rise['floor'][0] / more * 1e6:10.1f}us"
        for runner in ("ours", "pool"):
            line += "".join(f"{_over(rise[runner][i], rise['floor'][i]):>{width}}" for i, width in ((0, 12), (1, 8)))
        print(line)
    return {name: _wall_slope(wall[small], wall[large]) for name, (small, large, _) in slopes.items()}


def _wall_slope(small: dict[str, float], large: dict[str, float]) -> float:
    """Ours over the floor's; not a number where noise made the larger input the faster one."""
    floor = large["floor"] - small["floor"]
    return (large["ours"] - small["ours"]) / floor if floor > 0 else math.nan


def _over(rise: float, floor: float) -> str:
    return f"{rise / floor:.2f}x" if floor > 0 else "noise"


def print_bars(bars: list[Bar]) -> None:
    print("\nBars\n")
    for bar in bars:
        verdict = "met" if bar.measured <= bar.at_most else "noise" if math.isnan(bar.measured) else "MISSED"
        print(f"{verdict:8}{bar.name:52}{bar.measured:9.2f} {bar.unit:3} (at most {bar.at_most:g})")
