#!/usr/bin/env python3
"""Groups by the command line: who is in them, who may do what, and how people come in by a link,
over a server that is killed on the way."""
import json
import os
import subprocess
import sys

import processes
from processes import ALICE, BOB

CAROL, DORA = "+33655555555", "+33699999999"
NAME = "Bird Watchers"


def refused(done, code, *words):
    said = done.stderr.decode(errors="replace")
    assert done.returncode == code and all(word in said for word in words), (
        "exit %d, not %d with %s: %s" % (done.returncode, code, words, said[-300:]))


class Groups:
    """Four people whose devices are on: what is sent arrives by itself."""

    def __init__(self, programs, server, alice, bob):
        self.server = server
        self.alice, self.bob = alice, bob
        home = os.path.dirname(alice.home)
        self.carol, self.dora = [
            processes.Client(programs, os.path.join(home, name), server, phone)
            for name, phone in (("carol", CAROL), ("dora", DORA))]
        self.people = (alice, bob, self.carol, self.dora)
        for who in (self.carol, self.dora):
            who.register()
        self.heard = {who: who.follow() for who in self.people}
        self.group = ""  # its id

    def close(self):
        for who in self.people:
            who.kill()

    def act(self, who, *args):
        """One `group` command and the group as it then is."""
        return json.loads(who.must("group", *args, "--json"))

    def state(self, who):
        return self.act(who, "info", self.group)

    def agree(self, *people):
        """These see the same group, and are its members; the others are not."""
        def seen():
            out = set()
            for who in people:
                done = who.run("group", "info", self.group, "--json")  # perhaps not known yet
                view = json.loads(done.stdout or '{"state":"","member":false,"members":[]}')
                out.add((view["state"], view["member"], len(view["members"])))
            return out
        processes.wait_until(lambda: [view[1:] for view in seen()] == [(True, len(people))], 30,
                             seen)

    def texts(self, who):
        return [message["text"] for message in who.history(self.group)]

    def say(self, who, text, *readers):
        who.must("send", self.group, text)
        for reader in readers:
            processes.wait_until(lambda reader=reader: text in self.texts(reader), 30,
                                 lambda reader=reader: (text, self.texts(reader)))

    def news(self, who, text):
        self.heard[who].until(lambda line: line["type"] == "news" and text in line["text"])

    # ---- the rows

    def made_and_written_to(self):
        made = self.act(self.alice, "create", NAME, BOB, CAROL)
        self.group = made["id"]
        self.news(self.bob, "you are in the group now")
        self.agree(self.alice, self.bob, self.carol)

        def numbers():
            return {each["number"]: each["admin"] for each in self.state(self.carol)["members"]}
        known = {ALICE: True, BOB: False, CAROL: False}  # nobody has written yet
        processes.wait_until(lambda: numbers() == known, 30, numbers)
        self.alice.must("send", NAME, "one")
        self.say(self.bob, "two", self.alice, self.carol)
        self.server.kill()
        self.server.start()
        self.say(self.carol, "three", self.alice, self.bob)
        assert self.texts(self.bob) == ["one", "two", "three"], self.texts(self.bob)

    def named_loosely(self):
        for name in ("bird watchers", "group:" + self.group, self.group[:6]):
            assert self.act(self.bob, "info", name)["id"] == self.group
        refused(self.bob.run("group", "info", "Bird"), 4, "Bird", "group list")
        refused(self.bob.run("send", "Beasts", "x"), 4, "no group is called that")
        other = self.act(self.alice, "create", NAME)
        refused(self.alice.run("send", NAME, "to which?"), 2, "several groups")
        self.act(self.alice, "leave", other["id"])
        assert self.act(self.alice, "info", NAME)["id"] == self.group, "she is in one of them"

    def who_was_just_added_writes_by_name(self):
        self.carol.kill()  # her home has not heard of it
        self.act(self.alice, "create", "Just Now", CAROL)
        assert self.carol.act("send", "just now", "here I am")[0]["type"] == "sent"
        self.heard[self.carol] = self.carol.follow()

    def asked_wrongly(self):
        refused(self.alice.run("group", "remove", NAME, ALICE), 2, "group leave")
        refused(self.alice.run("group", "add", NAME, "+33600000000"), 4, "no account")
        refused(self.alice.run("group", "picture", NAME), 2, "--save")
        refused(self.alice.run("group", "edit", NAME), 2, "--add")
        refused(self.alice.run("group", "link", NAME, "--expires", "soon"), 2, "12h")
        self.act(self.alice, "add", NAME, BOB)  # he is in it: nothing to do, and no mistake

    def roles(self):
        refused(self.bob.run("group", "add", NAME, DORA), 3, "only an admin")
        refused(self.bob.run("group", "rename", NAME, "Bob's"), 3, "only an admin")
        self.act(self.alice, "promote", NAME, BOB)
        self.news(self.bob, ALICE + " made you an admin")
        self.act(self.bob, "add", NAME, DORA)
        self.agree(self.alice, self.bob, self.carol, self.dora)
        assert self.texts(self.dora) == [], "she reads what was before her"
        self.carol.kill()
        self.act(self.bob, "promote", NAME, CAROL)
        self.act(self.carol, "edit", NAME, "--add", "admins")  # the first that she hears of it
        self.act(self.bob, "demote", NAME, CAROL)
        self.heard[self.carol] = self.carol.follow()
        self.act(self.bob, "demote", NAME, ALICE)
        self.news(self.alice, BOB + " made you an ordinary member")
        refused(self.alice.run("group", "announce", NAME), 3, "only an admin")
        self.act(self.bob, "announce", NAME)
        self.news(self.carol, "only admins send now")
        refused(self.carol.run("send", NAME, "me, too"), 3, "only admins send")
        self.say(self.bob, "the gate is open", *self.people)
        self.act(self.bob, "announce", NAME, "--off")
        self.act(self.bob, "edit", NAME, "--add", "all", "--info", "all")
        self.act(self.bob, "promote", NAME, ALICE)
        self.agree(*self.people)
        self.act(self.carol, "rename", NAME, "Herons & more")
        self.agree(*self.people)
        assert self.act(self.dora, "info", "Herons & more")["all_add"]
        self.act(self.alice, "rename", "Herons & more", NAME)

    def said_of_itself(self):
        self.act(self.alice, "describe", NAME, "They fly")
        png = self.alice.home + ".png"
        with open(png, "wb") as file:
            file.write(b"\x89PNG\r\n\x1a\n" + bytes(range(200)))
        self.act(self.alice, "picture", NAME, png)
        refused(self.alice.run("group", "picture", NAME, "/etc/passwd"), 2, "JPEG")
        self.agree(*self.people)
        assert self.state(self.bob)["description"] == "They fly"
        self.act(self.bob, "picture", NAME, "--save", png + ".saved")
        with open(png, "rb") as first, open(png + ".saved", "rb") as second:
            assert first.read() == second.read()

    def who_is_gone_reads_nothing_newer(self):
        self.act(self.alice, "remove", NAME, CAROL)
        self.news(self.carol, ALICE + " removed you")
        self.act(self.dora, "leave", NAME)
        self.news(self.bob, DORA + " left")
        self.agree(self.alice, self.bob)
        self.say(self.alice, "among us", self.bob)
        for who in (self.carol, self.dora):
            assert not self.state(who)["member"]
            refused(who.run("send", NAME, "hello?"), 3, "not in this group")
            refused(who.run("group", "add", NAME, DORA), 3, "not in the group")
        view = self.carol.chat(NAME).told()[0]
        assert not view["member"], view
        assert self.texts(self.carol)[-1] == "the gate is open", self.texts(self.carol)

    def link(self, *terms):
        return self.act(self.alice, "link", NAME, "--new", *terms)["link"]["url"]

    def links_end(self):
        used = self.link("--uses", "1")
        qr = subprocess.run(["script", "-qec", " ".join(self.alice.command(
            "group", "link", "'%s'" % NAME)), "/dev/null"], capture_output=True, check=True)
        assert "█".encode() in qr.stdout and used.encode() in qr.stdout, qr.stdout[-300:]
        refused(self.bob.run("group", "join", used), 3, "in this group already")
        self.act(self.dora, "join", used)
        self.agree(self.alice, self.bob, self.dora)
        refused(self.carol.run("group", "join", used), 3, "used up")
        brief = self.link("--expires", "1s")
        processes.time.sleep(1.1)
        refused(self.carol.run("group", "join", brief), 3, "expired")
        replaced = self.link()
        self.link()
        refused(self.carol.run("group", "join", replaced), 3, "new link")
        self.act(self.alice, "link", NAME, "--revoke")
        refused(self.carol.run("group", "join", replaced), 3, "taken back")
        refused(self.carol.run("group", "join", "godwit:join/12"), 2, "not a whole link")

    def an_admin_lets_in(self):
        self.act(self.alice, "remove", NAME, DORA)
        url = self.link("--approval", "--expires", "7d")
        for who in (self.carol, self.dora):
            assert self.act(who, "join", url)["waits"]
        for number in (CAROL, DORA):
            self.news(self.alice, number + " asks to join")
        assert sorted(self.state(self.alice)["pending"]) == [CAROL, DORA]
        refused(self.alice.run("group", "approve", NAME, BOB), 4, "does not wait")
        self.act(self.alice, "decline", NAME, DORA)
        self.act(self.alice, "approve", NAME, CAROL)
        self.agree(self.alice, self.bob, self.carol)
        self.say(self.alice, "welcome back", self.carol)
        assert "pending" not in self.state(self.alice)
        assert not self.state(self.dora)["member"]

    def a_broadcast(self):
        self.alice.must("broadcast", "create", "close friends", BOB, CAROL)
        self.alice.must("broadcast", "send", "Close Friends", "party at eight")
        for who in (self.bob, self.carol):
            processes.wait_until(lambda who=who: who.history(ALICE), 30, "it is there")
            assert who.history(ALICE)[-1]["text"] == "party at eight"
        self.bob.must("send", ALICE, "coming")
        processes.wait_until(lambda: self.alice.history(BOB)[-1]["text"] == "coming", 30, "answer")
        assert "coming" not in [each["text"] for each in self.carol.history(ALICE)]
        refused(self.alice.run("broadcast", "send", "nobody", "x"), 4, "no such broadcast list")


def main():
    options = processes.arguments(__doc__)
    with processes.pair(options.bin) as people:
        groups = Groups(options.bin, *people)
        try:
            return processes.run_checks([
                groups.made_and_written_to, groups.named_loosely, groups.asked_wrongly,
                groups.roles, groups.said_of_itself, groups.who_is_gone_reads_nothing_newer,
                groups.links_end, groups.an_admin_lets_in, groups.a_broadcast,
                groups.who_was_just_added_writes_by_name])
        finally:
            groups.close()


if __name__ == "__main__":
    sys.exit(main())
