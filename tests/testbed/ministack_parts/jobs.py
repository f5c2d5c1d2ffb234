"""AWS Batch that does its jobs: the commands of their definitions, as processes of this machine.

The emulator's own calls every job done at once. Here a job waits for those it depends on, an array
has its children, a command that fails is tried again as its definition says, and what it writes is
in its log stream. The image is not looked at: ``python`` in a command is the program that
MINISTACK_JOBS names; without one, all is as the emulator has it.
"""

from __future__ import annotations

import contextvars
import os
import re
import subprocess
import threading
import time
from collections.abc import Iterator
from typing import Any

from kit import done
from ministack.core.responses import error_response_json, get_account_id, get_region, new_uuid
from ministack.services import batch, cloudwatch_logs

PROGRAM = os.environ.get("MINISTACK_JOBS", "")
PAGE = 100
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")
_FINAL = ("SUCCEEDED", "FAILED")
_STATES = ("SUBMITTED", "PENDING", "RUNNABLE", "STARTING", "RUNNING", *_FINAL)
_processes: dict[str, subprocess.Popen[bytes]] = {}
Job = dict[str, Any]
Answer = tuple[int, Any, Any]


def _refused(text: str) -> Answer:
    found: Answer = error_response_json("ClientException", text, 400)
    return found


def _submit(asked: dict[str, Any]) -> Answer:
    definition = _definition(asked.get("jobDefinition", ""))
    size = asked.get("arrayProperties", {}).get("size")
    after = [one["jobId"] for one in asked.get("dependsOn", ())]
    if not _NAME.fullmatch(asked.get("jobName", "")):
        return _refused("Job name should match valid pattern")
    if definition is None:
        return _refused(f"JobDefinition {asked.get('jobDefinition')} does not exist")
    if asked.get("jobQueue", "").rsplit("/", 1)[-1] not in batch._job_queues:
        return _refused(f"JobQueue {asked.get('jobQueue')} not found")
    if size is not None and not 2 <= size <= 10_000:
        return _refused("arrayProperties.size should be between 2 and 10000")
    if any(one not in batch._jobs for one in after):
        return _refused("Job dependency does not exist")
    job = _job(asked, new_uuid())
    job["parameters"] = {**definition.get("parameters", {}), **asked.get("parameters", {})}
    job["dependsOn"] = asked.get("dependsOn", [])
    batch._jobs[job["jobId"]] = job
    work = _one
    if size is not None:
        job["arrayProperties"] = {"size": size}
        work = _array
        for index in range(size):
            child = {**job, **_job(asked, f"{job['jobId']}:{index}")}
            child["arrayProperties"] = {"index": index}
            batch._jobs[child["jobId"]] = child
    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(work, job, definition), daemon=True).start()
    found: Answer = batch._json(200, {key: job[key] for key in ("jobId", "jobName", "jobArn")})
    return found


def _job(asked: dict[str, Any], identity: str) -> Job:
    return {
        "jobId": identity,
        "jobArn": batch._job_arn(identity),
        "jobName": asked["jobName"],
        "jobQueue": asked["jobQueue"],
        "jobDefinition": asked["jobDefinition"],
        "status": "SUBMITTED",
        "createdAt": batch._now_ms(),
        "attempts": [],
        "container": {},
    }


def _definition(named: str) -> dict[str, Any] | None:
    for revisions in batch._job_definitions.values():
        for one in revisions:
            if named in (one["jobDefinitionArn"], one["jobDefinitionName"]):
                return dict(one)
    return None


def _children(job: Job) -> list[Job]:
    return [batch._jobs[f"{job['jobId']}:{i}"] for i in range(job["arrayProperties"]["size"])]


def _end(job: Job, status: str, reason: str = "") -> None:
    job.update(status=status, stoppedAt=batch._now_ms())
    if reason:
        job["statusReason"] = reason


def _may_begin(job: Job) -> bool:
    """Wait for what a job depends on."""
    job["status"] = "PENDING"
    needed = [batch._jobs[one["jobId"]] for one in job["dependsOn"]]
    while job["status"] == "PENDING":
        if any(one["status"] == "FAILED" for one in needed):
            _end(job, "FAILED", "Dependent Job failed")
        elif all(one["status"] == "SUCCEEDED" for one in needed):
            return True
        time.sleep(0.02)
    return False


def _array(job: Job, definition: dict[str, Any]) -> None:
    children = _children(job)
    if not _may_begin(job):
        for child in children:
            _end(child, "FAILED", job["statusReason"])
        return
    context = [contextvars.copy_context() for _ in children]
    threads = [
        threading.Thread(target=one.run, args=(_tries, child, definition), daemon=True)
        for one, child in zip(context, children, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if job["status"] not in _FINAL:
        failed = any(child["status"] == "FAILED" for child in children)
        _end(job, *(("FAILED", "Array Child Job failed") if failed else ("SUCCEEDED",)))


def _one(job: Job, definition: dict[str, Any]) -> None:
    if _may_begin(job):
        _tries(job, definition)


def _tries(job: Job, definition: dict[str, Any]) -> None:
    retry = definition.get("retryStrategy", {})
    for number in range(1, retry.get("attempts", 1) + 1):
        code = _run(job, definition, number)
        if job["status"] in _FINAL:
            return
        if code == 0:
            _end(job, "SUCCEEDED", "Essential container in task exited")
            return
        exits = [o["onExitCode"] for o in retry.get("evaluateOnExit", ()) if o["action"] == "EXIT"]
        if str(code) in exits:
            break
        job["status"] = "RUNNABLE"
    _end(job, "FAILED", "Essential container in task exited")


def _run(job: Job, definition: dict[str, Any], number: int) -> int:
    properties = definition["containerProperties"]
    stream = f"job/default/{new_uuid()}"
    job.update(status="RUNNING", startedAt=batch._now_ms())
    job["container"] = {"logStreamName": stream, "command": properties["command"]}
    words = [
        job["parameters"][word.removeprefix("Ref::")] if word.startswith("Ref::") else word
        for word in properties["command"]
    ]
    process = subprocess.Popen(
        [PROGRAM if word == "python" else word for word in words],
        env=_environment(job, properties, number),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    _processes[job["jobId"]] = process
    written, _ = process.communicate()
    group = properties["logConfiguration"]["options"]["awslogs-group"]
    log(group, stream, written.decode(errors="replace").splitlines())
    code = process.returncode if process.returncode >= 0 else 128 - process.returncode
    job["container"]["exitCode"] = code
    if code == 137:
        job["container"]["reason"] = "OutOfMemoryError: Container killed due to memory usage"
    job["attempts"].append(
        {
            "container": dict(job["container"]),
            "statusReason": "Essential container in task exited",
            "startedAt": job["startedAt"],
            "stoppedAt": batch._now_ms(),
        }
    )
    return code


def _environment(job: Job, properties: dict[str, Any], number: int) -> dict[str, str]:
    found = variables(properties.get("environment", ()))
    parent, _, index = job["jobId"].partition(":")
    if index:
        size = batch._jobs[parent]["arrayProperties"]["size"]
        found |= {"AWS_BATCH_JOB_ARRAY_INDEX": index, "AWS_BATCH_JOB_ARRAY_SIZE": str(size)}
    return {**found, "AWS_BATCH_JOB_ID": job["jobId"], "AWS_BATCH_JOB_ATTEMPT": str(number)}


def variables(said: Any) -> dict[str, str]:
    """The environment of a container's command as a process of this machine."""
    return {
        **{name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR")},
        **{one["name"]: one["value"] for one in said},
        "AWS_ACCESS_KEY_ID": get_account_id(),
        "AWS_SECRET_ACCESS_KEY": os.environ["AWS_SECRET_ACCESS_KEY"],
        "AWS_REGION": get_region(),
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{os.environ['GATEWAY_PORT']}",
    }


def log(group: str, stream: str, lines: list[str]) -> None:
    named = {"logGroupName": group, "logStreamName": stream}
    done(cloudwatch_logs._create_log_stream(named))
    events = [{"timestamp": batch._now_ms(), "message": line} for line in lines]
    if events:
        done(cloudwatch_logs._put_log_events({**named, "logEvents": events}))


def _shown(job: Job) -> Job:
    if "size" not in job.get("arrayProperties", {}):
        return job
    states = [child["status"] for child in _children(job)]
    summary = {state: states.count(state) for state in _STATES}
    return {**job, "arrayProperties": {**job["arrayProperties"], "statusSummary": summary}}


def _describe(asked: dict[str, Any]) -> Answer:
    found = [_shown(batch._jobs[one]) for one in asked.get("jobs", ()) if one in batch._jobs]
    answer: Answer = batch._json(200, {"jobs": found})
    return answer


def _list(asked: dict[str, Any]) -> Answer:
    found = sorted(_asked_for(asked), key=lambda job: -job["createdAt"])
    start = int(asked.get("nextToken") or 0)
    stop = start + min(PAGE, asked.get("maxResults") or PAGE)
    more = {"nextToken": str(stop)} if stop < len(found) else {}
    answer: Answer = batch._json(
        200, {"jobSummaryList": [_shown(job) for job in found[start:stop]], **more}
    )
    return answer


def _asked_for(asked: dict[str, Any]) -> Iterator[Job]:
    parent = asked.get("arrayJobId")
    for job in list(batch._jobs.values()):
        if parent is not None:
            child = job["jobId"].startswith(f"{parent}:")
            if child and job["status"] == asked.get("jobStatus", "RUNNING"):
                yield job
        elif job["jobQueue"] == asked.get("jobQueue") and ":" not in job["jobId"]:
            filters = asked.get("filters")
            if all(_fits(job, one) for one in filters or ()) and (
                filters or job["status"] == asked.get("jobStatus", "RUNNING")
            ):
                yield job


def _fits(job: Job, wanted: dict[str, Any]) -> bool:
    (value,) = wanted["values"]
    if wanted["name"] == "AFTER_CREATED_AT":
        return bool(job["createdAt"] > int(value))
    assert wanted["name"] == "JOB_NAME", wanted
    name = job["jobName"].lower()
    prefix = value.lower().removesuffix("*")
    return bool(name.startswith(prefix) if value.endswith("*") else name == prefix)


def _terminate(asked: dict[str, Any]) -> Answer:
    job = batch._jobs.get(asked.get("jobId"))
    if job is not None:
        family = _children(job) if "size" in job.get("arrayProperties", {}) else []
        for one in (job, *family):
            if one["status"] not in _FINAL:
                key = "isTerminated" if one["status"] == "RUNNING" else "isCancelled"
                one[key] = True
                _end(one, "FAILED", asked["reason"])
            if one["jobId"] in _processes:
                _processes[one["jobId"]].kill()
    answer: Answer = batch._json(200, {})
    return answer


def install() -> None:
    """Put it in the place of the emulator's own jobs, if a program is named."""
    if PROGRAM:
        batch._DISPATCH.update(
            {
                "/v1/submitjob": _submit,
                "/v1/describejobs": _describe,
                "/v1/listjobs": _list,
                "/v1/terminatejob": _terminate,
            }
        )
