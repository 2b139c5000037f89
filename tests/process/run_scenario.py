#!/usr/bin/env python3
"""Plays scenarios (scenarios/*.chat) with the real programs. The simulator's parser reads them."""
import concurrent.futures
import glob
import json
import os
import shutil
import subprocess
import sys

import processes

PATIENCE = 30  # seconds for an expectation to come true
SILENCE = 2  # seconds in which what must not be shown would show


class Person:
    """A client; online, a `receive --follow` keeps it connected."""

    def __init__(self, programs, directory, name, server, phone):
        self.home = os.path.join(directory, name)
        self.client = processes.Client(programs, self.home, server, phone)
        self.phone, self.online, self.refused, self.opened = phone, False, {}, []

    def register(self):
        self.client.register()
        self.connect(True)

    def connect(self, online):
        self.client.kill()
        self.online = online
        if online:
            self.client.spawn("receive", "--follow", "--json", stdout=subprocess.DEVNULL)

    def does(self, about, *command, text=None):
        # Without a network: a server's address at which nobody listens.
        away = () if self.online else ("--server", "127.0.0.1:1")
        if away and command[0] == "send":
            away += ("--timeout", "1")
        done = self.client.run(*command, "--json", *away, text=text)
        if done.returncode != 0:
            code = json.loads(done.stderr.splitlines()[-1])["code"]
            self.refused[about] = {"refused": "forbidden"}.get(code, code)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def say(self, chat, text, *options):
        self.does(text, "send", chat, *options, text=text)

    def history(self, chat):
        return self.does(None, "history", chat)


class Stage:
    """The people of one scenario, and their server."""

    def __init__(self, programs, directory):
        self.programs, self.directory = programs, directory
        self.server = processes.Server(programs, os.path.join(directory, "server"))
        self.people, self.phones, self.groups = {}, {}, []
        self.links, self.watchers = {}, {}
        self.server.start()

    def close(self):
        for person in self.people.values():
            person.client.kill()
        self.server.close()

    def play(self, step):
        who = self.people.get(step["who"])
        getattr(self, step["verb"])(step, who)

    def user(self, step, _):
        phone = self.phones[step["who"]] = "+33612345%d" % (100 + len(self.phones))
        person = Person(self.programs, self.directory, step["who"], self.server, phone)
        self.people[step["who"]] = person
        person.register()

    def stranger(self, step, _):
        self.phones[step["who"]] = "+33612345%d" % (900 + len(self.phones))

    def chat(self, name):
        return self.phones.get(name, name)

    def messages(self, who):
        """All that somebody has, chat by chat."""
        chats = [phone for phone in self.phones.values() if phone != who.phone] + self.groups
        return [message for chat in chats for message in who.history(chat)]

    def find(self, who, text):
        """The newest message of this text, or None."""
        found = [message for message in self.messages(who)
                 if message["text"] == text and not message.get("deleted")]
        return max(found, key=lambda message: message["timestamp_ms"], default=None)

    def group(self, step, who):
        members = [self.people[name] for name in step["texts"]]
        who.client.must("group", "create", step["whom"], *[each.phone for each in members])

        def sizes():
            return [len(view["members"]) for each in [who, *members]
                    for view in each.does(None, "group", "list") if view["name"] == step["whom"]]
        self.until(lambda: sizes() == [len(members) + 1] * (len(members) + 1), step, sizes)
        self.groups.append(step["whom"])

    def change(self, step, who):
        word, group = step["word"], step["whom"]
        people = [self.phones[name] for name in step["texts"]]
        if word in ("closes", "opens"):
            command = ["announce", group] + (["--off"] if word == "opens" else [])
        elif word.startswith("links"):
            command = ["link", group, "--new"] + (["--approval"] if word.endswith("d") else [])
            command += ["--uses", str(step["number"])] if step["number"] else []
        elif word == "unlinks":
            command = ["link", group, "--revoke"]
        elif word == "joins":
            command = ["join", self.links[group]]
        else:
            command = [word.removesuffix("s"), group, *people]
        if word in ("approves", "declines"):
            self.until(lambda: people[0] in who.does(None, "group", "info", group)[0].get(
                "pending", []), step, lambda: who.does(None, "group", "info", group))
        who.refused.pop(group, None)
        for view in who.does(group, "group", *command):
            self.links[group] = view.get("link", {}).get("url", self.links.get(group))

    def broadcast(self, step, who):
        text, *people = step["texts"]
        who.does(text, "broadcast", "create", "all", *[self.phones[name] for name in people])
        who.does(text, "broadcast", "send", "all", text)

    def types(self, step, who):
        """Those who are to notice have their screens open before."""
        group = step["whom"] in self.groups
        watchers = set(self.people) - {step["who"]} if group else {step["whom"]}
        for name in watchers:
            whom = step["whom"] if group else who.phone
            self.watchers[name] = self.people[name].client.chat(whom)
        who.client.chat(self.chat(step["whom"])).wish({"typing": True})

    def expect_notices(self, step, who):
        whom = self.phones[step["whom"]]
        chat = self.watchers[step["who"]]
        self.until(lambda: any(whom in line.get("from", []) for line in chat.told()
                               if line["type"] == "typing"), step, chat.told)

    def expect_group(self, step, _):
        def views():
            return {name: [view for view in person.does(None, "group", "list")
                           if view["name"] == step["whom"] and view["member"]]
                    for name, person in self.people.items()}

        def so():
            seen = views()
            inside = sorted(name for name, view in seen.items() if view)
            sizes = {(view[0]["state"], len(view[0]["members"])) for view in seen.values() if view}
            return inside == sorted(step["texts"]) and [
                size for _, size in sizes] == [len(step["texts"])]
        self.until(so, step, views)

    def say(self, step, who):
        word, (text, *rest) = step["word"], step["texts"]
        options = {
            "": lambda: (),
            "once": lambda: ("--view-once",),
            "answering": lambda: ("--reply", self.find(who, rest[0])["id"]),
            "mentioning": lambda: ("--mention", self.phones[rest[0]]),
            "linking": lambda: ("--preview-url", rest[0], "--preview-title", rest[1]),
            # These need no text, so none is read from stdin.
            "card": lambda: ("--contact", rest[0], self.phones[rest[0]], text),
            "from": lambda: ("--location", "48.8584,2.2945," + rest[0], text),
        }[word]()
        who.say(self.chat(step["whom"]), text, *options)

    def ask(self, step, who):
        who.does(step["texts"][0], "poll", self.chat(step["whom"]), *step["texts"])

    def disappear(self, step, who):
        who.does("", "disappear", self.chat(step["whom"]), "%ds" % (step["milliseconds"] // 1000))

    def do(self, step, who):
        word, text = step["word"], step["texts"][0] if step["texts"] else ""
        if word == "opens":
            once = [message for message in who.history(self.chat(step["whom"]))
                    if message.get("view_once") and message["direction"] == "in"]
            who.opened += [line["text"] for line in who.does(text, "open", once[-1]["id"])]
            return
        message = self.find(who, text)
        rest = step["texts"][1:]
        if word == "votes":
            options = [option["text"] for option in message["poll"]["options"]]
            rest = [str(options.index(rest[0]) + 1)]
        if word == "forwards":
            rest = [self.chat(step["whom"])]
        who.does(text, word.removesuffix("s"), message["id"], *rest)

    def offline(self, _, who):
        who.connect(False)

    def online(self, _, who):
        who.connect(True)

    def kill(self, _, who):
        if who:
            who.connect(who.online)
        else:
            self.server.kill()
            self.server.start()

    def restart(self, _, who):
        if who:
            who.connect(who.online)
        else:
            self.server.stop()
            self.server.start()

    def reinstall(self, _, who):
        who.client.kill()
        shutil.rmtree(who.home)
        who.register()

    def reads(self, _, who):
        for chat in list(self.phones.values()) + self.groups:
            if chat != who.phone:
                who.client.run("chat", chat, "--json", text='{"read":true}\n')

    def expect_shows(self, step, who):
        def shown():
            skipped = ("deleted", "view_once", "sets_lifetime_s")
            return [message["text"] for message in self.messages(who)
                    if message["direction"] == "in" and not any(map(message.get, skipped))
                    and step["whom"] in ("", self.name_of(message.get("from", message["chat"])))]
        if not step["texts"]:
            processes.time.sleep(SILENCE)
        self.until(lambda: shown() == step["texts"], step, shown)

    def name_of(self, phone):
        return next((name for name, number in self.phones.items() if number == phone), "")

    def expect_finds(self, step, who):
        text, word, rest = step["texts"][0], step["word"], step["texts"][1:]

        def so():
            message = self.find(who, text)
            if message is None:
                return False
            if word == "reaction":
                return rest[0] in [each["emoji"] for each in message.get("reactions", [])]
            if word == "answering":
                return message.get("reply_to", {}).get("text") == rest[0]
            if word == "mentioning":
                return self.phones[rest[0]] in message.get("mentions", [])
            if word == "linking":
                return message.get("preview", {}).get("title") == rest[0]
            if word == "card":
                return message.get("contact", {}).get("phone") == self.phones[rest[0]]
            if word == "from":
                return message.get("location", {}).get("name") == rest[0]
            if word == "votes":
                votes = {option["text"]: option["votes"] for option in message["poll"]["options"]}
                return len(votes[rest[0]]) == step["number"]
            if word == "read":
                info = who.does(None, "info", message["id"])[0]
                return [each for each in info["members"] if each["read_ms"]
                        and each["phone"] == self.phones[step["whom"]]] != []
            if word == "pinned":
                said = who.client.run("chat", message["chat"], "--json", text="").stdout
                pins = json.loads(said.splitlines()[0]).get("pins", [])
                return message["id"] in [pin["id"] for pin in pins]
            return bool(message.get({"forwarded": "forwards"}.get(word, word)))
        self.until(so, step, lambda: self.find(who, text))

    def expect_opened(self, step, who):
        assert step["texts"][0] in who.opened, who.opened

    def expect_unread(self, step, who):
        def unread():
            return [row["unread"] for row in who.does(None, "contacts")
                    if step["whom"] in (row.get("name"), self.name_of(row.get("phone")))]
        self.until(lambda: unread() == [step["number"]], step, unread)

    def expect_sees(self, step, who):
        def status():
            return [message.get("status", "queued") for message in self.messages(who)
                    if message["direction"] == "out" and message["text"] == step["texts"][0]]
        queued = step["word"] == "queued"  # before the first contact no history holds it
        self.until(lambda: status() == [step["word"]] or (queued and not status()), step, status)

    def expect_refused(self, step, who):
        self.until(lambda: who.refused.get(step["texts"][0]) == step["word"], step,
                   lambda: who.refused.get(step["texts"][0]))

    def expect_warned(self, step, _):
        pass  # `receive` tells people, not programs; the engine's tests and the simulator check it

    def expect_stored(self, step, _):
        pause = 0.0

        def stored():
            nonlocal pause
            processes.time.sleep(pause)  # clients come back, and acknowledge
            pause = pause * 2 or 0.5
            self.server.stop()
            rows = processes.stored_rows(self.programs, self.server)
            self.server.start()
            return rows.get("queue", 0)
        self.until(lambda: stored() == step["number"], step, stored)

    @staticmethod
    def until(condition, step, seen):
        try:
            processes.wait_until(condition, PATIENCE, "")
        except AssertionError:
            raise AssertionError("line %d: %s is not so: it is %.2000s" %
                                 (step["line"], step["verb"], seen())) from None


def play(programs, path):
    """None, or why it was not played."""
    parsed = subprocess.run([os.path.join(programs, "sim"), "--parse", path], capture_output=True,
                            text=True, check=False)
    assert parsed.returncode == 0, parsed.stderr
    head, *steps = map(json.loads, parsed.stdout.splitlines())
    if head["sim_only"]:
        return "for the simulator only"
    with processes.workspace() as directory:
        stage = Stage(programs, directory)
        try:
            for step in steps:
                if step["verb"] == "wait":
                    processes.time.sleep(step["milliseconds"] / 1000)
                else:
                    stage.play(step)
        finally:
            stage.close()
    return None


def main():
    options = processes.arguments(__doc__, only=("", "play this file only"),
                                  at_once=(6, "scenarios"))
    paths = [options.only] if options.only else sorted(
        glob.glob(os.path.join(processes.ROOT, "scenarios", "*.chat")))
    # Most of a scenario is waiting: several are played at once, each with a server of its own.
    with concurrent.futures.ThreadPoolExecutor(options.at_once) as pool:
        checks = []
        for path in paths:
            played = pool.submit(play, options.bin, path)

            def check(played=played):
                return played.result()
            check.__name__ = os.path.basename(path)
            checks.append(check)
        return processes.run_checks(checks)


if __name__ == "__main__":
    sys.exit(main())
