#!/usr/bin/env python3
"""What people do with a group's messages, by the command line: a server and three people."""
import os
import sys

import processes
from processes import ALICE, BOB

CAROL = "+33655555555"
NAME = "Bird Watchers"


class Group:
    """Three people whose devices are on: what is sent arrives by itself."""

    def __init__(self, alice, bob, carol):
        self.alice, self.bob, self.carol = alice, bob, carol
        self.people = (alice, bob, carol)
        self.heard = {who: who.follow() for who in self.people}
        made = alice.act("group", "create", NAME, BOB, CAROL)[0]
        self.chat = "group:" + made["id"]
        for who in self.people:
            processes.wait_until(lambda who=who: len(self.members(who)) == 3, 30, "all are in it")
        self.seen(self.send(carol, "hello"))

    @staticmethod
    def members(who):
        groups = who.act("group", "list")
        return groups[0]["members"] if groups and groups[0]["name"] else []

    def send(self, who, *args):
        return who.act("send", NAME, *args)[0]["id"]

    def see(self, who, message, **fields):
        return who.see(NAME, message, **fields)

    def seen(self, message, **fields):
        return [self.see(who, message, **fields) for who in self.people]

    # ---- the rows

    def reactions_and_edits(self):
        message = self.send(self.alice, "heron at teh pond")
        self.see(self.bob, message)
        self.bob.act("react", message[:8], "\N{SWAN}")
        self.alice.act("edit", message, "heron at the pond")
        liked = [{"from": BOB, "emoji": "\N{SWAN}"}]
        self.seen(message, text="heron at the pond", edited=True, reactions=liked, chat=self.chat)
        self.see(self.carol, message, **{"from": ALICE})

    def deletions(self):
        message = self.send(self.bob, "not for aardvarks")
        self.see(self.carol, message)
        refused = self.carol.run("delete", message, "--json")
        assert refused.returncode == 3, refused
        self.see(self.alice, message)
        self.alice.act("delete", message)  # she is an admin
        self.seen(message, deleted=True, text="")
        for who in self.people:
            assert not who.act("search", "aardvarks")

    def a_reply_that_mentions(self):
        self.bob.act("mute", NAME)
        message = self.send(self.alice, "who comes?")
        self.see(self.bob, message)
        answer = self.send(self.carol, "--reply", message, "--mention", BOB, "@" + BOB + "?")
        self.see(self.bob, answer, mentions=[BOB], reply_to={"id": message, "text": "who comes?"})
        row = [each for each in self.bob.act("contacts") if each["type"] == "group"][0]
        assert row["unread"] and row["mentions"] == 1 and row["muted"], row
        outside = self.bob.run("send", "bird watchers", "--mention", "+33699999999", "who?")
        assert outside.returncode == 2, outside
        self.bob.act("unmute", NAME)

    def a_poll(self):
        poll = self.alice.act("poll", NAME, "When?", "dawn", "dusk")[0]["id"]
        for who, answer in ((self.bob, "1"), (self.carol, "2")):
            self.see(who, poll)
            who.act("vote", poll, answer)
        self.seen(poll, poll={"multiple": False, "options": [
            {"text": "dawn", "votes": [BOB]}, {"text": "dusk", "votes": [CAROL]}]})

    def a_pin_and_a_forward(self):
        message = self.send(self.bob, "meet at six")
        self.seen(message)
        assert self.bob.run("pin", message).returncode == 3
        self.alice.act("pin", message)
        pin = self.heard[self.bob].until(lambda line: line["type"] == "pin")
        assert pin == {"type": "pin", "for": message, "from": ALICE, "chat": self.chat,
                       "on": True}, pin
        copies = {each["to"]: each["id"] for each in self.bob.act("forward", message, NAME, ALICE)}
        self.see(self.carol, copies[NAME], forwards=1)
        self.alice.see(BOB, copies[ALICE], forwards=1)

    def view_once_and_disappearing(self):
        message = self.send(self.alice, "--view-once", "the code is 1234")
        self.see(self.bob, message, text="", view_once=True)
        assert self.bob.act("open", message)[0]["text"] == "the code is 1234"
        assert self.bob.run("open", message).returncode == 4
        self.see(self.alice, message, opened=True)
        assert self.bob.run("disappear", NAME, "2s").returncode == 3
        self.alice.act("disappear", NAME, "2s")
        processes.wait_until(
            lambda: [1 for each in self.bob.history(NAME) if "sets_lifetime_s" in each],
            30, "it is known to disappear")
        gone = self.send(self.bob, "soon gone")
        self.see(self.carol, gone, lifetime_s=2)
        self.carol.read(NAME)
        self.bob.gone(NAME, gone)
        self.carol.gone(NAME, gone)
        off = self.alice.act("disappear", NAME, "off")[0]["id"]
        self.seen(off)

    def who_writes(self):
        bob, carol = self.bob.chat(NAME), self.carol.chat(NAME)
        bob.wish({"typing": True})
        carol.until(lambda line: line["type"] == "typing" and line["from"] == [BOB])
        bob.wish({"send": "a heron"})
        carol.until(lambda line: line["type"] == "message" and line["text"] == "a heron")
        carol.until(lambda line: line["type"] == "typing" and line["from"] == [])
        bob.process.kill()
        carol.process.kill()

    def who_has_it(self):
        self.carol.kill()
        message = self.send(self.alice, "roll call")
        self.see(self.bob, message)
        self.bob.read(NAME)

        def info(who):
            told = self.alice.act("info", message)[0]
            member = [each for each in told["members"] if each["phone"] == who.phone][0]
            return member["delivered_ms"] is not None, member["read_ms"] is not None
        processes.wait_until(lambda: info(self.bob) == (True, True), 30, lambda: info(self.bob))
        assert info(self.carol) == (False, False)
        self.carol.act("settings", "read-receipts", "off")
        self.heard[self.carol] = self.carol.follow()
        self.see(self.carol, message)
        self.carol.read(NAME)
        # To Alice alone: it takes along what has gathered, and what tells of reading, if anything.
        later = self.carol.act("send", ALICE, "here")[0]["id"]
        self.alice.see(CAROL, later)
        assert info(self.carol) == (True, False), info(self.carol)
        assert self.alice.act("info", message)[0]["status"] == "delivered"

    def unread_over_restarts(self, server):
        self.bob.read(NAME)

        def unread():
            rows = {each["type"]: each for each in self.bob.act("contacts")}
            return rows["group"]["unread"]
        assert unread() == 0
        self.see(self.bob, self.send(self.alice, "one"))
        self.bob.kill()
        server.kill()
        server.start()
        self.heard[self.bob] = self.bob.follow()
        self.see(self.bob, self.send(self.carol, "two"))
        self.bob.kill()
        assert unread() == 2, unread()
        self.heard[self.bob] = self.bob.follow()
        badge = self.bob.chat(ALICE).until(lambda line: line["type"] == "unread")
        assert (badge["messages"], badge["chats"]) == (2, 1), badge
        self.bob.read(NAME)
        assert unread() == 0

    def settings_of_the_chat(self):
        self.bob.act("archive", NAME)
        self.bob.act("mute", self.chat, "--for", "8h")
        self.bob.act("draft", NAME, "half a thought")
        assert self.bob.act("draft", self.chat)[0]["draft"] == "half a thought"
        row = [each for each in self.bob.act("contacts") if each["type"] == "group"][0]
        assert row["archived"] and row["muted"], row
        message = self.send(self.alice, "a bittern booms")
        self.see(self.bob, message)
        found = self.bob.act("search", "bittern", "--chat", NAME)
        assert [each["id"] for each in found] == [message], found


def main():
    options = processes.arguments(__doc__)
    with processes.pair(options.bin) as (server, alice, bob):
        carol = processes.Client(options.bin, os.path.join(os.path.dirname(alice.home), "carol"),
                                 server, CAROL)
        try:
            carol.register()
            group = Group(alice, bob, carol)

            def unread_over_restarts():
                group.unread_over_restarts(server)
            return processes.run_checks([
                group.reactions_and_edits, group.deletions, group.a_reply_that_mentions,
                group.a_poll, group.a_pin_and_a_forward, group.view_once_and_disappearing,
                group.who_writes, group.who_has_it, unread_over_restarts,
                group.settings_of_the_chat])
        finally:
            carol.kill()


if __name__ == "__main__":
    sys.exit(main())
