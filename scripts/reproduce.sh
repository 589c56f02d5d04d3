#!/usr/bin/env bash
# The textbook's comparison from nothing to table and figures: scripts/reproduce.sh [overrides, such as epochs=3]
# Repeating it trains only what is missing.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"

name=book
for argument in "$@"; do
  case "$argument" in name=*) name="${argument#name=}" ;; esac
done
study experiment=book "$@"
python scripts/analyze.py name="$name"
