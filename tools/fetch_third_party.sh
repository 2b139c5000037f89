#!/bin/sh
# Fetches the pinned third-party sources that no system package has, into build/third_party/.
# Each is checked against its SHA-512 before anything is unpacked; what is there is not fetched again.
#
#   tools/fetch_third_party.sh [NAME ...]     without a name: all of them
set -eu

# name | npm package@version | SHA-512 of the archive | what is kept of it (paths in the archive)
entries() {
  cat <<'LIST'
sqlite3mc|better-sqlite3-multiple-ciphers@12.11.1|a46ef6fb7564522a67998c782f042aa0e5cd1b6089d479660eb96faa0afbc501e0b04f9ccf9ac064489a2479d42931da19f1a27e0800fc2d12bfda99954adfa3|package/deps/sqlite3 package/LICENSE
pqclean|pqclean@0.8.1|fb916d92700976236d5418b22e2296dce9da9e172a496cb8e0a09a673d6d10b85a969e477ee21cc4db17f6e4b4b7b9dedad11673b3417781a989005319320904|package/deps/PQClean/common/fips202.c package/deps/PQClean/common/fips202.h package/deps/PQClean/common/compat.h package/deps/PQClean/common/randombytes.h package/deps/PQClean/crypto_kem/ml-kem-768/clean package/deps/PQClean/crypto_kem/ml-kem-1024/clean package/LICENSE
LIST
}

root=$(cd "$(dirname "$0")/.." && pwd)
target=$root/build/third_party
wanted=" ${*:-$(entries | cut -d'|' -f1 | tr '\n' ' ')} "

entries | while IFS='|' read -r name package sha512 paths; do
  case $wanted in *" $name "*) ;; *) continue ;; esac
  # The stamp holds the digest: a new pin fetches anew.
  if [ "$(cat "$target/$name/.sha512" 2>/dev/null)" = "$sha512" ]; then continue; fi
  echo "fetching $name ($package)"
  mkdir -p "$target"
  work=$(mktemp -d "$target/.fetch.XXXXXX")
  trap 'rm -rf "$work"' EXIT INT TERM
  archive=$(cd "$work" && npm pack --silent "$package")
  if ! echo "$sha512  $work/$archive" | sha512sum --check --status; then
    echo "error: $package is not the archive that was pinned: do not build with it" >&2
    exit 1
  fi
  mkdir "$work/kept"
  # shellcheck disable=SC2086  # paths are words
  tar -xzf "$work/$archive" -C "$work/kept" --strip-components=1 $paths
  echo "$sha512" > "$work/kept/.sha512"
  rm -rf "${target:?}/$name"
  mv "$work/kept" "$target/$name"
  rm -rf "$work"
done
