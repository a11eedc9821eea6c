#!/usr/bin/env bash
# million_rows.sh PODIUM FOLDER: a holdout of a million rows, and what two forests of different merit predict of them, the same files at
# every call. Says how many rows there are.
set -euo pipefail
podium=$1
folder=$2
no_features=transaction_id,customer_id,terminal_id,tx_time_seconds,tx_time_days,tx_fraud_scenario
simulate() { "$podium" simulate transactions --seed 1 "$@"; }

simulate --first-day 40 --out "$folder/train.parquet" > "$folder/said"
counted=$(simulate --first-day 50 --days 104 --out "$folder/holdout.parquet")
simulate --first-day 50 --days 104 --exclude tx_fraud,tx_fraud_scenario --out "$folder/unlabelled.parquet" >> "$folder/said"
# Version, trees and depth.
for forest in "1 10 2" "2 30 8"; do
  read -r version trees depth <<< "$forest"
  "$podium" train --data "$folder/train.parquet" --label=tx_fraud --weight=balanced --exclude "$no_features" --refit --seed=1 \
    --numTrees "$trees" --maxDepth "$depth" --output "$folder/$version" >> "$folder/said"
  "$podium" score --model "$folder/$version" --model-version "$version" --data "$folder/unlabelled.parquet" \
    --out "$folder/v$version.parquet" >> "$folder/said"
done
echo "${counted#*: }"
