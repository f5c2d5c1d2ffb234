"""Every command of the page on backups runs, in its order, on a home of its own."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "backup.md"
BIN = Path(sys.executable).parent


@pytest.mark.slow
def test_every_command_of_the_page_runs(tmp_path: Path) -> None:
    text = PAGE.read_text(encoding="utf-8")
    blocks = re.findall(r"^```console\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    commands = [line.removeprefix("$ ") for line in "".join(blocks).splitlines()]
    assert len(commands) == 9
    environment = {
        "HOME": str(tmp_path),
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "LANG": "C.UTF-8",
        "BACKUP_PASSPHRASE": "correct horse battery staple",
    }

    def run(command: str) -> str:
        done = subprocess.run(
            shlex.split(command.replace("/srv/backups", f"{tmp_path}/backups")),
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    try:
        said = [run(command) for command in commands]
    finally:
        for name in ("first", "second"):
            run(f"inferloop-tabular destroy --name {name} --yes --delete-data")
    assert "Restored and compared" in "".join(said)
