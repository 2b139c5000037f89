#!/usr/bin/env python3
"""A conversation both ways while server and clients are killed at random moments.

At the end: every message that was accepted has arrived, none twice, each side's in order, and the
server has forgotten all of them.
"""
import json
import random
import subprocess
import sys
import threading
import time

import processes


class Writer(threading.Thread):
    """Sends numbered lines until told to stop. Of a killed batch it repeats nothing: what was not
    reported may have left or not, and is to arrive at most once."""

    def __init__(self, sender, to, stopping, seed):
        super().__init__()
        self.sender, self.to, self.stopping = sender, to, stopping
        self.random = random.Random(seed)
        self.number = 0
        self.accepted = []

    def run(self):
        while not self.stopping.is_set():
            first = self.number
            self.number += self.random.randint(1, 20)
            batch = range(first, self.number)
            process = self.sender.spawn("send", self.to.phone, "--lines", "--json",
                                        stdin=subprocess.PIPE)
            out, _ = process.communicate("".join("%d\n" % n for n in batch).encode())
            for line in out.splitlines():
                try:
                    report = json.loads(line)
                except ValueError:
                    continue  # cut by the kill
                if report.get("type") in ("queued", "sent"):
                    self.accepted.append(batch[report["line"] - 1])
            time.sleep(self.random.uniform(0, 0.3))


class Reader(threading.Thread):
    """Follows what arrives. A reader that is killed may print a message again when it returns;
    one that lives may not."""

    def __init__(self, person, stopping):
        super().__init__()
        self.person, self.stopping = person, stopping
        self.printed = []  # one list a process

    def run(self):
        while not self.stopping.is_set():
            process = self.person.spawn("receive", "--follow", "--json", "--timeout", "3")
            out, _ = process.communicate()
            texts = []
            for line in out.splitlines():
                try:
                    entry = json.loads(line)
                except ValueError:
                    continue
                if entry.get("type") == "message":
                    texts.append(entry["text"])
            self.printed.append(texts)


def torment(server, people, seconds, chance):
    """Kills one at a time until the time is over; returns how often whom."""
    killed = [0, 0, 0]
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        time.sleep(chance.uniform(0.1, 1.2))
        victim = chance.randrange(3)
        killed[victim] += 1
        if victim == 2:
            server.kill()
            time.sleep(chance.uniform(0, 0.5))
            server.start()
        else:
            people[victim].kill()
    return killed


def check(writer, reader, person, other):
    texts = [entry["text"] for entry in person.history(other.phone) if entry["direction"] == "in"]
    assert texts[-1] == "end", "the last message is %r" % texts[-1]
    numbers = [int(text) for text in texts[:-1]]
    lost = set(writer.accepted) - set(numbers)
    assert not lost, "%d accepted and lost, e.g. %s" % (len(lost), sorted(lost)[:5])
    assert len(numbers) == len(set(numbers)), "a message is in the history twice"
    assert numbers == sorted(numbers), "order: %s" % [
        pair for pair in zip(numbers, numbers[1:]) if pair[0] > pair[1]][:5]
    for texts in reader.printed:
        assert len(texts) == len(set(texts)), "one receive printed a message twice"
    printed = {text for texts in reader.printed for text in texts}
    missed = {str(number) for number in numbers} - printed
    assert not missed, "%d never printed by receive, e.g. %s" % (len(missed), sorted(missed)[:5])
    return len(writer.accepted), len(numbers)


def main():
    options = processes.arguments(__doc__, seconds=(60, "how long"), seed=(0, "0: from the clock"))
    seed = options.seed or int(time.time())
    print("seed", seed)
    with processes.pair(options.bin) as (server, alice, bob):
        people, stopping = (alice, bob), threading.Event()
        writers = [Writer(alice, bob, stopping, seed), Writer(bob, alice, stopping, seed + 1)]
        readers = [Reader(bob, stopping), Reader(alice, stopping)]
        for thread in writers + readers:
            thread.start()
        killed = torment(server, people, options.seconds, random.Random(seed + 2))
        stopping.set()
        for thread in writers + readers:
            thread.join()
        for person, other in ((alice, bob), (bob, alice)):
            person.must("send", other.phone, "end", "--wait", "sent", "--timeout", "60")
        for person, reader in ((alice, readers[1]), (bob, readers[0])):
            out = person.must("receive", "--json", timeout=120)
            reader.printed.append([entry["text"] for entry in map(json.loads, out.splitlines())
                                   if entry["type"] == "message"])
        # Receipts are messages too: once both are idle, nothing is left.
        for person in people * 2:
            person.must("receive", timeout=60)
        counts = [check(writers[0], readers[0], bob, alice),
                  check(writers[1], readers[1], alice, bob)]
        server.stop()
        rows = processes.stored_rows(options.bin, server)
        assert rows["queue"] == 0, "%d envelopes are left on the server" % rows["queue"]
    print("killed: alice %d, bob %d, server %d times" % tuple(killed))
    for name, (accepted, arrived) in zip(("alice", "bob"), counts):
        print("%s: %d accepted, %d arrived, each once and in order" % (name, accepted, arrived))
    assert all(killed) and all(accepted for accepted, _ in counts), "too short to prove anything"
    return 0


if __name__ == "__main__":
    sys.exit(main())
