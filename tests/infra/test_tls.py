"""``rediss://`` verifies who answers, in every driver."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tabular.errors import UnavailableError
from tabular.infra.cache import open_cache
from tabular.infra.queue import open_queue
from tabular.infra.ratelimit import open_limiter
from tabular.infra.websocket import open_hub
from tests.infra.in_a_loop import asked
from tests.testbed.tls import make_certificate, tls_in_front_of
from tests.testbed.valkey import Valkey


def hit(url: str) -> None:
    """A limiter asks by connections of its own."""
    with asked(open_limiter(url)) as limiter:
        if limiter.hit("5/minute", "me").store_failed:
            raise UnavailableError("the store failed")


PINGS: dict[str, Callable[[str], None]] = {
    "cache": lambda url: open_cache(url).ping(),
    "queue": lambda url: open_queue(url).ping(),
    "limiter": hit,
    "hub": lambda url: open_hub(url).ping(),
}


@pytest.fixture(scope="module")
def secured(valkey: Valkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path]]:
    """A port that speaks TLS, and the certificate to trust."""
    certificate, key = make_certificate(tmp_path_factory.mktemp("tls"))
    with tls_in_front_of(valkey.port, certificate, key) as port:
        yield port, certificate


@pytest.mark.parametrize("driver", sorted(PINGS))
def test_a_trusted_certificate_is_accepted(secured: tuple[int, Path], driver: str) -> None:
    port, certificate = secured
    PINGS[driver](f"rediss://localhost:{port}/0?ssl_ca_certs={certificate}")


@pytest.mark.parametrize("driver", sorted(PINGS))
def test_an_unknown_certificate_is_refused(secured: tuple[int, Path], driver: str) -> None:
    with pytest.raises(UnavailableError):
        PINGS[driver](f"rediss://localhost:{secured[0]}/0")


@pytest.mark.parametrize("driver", sorted(PINGS))
def test_another_name_is_refused(secured: tuple[int, Path], driver: str) -> None:
    port, certificate = secured
    with pytest.raises(UnavailableError):
        PINGS[driver](f"rediss://127.0.0.1:{port}/0?ssl_ca_certs={certificate}")
