"""Tasks of ECS with a command of their own, done as processes of this machine.

The emulator calls a task running until somebody stops it. Here one that is run with another
command than its definition's does that command, writes to its log stream, and stops with its exit
code. ``python`` in it is the program that MINISTACK_JOBS names; without one, all is as it was.
"""

from __future__ import annotations

import contextvars
import subprocess
import threading
from typing import Any

from jobs import PROGRAM, log, variables
from ministack.services import ecs

_run_task = ecs._run_task


def _started(asked: dict[str, Any]) -> Any:
    answer = _run_task(asked)
    commands = asked.get("overrides", {}).get("containerOverrides", ())
    if answer[0] == 200 and any(one.get("command") for one in commands):
        (override,) = commands
        for task in list(ecs._tasks.values()):
            if task["taskArn"].encode() in answer[2]:
                work = contextvars.copy_context().run
                threading.Thread(target=work, args=(_do, task, override), daemon=True).start()
    return answer


def _do(task: dict[str, Any], override: dict[str, Any]) -> None:
    definition = ecs._task_defs[ecs._resolve_td_key(task["taskDefinitionArn"])]
    (container,) = [
        one for one in definition["containerDefinitions"] if one["name"] == override["name"]
    ]
    done = subprocess.run(
        [PROGRAM if word == "python" else word for word in override["command"]],
        env=variables(container.get("environment", ())),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    config = ecs._awslogs_config(container, task["taskArn"].rsplit("/", 1)[-1], "")
    log(config["group"], config["stream"], done.stdout.decode(errors="replace").splitlines())
    reason = "Essential container in task exited"
    ecs._mark_task_stopped(
        task["taskArn"], task, reason, "EssentialContainerExited", exit_code=done.returncode
    )


def install() -> None:
    """Put it in the place of the emulator's own, if a program is named."""
    if PROGRAM:
        ecs._run_task = ecs._ACTION_MAP["RunTask"] = _started
