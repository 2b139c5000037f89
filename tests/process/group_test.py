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


def link_and_more(alice, bob, carol, group):
    """What the group says of itself, and how Carol comes back by a link."""
    alice.must("group", "describe", group, "They fly", "--json")
    png = os.path.join(os.path.dirname(alice.home), "bird.png")
    with open(png, "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n" + bytes(range(200)))
    alice.must("group", "picture", group, png, "--json")
    alice.must("group", "edit", group, "--info", "all", "--json")
    refused = alice.run("group", "picture", group, "/etc/passwd", "--json")
    assert refused.returncode == 2, refused
    made = json.loads(alice.must("group", "link", group, "--approval", "--uses", "3", "--json"))
    assert "url" in made["link"] and made["link"]["uses"] == 3, made
    bob.must("receive", "--timeout", "5")
    seen = state(bob, group)
    assert seen["description"] == "They fly" and seen["all_edit"], seen
    saved = png + ".saved"
    bob.must("group", "picture", group, "--save", saved)
    with open(png, "rb") as first, open(saved, "rb") as second:
        assert first.read() == second.read()
    refused = carol.run("group", "join", "godwit:join/12", "--json")
    assert refused.returncode == 2, refused
    joined = json.loads(carol.must("group", "join", made["link"]["url"], "--json"))
    assert joined.get("waits") and not joined["member"], joined
    alice.must("receive", "--timeout", "5")
    waits = state(alice, group)["pending"]
    assert len(waits) == 1, waits
    alice.must("group", "approve", group, waits[0], "--json")
    carol.must("receive", "--timeout", "10")
    alice.must("send", group, "welcome back")
    carol.must("receive", "--count", "1", "--timeout", "30")
    assert texts(carol, group)[-1] == "welcome back", texts(carol, group)
    assert state(carol, group)["name"] == "Birds"
    assert "link" not in json.loads(alice.must("group", "link", group, "--revoke", "--json"))
    refused = bob.run("group", "join", made["link"]["url"], "--json")
    assert refused.returncode == 3, refused


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
            link_and_more(alice, bob, carol, group)
        finally:
            carol.kill()
    print("a group of three: all agree, who was removed reads nothing newer, and a link brings "
          "her back")
    return 0


if __name__ == "__main__":
    sys.exit(main())
