"""Jobs that fail, as CloudWatch can see them: counted from the workers' log, or told by Batch.

The service's own counters are Prometheus's, which CloudWatch does not scrape. The log is there in
every deployment, so the two lines that a worker writes when a job ends are counted.
"""

from __future__ import annotations

from tabular.deploy.aws.infrastructure.monitoring.measures import NAMESPACE
from tabular.deploy.aws.infrastructure.wanted import Wanted
from tabular.deploy.aws.words.document import Document, Part, att, ref, resource, sub

FAILED, SUCCEEDED = "JobsFailed", "JobsSucceeded"
LOGGER = "tabular.worker.runner"
# The end of the line for a job that ended by itself, and of one whose worker was lost.
_ENDS = {FAILED: ("job failed", "and is failed"), SUCCEEDED: ("job succeeded",)}


def counted(wanted: Wanted) -> Part:
    """The counters of jobs that ended; none where no worker runs all the time."""
    if not wanted.served:
        return {}
    return {f"{metric}Filter": _filter(metric) for metric in (FAILED, SUCCEEDED)}


def told(wanted: Wanted) -> Part:
    """What tells of each job of Batch that failed; nothing for other kinds."""
    return {"FailedJobs": _rule()} if wanted.kind == "batch" else {}


def pattern(metric: str) -> str:
    """The lines that are counted, in the language of CloudWatch Logs for JSON."""
    ends = " || ".join(f'$.message = "*{end}"' for end in _ENDS[metric])
    return f'{{ $.logger = "{LOGGER}" && ({ends}) }}'


def _filter(metric: str) -> Document:
    return resource(
        "AWS::Logs::MetricFilter",
        {
            "LogGroupName": ref("WorkerLogGroup"),
            "FilterPattern": pattern(metric),
            "MetricTransformations": [
                {
                    "MetricName": metric,
                    "MetricNamespace": sub(NAMESPACE),
                    "MetricValue": "1",
                    "DefaultValue": 0,
                    "Unit": "Count",
                }
            ],
        },
    )


def _rule() -> Document:
    pattern = {
        "source": ["aws.batch"],
        "detail-type": ["Batch Job State Change"],
        "detail": {"status": ["FAILED"], "jobQueue": [att("JobQueue", "JobQueueArn")]},
    }
    words = '"A job of Batch has failed: <name>, <id>. <reason>"'
    paths = {
        "name": "$.detail.jobName",
        "id": "$.detail.jobId",
        "reason": "$.detail.statusReason",
    }
    return resource(
        "AWS::Events::Rule",
        {
            "Description": "Tells of jobs that failed.",
            "EventPattern": pattern,
            "Targets": [
                {
                    "Id": "alarms",
                    "Arn": ref("AlarmTopic"),
                    "InputTransformer": {"InputPathsMap": paths, "InputTemplate": words},
                }
            ],
        },
    )
