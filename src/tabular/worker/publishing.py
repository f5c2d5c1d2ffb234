"""What a finished job was for, made to refer to the objects that the job wrote."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import update
from sqlalchemy.orm import Session

from tabular.infra.database.models import Evaluation, Job, Model
from tabular.worker.statuses import EVALUATE, FIT


def publish(session: Session, job: Job, result: Mapping[str, Any]) -> None:
    """Let what the job was for refer to its objects."""
    if job.kind == FIT:
        session.execute(
            update(Model)
            .where(Model.id == job.model_id)
            .values(
                object_key=result["key"],
                size=result["size"],
                sha256=result["sha256"],
                details=result["details"],
            )
        )
    elif job.kind == EVALUATE:
        session.execute(
            update(Evaluation)
            .where(Evaluation.id == job.evaluation_id)
            .values(report_key=result["key"], page_key=result["page_key"])
        )
