"""What an id looks like, in words: the pattern that the OpenAPI document has is for programs."""

from __future__ import annotations

from collections.abc import Mapping

_RANDOM = ("20 hex digits", "0123456789abcdef0123")
_SHORT = ("16 hex digits", "0123456789abcdef")
# By the name of a parameter or field: what is before the digits, the digits, and who lists them.
_KINDS: Mapping[str, tuple[str, tuple[str, str], str]] = {
    "dataset_id": ("ds_", _RANDOM, "/v1/datasets"),
    "holdout_dataset_id": ("ds_", _RANDOM, "/v1/datasets"),
    "model_id": ("mdl_", _RANDOM, "/v1/models"),
    "job_id": ("job_", _RANDOM, "/v1/jobs"),
    "evaluation_id": ("ev_", _RANDOM, "/v1/evaluations"),
    "key_id": ("", _SHORT, "/v1/keys"),
    "session_id": ("", _SHORT, "/v1/sessions"),
}


def described(field: str) -> tuple[str, str] | None:
    """How an id of a field looks, and how it is found; None where the field is no id.

    Args:
        field: name of the parameter, or of the body's field.
    """
    if field not in _KINDS:
        return None
    prefix, (digits, example), path = _KINDS[field]
    form = f"{prefix} and {digits}" if prefix else digits
    return (
        f"this is no id of that kind: {form}, such as {prefix}{example}",
        f"GET {path} lists them",
    )
