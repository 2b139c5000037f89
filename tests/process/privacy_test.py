#!/usr/bin/env python3
"""What lies on the server's disk: while a message waits, ciphertext; afterwards, nothing of it.

Looked through: every file below the data directory, raw and decompressed by reading it back
through the store, and the log. The file of verification codes is the console's stand-in for an
SMS provider, and the one place that is meant to name numbers.
"""
import os
import sys

import processes

TEXTS = ["canary-%d: the treaty is signed at noon" % n for n in range(20)]
CODES = "verification-codes.jsonl"


def needles():
    """What must not be found: texts, and numbers with and without their +."""
    for text in (TEXTS[0], TEXTS[-1], "the treaty is signed"):
        yield text.encode()
    for phone in (processes.ALICE, processes.BOB):
        yield phone[1:].encode()


def found_in(server):
    paths = [server.log] + [os.path.join(folder, name)
                            for folder, _, names in os.walk(server.data) for name in names]
    for path in paths:
        if os.path.basename(path) == CODES or not os.path.isfile(path):  # a socket holds nothing
            continue
        with open(path, "rb") as file:
            octets = file.read()
        for needle in needles():
            if needle in octets:
                yield "%r in %s" % (needle, os.path.relpath(path, os.path.dirname(server.data)))


def main():
    options = processes.arguments(__doc__)
    with processes.pair(options.bin) as (server, alice, bob):
        where = {}

        def waiting_messages_are_sealed():
            alice.must("send", bob.phone, "--lines", text="\n".join(TEXTS))
            server.stop()
            where.update(processes.stored_rows(options.bin, server))
            assert where["queue"] == len(TEXTS), "%(queue)d envelopes wait" % where
            found = list(found_in(server))
            server.start()
            assert not found, found

        def delivered_means_deleted():
            got = bob.must("receive", "--lines", "--read", "-n", str(len(TEXTS)), "--timeout", "60")
            assert got.decode().splitlines() == TEXTS, "other texts arrived"
            for person in (alice, bob, alice, bob):
                person.must("receive", timeout=60)
            server.stop()
            rows = processes.stored_rows(options.bin, server)
            assert rows["queue"] == 0, "%d envelopes are left" % rows["queue"]
            assert rows["account"] > 0, "the count counts nothing"
            assert not list(found_in(server)), list(found_in(server))

        def nobody_else_may_read_the_files():
            for place in (server.data, alice.home, bob.home):
                for folder, _, names in os.walk(place):
                    for path in [folder] + [os.path.join(folder, name) for name in names]:
                        mode = os.lstat(path).st_mode & 0o77
                        inside = folder.startswith(os.path.join(server.data, "store"))
                        assert not mode or inside, "%s is open to others" % path
            assert not os.lstat(server.data).st_mode & 0o77

        def the_clients_store_is_encrypted():
            with open(os.path.join(bob.home, "store.db"), "rb") as file:
                octets = file.read()
            assert not any(needle in octets for needle in needles())
            assert not octets.startswith(b"SQLite format")

        return processes.run_checks([waiting_messages_are_sealed, delivered_means_deleted,
                                     nobody_else_may_read_the_files,
                                     the_clients_store_is_encrypted])


if __name__ == "__main__":
    sys.exit(main())
