#!/usr/bin/env bash
# Sets up .venv and runs the tests on all cores; arguments go to pytest: scripts/test.sh -k data
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"

exec python -m pytest -n auto --dist loadfile "$@" # a file keeps to one process, which sets its fixtures up once
