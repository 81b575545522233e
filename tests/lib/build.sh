#!/usr/bin/env bash
# Configures and builds one preset of CMakePresets.json into build/<preset>.
#
#     tests/lib/build.sh PRESET [CMAKE OPTION...]
set -euo pipefail
preset=${1:?"build.sh PRESET [CMAKE OPTION...]"}
shift
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

echo "build: preset $preset, into build/$preset"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! { cmake --preset "$preset" "$@" && cmake --build --preset "$preset" --parallel "$(nproc)"; } >"$log" 2>&1; then
  cat "$log" >&2
  echo "build: failed (its output is above)" >&2
  exit 1
fi
