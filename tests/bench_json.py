#!/usr/bin/env python3
"""Runs a script of bench/ in a short form: it has to end well, and to say what it says it measures.

    bench_json.py PATH=FIELD,FIELD … -- COMMAND…

PATH leads from the top of the JSON that it prints, through names separated by dots, to an object
whose fields are numbers, none below zero.
"""
import json
import subprocess
import sys


def main():
    cut = sys.argv.index("--")
    done = subprocess.run(sys.argv[cut + 1:], stdout=subprocess.PIPE, check=False)
    if done.returncode != 0:
        sys.exit(done.returncode)
    told = json.loads(done.stdout)
    for wanted in sys.argv[1:cut]:
        path, fields = wanted.split("=")
        at = told
        for name in path.split("."):
            at = at[name]
        for field in fields.split(","):  # a tick of the processor time may be none
            assert at[field] >= 0, "%s.%s is %s" % (path, field, at[field])
    print("its %d objects are whole" % (cut - 1))


if __name__ == "__main__":
    main()
