#!/bin/sh
# Fetches the pinned third-party sources that no system package has, into build/third_party/.
# Each is checked against its SHA-512 before anything is unpacked; what is there is not fetched again.
#
#   tools/fetch_third_party.sh [NAME ...]     without a name: what a native build needs
set -eu

# For every build.
# name | npm package@version | SHA-512 of the archive | what is kept of it (paths in the archive)
native() {
  cat <<'LIST'
sqlite3mc|better-sqlite3-multiple-ciphers@12.11.1|a46ef6fb7564522a67998c782f042aa0e5cd1b6089d479660eb96faa0afbc501e0b04f9ccf9ac064489a2479d42931da19f1a27e0800fc2d12bfda99954adfa3|package/deps/sqlite3 package/LICENSE
pqclean|pqclean@0.8.1|fb916d92700976236d5418b22e2296dce9da9e172a496cb8e0a09a673d6d10b85a969e477ee21cc4db17f6e4b4b7b9dedad11673b3417781a989005319320904|package/deps/PQClean/common/fips202.c package/deps/PQClean/common/fips202.h package/deps/PQClean/common/compat.h package/deps/PQClean/common/randombytes.h package/deps/PQClean/crypto_kem/ml-kem-768/clean package/deps/PQClean/crypto_kem/ml-kem-1024/clean package/LICENSE
LIST
}

# For WebAssembly: the sources of the Debian packages that a native build links.
# name | debian:source=version | SHA-512 of the .dsc, which holds the digests of the rest | kept
wasm() {
  cat <<'LIST'
libsodium|debian:libsodium=1.0.18-1+deb12u1|841ad991dd67ac97b1be24a390514c125d1ed8b1f221243617a9855e67e39c6ffa66f0e5f7b28ec5b1f44a8500390e469a16ca7d592ded25c6782dad7b81a7f7|src/libsodium LICENSE
bearssl|debian:bearssl=0.6+dfsg.1-3|b894eef5c03923063332e72fcd90eff431ff414b445a55cba76f12f680e59ff0e5fb66c338c70479913f0bf8ccd963cc53abd3fb8099469b44b5cc879c8f0edf|inc src LICENSE.txt
LIST
}

root=$(cd "$(dirname "$0")/.." && pwd)
target=$root/build/third_party
wanted=" ${*:-$(native | cut -d'|' -f1 | tr '\n' ' ')} "

check() { # FILE SHA512
  echo "$2  $1" | sha512sum --check --status && return
  echo "error: $(basename "$1") is not the file that was pinned: do not build with it" >&2
  exit 1
}

# Both unpack into ./kept. PACKAGE SHA512 PATH...
from_npm() {
  archive=$(npm pack --silent "$1")
  check "$PWD/$archive" "$2"
  shift 2
  mkdir kept
  tar -xzf "$archive" -C kept --strip-components=1 "$@"
}

# With package lists of our own, so that it needs neither root nor source entries in the system's.
from_debian() {
  mkdir -p apt/parts apt/lists/partial apt/cache/archives/partial
  for file in /etc/apt/sources.list.d/*.sources; do
    [ ! -e "$file" ] || sed 's/^Types:.*/Types: deb-src/' "$file" > "apt/parts/$(basename "$file")"
  done
  for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
    [ ! -e "$file" ] || sed -n 's/^deb /deb-src /p' "$file" >> apt/parts/all.list
  done
  apt() {
    apt-get -qq -o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts="$PWD/apt/parts" \
      -o Dir::State::Lists="$PWD/apt/lists" -o Dir::Cache="$PWD/apt/cache" "$@" 2> apt/log
  }
  apt update || true # a source that fails need not be the one with our package
  if ! apt source --download-only "$1"; then
    cat apt/log >&2
    echo "error: this system's package sources do not have $1" >&2
    exit 1
  fi
  check "$(ls "$PWD"/*.dsc)" "$2"
  shift 2
  # Checks the digests of the rest, and applies Debian's patches (security fixes among them).
  dpkg-source --no-copy -x ./*.dsc unpacked > apt/log 2>&1 || { cat apt/log >&2; exit 1; }
  mkdir kept
  tar -cf - -C unpacked "$@" | tar -xf - -C kept
}

{ native; wasm; } | while IFS='|' read -r name package sha512 paths; do
  case $wanted in *" $name "*) ;; *) continue ;; esac
  # The stamp holds the digest: a new pin fetches anew.
  if [ "$(cat "$target/$name/.sha512" 2>/dev/null)" = "$sha512" ]; then continue; fi
  echo "fetching $name ($package)"
  mkdir -p "$target"
  work=$(mktemp -d "$target/.fetch.XXXXXX")
  trap 'rm -rf "$work"' EXIT INT TERM
  cd "$work"
  # shellcheck disable=SC2086  # paths are words
  case $package in
    debian:*) from_debian "${package#debian:}" "$sha512" $paths ;;
    *) from_npm "$package" "$sha512" $paths ;;
  esac
  echo "$sha512" > kept/.sha512
  rm -rf "${target:?}/$name"
  mv kept "$target/$name"
  cd "$root"
  rm -rf "$work"
done
