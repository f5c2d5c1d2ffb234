"""The quick look before the patterns of redaction never misses what they would find."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tabular.infra.logs import mask, may_hold_secret

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
