#!/usr/bin/env python3
"""What people do with a group's messages, by the command line: a server and three people."""
import json
import os
import sys
import time

import processes
from processes import ALICE, BOB

CAROL = "+33655555555"


def lines(octets):
    return [json.loads(line) for line in octets.splitlines()]


class Group:
    def __init__(self, alice, bob, carol):
        self.alice, self.bob, self.carol = alice, bob, carol
        self.people = (alice, bob, carol)
        made = lines(alice.must("group", "create", "Birds", BOB, CAROL, "--json"))[0]
        self.chat = "group:" + made["id"]
        self.receive()
        self.send(carol, "hello")  # now the others know her number
        self.receive()

    def receive(self, *people):
        for who in people or self.people:
            who.must("receive", "--json")

    def send(self, who, *args):
        return lines(who.must("send", "Birds", *args, "--json"))[0]["id"]

    def act(self, who, *args):
        return lines(who.must(*args, "--json"))

    def last(self, who):
        """The newest message, after what waits was received."""
        self.receive(who)
        return who.history("Birds")[-1]

    # ---- the rows

    def reactions_and_edits(self):
        message = self.send(self.alice, "heron at teh pond")
        self.receive(self.bob, self.carol)
        self.act(self.bob, "react", message[:8], "\N{SWAN}")
        self.act(self.alice, "edit", message, "heron at the pond")
        for who in self.people:
            seen = self.last(who)
            assert seen["reactions"] == [{"from": BOB, "emoji": "\N{SWAN}"}], seen
            assert seen["text"] == "heron at the pond" and seen["edited"], seen
            assert seen["chat"] == self.chat, seen
        assert self.last(self.carol)["from"] == ALICE

    def deletions(self):
        message = self.send(self.bob, "not for aardvarks")
        self.receive(self.alice, self.carol)
        refused = self.carol.run("delete", message, "--json")
        assert refused.returncode == 3, refused
        self.act(self.alice, "delete", message)  # an admin
        for who in self.people:
            assert self.last(who)["deleted"]
            assert not self.act(who, "search", "aardvarks")

    def a_reply_that_mentions(self):
        question = self.send(self.alice, "who brings the telescope?")
        self.receive(self.bob)
        self.send(self.bob, "--reply", question[:8], "--mention", CAROL, "she does")
        seen = self.last(self.carol)
        assert seen["reply_to"]["id"] == question and seen["mentions"] == [CAROL], seen
        row = [each for each in self.act(self.carol, "contacts") if each["type"] == "group"][0]
        assert row["name"] == "Birds" and row["mentions"] == 1 and row["unread"] >= 2, row
        outside = self.bob.run("send", "Birds", "--mention", "+33699999999", "who?", "--json")
        assert outside.returncode == 2, outside

    def a_poll(self):
        self.receive()
        poll = self.act(self.alice, "poll", "Birds", "When?", "dawn", "dusk")[0]["id"]
        self.receive(self.bob, self.carol)
        self.act(self.bob, "vote", poll, "1")
        self.act(self.carol, "vote", poll, "2")
        options = self.last(self.alice)["poll"]["options"]
        assert [option["votes"] for option in options] == [[BOB], [CAROL]], options

    def a_pin_and_a_forward(self):
        message = self.send(self.bob, "meet at six")
        self.receive(self.alice)
        assert self.bob.run("pin", message).returncode == 3
        self.act(self.alice, "pin", message)
        pins = [each for each in lines(self.bob.must("receive", "--json")) if each["type"] == "pin"]
        assert pins == [{"type": "pin", "for": message, "from": ALICE, "chat": self.chat,
                         "on": True}], pins
        self.act(self.bob, "forward", message, "Birds", ALICE)
        assert self.last(self.carol)["forwards"] == 1

    def view_once_and_disappearing(self):
        message = self.send(self.alice, "--view-once", "the code is 1234")
        assert self.last(self.bob)["text"] == ""
        assert self.act(self.bob, "open", message)[0]["text"] == "the code is 1234"
        assert self.bob.run("open", message).returncode == 4
        self.receive(self.alice)
        opened = [each["opened"] for each in self.alice.history("Birds") if each["id"] == message]
        assert opened == [True], opened
        assert self.bob.run("disappear", "Birds", "2s").returncode == 3
        self.act(self.alice, "disappear", "Birds", "2s")
        self.receive(self.bob)
        gone = self.send(self.bob, "soon gone")
        self.carol.must("receive", "--read", "--json")
        time.sleep(3)
        for who in (self.bob, self.carol):
            assert gone not in [each["id"] for each in who.history("Birds")]
        self.act(self.alice, "disappear", "Birds", "off")
        self.receive()

    def who_has_it(self):
        message = self.send(self.alice, "roll call")
        self.bob.must("receive", "--read", "--json")
        self.receive(self.alice)
        info = self.act(self.alice, "info", message)[0]
        members = {each["phone"]: each for each in info["members"]}
        assert members[BOB]["read_ms"] and not members[CAROL]["delivered_ms"], members
        self.act(self.carol, "settings", "read-receipts", "off")
        self.carol.must("receive", "--read", "--json")
        self.receive(self.alice)
        info = self.act(self.alice, "info", message)[0]
        members = {each["phone"]: each for each in info["members"]}
        assert members[CAROL]["delivered_ms"] and not members[CAROL]["read_ms"], members
        assert info["status"] == "delivered", info

    def settings_of_the_chat(self):
        self.act(self.bob, "archive", "Birds")
        self.act(self.bob, "mute", self.chat, "--for", "8h")
        self.act(self.bob, "draft", "Birds", "half a thought")
        assert self.act(self.bob, "draft", "Birds")[0]["draft"] == "half a thought"
        row = [each for each in self.act(self.bob, "contacts") if each["type"] == "group"][0]
        assert row["archived"] and row["muted"], row
        message = self.send(self.alice, "a bittern booms")
        self.receive(self.bob)
        found = self.act(self.bob, "search", "bittern", "--chat", "Birds")
        assert [each["id"] for each in found] == [message], found


def main():
    options = processes.arguments(__doc__)
    with processes.pair(options.bin) as (server, alice, bob):
        carol = processes.Client(options.bin, os.path.join(os.path.dirname(alice.home), "carol"),
                                 server, CAROL)
        try:
            carol.register()
            group = Group(alice, bob, carol)
            return processes.run_checks([
                group.reactions_and_edits, group.deletions, group.a_reply_that_mentions,
                group.a_poll, group.a_pin_and_a_forward, group.view_once_and_disappearing,
                group.who_has_it, group.settings_of_the_chat])
        finally:
            carol.kill()


if __name__ == "__main__":
    sys.exit(main())
