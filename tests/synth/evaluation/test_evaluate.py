"""What a user sees of an evaluation, on tables whose answer is known beforehand."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from tabular.errors import TableError
from tabular.synth.evaluation import Limits, evaluate

SMALL = Limits(pair_rows=2_000, queries=500, detection_rows=1_000, utility_rows=1_000)


def test_another_sample_of_the_population_is_good_throughout(make_table):
    report = evaluate(make_table(2_000, 1), make_table(2_000, 2), holdout=make_table(2_000, 3))
    levels = {finding.measure: finding.level for finding in report.findings}
    assert set(levels.values()) == {"good"}, levels
    assert report.nearest.low <= 0.5 <= report.nearest.high
    assert report.detection.auc == pytest.approx(0.5, abs=0.05)
    assert report.utility.target == "price"
    assert report.utility.synthetic == pytest.approx(report.utility.real, abs=0.1)
    assert report.headline == ("Quality is good. The privacy tests show no sign of copied rows.")


def test_an_identical_table_scores_one_and_is_called_a_leak(make_table):
    real = make_table(1_500, 1)
    report = evaluate(real, real, holdout=make_table(1_500, 2), limits=SMALL)
    assert report.shapes.mean == report.shapes.minimum == 1.0
    assert report.pairs.mean == report.pairs.minimum == 1.0
    assert report.association.max_difference == 0.0
    assert report.nearest.share > 0.95
    assert report.exact.synthetic_in_training == 1.0
    assert report.exact.holdout_in_training == 0.0
    levels = {finding.measure: finding.level for finding in report.findings}
    assert levels["Nearer to training"] == levels["Exact matches"] == "poor"
    assert "show a leak: nearer to training, exact matches" in report.headline


def test_independent_columns_keep_their_shapes_and_lose_their_pairs(make_table, shuffle):
    real = make_table(2_000, 1)
    report = evaluate(real, shuffle(real, 9), holdout=make_table(2_000, 3), limits=SMALL)
    assert report.shapes.mean == pytest.approx(1.0)
    assert report.pairs.minimum < 0.5
    assert report.pairs.mean < report.pairs.reference_mean - 0.05
    ties = {(p.first, p.second): p.value for p in report.association.worst}
    assert ties["size", "weight"] < -0.9
    assert report.detection.auc > 0.9
    assert report.utility.synthetic < 0.1 < report.utility.real


def test_rows_in_another_order_change_nothing_below_the_caps(make_table):
    real, synthetic = make_table(300, 1), make_table(300, 2)
    order = np.random.default_rng(0).permutation(300)
    first = evaluate(real, synthetic, holdout=make_table(300, 3))
    second = evaluate(real.take(pa.array(order)), synthetic, holdout=make_table(300, 3))
    assert first.shapes == second.shapes
    assert first.pairs == second.pairs
    assert first.exact == second.exact
    assert first.nearest == second.nearest


def test_the_same_tables_and_seed_give_the_same_bytes(make_table):
    tables = make_table(400, 1), make_table(400, 2)
    holdout = make_table(400, 3)
    limits = Limits(rows=300, pair_rows=200, queries=100)
    first, second = (evaluate(*tables, holdout=holdout, limits=limits) for _ in range(2))
    assert first.to_json() == second.to_json()
    assert first.to_html() == second.to_html()
    other = evaluate(*tables, holdout=holdout, limits=limits, seed=1)
    assert other.to_json() != first.to_json()


def test_json_holds_every_measure_and_no_number_that_is_none(make_table):
    report = evaluate(make_table(60, 1), make_table(60, 2))
    data = json.loads(report.to_json(), parse_constant=pytest.fail)
    assert data["rows"] == {"real": 60, "synthetic": 60, "holdout": None}
    assert data["privacy"]["nearer_to_training"]["measured"] is False
    assert "holdout" in data["privacy"]["nearer_to_training"]["reason"]
    assert data["privacy"]["exact_matches"]["holdout_in_training"] is None
    assert len(data["shapes"]["columns"]) == 10
    assert "differential privacy" in data["privacy"]["statement"]


def test_the_summary_fits_a_terminal_and_speaks_of_privacy(make_table):
    text = evaluate(make_table(200, 1), make_table(200, 2)).summary()
    assert text.startswith("200 synthetic rows against 200 real, 10 columns\n")
    assert "None of this is formal differential privacy." in text
    assert "needs a holdout" in text


def test_pandas_and_polars_give_what_arrow_gives(make_table):
    real, synthetic = (make_table(200, seed).drop_columns(["void", "clock"]) for seed in (1, 2))
    arrow = evaluate(real, synthetic)
    assert evaluate(real.to_pandas(), synthetic.to_pandas()).shapes.mean == pytest.approx(
        arrow.shapes.mean
    )
    assert evaluate(pl.from_arrow(real), pl.from_arrow(synthetic)).shapes.mean == pytest.approx(
        arrow.shapes.mean
    )


def test_progress_rises_to_one(make_table):
    seen: list[float] = []
    evaluate(make_table(60, 1), make_table(60, 2), progress=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == 1.0


def test_every_cap_that_was_reached_is_named(make_table):
    limits = Limits(rows=150, pair_rows=100, columns=4, match_rows=120)
    report = evaluate(make_table(200, 1), make_table(180, 2), limits=limits)
    told = " ".join(report.notes)
    assert "150 of 200 real rows" in told
    assert "150 of 180 synthetic rows" in told
    assert "rest on 100 rows" in told
    assert "use 4 of 10 columns" in told
    assert "sought in 120 training rows" in told
    assert len(report.shapes.columns) == 10
    assert len(report.pairs.columns) == 4


def test_a_target_that_was_named_is_predicted(make_table):
    report = evaluate(make_table(400, 1), make_table(400, 2), target="kind", limits=SMALL)
    assert (report.utility.target, report.utility.metric) == ("kind", "accuracy")
    assert report.utility.chosen
    flag = evaluate(make_table(400, 1), make_table(400, 2), target="flag", limits=SMALL)
    assert flag.utility.metric == "auc"


def test_a_target_that_is_no_column_names_the_nearest(make_table):
    with pytest.raises(TableError, match="did you mean 'price'") as caught:
        evaluate(make_table(60, 1), make_table(60, 2), target="prize")
    assert caught.value.code == "table.target"


def test_a_target_of_too_many_categories_is_refused(make_table):
    names = pa.array([f"n{number}" for number in range(200)])
    real = make_table(200, 1).append_column("name", names)
    with pytest.raises(TableError, match="too many to predict"):
        evaluate(real, real, target="name")


def test_without_scikit_learn_the_report_says_so_and_gives_no_number():
    code = """
import sys
sys.modules["sklearn"] = None
import numpy as np, pyarrow as pa
from tabular.synth.evaluation import evaluate
table = pa.table({"a": np.arange(100) % 7, "b": np.arange(100) % 5})
report = evaluate(table, table)
data = report.to_dict()
for measure in ("detection", "utility"):
    assert data[measure] == {
        "measured": False, "reason": "not measured: pip install 'inferloop-tabular[evaluate]'"
    }, data[measure]
assert "pip install &#x27;inferloop-tabular[evaluate]&#x27;" in report.to_html()
assert "pip install 'inferloop-tabular[evaluate]'" in report.summary()
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_importing_brings_neither_pandas_nor_polars_nor_scikit_learn():
    code = """
import sys
import tabular.synth.evaluation, tabular.synth.profile
heavy = {"pandas", "polars", "sklearn", "scipy"} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_target_that_nothing_predicts_is_not_judged():
    def noise(seed: int) -> pa.Table:
        generator = np.random.default_rng(seed)
        return pa.table({"a": generator.normal(size=400), "b": generator.normal(size=400)})

    report = evaluate(noise(1), noise(2), holdout=noise(3))
    found = next(item for item in report.findings if item.measure == "Utility")
    assert report.utility.guess == 0
    assert found.level == "unknown"
    assert "name another" in found.meaning


def test_a_small_sample_is_not_called_poor_where_no_holdout_shows_the_noise(make_table):
    levels = {
        finding.measure: finding.level
        for finding in evaluate(make_table(40, 1), make_table(40, 2)).findings
    }
    assert levels["Column shapes"] == levels["Column pairs"] == "unknown"
    assert levels["Exact matches"] == "good"
