#!/usr/bin/env python3
"""Plays scenarios (scenarios/*.chat) with the real programs. The simulator's parser reads them."""
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
        self.phone, self.online, self.refused = phone, False, {}

    def register(self):
        self.client.register()
        self.connect(True)

    def connect(self, online):
        self.client.kill()
        self.online = online
        if online:
            self.client.spawn("receive", "--follow", "--json", stdout=subprocess.DEVNULL)

    def say(self, phone, text):
        # Without a network: a server's address at which nobody listens.
        away = () if self.online else ("--server", "127.0.0.1:1")
        done = self.client.run("send", phone, "--json", *away, text=text)
        if done.returncode != 0:
            self.refused[text] = json.loads(done.stderr.splitlines()[-1])["code"]

    def history(self, phone):
        away = () if self.online else ("--server", "127.0.0.1:1")
        done = self.client.run("history", phone, "--json", *away)
        return [json.loads(line) for line in done.stdout.splitlines()]


class Stage:
    """The people of one scenario, and their server."""

    def __init__(self, programs, directory):
        self.programs, self.directory = programs, directory
        self.server = processes.Server(programs, os.path.join(directory, "server"))
        self.people, self.phones = {}, {}
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

    def say(self, step, who):
        who.say(self.phones[step["whom"]], step["texts"][0])

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
        for phone in self.phones.values():
            if phone != who.phone:
                who.client.run("chat", phone, "--json", text='{"read":true}\n')

    def expect_shows(self, step, who):
        phones = [self.phones[step["whom"]]] if step["whom"] else list(self.phones.values())

        def shown():
            return [message["text"] for phone in phones if phone != who.phone
                    for message in who.history(phone) if message["direction"] == "in"]
        if not step["texts"]:
            processes.time.sleep(SILENCE)
        self.until(lambda: shown() == step["texts"], step, shown)

    def expect_sees(self, step, who):
        def status():
            return [message.get("status", "queued") for phone in self.phones.values()
                    if phone != who.phone for message in who.history(phone)
                    if message["direction"] == "out" and message["text"] == step["texts"][0]]
        queued = step["word"] == "queued"  # before the first contact no history holds it
        self.until(lambda: status() == [step["word"]] or (queued and not status()), step, status)

    def expect_refused(self, step, who):
        self.until(lambda: who.refused.get(step["texts"][0]) == step["word"], step,
                   lambda: who.refused.get(step["texts"][0]))

    def expect_warned(self, step, _):
        pass  # `receive` tells people, not programs; the engine's tests and the simulator check it

    def expect_stored(self, step, _):
        def stored():
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
            raise AssertionError("line %d: %s is not so: it is %.200s" %
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
    options = processes.arguments(__doc__, only=("", "play this file only"))
    paths = [options.only] if options.only else sorted(
        glob.glob(os.path.join(processes.ROOT, "scenarios", "*.chat")))
    checks = []
    for path in paths:
        def check(path=path):
            return play(options.bin, path)
        check.__name__ = os.path.basename(path)
        checks.append(check)
    return processes.run_checks(checks)


if __name__ == "__main__":
    sys.exit(main())
