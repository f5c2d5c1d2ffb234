"""A passphrase on a machine that is busy."""

from __future__ import annotations

import pytest

from tabular.errors import ConfigError, UnavailableError
from tabular.transfer.sealing import from_passphrase

PHRASE = "correct horse battery staple"


def test_a_machine_that_is_too_slow_is_told_from_a_passphrase_that_is_wrong() -> None:
    _, stored = from_passphrase(PHRASE, None)
    head, tail = stored.split(b"\n", 2)[:2], stored.split(b"\n", 2)[2]
    name, _, _ = head[1].rpartition(b" ")
    beyond = b"\n".join([head[0], name + b" 40", tail])  # a million times the usual work
    waited: list[float] = []
    with pytest.raises(UnavailableError, match="too slow"):
        from_passphrase(PHRASE, beyond, sleep=waited.append)
    assert len(waited) == 9
    waited.clear()
    with pytest.raises(ConfigError, match="does not open"):
        from_passphrase("another one than that", stored, sleep=lambda _: None)


def test_a_passphrase_opens_what_it_closed() -> None:
    made, stored = from_passphrase(PHRASE, None)
    again, same = from_passphrase(PHRASE, stored)
    assert same == stored
    assert again.readers == made.readers
