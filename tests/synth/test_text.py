"""Free text and rare categories: nothing that few rows hold comes out, or lies in the model."""

from __future__ import annotations

import io
import random
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tabular.errors import ModelFileError
from tabular.synth import Synthesizer
from tabular.synth.modelfile import read_model, unpack_values
from tabular.synth.text import Pool, disguise

PRESETS = ["fidelity", "balanced", "private"]
WORDS = ["patient", "reports", "severe", "mild", "pain", "in", "left", "knee", "since", "monday"]


@pytest.fixture(scope="module")
def people() -> pa.Table:
    """Notes and full names of common words, unique or nearly so; a third of the notes missing."""
    lot = random.Random(5)
    first = [f"First{a}{b}" for a in "ABCDE" for b in "abcdefgh"]
    last = [f"Last{a}{b}" for a in "ABCDEFGH" for b in "abcdefgh"]
    rows = 1500
    return pa.table(
        {
            "name": [f"{lot.choice(first)} {lot.choice(last)}" for _ in range(rows)],
            "note": [
                None if i % 3 == 0 else " ".join(lot.choices(WORDS, k=lot.randint(6, 11)))
                for i in range(rows)
            ],
            "age": [lot.randint(18, 90) for _ in range(rows)],
        }
    )


def rare(values: Sequence[str | None], floor: int) -> set[str]:
    return {v for v, rows in Counter(values).items() if v is not None and rows < floor}


def stored_strings(model: Synthesizer) -> set[str]:
    """All strings that the model's file holds as values, unpacked."""
    _, arrays = read_model(io.BytesIO(model.to_bytes()))
    values = [unpack_values(array) for name, array in arrays.items() if name.startswith("values/")]
    return {
        text for array in values if pa.types.is_string(array.type) for text in array.to_pylist()
    }


@pytest.mark.parametrize("preset", PRESETS)
def test_strings_of_common_words_are_never_copied(people: pa.Table, preset: str) -> None:
    model = Synthesizer(preset=preset).fit(people)
    drawn = model.sample(3000, seed=1)
    held = stored_strings(model)
    assert len(held) > 1000
    for name in ("name", "note"):
        real = rare(people[name].to_pylist(), model.describe()["privacy"]["rare_category_floor"])
        assert real
        assert not real & set(drawn[name].to_pylist())
        assert not real & held


def test_made_texts_look_like_the_real_ones(people: pa.Table) -> None:
    drawn = Synthesizer().fit(people).sample(3000, seed=1)
    assert abs(drawn["note"].null_count / 3000 - 1 / 3) < 0.05
    real, made = (
        [len(note.split()) for note in table["note"].drop_null().to_pylist()]
        for table in (people, drawn)
    )
    assert np.abs(np.quantile(real, [0.1, 0.5, 0.9]) - np.quantile(made, [0.1, 0.5, 0.9])).max() < 1
    words = Counter(word for note in drawn["note"].drop_null().to_pylist() for word in note.split())
    assert sum(words[word] for word in WORDS) > 0.95 * words.total()
    names = drawn["name"].to_pylist()
    assert np.mean([name.startswith("First") and " Last" in name for name in names]) > 0.9
    assert len(set(names)) > 1000


def test_a_lone_long_text_is_not_made_of_its_own_words() -> None:
    long = " ".join(WORDS * 3)
    notes = [f"{a} {b} {c}" for a in WORDS for b in WORDS for c in WORDS][:600]
    model = Synthesizer().fit(pa.table({"note": [*notes, long], "x": [1, 2, 3] * 200 + [1]}))
    assert not [text for text in stored_strings(model) if " ".join(WORDS[:6]) in text]


@pytest.mark.parametrize(
    "alphabet", ["😀😎🤖👻💩🎃", "!@#$%^&*()", "कखगघािी", "的一是不了人我", "0123456789"]
)
def test_no_script_is_copied(alphabet: str) -> None:
    lot = random.Random(2)
    texts = ["".join(lot.choices(alphabet, k=6)) for _ in range(800)]
    schema = {"columns": {"t": "text"}}
    drawn = Synthesizer(schema=schema).fit(pa.table({"t": texts, "x": [0, 1] * 400})).sample(800)
    assert not set(texts) & set(drawn["t"].to_pylist())
    assert set("".join(drawn["t"].to_pylist())) <= set(alphabet)


def test_where_all_strings_of_a_form_are_taken_others_are_made() -> None:
    dates = [f"{m:02d}/{d:02d}/2021" for m in range(1, 13) for d in range(1, 29)] * 3
    drawn = Synthesizer().fit(pa.table({"day": dates, "x": [0, 1] * (len(dates) // 2)})).sample(900)
    made = pa.array(drawn["day"].to_pylist())
    assert not set(dates) & set(made.to_pylist())
    assert len(set(made.to_pylist())) > 200
    assert all(len(day) == 10 and day[2] == day[5] == "/" for day in made.to_pylist())


@pytest.mark.parametrize("rows", [1000, 4000])
def test_rare_categories_keep_their_share(rows: int) -> None:
    lot = np.random.default_rng(1)
    real = ["other" if lot.random() < 0.11 else f"x{v}" for v in lot.integers(0, rows // 3, rows)]
    drawn = Synthesizer().fit(pa.table({"c": real, "k": [0, 1] * (rows // 2)})).sample(4000)
    made = Counter(drawn["c"].to_pylist())
    assert abs(made["other"] / 4000 - real.count("other") / rows) < 0.025
    assert len(made) > rows // 8
    assert not rare(real, 10) & set(made)


def test_a_condition_on_a_frequent_category_holds_beside_many_rare_ones() -> None:
    real = ["other"] * 300 + [f"x{i // 2}" for i in range(700)]
    model = Synthesizer().fit(pa.table({"c": real, "k": [0, 1] * 500}))
    assert set(model.sample(50, where="c=other")["c"].to_pylist()) == {"other"}


@pytest.mark.parametrize(
    "kind",
    [pa.string(), pa.large_string(), pa.dictionary(pa.int16(), pa.string())],
    ids=str,
)
def test_type_and_parts_stay(people: pa.Table, kind: pa.DataType) -> None:
    table = people.set_column(0, "name", people["name"].cast(kind))
    model = Synthesizer().fit(table)
    whole = pa.Table.from_batches(model.sample_batches(20_000, seed=3))
    assert whole.schema.field("name").type == kind
    parts = [
        pa.Table.from_batches(model.sample_batches(7000, seed=3)),
        pa.Table.from_batches(model.sample_batches(13_000, seed=3, start=7000)),
    ]
    assert pa.concat_tables(parts).to_pylist() == whole.to_pylist()
    again = Synthesizer.load(io.BytesIO(model.to_bytes()))
    assert again.sample(500, seed=3).equals(model.sample(500, seed=3))
    assert Synthesizer().fit(table, workers=2).to_bytes() == model.to_bytes()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.none() | st.text(max_size=8), min_size=2, max_size=60), st.integers(2, 6))
def test_no_rare_string_is_among_the_values(texts: list[str | None], floor: int) -> None:
    column = pa.chunked_array([pa.array(texts, pa.string())])
    codec, index, pool = disguise("t", column, column, floor, vary=True)
    assert not rare(texts, floor) & set(codec.values.to_pylist())
    assert [i == 0 for i in index] == [text is None for text in texts]
    kept = [codec.values[i - 1].as_py() if i else None for i in index.tolist()]
    assert all(k == t for k, t in zip(kept, texts, strict=True) if t not in rare(texts, floor))
    assert (codec.size - pool.first) % pool.copies == 0


def test_rows_that_are_not_learnt_from_are_not_copied_either() -> None:
    part, whole = ([[f"{a}{b}" for a in "abcdefgh" for b in c]] for c in ("rstu", "rstuvwxyz"))
    codec, _, _ = disguise("t", pa.chunked_array(part), pa.chunked_array(whole), 2, vary=True)
    assert not set(whole[0]) & set(codec.values.to_pylist())


@pytest.mark.parametrize("entry", [{"first": 9, "copies": 1}, {"first": 1, "copies": 2}])
def test_a_forged_pool_is_refused(entry: dict[str, int]) -> None:
    with pytest.raises(ModelFileError):
        Pool.from_dict(entry, 4)
