#!/usr/bin/env python3
"""What people do with messages, by the command line: a server, Alice and Bob, real processes."""
import sys

import processes
from processes import ALICE, BOB


class Chat:
    """Two people whose devices are on: what is sent arrives by itself."""

    def __init__(self, server, alice, bob):
        self.server, self.alice, self.bob = server, alice, bob
        for who in (alice, bob):
            who.follow()

    def send(self, who, *args):
        return who.act("send", BOB if who is self.alice else ALICE, *args)[0]["id"]

    def see(self, who, message, **fields):
        return who.see(BOB if who is self.alice else ALICE, message, **fields)

    # ---- the rows

    def a_reaction(self):
        message = self.send(self.alice, "lunch?")
        self.see(self.bob, message)
        self.bob.act("react", message[:8], "\N{THUMBS UP SIGN}")
        liked = {"from": BOB, "emoji": "\N{THUMBS UP SIGN}"}
        self.see(self.alice, message, reactions=[liked])
        self.bob.act("react", message, "--remove")
        self.see(self.alice, message, reactions=None)

    def an_edit_and_a_deletion(self):
        message = self.send(self.alice, "see you at aardvark")
        self.see(self.bob, message)
        refused = self.bob.run("edit", message, "forged", "--json")
        assert refused.returncode == 3, refused
        self.alice.act("edit", message, "see you at ten")
        self.see(self.bob, message, text="see you at ten", edited=True)
        assert not self.bob.act("search", "aardvark")
        self.alice.act("delete", message)
        self.see(self.bob, message, deleted=True, text="")
        assert not self.bob.act("search", "ten")

    def a_reply_and_a_forward(self):
        message = self.send(self.alice, "who brings the cake?")
        self.see(self.bob, message)
        answer = self.send(self.bob, "--reply", message[:8], "I do")
        self.see(self.alice, answer, reply_to={"id": message, "text": "who brings the cake?"})
        copy = self.bob.act("forward", message, ALICE)[0]["id"]
        self.see(self.alice, copy, forwards=1)
        many = self.bob.run("forward", message, *[ALICE] * 6)
        assert many.returncode == 3 and b"at most 5" in many.stderr, many

    def a_poll(self):
        poll = self.alice.act("poll", BOB, "Where?", "sea", "hills")[0]["id"]
        self.see(self.bob, poll)
        self.bob.act("vote", poll, "1")
        self.bob.act("vote", poll, "2")
        self.see(self.alice, poll, poll={"multiple": False, "options": [
            {"text": "sea", "votes": []}, {"text": "hills", "votes": [BOB]}]})

    def view_once(self):
        message = self.send(self.alice, "--view-once", "the code is 1234")
        self.see(self.bob, message, view_once=True, text="")
        self.bob.kill()  # and still there
        self.bob.follow()
        assert self.bob.act("open", message)[0]["text"] == "the code is 1234"
        assert self.bob.run("open", message).returncode == 4
        self.see(self.alice, message, opened=True)

    def disappearing(self):
        self.alice.act("disappear", BOB, "2s")
        message = self.send(self.alice, "soon gone")
        self.see(self.bob, message, lifetime_s=2)
        self.bob.read(ALICE)
        self.bob.kill()  # its time passes all the same
        self.alice.gone(BOB, message)
        self.bob.follow()
        self.bob.gone(ALICE, message)
        self.see(self.bob, self.alice.act("disappear", BOB, "off")[0]["id"], sets_lifetime_s=0)

    def cards_places_and_previews(self):
        card = self.send(self.alice, "--contact", "Carol", "+33611223344")
        self.see(self.bob, card, contact={"name": "Carol", "phone": "+33611223344"})
        place = self.send(self.alice, "--location", "48.8566,2.3522,Paris")
        assert self.see(self.bob, place)["location"]["name"] == "Paris"
        link = self.send(self.alice, "look", "--preview-url", "https://example.org",
                         "--preview-title", "T")
        assert self.see(self.bob, link)["preview"]["title"] == "T"

    def a_safety_number(self):
        for _ in range(2):  # to look at it is not to have compared it
            shown = self.alice.act("verify", BOB)[0]
            assert not shown["verified"], shown
        assert self.alice.act("verify", BOB, "--mark")[0]["verified"]
        assert self.bob.act("verify", ALICE)[0]["digits"] == shown["digits"]
        assert not self.alice.act("verify", BOB, "--unmark")[0]["verified"]

    def search_and_info(self):
        message = self.send(self.alice, "Caf\N{LATIN SMALL LETTER E WITH ACUTE} Z\u00dcRICH")
        self.see(self.bob, message)
        found = self.bob.act("search", "zuri", "cafe")
        assert [each["id"] for each in found] == [message]
        self.see(self.alice, message, status="delivered")
        info = self.alice.act("info", message)[0]
        assert info["members"][0]["delivered_ms"], info

    def who_writes(self):
        alice, bob = self.alice.chat(BOB), self.bob.chat(ALICE)
        alice.wish({"typing": True})
        bob.until(lambda line: line["type"] == "typing" and line["from"] == [ALICE])
        alice.wish({"typing": False})
        bob.until(lambda line: line["type"] == "typing" and line["from"] == [])
        for chat in (alice, bob):
            chat.process.kill()

    def chats_and_settings(self):
        self.bob.act("archive", ALICE)
        self.bob.act("draft", ALICE, "half a thought")
        assert self.bob.act("draft", ALICE)[0]["draft"] == "half a thought"
        self.see(self.bob, self.send(self.alice, "one more"))
        contact = self.bob.act("contacts")[0]
        assert contact["archived"] and contact["unread"] > 0, contact
        self.bob.read(ALICE)
        assert self.bob.act("contacts")[0]["unread"] == 0
        assert not self.bob.act("settings", "read-receipts", "off")[0]["read_receipts"]

    def a_broadcast_and_a_note(self):
        self.alice.act("broadcast", "create", "friends", BOB)
        said = self.alice.act("broadcast", "send", "Friends", "hello everybody")[0]["id"]
        self.see(self.bob, said, text="hello everybody")
        self.alice.act("broadcast", "delete", "friends")
        self.alice.must("send", ALICE, "buy milk")
        assert self.alice.history(ALICE)[-1]["text"] == "buy milk"


def main():
    options = processes.arguments(__doc__)
    with processes.pair(options.bin) as people:
        chat = Chat(*people)
        return processes.run_checks([
            chat.a_reaction, chat.an_edit_and_a_deletion, chat.a_reply_and_a_forward, chat.a_poll,
            chat.view_once, chat.disappearing, chat.cards_places_and_previews,
            chat.a_safety_number, chat.search_and_info, chat.who_writes, chat.chats_and_settings,
            chat.a_broadcast_and_a_note])


if __name__ == "__main__":
    sys.exit(main())
