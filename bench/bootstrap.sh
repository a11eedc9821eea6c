#!/usr/bin/env bash
# Comparison against scikit-learn's index loop on one core: 100,000 rows, both models, weighted AUC, accuracy and F1.
# PEERS holds peers.py and gen_data.py; PYTHON has numpy, scipy and scikit-learn.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo build --quiet --release --locked -p podium-core --example bootstrap
binary="${CARGO_TARGET_DIR:-target}/release/examples/bootstrap"
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
for _ in 1 2 3; do
  "${PYTHON:-python3}" "${PEERS:-../shared/bench/bootstrap}/peers.py" --peer "${PEER:-sklearn_index_loop}" --n 1e5 --B 20
  "$binary" 100000 2000
done
