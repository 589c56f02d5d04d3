#!/usr/bin/env bash
# Repeat the studies behind docs/explanation/findings.md: scripts/flagship.sh [FOLDER]
# It takes three hours on two cores, and 2.7 GB in FOLDER/outputs. Give it again to resume. Figures and tables go to
# FOLDER/outputs/<study>/analysis/, those that compare two studies or levels to FOLDER/across/, and all tables to
# FOLDER/flagship.tar.gz.
set -euo pipefail
folder="$(realpath -m "${1:-.}")"
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
scripts="$PWD/scripts"
mkdir -p "$folder"
cd "$folder"

study experiment=flagship
study experiment=flagship_default
study experiment=flagship_matched
own="[ranks,rope,interaction,best_of_n,helps,helps_loss,overfitting,distributions]"
study analyze --config-dir "$scripts/flagship" name=flagship "figures=$own"
study analyze name=flagship_default "allow=[tuning]" "figures=[interaction,hypotheses]"
study analyze name=flagship_matched "figures=[interaction,hypotheses]"
python "$scripts/flagship/rates.py" outputs/flagship outputs/flagship_default across
python "$scripts/flagship/matched.py" outputs/flagship_matched across
tar -czf flagship.tar.gz across/*.csv outputs/flagship*/ledger.csv outputs/flagship*/analysis/*.csv
