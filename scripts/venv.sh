#!/bin/sh
# Makes .venv and installs one locked set of packages into it.
# usage: scripts/venv.sh SET   (a file requirements/SET.txt)
# Where the distribution splits ensurepip off (Debian's python3-venv), the machine's own pip
# fills the new environment instead.
set -eu
cd "$(dirname "$0")/.."
set_name=$1
lock="requirements/$set_name.txt"
python=${PYTHON:-python3}
stamp=".venv/.installed-$set_name"

command -v "$python" >/dev/null || {
  echo "error: there is no $python; set PYTHON=/path/to/python3.11" >&2
  exit 1
}
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
  echo "error: $python is older than 3.11; set PYTHON=/path/to/python3.11" >&2
  exit 1
}
wanted=$(cat "$lock" pyproject.toml | cksum)
[ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ] && exit 0

if [ ! -x .venv/bin/python ] || ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
  echo "making .venv with $("$python" --version)"
  rm -rf .venv
  if ! "$python" -m venv .venv >/dev/null 2>&1; then
    rm -rf .venv
    "$python" -m venv --without-pip .venv
    "$python" -m pip --python .venv/bin/python install --quiet pip || {
      echo "error: this Python has neither ensurepip nor pip" >&2
      echo "  hint: apt-get install python3-venv" >&2
      exit 1
    }
  fi
fi
echo "installing the locked packages of $lock"
.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r "$lock" || {
  echo "error: the packages of $lock could not be installed; pip says why above" >&2
  echo "  hint: away from the internet, PIP_INDEX_URL names a package index of your own" >&2
  exit 1
}
.venv/bin/python -m pip install --quiet --disable-pip-version-check \
  --no-deps --no-build-isolation --editable .
echo "$wanted" > "$stamp"
