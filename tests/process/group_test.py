#!/usr/bin/env python3
"""A group of three: made, written to, changed, over a server that is killed on the way."""
import json
import os
import sys

import processes

CAROL = "+33655555555"


def texts(client, chat):
    return [json.loads(line)["text"]
            for line in client.must("history", chat, "--json").splitlines()]


def state(client, group):
    return json.loads(client.must("group", "info", group, "--json"))


def main():
    options = processes.arguments(__doc__)
    with processes.pair(options.bin) as (server, alice, bob):
        carol = processes.Client(options.bin, os.path.join(os.path.dirname(alice.home), "carol"),
                                 server, CAROL)
        try:
            carol.register()
            made = json.loads(alice.must("group", "create", "Birds", bob.phone, carol.phone,
                                         "--json"))
            group = made["id"]
            assert len(made["members"]) == 3, made
            for client in (bob, carol):
                client.must("receive", "--timeout", "5")
            alice.must("send", "Birds", "one")
            bob.must("receive", "--count", "1", "--timeout", "30")
            bob.must("send", group, "two")
            server.kill()
            server.start()
            carol.must("receive", "--timeout", "5")
            assert texts(carol, group) == ["one", "two"], texts(carol, group)
            alice.must("group", "remove", group, carol.phone)
            alice.must("send", group, "three")
            for client in (alice, bob, carol):
                client.must("receive", "--timeout", "5")
            assert texts(bob, group) == ["one", "two", "three"], texts(bob, group)
            assert texts(carol, group) == ["one", "two"], texts(carol, group)
            assert not state(carol, group)["member"]
            assert state(alice, group)["state"] == state(bob, group)["state"]
            refused = bob.run("group", "add", group, carol.phone, "--json")
            assert refused.returncode == 3, refused
            refused = carol.run("send", group, "four", "--json")
            assert refused.returncode == 3, refused
        finally:
            carol.kill()
    print("a group of three: all agree, and who was removed reads nothing newer")
    return 0


if __name__ == "__main__":
    sys.exit(main())
