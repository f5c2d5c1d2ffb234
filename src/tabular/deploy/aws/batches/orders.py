"""Orders and their results in the bucket of a deployment; see ``tabular.worker.orders``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from tabular.deploy.aws.account.refusals import code_of, explained
from tabular.deploy.aws.account.session import Session
from tabular.errors import ConflictError, NotFoundError

PREFIX = "tabular"  # as `infrastructure.service` says it to the container
_MISSING = frozenset({"404", "NoSuchKey", "NotFound"})


class OrderBucket:
    """A bucket that containers take orders from.

    Args:
        session: the way to the account.
        region: of the bucket.
        bucket: its name.
    """

    def __init__(self, session: Session, region: str, bucket: str) -> None:
        self._s3, self._bucket = session.client("s3", region), bucket

    @property
    def place(self) -> str:
        """Address of all names."""
        return f"s3://{self._bucket}/{PREFIX}"

    def require(self, names: Iterable[str]) -> None:
        """Refuse names under which there is nothing.

        Raises:
            NotFoundError: one of them.
        """
        for name in names:
            if not self._is_there(name):
                raise NotFoundError(
                    f"there is no {name} in the bucket",
                    where=f"{self.place}/{name}",
                    hint=f"aws s3 cp FILE {self.place}/{name}",
                    code="not-found.object",
                )

    def place_order(self, id: str, document: Mapping[str, Any]) -> None:
        """Put an order; the same one may be there already.

        Raises:
            ConflictError: another one is.
        """
        key = f"{PREFIX}/{self.order(id)}"
        body = json.dumps(document, ensure_ascii=False, sort_keys=True).encode()
        with explained("s3:PutObject"):
            try:
                self._s3.put_object(
                    Bucket=self._bucket,
                    Key=key,
                    Body=body,
                    ContentType="application/json",
                    IfNoneMatch="*",
                )
            except self._s3.exceptions.ClientError as error:
                # The second one: somebody else puts the very same name at this moment.
                if code_of(error) not in ("PreconditionFailed", "ConditionalRequestConflict"):
                    raise
                self._require_same(id, document)

    def order(self, id: str) -> str:
        """Name of an order, as containers are told it."""
        return f"incoming/{id}.json"

    def has_order(self, id: str) -> bool:
        """Whether there is one."""
        return self._is_there(self.order(id))

    def has_result(self, id: str) -> bool:
        """Whether what was ordered is there, whoever remembers how it came to be."""
        report = self.report(id) or {}
        return report.get("status") == "succeeded" and self._is_there(str(report["file"]))

    def report(self, id: str) -> Mapping[str, Any] | None:
        """How an order ended; None where nothing says it."""
        found: Mapping[str, Any] | None = self._read(f"results/{id}.json")
        return found

    def forget_report(self, id: str) -> None:
        """Remove what an earlier try wrote, so that nobody takes it for the next one's."""
        with explained("s3:DeleteObject"):
            self._s3.delete_object(Bucket=self._bucket, Key=f"{PREFIX}/results/{id}.json")

    def _require_same(self, id: str, document: Mapping[str, Any]) -> None:
        if self._read(self.order(id)) == dict(document):
            return
        raise ConflictError(
            f"{id} is another order",
            where=f"{self.place}/{self.order(id)}",
            hint=f"choose another --out; `inferloop-tabular jobs status {id}` shows that one",
            code="conflict.order",
        )

    def _read(self, name: str) -> Any:
        with explained("s3:GetObject"):
            try:
                answer = self._s3.get_object(Bucket=self._bucket, Key=f"{PREFIX}/{name}")
                return json.loads(answer["Body"].read())
            except self._s3.exceptions.ClientError as error:
                if code_of(error) not in _MISSING:
                    raise
                return None
            except ValueError:
                return None  # a half-written thing of somebody else's

    def _is_there(self, name: str) -> bool:
        with explained("s3:GetObject"):
            try:
                self._s3.head_object(Bucket=self._bucket, Key=f"{PREFIX}/{name}")
            except self._s3.exceptions.ClientError as error:
                if code_of(error) not in _MISSING:
                    raise
                return False
        return True
