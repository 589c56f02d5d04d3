# Sourced by the other scripts: creates .venv and installs the project under the exact pins of constraints.txt.
# Done once; again when pyproject.toml or constraints.txt change. PYTHON=... chooses the interpreter.
cd "$(dirname "${BASH_SOURCE[0]}")/.."

setup_stamp="$(cat pyproject.toml constraints.txt | cksum) $PWD"
if [ "$(cat .venv/setup-stamp 2>/dev/null)" != "$setup_stamp" ]; then
  in_range='import sys; raise SystemExit(not (3, 11) <= sys.version_info < (3, 14))'
  for candidate in "${PYTHON:-}" python3 python3.13 python3.12 python3.11 python; do
    if [ -n "$candidate" ] && "$candidate" -c "$in_range" 2>/dev/null; then found="$candidate"; break; fi
  done
  if [ -z "${found:-}" ]; then
    echo "error: no Python 3.11, 3.12 or 3.13 found; install one, or name it: PYTHON=/path/to/python3.12 $0" >&2
    exit 1
  fi
  .venv/bin/python -c "$in_range" 2>/dev/null || rm -rf .venv
  echo "setting up .venv with $("$found" --version); the first time takes a few minutes (torch is large)" >&2
  [ -x .venv/bin/python ] || "$found" -m venv .venv
  .venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
  echo "$setup_stamp" > .venv/setup-stamp
fi
export PATH="$PWD/.venv/bin:$PATH"
