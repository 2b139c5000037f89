#!/usr/bin/env python3
"""Debian's fortunes, all of them, from one client to another, line by line, through a server that
is killed and restarted three times on the way. What arrives must be equal byte for byte.

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
KILLS = 3


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
        source = os.path.join(os.path.dirname(server.data), "sent")
        with open(source, "wb") as file:
            file.write(whole)
        started = time.monotonic()
        receiver = Receiver(bob, lines)
        receiver.start()
        with open(source, "rb") as given:
            sender = alice.spawn("send", bob.phone, "--lines",
                                 "--timeout", "3600", stdin=given, stdout=subprocess.DEVNULL)
        kills, shown = 0, 0
        while receiver.is_alive() or sender.poll() is None:
            time.sleep(0.05)
            done = len(receiver.got)
            if kills < KILLS and done > lines * (kills + 1) // (KILLS + 1):
                server.kill()
                server.start()
                kills += 1
                print("  %s lines: killed the server (SIGKILL) and started it again" % f"{done:,}",
                      flush=True)
            elif time.monotonic() - started > shown + 5:
                shown = time.monotonic() - started
                print("  %s lines after %.0f s" % (f"{done:,}", shown), flush=True)
            assert receiver.process.poll() in (None, 0) and sender.poll() in (None, 0), (
                "a client ended: send %s, receive %s" % (sender.poll(), receiver.process.poll()))
        seconds = time.monotonic() - started
        got = receiver.octets()
    if options.save:
        os.makedirs(options.save, exist_ok=True)
        for name, octets in (("sent", whole), ("received", got)):
            with open(os.path.join(options.save, name), "wb") as file:
                file.write(octets)
    for name, octets in (("sent", whole), ("received", got)):
        print("%-8s %s  %s bytes" % (name, hashlib.sha256(octets).hexdigest(), f"{len(octets):,}"))
    print("%s lines in %.1f s (%s a second), server killed %d times: %s" % (
        f"{lines:,}", seconds, f"{int(lines / seconds):,}", kills,
        "equal" if got == whole else "DIFFERENT"))
    return 0 if got == whole and kills == KILLS else 1


if __name__ == "__main__":
    sys.exit(main())
