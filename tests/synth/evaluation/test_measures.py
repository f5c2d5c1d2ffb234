"""Bounds and symmetries every measure keeps, whatever the data, and values known by hand."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tabular.synth.evaluation import evaluate
from tabular.synth.evaluation.association import correlation, correlation_ratio, cramers_v, ranks
from tabular.synth.evaluation.binning import codes, quantile_edges, similarity
from tabular.synth.evaluation.columns import encode
from tabular.synth.evaluation.limits import choose
from tabular.synth.evaluation.nearest import wilson
from tests.testbed.parts import module

COUNTS = hnp.arrays(np.int64, 12, elements=st.integers(0, 1_000)).filter(lambda a: a.sum() > 0)
CELLS = hnp.arrays(np.int64, 60, elements=st.integers(0, 15))
VALUES = hnp.arrays(
    np.float64, st.integers(1, 80), elements=st.floats(-1e6, 1e6) | st.just(float("nan"))
)
WORDS = st.none() | st.sampled_from(["a", "b", "c"]) | st.text(max_size=3)
ROWS = st.tuples(st.none() | st.floats(-1e9, 1e9), WORDS, st.none() | st.booleans())


def table(rows: list[tuple[float | None, str | None, bool | None]]) -> pa.Table:
    columns = list(zip(*rows, strict=True))
    types = {"number": pa.float64(), "word": pa.string(), "flag": pa.bool_()}
    return pa.table(
        {
            name: pa.array(list(values), kind)
            for (name, kind), values in zip(types.items(), columns, strict=True)
        }
    )


@given(COUNTS, COUNTS)
def test_similarity_is_bounded_symmetric_and_one_for_the_same(first, second):
    value = similarity(first, second)
    assert 0 <= value <= 1
    assert value == similarity(second, first)
    assert similarity(first, first * 3) == pytest.approx(1)


def test_similarity_of_known_counts():
    assert similarity(np.array([1, 1, 0]), np.array([0, 1, 1])) == pytest.approx(0.5)
    assert similarity(np.array([1, 0]), np.array([0, 1])) == 0


@given(VALUES, st.integers(1, 30))
def test_edges_rise_and_cells_stay_in_range(values, bins):
    edges = quantile_edges(values, bins)
    assert (np.diff(edges) > 0).all()
    column = encode("c", {"real": pa.chunked_array([pa.array(values)])})
    cells = codes(column, values, bins)
    assert cells.min() >= 0
    assert cells.max() <= bins
    assert ((cells == 0) == np.isnan(values)).all()


@given(CELLS, CELLS)
def test_cramers_v_is_bounded_and_symmetric(first, second):
    value = cramers_v(first, second)
    assert 0 <= value <= 1
    assert value == pytest.approx(cramers_v(second, first))


@given(CELLS, hnp.arrays(np.float64, 60, elements=st.floats(-1e3, 1e3) | st.just(np.nan)))
def test_the_correlation_ratio_is_bounded(groups, values):
    assert 0 <= correlation_ratio(groups, values) <= 1


def test_ties_of_known_strength():
    cells = np.repeat([1, 2, 3], 40)
    assert cramers_v(cells, cells) == pytest.approx(1)
    assert cramers_v(cells, np.tile([1, 2, 3], 40)) == 0
    assert correlation_ratio(cells, cells.astype(float)) == pytest.approx(1)
    assert correlation_ratio(cells, np.ones(120)) == 0


def test_rank_correlation_agrees_with_scipy_where_nothing_is_missing():
    stats = module("scipy.stats", package="scipy")
    generator = np.random.default_rng(0)
    first = generator.normal(size=300)
    second = np.round(first + generator.normal(size=300), 1)
    ours = correlation(np.column_stack([ranks(first), ranks(second)]))[0, 1]
    assert ours == pytest.approx(stats.spearmanr(first, second).statistic, abs=1e-9)


def test_correlation_uses_the_rows_where_both_have_a_value():
    first = np.array([1, 2, 3, 4, np.nan, 900.0])
    second = np.array([2, 4, 6, 8, 5, np.nan])
    assert correlation(np.column_stack([first, second]))[0, 1] == pytest.approx(1)


@given(st.integers(0, 500), st.integers(1, 500))
def test_the_interval_holds_the_share(hits, count):
    share = min(hits, count) / count
    low, high = wilson(share, count)
    assert 0 <= low <= share + 1e-12
    assert share - 1e-12 <= high <= 1


def test_the_interval_of_a_known_share():
    low, high = wilson(0.5, 100)
    assert (low, high) == (pytest.approx(0.4038, abs=1e-4), pytest.approx(0.5962, abs=1e-4))


@given(st.integers(0, 200), st.integers(1, 200), st.integers(0, 9))
def test_a_choice_is_ascending_distinct_and_repeatable(count, most, seed):
    rows = choose(count, most, (seed, 1))
    assert len(rows) == min(count, most)
    assert (np.diff(rows) > 0).all()
    assert (rows == choose(count, most, (seed, 1))).all()


@settings(max_examples=40, deadline=None)
@given(
    st.lists(ROWS, min_size=1, max_size=25),
    st.lists(ROWS, min_size=1, max_size=25),
    st.lists(ROWS, min_size=1, max_size=25),
)
def test_any_tables_give_scores_in_range_and_a_page(real, synthetic, holdout):
    report = evaluate(table(real), table(synthetic), holdout=table(holdout))
    scores = [
        report.pairs.mean,
        report.pairs.minimum,
        report.pairs.reference_mean,
        report.nearest.share,
        report.nearest.low,
        report.nearest.high,
        report.exact.synthetic_in_training,
        report.exact.synthetic_in_holdout,
        report.exact.holdout_in_training,
        *(column.similarity for column in report.shapes.columns),
    ]
    assert all(0 <= score <= 1 for score in scores)
    for column in report.shapes.columns:
        assert sum(column.histogram.real) == pytest.approx(1)
        assert sum(column.histogram.synthetic) == pytest.approx(1)
    assert report.to_html()


@settings(max_examples=40, deadline=None)
@given(st.lists(ROWS, min_size=1, max_size=25), st.lists(ROWS, min_size=1, max_size=25))
def test_exact_matches_are_those_that_python_counts(real, synthetic):
    def keys(rows):
        return [(None if n is None else round(n + 0.0, 6), w, f) for n, w, f in rows]

    known = set(keys(real))
    expected = sum(key in known for key in keys(synthetic)) / len(synthetic)
    report = evaluate(table(real), table(synthetic))
    assert report.exact.synthetic_in_training == pytest.approx(expected)
