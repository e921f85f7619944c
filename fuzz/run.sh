#!/usr/bin/env bash
# Runs the fuzz targets, two at a time, each for SECONDS or until its first finding, and prints the
# number of runs and findings. Logs are in `logs`, inputs of findings in `artifacts`.
#
#     fuzz/run.sh SECONDS [TARGET..]
set -euo pipefail
cd "$(dirname "$0")"
seconds=${1:?number of seconds for each target}
shift
targets=("$@")
((${#targets[@]})) || mapfile -t targets < <(cargo +nightly fuzz list)

node seeds.mjs
cargo +nightly fuzz build -s none

run() {
  local target=$1 seconds=$2
  local options=(-dict=words.dict -max_len=40960 -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048)
  rm -rf "artifacts/$target" && mkdir -p "artifacts/$target" logs
  # libFuzzer checks its time limit only between two inputs.
  timeout --kill-after=10 $((seconds + 120)) "target/x86_64-unknown-linux-gnu/release/$target" "corpus/$target" \
    "${options[@]}" -artifact_prefix="artifacts/$target/" -print_final_stats=1 >"logs/$target" 2>&1 || true
}
export -f run
printf '%s\n' "${targets[@]}" | xargs -P 2 -I{} bash -c 'run "$@"' run {} "$seconds"

failed=0
printf '%-12s %10s %9s\n' target runs findings
for target in "${targets[@]}"; do
  runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "logs/$target" | tail -n 1)
  findings=$(find "artifacts/$target" -type f | wc -l)
  printf '%-12s %10s %9s\n' "$target" "${runs:-?}" "$findings"
  # A run that was killed has no statistics.
  if ((findings)) || [[ -z $runs ]]; then
    failed=1
    grep -m 1 -A 1 -E 'panicked at|ERROR: libFuzzer' "logs/$target" | sed 's/^/    /' || tail -n 3 "logs/$target"
  fi
done
exit "$failed"
