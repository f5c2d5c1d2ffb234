"""The quick look before the patterns of redaction never misses what they would find."""

from __future__ import annotations

import json
import logging
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tabular.infra.logs import JsonFormatter, Redactor, mask, may_hold_secret

PIECES = st.sampled_from(
    [
        "Bearer abcdefgh1234", "basic dXNlcjpwYXNz", "password=hunter22", "PassWd: hunter22",
        "client_secret='s3cr3ts3cr3t'", "token: abcdefgh", "Api-Key=abcdefgh", "apikey=abcdefgh",
        "Authorization: abcdefgh", "access_key=abcdefgh", "AccessKey=abcdefgh",
        "X-Amz-Signature=abcdefgh", "&sig=abcdefgh", "?credential=abcdefgh",
        "AKIAABCDEFGHIJKLMNOP", "ift.id.abcdefgh1234", "ifs.id.abcdefgh1234",
        "eyJhbGciOiJI.eyJzdWIiOiIx.c2lnbmF0dXJl", "https://user:pw@host/", "redis://:pw@host",
    ]
)  # fmt: skip
# Letters that lower-case folding and `re.IGNORECASE` treat alike: long s, Kelvin sign, dotted I.
CASES = st.sampled_from(
    [str, str.upper, str.lower, str.title, lambda s: s.replace("s", "\u017f"),
     lambda s: s.replace("k", "\u212a"), lambda s: s.replace("i", "\u0130")]
)  # fmt: skip


@given(st.lists(st.one_of(st.text(max_size=20), st.builds(lambda c, p: c(p), CASES, PIECES))))
def test_text_without_a_hint_has_nothing_to_mask(pieces: list[str]) -> None:
    text = " ".join(pieces)
    assert may_hold_secret(text) or mask(text) == text


@given(PIECES)
def test_each_kind_of_secret_is_masked(piece: str) -> None:
    assert may_hold_secret(piece)
    assert mask(piece) != piece


# What JSON writes otherwise than it is: quotes, backslashes, line breaks, control characters.
SECRETS = ('say "friend"', "back\\slash\\", "line\nbreak\ttab", "nul\0and\x1f", "Größe\u2028\ud83d")
TEXTS = st.one_of(
    st.text(max_size=20),
    PIECES,
    st.builds("{}{}{}".format, st.text(max_size=3), st.sampled_from(SECRETS), st.text(max_size=3)),
)
NAMES = st.sampled_from(["path", "status", "detail", "user_token", "PASSWORD", "api-key", "Öß"])
VALUES = st.recursive(
    st.one_of(TEXTS, st.integers(), st.floats(), st.booleans(), st.none(), st.binary(max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.one_of(NAMES, TEXTS), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(TEXTS, st.dictionaries(NAMES, VALUES, max_size=4))
def test_a_line_has_what_its_fields_have_each_by_itself(text: str, extra: dict[str, Any]) -> None:
    redactor = Redactor(SECRETS)
    record = logging.makeLogRecord({"msg": text, **extra})
    line = json.loads(JsonFormatter(redactor).format(record))
    assert line["message"] == redactor.text(text)
    alone = {name: redactor.value(name, value) for name, value in extra.items()}
    assert {name: line[name] for name in extra} == json.loads(json.dumps(alone))
    assert not [value for value in SECRETS if value in line["message"]]
