"""The quality measures that the benchmark reports, each with its definition.

Kept apart from the product's own report, so that a change of the report cannot move the figures
we compare over time. Needs pandas and scikit-learn.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

NUMERIC_BINS = 10
CATEGORY_BINS = 14
PAIR_ROWS = 20_000
MODEL_ROWS = 60_000
DETECTION_ROWS = 20_000
NEAREST_ROWS = 4_000
ONE_HOT = 50
TIE = 1e-3

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Tables:
    """The three tables of a measurement, in comparable pandas types."""

    train: pd.DataFrame
    holdout: pd.DataFrame
    synthetic: pd.DataFrame
    categories: list[str]

    @classmethod
    def of(cls, train: pd.DataFrame, holdout: pd.DataFrame, synthetic: pd.DataFrame) -> Tables:
        """Numbers as float, times as nanoseconds, categories as objects with None."""
        kinds = {name: train[name].dtype.kind for name in train}
        categories = [name for name, kind in kinds.items() if kind not in "ifMb"]

        def plain(frame: pd.DataFrame) -> pd.DataFrame:
            columns = {}
            for name, kind in kinds.items():
                values = frame[name]
                if name in categories:
                    columns[name] = values.astype(object).where(values.notna(), None)
                elif kind == "M":
                    columns[name] = pd.to_datetime(values).astype("datetime64[ns]")
                else:
                    columns[name] = pd.to_numeric(values, errors="coerce").astype(float)
            return pd.DataFrame(columns)

        return cls(plain(train), plain(holdout), plain(synthetic), categories)


def _sample(frame: pd.DataFrame, rows: int, seed: int) -> pd.DataFrame:
    return frame.sample(min(rows, len(frame)), random_state=seed).reset_index(drop=True)


def _floats(values: pd.Series) -> Floats:
    if values.dtype.kind == "M":
        return values.astype("int64").astype(float).where(values.notna(), np.nan).to_numpy()
    return values.to_numpy(float)


def pair_similarity(tables: Tables) -> float:
    """Mean over all column pairs of one minus the total variation distance.

    Numbers in ten bins of equal training rows, the 14 most frequent categories and the rest;
    missing is a bin of its own.
    """
    rows = min(len(tables.holdout), len(tables.train), PAIR_ROWS)
    real, fake = _sample(tables.train, rows, 3), _sample(tables.synthetic, rows, 3)
    coded: tuple[list[npt.NDArray[np.int64]], ...] = ([], [])
    for name in tables.train:
        whole = tables.train[name]
        if name in tables.categories:
            top = {v: i + 1 for i, v in enumerate(whole.value_counts().index[:CATEGORY_BINS])}
            for frame, out in zip((real, fake), coded, strict=True):
                found = frame[name].map(top).fillna(CATEGORY_BINS + 1)
                out.append(np.where(frame[name].isna(), 0, found).astype(np.int64))
            continue
        edges = np.nanquantile(_floats(whole), np.linspace(0, 1, NUMERIC_BINS + 1)[1:-1])
        for frame, out in zip((real, fake), coded, strict=True):
            numbers = _floats(frame[name])
            bins = np.searchsorted(np.unique(edges), numbers, "left") + 1
            out.append(np.where(np.isnan(numbers), 0, bins))
    scores = [
        1 - 0.5 * np.abs(_joint(coded[0], pair) - _joint(coded[1], pair)).sum()
        for pair in itertools.combinations(range(len(coded[0])), 2)
    ]
    return float(np.mean(scores))


def _joint(columns: list[npt.NDArray[np.int64]], pair: tuple[int, int]) -> Floats:
    counts = np.bincount(columns[pair[0]] * 16 + columns[pair[1]], minlength=256)
    return counts / counts.sum()


@dataclass(frozen=True)
class Coded:
    """The tables with categories as numbers by overall frequency, times in hours."""

    train: pd.DataFrame
    holdout: pd.DataFrame
    synthetic: pd.DataFrame
    levels: dict[str, int]

    @classmethod
    def of(cls, tables: Tables) -> Coded:
        """Encodes all three alike."""
        maps = {}
        for name in tables.categories:
            both = pd.concat([tables.train[name], tables.holdout[name]])
            maps[name] = {v: i for i, v in enumerate(both.value_counts().index)}

        def encode(frame: pd.DataFrame) -> pd.DataFrame:
            columns = {}
            for name in tables.train:
                if name in maps:
                    columns[name] = frame[name].map(maps[name]).astype(float)
                elif frame[name].dtype.kind == "M":
                    columns[name] = pd.Series(_floats(frame[name]) / 3.6e12)
                else:
                    columns[name] = frame[name]
            return pd.DataFrame(columns)

        frames = (tables.train, tables.holdout, tables.synthetic)
        return cls(*map(encode, frames), {name: len(levels) for name, levels in maps.items()})

    def categorical(self, names: list[str]) -> list[bool]:
        """Which columns a histogram model can take as categories."""
        return [self.levels.get(name, 999) <= 250 for name in names]


def detection(coded: Coded) -> float:
    """Area under the curve of a classifier telling holdout rows from synthetic; 0.5 is ideal."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import train_test_split

    rows = min(DETECTION_ROWS, len(coded.holdout), len(coded.synthetic))
    both = pd.concat([_sample(coded.holdout, rows, 0), _sample(coded.synthetic, rows, 0)])
    label = np.repeat([0, 1], rows)
    fit, test, fit_label, test_label = train_test_split(
        both, label, test_size=0.5, random_state=0, stratify=label
    )
    names = coded.categorical(list(both))
    model = HistGradientBoostingClassifier(random_state=0, categorical_features=names)
    model.fit(fit, fit_label)
    return float(roc_auc_score(test_label, model.predict_proba(test)[:, 1]))


def utility(coded: Coded, target: str, *, real: bool = False) -> float:
    """Score on the holdout of a model trained on synthetic rows (or real ones).

    Area under the curve where the target is a category, else R².
    """
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
    from sklearn.metrics import r2_score, roc_auc_score

    source = coded.train if real else coded.synthetic
    fit = _sample(source, MODEL_ROWS, 0).dropna(subset=[target])
    test = _sample(coded.holdout, MODEL_ROWS, 0).dropna(subset=[target])
    names = [name for name in coded.train if name != target]
    options = {"random_state": 0, "categorical_features": coded.categorical(names)}
    if target in coded.levels:
        model = HistGradientBoostingClassifier(**options)
        model.fit(fit[names], fit[target].astype(int))
        score = model.predict_proba(test[names])[:, 1]
        return float(roc_auc_score(test[target].astype(int), score))
    model = HistGradientBoostingRegressor(**options).fit(fit[names], fit[target])
    return float(r2_score(test[target], model.predict(test[names])))


def nearer_to_training(coded: Coded) -> float:
    """Share of synthetic rows nearer to a training row than to any holdout row; ties count half.

    Numbers as ranks in the training data, categories as scaled indicators, Euclidean distance,
    as many training as holdout rows; 0.5 means that the model knows no more of its training rows
    than of anybody.
    """
    train, holdout, synthetic = _features(coded)
    rows = min(len(train), len(holdout))
    chosen = np.random.default_rng(1).permutation(len(synthetic))[:NEAREST_ROWS]
    to_train = _distance(synthetic[chosen], train[:rows])
    to_holdout = _distance(synthetic[chosen], holdout[:rows])
    nearer = (to_train < to_holdout - TIE).mean()
    return float(nearer + 0.5 * (np.abs(to_train - to_holdout) <= TIE).mean())


def _features(coded: Coded) -> list[npt.NDArray[np.float32]]:
    frames = (coded.train, coded.holdout, coded.synthetic)
    parts: list[list[npt.NDArray[np.float32]]] = [[], [], []]
    for name in coded.train:
        if name in coded.levels:
            width = min(ONE_HOT, coded.levels[name])
            for frame, out in zip(frames, parts, strict=True):
                values = frame[name].fillna(width).clip(upper=width).to_numpy().astype(int)
                out.append(np.float32(0.7071) * np.eye(width + 1, dtype=np.float32)[values])
            continue
        reference = np.sort(coded.train[name].dropna().to_numpy())
        for frame, out in zip(frames, parts, strict=True):
            values = frame[name].to_numpy(float)
            rank = np.searchsorted(reference, values, "left")
            rank = (rank + np.searchsorted(reference, values, "right")) / (2 * len(reference))
            out.append(np.where(np.isnan(values), -0.5, rank)[:, None].astype(np.float32))
    return [np.hstack(out) for out in parts]


def _distance(query: npt.NDArray[np.float32], base: npt.NDArray[np.float32]) -> Floats:
    squares = (base * base).sum(axis=1)
    nearest = []
    for first in range(0, len(query), 500):
        some = query[first : first + 500]
        apart = (some * some).sum(axis=1)[:, None] + squares - 2 * some @ base.T
        nearest.append(apart.min(axis=1))
    return np.sqrt(np.maximum(np.concatenate(nearest), 0))


def exact_copies(coded: Coded) -> tuple[float, float]:
    """Share of synthetic rows equal to a training row, and to a holdout row."""

    def keys(frame: pd.DataFrame) -> pd.Series:
        return pd.util.hash_pandas_object(frame.round(6), index=False)

    fake = keys(coded.synthetic)
    train = fake.isin(set(keys(coded.train))).mean()
    return float(train), float(fake.isin(set(keys(coded.holdout))).mean())
