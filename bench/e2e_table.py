#!/usr/bin/env python3
"""Runs the end-to-end benchmarks after each other and prints one table, with ratios.

e2e_table.py BINARIES OFFICIAL   BINARIES holds e2e_bench and e2e_bench_c, OFFICIAL the npm package.
"""
import pathlib
import subprocess
import sys

REPEATS = 2  # each program, in turns; the best of each row, for the rest is other load


def rows(command):
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return {name: float(ns) for name, ns in (line.split("\t") for line in out.splitlines())}


def main():
    binaries, official = sys.argv[1:]
    here = pathlib.Path(__file__).parent
    commands = {
        "godwit": [f"{binaries}/e2e_bench", "4"],
        "official": ["node", str(here / "e2e_official.mjs"), official],
        "godwit v3": [f"{binaries}/e2e_bench", "3"],
        "C v3": [f"{binaries}/e2e_bench_c"],
    }
    best = {name: {} for name in commands}
    for _ in range(REPEATS):
        for name, command in commands.items():
            for row, ns in rows(command).items():
                best[name][row] = min(ns, best[name].get(row, ns))

    def cell(name, row):
        ns = best[name].get(row)
        return "" if ns is None else f"{ns / 1000:.1f}"

    def ratio(theirs, ours, row):
        if row not in best[theirs] or row not in best[ours]:
            return ""
        return f"{best[theirs][row] / best[ours][row]:.1f}x"

    print("Processor time in microseconds per operation; a ratio above 1 means godwit takes less.")
    print("libsignal-client 0.103.0 (Rust, called from node) and godwit: PQXDH and the post-")
    print("quantum ratchet. libsignal-protocol-c 2.3.3 and 'v3': X3DH. All load and store records.")
    head = ("", "godwit", "official", "ratio", "godwit v3", "C v3", "ratio")
    line = "{:<34}{:>10}{:>10}{:>8}{:>12}{:>9}{:>8}"
    print(line.format(*head))
    for row in dict.fromkeys([*best["official"], *best["godwit"]]):
        print(line.format(row, cell("godwit", row), cell("official", row),
                          ratio("official", "godwit", row), cell("godwit v3", row),
                          cell("C v3", row), ratio("C v3", "godwit v3", row)))
    print("The rows in brackets: what a call from node costs, and one that reaches a store.")


main()
