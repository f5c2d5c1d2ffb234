"""Fits and samples SDV's GaussianCopula: runs in its own environment, prints JSON.

SDV is under the Business Source License: a peer to measure against, never a dependency.
"""

from __future__ import annotations

import json
import sys
import time
import warnings

import pandas as pd


def main() -> None:
    """Arguments: training file, rows to time, file for a sample as large as the training data."""
    warnings.simplefilter("ignore")
    from sdv.metadata import Metadata
    from sdv.single_table import GaussianCopulaSynthesizer

    table = pd.read_parquet(sys.argv[1])
    columns = {}
    for name in table:
        kind = table[name].dtype.kind
        kind = {"M": "datetime", "i": "numerical", "f": "numerical"}.get(kind, "categorical")
        columns[name] = {"sdtype": kind}
    metadata = Metadata.load_from_dict({"tables": {"table": {"columns": columns}}})
    began = time.process_time()
    model = GaussianCopulaSynthesizer(metadata)
    model.fit({"table": table})
    fitted = time.process_time()
    model.sample(int(sys.argv[2]))
    sampled = time.process_time()
    drawn = model.sample(len(table))
    drawn["table"].to_parquet(sys.argv[3], index=False)
    print(json.dumps({"fit": fitted - began, "sample": sampled - fitted}))


if __name__ == "__main__":
    main()
