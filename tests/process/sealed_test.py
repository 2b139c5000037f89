#!/usr/bin/env python3
"""Sealed sender: what waits for somebody does not say from whom, nor do metrics and log."""
import json
import sys

import processes

TEXTS = ["sealed %d" % n for n in range(20)]


def user_of(person):
    user = json.loads(person.must("status", "--json"))["user"]
    return user.replace("-", "").removeprefix("user:")


def main():
    options = processes.arguments(__doc__)
    with processes.pair(options.bin) as (server, alice, bob):
        who = user_of(alice)

        def waiting_from_alice():
            """Envelopes that wait in all, and those that name Alice."""
            server.stop()
            rows = processes.stored_rows(options.bin, server)
            named = processes.stored_rows(options.bin, server, who)
            server.start()
            return rows["queue"], named["queue"]

        def the_first_message_to_a_stranger_names_its_sender():
            alice.must("send", bob.phone, "Hello, this is Alice")
            assert waiting_from_alice() == (1, 1)

        def they_get_to_know_each_other():
            bob.must("receive", "-n", "1", "--timeout", "60")
            bob.must("send", alice.phone, "Hello")
            alice.must("receive", "-n", "1", "--timeout", "60")
            for person in (bob, alice, bob):
                person.must("receive", timeout=60)

        def what_follows_names_nobody():
            def sealed():
                return server.metric("godwitd_messages_sealed_total")

            before = sealed()
            alice.must("send", bob.phone, "--lines", text="\n".join(TEXTS))
            processes.wait_until(lambda: sealed() >= before + len(TEXTS), 10, "all are sealed")
            metrics = server.get("/metrics")
            waiting, named = waiting_from_alice()
            assert waiting == len(TEXTS), "%d envelopes wait" % waiting
            assert named == 0, "%d of them name their sender" % named
            with open(server.log) as log:
                assert who not in log.read() + metrics

        def and_it_arrives_with_its_sender():
            got = bob.must("receive", "--json", "-n", str(len(TEXTS)), "--timeout", "60")
            messages = [json.loads(line) for line in got.splitlines()]
            messages = [m for m in messages if m["type"] == "message"]
            assert [m["text"] for m in messages] == TEXTS, messages
            assert {m["from"] for m in messages} == {alice.phone}, messages
            alice.must("receive", timeout=60)

        return processes.run_checks([the_first_message_to_a_stranger_names_its_sender,
                                     they_get_to_know_each_other, what_follows_names_nobody,
                                     and_it_arrives_with_its_sender])


if __name__ == "__main__":
    sys.exit(main())
