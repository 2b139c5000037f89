#!/usr/bin/env bash
# Does the simulator find bugs? Applies each patch of sim/mutations, one at a time, in a worktree of
# its own, builds the simulator, and runs it until a checker objects.
#
#   tools/mutate.sh [--seeds N] [PATCH-NAME ...]     all patches when none is named; 3000 seeds
#
# Prints one row of a Markdown table per patch; exits with 1 if one survived or does not apply.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
seeds=3000
if [[ ${1:-} == --seeds ]]; then seeds=$2; shift 2; fi
names=("$@")
if [[ ${#names[@]} -eq 0 ]]; then
  for patch in "$root"/sim/mutations/*.patch; do names+=("$(basename "$patch" .patch)"); done
fi

tree=$(mktemp -d)
trap 'git -C "$root" worktree remove --force "$tree/src" 2>/dev/null || true; rm -rf "$tree"' EXIT
git -C "$root" worktree add -q --detach "$tree/src" HEAD
cmake -S "$tree/src" -B "$tree/build" -G Ninja -DGODWIT_TESTS=OFF -DCMAKE_BUILD_TYPE=None \
  -DGODWIT_PURE_ONLY=ON -DCMAKE_CXX_FLAGS=-O1 >/dev/null
build() { cmake --build "$tree/build" --target sim -j "$(nproc)" >"$tree/log" 2>&1; }
build || { tail -20 "$tree/log"; exit 1; }

echo "| mutation | found by | seed | what it says | seconds |"
echo "|---|---|---|---|---|"
survived=0
for name in "${names[@]}"; do
  if ! git -C "$tree/src" apply "$root/sim/mutations/$name.patch" || ! build; then
    echo "| $name | (does not apply or build) | | | |"
    survived=1
  else
    begin=$(date +%s%N)
    result=$("$tree/build/bin/sim" --seeds "1..$seeds" --jobs "$(nproc)" 2>&1 || true)
    took=$(( ($(date +%s%N) - begin) / 10000000 ))
    seconds=$(printf '%d.%02d' $((took / 100)) $((took % 100)))
    found=$(sed -n "s/^seed \([0-9]*\) breaks '\([a-z_]*\)': \(.*\)/| \2 | \1 | \3/p" <<<"$result")
    if [[ -z $found ]] && grep -qE 'CHECK failed|Assertion' <<<"$result"; then
      found="| CHECK | | an invariant of the code itself"
    fi
    [[ -n $found ]] || { found="| **survived** | | $seeds seeds"; survived=1; }
    echo "| $name $found | $seconds |"
  fi
  git -C "$tree/src" checkout -q -- .
done
exit $survived
