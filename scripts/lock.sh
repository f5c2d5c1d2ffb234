#!/bin/sh
# Rewrites the lock files from pyproject.toml: every package pinned, every file hashed.
set -eu
cd "$(dirname "$0")/.."
lock() {
  out="requirements/$1.txt"
  shift
  .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
    --no-emit-index-url --no-header --custom-compile-command 'make lock' \
    "$@" pyproject.toml requirements/build.in --output-file "$out"
  echo "wrote $out"
}
lock demo --extra postgres --extra redis --extra evaluate
lock dev --all-extras
