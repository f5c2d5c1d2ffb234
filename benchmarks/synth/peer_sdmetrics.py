"""The overall score of sdmetrics' quality report: runs in the peers' environment, prints JSON.

Its pair trends average strong pairs only and flip between seeds, so the score is reported beside
our own measures and no goal rests on it.
"""

from __future__ import annotations

import json
import sys
import warnings

import pandas as pd

REPORT_ROWS = 30_000


def main() -> None:
    """Arguments: training file, synthetic file."""
    warnings.simplefilter("ignore")
    from sdmetrics.reports.single_table import QualityReport

    train, synthetic = (pd.read_parquet(path) for path in sys.argv[1:3])
    kinds = {name: train[name].dtype.kind for name in train}
    columns = {}
    for name, kind in kinds.items():
        numeric = "datetime" if kind == "M" else "numerical"
        columns[name] = {"sdtype": numeric if kind in "ifM" else "categorical"}
        if kind == "M":
            synthetic[name] = synthetic[name].astype(train[name].dtype)
        elif kind in "if":
            train[name], synthetic[name] = train[name].astype(float), synthetic[name].astype(float)
    report = QualityReport()
    real = train.sample(min(REPORT_ROWS, len(train)), random_state=0)
    drawn = synthetic.sample(min(REPORT_ROWS, len(synthetic)), random_state=1)
    report.generate(
        real.reset_index(drop=True),
        drawn.reset_index(drop=True),
        {"columns": columns},
        verbose=False,
    )
    print(json.dumps({"overall": report.get_score()}))


if __name__ == "__main__":
    main()
