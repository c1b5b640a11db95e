"""hydra-zen: Hydra multirun launched from Python; the rows are in the jobs' return values."""

from __future__ import annotations

import cell
from hydra_zen import launch, make_config, multirun, zen


def task(p: int) -> dict[str, float]:
    return cell.metrics(p)


if __name__ == "__main__":
    config = make_config(p=5)
    (jobs,) = launch(
        config,
        zen(task),
        {"p": multirun(list(range(5, 200)))},
        multirun=True,
        version_base="1.3",
        to_dictconfig=True,
        with_log_configuration=False,
    )
    cell.keep({job.cfg.p: job.return_value["test_mse"] for job in jobs})
