#!/usr/bin/env bash
# Repeat the studies behind docs/explanation/findings.md: scripts/flagship.sh [folder]
# About two hours on two cores, and 1 GB in folder/outputs. Give it again to go on. It writes the figures, tables and
# per-run values of the page to folder/flagship/.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
scripts=$PWD/scripts
mkdir -p "${1:-.}"
cd "${1:-.}"

study experiment=flagship
study experiment=flagship_default_rate
study experiment=flagship_matched
study analyze name=flagship "figures=[ranks,rope,interaction]" interaction.limit=5
