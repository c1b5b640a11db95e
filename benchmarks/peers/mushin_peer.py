"""mushin-py: a workflow over Hydra multirun that ends in an xarray Dataset; each cell's metrics are stored by it."""

from __future__ import annotations

import cell
import mushin


@mushin.sweep
def task(p: int) -> dict[str, float]:
    row = cell.metrics(p)
    del row["p"]  # it is the table's coordinate
    return row


if __name__ == "__main__":
    table = task.run(p=mushin.multirun(list(range(5, 200))), working_dir="sweep", with_log_configuration=False)
    cell.keep(dict(zip(table["p"].values.tolist(), table["test_mse"].values.tolist(), strict=True)))
