"""xyzpy: functions over grids into an xarray Dataset, in memory; no configs, no command line, nothing to resume."""

from __future__ import annotations

import cell
import xyzpy
import yardstick

METRICS = yardstick.COLUMNS[1:]


def task(p: int) -> tuple[float, ...]:
    row = cell.metrics(p)
    return tuple(row[name] for name in METRICS)


if __name__ == "__main__":
    runner = xyzpy.Runner(task, list(METRICS))
    table = runner.run_combos({"p": list(range(5, 200))}, verbosity=0)
    table.to_netcdf("rows.nc", engine="h5netcdf")
    cell.keep(dict(zip(table["p"].values.tolist(), table["test_mse"].values.tolist(), strict=True)))
