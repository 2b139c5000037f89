#!/usr/bin/env python3
"""What people do with messages, by the command line: a server, Alice and Bob, real processes."""
import json
import sys
import time

import processes
from processes import ALICE, BOB


def lines(octets):
    return [json.loads(line) for line in octets.splitlines()]


class Chat:
    def __init__(self, server, alice, bob):
        self.server, self.alice, self.bob = server, alice, bob

    def send(self, who, *args):
        whom = BOB if who is self.alice else ALICE
        return lines(who.must("send", whom, *args, "--json"))[0]["id"]

    def last(self, who):
        """The newest message, after what waits was received."""
        who.must("receive", "--json")
        return who.history(BOB if who is self.alice else ALICE)[-1]

    def act(self, who, *args):
        return lines(who.must(*args, "--json"))

    # ---- the rows

    def a_reaction(self):
        message = self.send(self.alice, "lunch?")
        self.last(self.bob)
        self.act(self.bob, "react", message[:8], "\N{THUMBS UP SIGN}")
        liked = {"from": BOB, "emoji": "\N{THUMBS UP SIGN}"}
        assert self.last(self.alice)["reactions"] == [liked]
        self.act(self.bob, "react", message, "--remove")
        assert "reactions" not in self.last(self.alice)

    def an_edit_and_a_deletion(self):
        message = self.send(self.alice, "see you at aardvark")
        self.last(self.bob)
        refused = self.bob.run("edit", message, "forged", "--json")
        assert refused.returncode == 3, refused
        self.act(self.alice, "edit", message, "see you at ten")
        edited = self.last(self.bob)
        assert (edited["text"], edited["edited"]) == ("see you at ten", True), edited
        assert not self.act(self.bob, "search", "aardvark")
        self.act(self.alice, "delete", message)
        gone = self.last(self.bob)
        assert gone["deleted"] and gone["text"] == "", gone
        assert not self.act(self.bob, "search", "ten")

    def a_reply_and_a_forward(self):
        message = self.send(self.alice, "who brings the cake?")
        self.last(self.bob)
        self.send(self.bob, "--reply", message[:8], "I do")
        assert self.last(self.alice)["reply_to"] == {"id": message, "text": "who brings the cake?"}
        self.act(self.bob, "forward", message, ALICE)
        assert self.last(self.alice)["forwards"] == 1
        many = self.bob.run("forward", message, *[ALICE] * 6)
        assert many.returncode == 3 and b"at most 5" in many.stderr, many

    def a_poll(self):
        poll = self.act(self.alice, "poll", BOB, "Where?", "sea", "hills")[0]["id"]
        self.last(self.bob)
        self.act(self.bob, "vote", poll, "1")
        self.act(self.bob, "vote", poll, "2")
        options = self.last(self.alice)["poll"]["options"]
        assert [option["votes"] for option in options] == [[], [BOB]], options

    def view_once(self):
        message = self.send(self.alice, "--view-once", "the code is 1234")
        seen = self.last(self.bob)
        assert seen["view_once"] and seen["text"] == "", seen
        assert self.act(self.bob, "open", message)[0]["text"] == "the code is 1234"
        assert self.bob.run("open", message).returncode == 4
        assert self.last(self.alice)["opened"]

    def disappearing(self):
        self.act(self.alice, "disappear", BOB, "2s")
        message = self.send(self.alice, "soon gone")
        self.last(self.bob)
        self.bob.must("chat", ALICE, "--json", text='{"read":true}\n')
        time.sleep(3)
        for who in (self.alice, self.bob):
            assert message not in [each["id"] for each in
                                   who.history(BOB if who is self.alice else ALICE)]
        self.act(self.alice, "disappear", BOB, "off")
        self.last(self.bob)

    def cards_places_and_previews(self):
        self.send(self.alice, "--contact", "Carol", "+33611223344")
        assert self.last(self.bob)["contact"] == {"name": "Carol", "phone": "+33611223344"}
        self.send(self.alice, "--location", "48.8566,2.3522,Paris")
        assert self.last(self.bob)["location"]["name"] == "Paris"
        self.send(self.alice, "look", "--preview-url", "https://example.org",
                  "--preview-title", "T")
        assert self.last(self.bob)["preview"]["title"] == "T"

    def search_and_info(self):
        message = self.send(self.alice, "Caf\N{LATIN SMALL LETTER E WITH ACUTE} Z\u00dcRICH")
        self.last(self.bob)
        assert [each["id"] for each in self.act(self.bob, "search", "zuri cafe")] == [message]
        self.last(self.alice)
        info = self.act(self.alice, "info", message)[0]
        assert info["members"][0]["delivered_ms"], info

    def chats_and_settings(self):
        self.act(self.bob, "archive", ALICE)
        self.act(self.bob, "draft", ALICE, "half a thought")
        assert self.act(self.bob, "draft", ALICE)[0]["draft"] == "half a thought"
        self.send(self.alice, "one more")
        self.bob.must("receive")
        contact = self.act(self.bob, "contacts")[0]
        assert contact["archived"] and contact["unread"] > 0, contact
        self.bob.must("chat", ALICE, "--json", text='{"read":true}\n')
        assert self.act(self.bob, "contacts")[0]["unread"] == 0
        assert not self.act(self.bob, "settings", "read-receipts", "off")[0]["read_receipts"]

    def a_broadcast_and_a_note(self):
        self.act(self.alice, "broadcast", "create", "friends", BOB)
        self.act(self.alice, "broadcast", "send", "Friends", "hello everybody")
        assert self.last(self.bob)["text"] == "hello everybody"
        self.act(self.alice, "broadcast", "delete", "friends")
        self.alice.must("send", ALICE, "buy milk")
        assert self.alice.history(ALICE)[-1]["text"] == "buy milk"


def main():
    options = processes.arguments(__doc__)
    with processes.pair(options.bin) as people:
        chat = Chat(*people)
        return processes.run_checks([
            chat.a_reaction, chat.an_edit_and_a_deletion, chat.a_reply_and_a_forward, chat.a_poll,
            chat.view_once, chat.disappearing, chat.cards_places_and_previews,
            chat.search_and_info, chat.chats_and_settings, chat.a_broadcast_and_a_note])


if __name__ == "__main__":
    sys.exit(main())
