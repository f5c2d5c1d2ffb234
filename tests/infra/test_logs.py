"""Log lines that machines read, joined by ids and free of secrets."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tabular.infra.logs import Redactor, configure_logging, log_context

KEY = "canary-key-0123456789"


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """Where the logs of the test go; the root logger is put back afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    output = io.StringIO()
    configure_logging("INFO", secrets=[KEY, "short"], stream=output)
    yield output
    root.handlers[:] = handlers
    root.setLevel(level)


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_one_json_object_a_line_with_ids_and_extra_fields(stream: io.StringIO) -> None:
    with log_context(request_id="r1"), log_context(job_id="j1"):
        logging.getLogger("tabular.api").info("said %s\nand more", "this", extra={"rows": 7})
    logging.getLogger("other").warning("outside")
    logging.getLogger("other").debug("too quiet")
    first, second = lines(stream)
    assert first["message"] == "said this\nand more"
    assert (first["level"], first["logger"]) == ("INFO", "tabular.api")
    assert (first["request_id"], first["job_id"], first["rows"]) == ("r1", "j1", 7)
    assert first["time"].endswith("+00:00")
    assert "request_id" not in second


def test_errors_keep_their_traceback_without_secrets(stream: io.StringIO) -> None:
    try:
        raise ValueError(f"cannot reach postgresql://user:canary-db@host/d with {KEY}")
    except ValueError:
        logging.getLogger("tabular").exception("failed")
    (line,) = lines(stream)
    assert "Traceback" in line["error"]
    assert "ValueError" in line["error"]
    assert "canary" not in stream.getvalue()


@pytest.mark.parametrize(
    "text",
    [
        f"key is {KEY}",
        "GET /x Authorization: Bearer canary.abc-def",
        "headers {'authorization': 'Basic canarycanary=='}",
        "password=canary1 and more",
        '{"api_key": "canary2"}',
        "TABULAR_SECRET_KEY=canary3",
        "https://host/x?X-Amz-Signature=canary4&y=1",
        "redis://:canary5@host/0",
        "tried ift.k1a2b3.canary_Abc-0123456789",
        "tried ifs.k1a2b3.canary_Abc-0123456789",
        "tried eyJhbGciOiJ9.canary_Abc-0123456789.canary_Abc-0123456789",
        "mysql://user:p@ss-canary6@host/0",
    ],
)
def test_what_looks_like_a_secret_is_masked(stream: io.StringIO, text: str) -> None:
    logging.getLogger("x").warning(text)
    logging.getLogger("x").warning("%s", text, extra={"detail": {"inner": [text]}})
    assert "canary" not in stream.getvalue()
    assert "***" in stream.getvalue()


def test_fields_named_like_secrets_are_masked_whole(stream: io.StringIO) -> None:
    logging.getLogger("x").info("m", extra={"password": "canary", "user_token": ["canary"]})
    (line,) = lines(stream)
    assert (line["password"], line["user_token"]) == ("***", "***")


def test_ordinary_words_stay() -> None:
    redactor = Redactor(["short", KEY])
    text = "a short story of 3 tokens at https://host/path?page=2, basically fine"
    assert redactor.text(text) == text


def test_the_servers_own_logs_take_the_same_way(stream: io.StringIO) -> None:
    logging.getLogger("uvicorn.access").info('%s - "%s"', "1.2.3.4", "GET /?token=canary HTTP/1.1")
    (line,) = lines(stream)
    assert line["logger"] == "uvicorn.access"
    assert "canary" not in line["message"]


@pytest.mark.parametrize(
    "part", ["a", "a-", "secret", "token_", "?", "?a", "a://b:", "a://b:c@", "bearer "]
)
@pytest.mark.timeout(20)  # an unbounded repetition takes minutes; no machine is slow enough for it
def test_text_of_any_length_is_redacted_in_time(part: str) -> None:
    assert Redactor().text(part * (40_000 // len(part)))


@pytest.mark.parametrize("password", ["Tops/Ecret9", "Tops?Ecret9", "Tops#Ec@ret9", "p@ss/Ecret9"])
def test_a_password_that_was_not_encoded_is_masked_too(password: str) -> None:
    for text in (f"redis://:{password}@h:6379/0", f'{{"url": "postgresql://app:{password}@db"}}'):
        shown = Redactor().text(text)
        assert not [part for part in ("ret9", "Tops", "ss/") if part in shown]


def test_an_address_without_a_password_stays() -> None:
    for text in ("http://127.0.0.1:9000/bucket/k@ref: 404", "s3://bucket/k@ref", "a@b.example"):
        assert Redactor().text(text) == text


def test_a_line_is_json_that_every_reader_takes(stream: io.StringIO) -> None:
    extra = {"share": float("nan"), "level": "made up"}
    logging.getLogger("x").warning("hi", extra=extra)
    line = json.loads(stream.getvalue(), parse_constant=pytest.fail)
    assert line["level"] == "WARNING"
    assert line["share"] == "nan"


@pytest.mark.parametrize("where", ["main", "thread"])
def test_what_ends_a_process_or_a_thread_is_a_line_without_secrets(where: str) -> None:
    script = (
        "import threading\n"
        "from tabular.infra.logs import configure_logging, log_uncaught\n"
        "configure_logging(secrets=['canary-secret'])\n"
        "log_uncaught()\n"
        "def fail():\n"
        "    raise RuntimeError('with canary-secret inside')\n"
        + (
            "fail()"
            if where == "main"
            else "t = threading.Thread(target=fail); t.start(); t.join()"
        )
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == (1 if where == "main" else 0)
    (line,) = done.stderr.splitlines()
    assert "RuntimeError" in json.loads(line)["error"]
    assert "canary" not in line
