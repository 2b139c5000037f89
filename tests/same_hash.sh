#!/usr/bin/env bash
# Native and WebAssembly live the same lives: tests/same_hash.sh NATIVE-SIM WASM-SIM. 77: not built.
set -euo pipefail
[[ -e $2 ]] || { echo "skipped: $2 is not built (cmake --preset wasm)"; exit 77; }
native=$("$1" --seeds 1..200 --hash)
wasm=$(node --no-warnings "$(dirname "$0")/../tools/run_wasi.mjs" "$2" --seeds 1..200 --hash)
echo "native $native, wasm32 $wasm"
[[ $native == "$wasm" ]]
