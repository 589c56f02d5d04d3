#!/usr/bin/env bash
# Check regstudy on a machine with a GPU, without a network: losses against the CPU, speed, determinism, resuming.
#   scripts/device_check.sh [OUT]      # OUT: folder of the report, by default outputs/device_check
#   scripts/device_check.sh lockstep [OUT] # the speed of runs in lockstep; RUNS=1,8 HIDDEN=32 EPOCHS=2 SMALL=40 for less
#   DEVICE=mps scripts/device_check.sh # another device; DATA=fashion_mnist_mini, MODELS=mlp,cnn, TRAIN_SIZE=500 for less work
#   WHEELS=folder                      # of wheels to install first, where Hydra is missing
#   PYTHON=.venv/bin/python            # by default python3
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
if [ -n "${WHEELS:-}" ]; then
    "$python" -m pip install --quiet --no-index --find-links "$WHEELS" --target .device_check hydra-core omegaconf
    export PYTHONPATH="$PWD/.device_check:${PYTHONPATH:-}"
fi
export PYTHONPATH="$PWD:$PWD/scripts:${PYTHONPATH:-}"
if [ "${1:-}" = lockstep ]; then
    exec "$python" -m benchmarks.lockstep --out "${2:-outputs/lockstep_check}" --device "${DEVICE:-cuda}" \
        --data "${DATA:-fashion_mnist}" ${RUNS:+--runs "$RUNS"} ${HIDDEN:+--hidden "$HIDDEN"} \
        ${EPOCHS:+--epochs "$EPOCHS"} ${SMALL:+--small "$SMALL"}
fi
exec "$python" -m benchmarks.device --out "${1:-outputs/device_check}" --device "${DEVICE:-cuda}" --data "${DATA:-fashion_mnist}" \
    --models "${MODELS:-mlp,cnn,resnet18}" ${TRAIN_SIZE:+--train-size "$TRAIN_SIZE"}
