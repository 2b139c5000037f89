#!/usr/bin/env python3
"""Debian's fortunes, all of them, from one client to another and back, line by line, through a
server that is killed and restarted three times on the way. What arrives must be equal byte for
byte, there and back.

The texts are those of the package `fortunes` (and fortunes-min): every text file, concatenated in
the order of their names. They are UTF-8 throughout; lines that are not would be refused by `send`.
"""
import glob
import hashlib
import os
import subprocess
import sys
import threading
import time

import processes

FOLDER = "/usr/share/games/fortunes"
# Where on the way, in parts of a journey, the server is killed.
KILLS_THERE = (1 / 3, 2 / 3)
KILLS_BACK = (1 / 2,)


def texts():
    """(number of files, their octets, one after the other)."""
    files = [path for path in sorted(glob.glob(FOLDER + "/*"))
             if os.path.isfile(path) and not os.path.islink(path) and not path.endswith(".dat")]
    whole = b""
    for path in files:
        with open(path, "rb") as file:
            octets = file.read()
        octets.decode("utf-8")
        whole += octets if octets.endswith(b"\n") else octets + b"\n"
    return len(files), whole


class Receiver(threading.Thread):
    """`receive --follow --lines` into memory, so that the progress can be seen."""

    def __init__(self, person, lines):
        super().__init__(daemon=True)
        self.got, self.size = [], 0
        self.process = person.spawn("receive", "--lines", "--follow", "--count", str(lines))

    def run(self):
        for line in self.process.stdout:
            self.got.append(line)

    def octets(self):
        self.join()
        return b"".join(self.got)


def carry(server, sender, receiver, octets, kills):
    """Sends `octets`, a message a line; returns what arrived and how long it took."""
    lines = octets.count(b"\n")
    source = os.path.join(os.path.dirname(server.data), "from-" + sender.phone)
    with open(source, "wb") as file:
        file.write(octets)
    started = time.monotonic()
    arriving = Receiver(receiver, lines)
    arriving.start()
    with open(source, "rb") as given:
        sending = sender.spawn("send", receiver.phone, "--lines",
                               "--timeout", "3600", stdin=given, stdout=subprocess.DEVNULL)
    left, shown = list(kills), 0
    while arriving.is_alive() or sending.poll() is None:
        time.sleep(0.05)
        done = len(arriving.got)
        if left and done > lines * left[0]:
            left.pop(0)
            server.kill()
            server.start()
            print("  %s lines: killed the server (SIGKILL) and started it again" % f"{done:,}",
                  flush=True)
        elif time.monotonic() - started > shown + 5:
            shown = time.monotonic() - started
            print("  %s lines after %.0f s" % (f"{done:,}", shown), flush=True)
        assert arriving.process.poll() in (None, 0) and sending.poll() in (None, 0), (
            "a client ended: send %s, receive %s" % (sending.poll(), arriving.process.poll()))
    assert not left, "it was over before the server could be killed"
    return arriving.octets(), time.monotonic() - started


def main():
    options = processes.arguments(__doc__, lines=(0, "only the first so many lines"),
                                  save=("", "keep what was sent and received in this directory"))
    count, whole = texts()
    if not count:
        print("fortunes: no texts in %s: apt-get install fortunes" % FOLDER)
        return 77
    if options.lines:
        whole = b"".join(whole.splitlines(keepends=True)[:options.lines])
    lines = whole.count(b"\n")
    print("%d files, %s lines, %s bytes" % (count, f"{lines:,}", f"{len(whole):,}"), flush=True)
    with processes.pair(options.bin) as (server, alice, bob):
        print("there:", flush=True)
        there, seconds_there = carry(server, alice, bob, whole, KILLS_THERE)
        print("back:", flush=True)
        back, seconds_back = carry(server, bob, alice, there, KILLS_BACK)
    copies = (("sent", whole), ("there", there), ("back", back))
    for name, octets in copies:
        if options.save:
            os.makedirs(options.save, exist_ok=True)
            with open(os.path.join(options.save, name), "wb") as file:
                file.write(octets)
        print("%-6s %s  %s bytes" % (name, hashlib.sha256(octets).hexdigest(), f"{len(octets):,}"))
    equal = there == whole and back == whole
    print("%s lines there in %.1f s, back in %.1f s, server killed %d times: %s" % (
        f"{lines:,}", seconds_there, seconds_back, len(KILLS_THERE + KILLS_BACK),
        "equal" if equal else "DIFFERENT"))
    return 0 if equal else 1


if __name__ == "__main__":
    sys.exit(main())
