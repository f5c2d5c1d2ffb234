"""The shapes of requests and answers; the OpenAPI document is made from them."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

MAX_ROWS = 1_000_000_000
MAX_SEED = 2**53 - 1  # what every JSON reader keeps exactly

Name = Annotated[str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True)]
Id = Annotated[str, StringConstraints(pattern=r"^[a-z]{2,4}_[0-9a-f]{20}$")]
Seed = Annotated[int, Field(ge=0, le=MAX_SEED, strict=True, description="Same seed, same result.")]
TableFormat = Literal["csv", "parquet", "jsonl"]
JobStatus = Literal["queued", "running", "succeeded", "failed", "cancelled"]


class Request(BaseModel):
    """A body; an unknown field is an error."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _storable(cls, data: Any) -> Any:
        """Refuse what JSON can say and no database can keep."""
        _check_storable(data)
        return data


def _check_storable(value: Any) -> None:
    if isinstance(value, str):
        if "\0" in value or not _is_unicode(value):
            raise ValueError("text with NUL or half a character cannot be kept")
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError("a number must be finite")
    elif isinstance(value, dict):
        for key, item in value.items():
            _check_storable(key)
            _check_storable(item)
    elif isinstance(value, list):
        for item in value:
            _check_storable(item)


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


class FitRequest(Request):
    """What to learn, and how."""

    dataset_id: Id
    name: Name | None = Field(None, description="The dataset's name when not given.")
    engine: str = Field("trees", max_length=64)
    preset: Literal["fidelity", "balanced", "private"] = "balanced"
    seed: Seed = 0
    table_schema: dict[str, Any] | None = Field(
        None, alias="schema", description="Roles, ranges and constraints; the rest is inferred."
    )


class GenerateRequest(Request):
    """Which rows to make."""

    model_id: Id
    rows: int = Field(ge=1, le=MAX_ROWS, strict=True)
    seed: Seed = 0
    format: TableFormat = "csv"
    where: list[Annotated[str, Field(max_length=1000)]] = Field(
        default_factory=list,
        max_length=100,
        description='Conditions that every row fulfils, such as `"cut=Ideal"` or `"price>=1000"`.',
    )
    inline: bool = Field(
        False,
        strict=True,
        description="Answer with the rows themselves; for few rows (TABULAR_INLINE_ROWS).",
    )


class EvaluateRequest(Request):
    """Which rows to judge, against what."""

    dataset_id: Id = Field(description="The real table that the model learned from.")
    job_id: Id = Field(description="The generation whose rows are judged.")
    holdout_dataset_id: Id | None = Field(
        None, description="Real rows that the model has not seen; privacy is measured with them."
    )


class ErrorOut(BaseModel):
    """Why a job failed, or its last try did."""

    code: str
    message: str
    where: str | None = None
    hint: str | None = None


class ResultOut(BaseModel):
    """Generated rows."""

    url: str
    format: str
    rows: int
    size: int
    sha256: str


class JobOut(BaseModel):
    """A job."""

    id: str
    kind: Literal["fit", "generate", "evaluate"]
    status: JobStatus
    progress: float = Field(description="0 to 1")
    attempt: int = Field(description="How often it was begun.")
    cancel_requested: bool
    dataset_id: str | None
    model_id: str | None
    evaluation_id: str | None
    params: dict[str, Any]
    error: ErrorOut | None
    result: ResultOut | None = Field(description="Of a generation that succeeded.")
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    result_expires_at: datetime | None = Field(
        description="When rows or report will be removed (TABULAR_RESULT_RETENTION); null: never."
    )
    expired_at: datetime | None = Field(
        description="When they were removed; `result` still says what they were."
    )


class ColumnOut(BaseModel):
    """A column of a dataset."""

    name: str
    type: str
    role: str
    problem: str | None = Field(
        None, description="Why no model can learn from it; null: nothing is in the way."
    )


class DatasetOut(BaseModel):
    """An uploaded table."""

    id: str
    name: str
    format: TableFormat
    size: int
    sha256: str
    rows: int
    columns: list[ColumnOut]
    created_at: datetime


class PreviewOut(BaseModel):
    """The first rows."""

    columns: list[str]
    rows: list[list[Any]]


class ModelOut(BaseModel):
    """A model; `status` is that of the job that fits it."""

    id: str
    name: str
    dataset_id: str | None
    engine: str
    preset: str
    seed: int
    table_schema: dict[str, Any] | None = Field(serialization_alias="schema")
    status: JobStatus
    job_id: str
    size: int | None
    details: dict[str, Any] | None
    created_at: datetime


class EvaluationOut(BaseModel):
    """An evaluation; `report` is there once its job has succeeded."""

    id: str
    dataset_id: str
    holdout_dataset_id: str | None
    generation_job_id: str
    job_id: str
    status: JobStatus
    report: dict[str, Any] | None = None
    report_url: str | None = None
    created_at: datetime


class FitAccepted(BaseModel):
    """A fit that will be done."""

    job: JobOut
    model: ModelOut


class GenerationAccepted(BaseModel):
    """A generation that will be done."""

    job: JobOut


class EvaluationAccepted(BaseModel):
    """An evaluation that will be done."""

    job: JobOut
    evaluation: EvaluationOut


class Problem(BaseModel):
    """An RFC 9457 problem document."""

    type: str
    title: str
    status: int
    code: str
    request_id: str
    detail: str | None = None
    where: str | None = None
    hint: str | None = None
    errors: list[dict[str, str]] | None = None
    limit: int | None = Field(None, description="Of a quota.")
    used: int | None = Field(None, description="Of a quota: what is used and promised.")
    requested: int | None = Field(None, description="Of a quota: what was asked for.")
    resets_at: datetime | None = Field(None, description="Of a quota: when it begins anew.")


class DatasetPage(BaseModel):
    """Datasets, newest first."""

    items: list[DatasetOut]
    next: str | None = Field(description="`cursor` of the page after this one.")


class ModelPage(BaseModel):
    """Models, newest first."""

    items: list[ModelOut]
    next: str | None


class JobPage(BaseModel):
    """Jobs, newest first."""

    items: list[JobOut]
    next: str | None


class EvaluationPage(BaseModel):
    """Evaluations, newest first."""

    items: list[EvaluationOut]
    next: str | None
