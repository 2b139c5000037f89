#!/usr/bin/env python3
"""A godwitd with many connected phones that is upgraded, rolled back, and offered broken programs,
all while the phones write to each other: nothing may be cut, lost or doubled.

Like bench/connections.py it runs in a network namespace of its own, and needs root.
"""
import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request

import connections
from connections import Crowd, Server, enter_namespace, say, set_up

ROOT = connections.ROOT
# Programs that fail: before they say a word, or never say one.
BROKEN = {"exits": "#!/bin/sh\nexit 3\n", "hangs": "#!/bin/sh\nsleep 60\n",
          "is killed": "#!/bin/sh\nkill -9 $$\n"}


class Upgraded:
    """The server's process changes; its data directory does not."""

    def __init__(self, options, directory):
        self.bin, self.data = options.bin, os.path.join(directory, "data")
        self.server = Server(options.bin, self.data, options.count + 1000, options.threads)
        self.pid = self.server.pid

    def order(self, *words):
        """The answer to `godwitd upgrade` or `rollback`, with how long that took."""
        started = time.monotonic()
        done = subprocess.run([os.path.join(self.bin, "godwitd"), "--data", self.data, *words,
                               "--json"], capture_output=True, text=True, check=False)
        try:
            answer = json.loads(done.stdout)
        except ValueError:
            sys.exit("upgrade.py: %s: %s" % (" ".join(words), done.stderr))
        answer["seconds"] = round(time.monotonic() - started, 2)
        if answer["ok"]:
            self.pid = answer["process"]
            self.server.process.wait(60)  # the first one; nothing to wait for afterwards
        return answer

    def stop(self):
        try:
            os.kill(self.pid, 15)
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline and os.path.exists("/proc/%d" % self.pid):
                time.sleep(0.1)
        except ProcessLookupError:
            pass


def measure(options, directory):
    if not os.path.exists(os.path.join(directory, "people")):
        upgraded = Upgraded(options, directory)
        crowd = Crowd(options.bin, directory, options.count, options.ping)
        crowd.command("register %d" % options.count)
        crowd.stop()
        upgraded.stop()
    upgraded = Upgraded(options, directory)
    crowd = Crowd(options.bin, directory, options.count, options.ping)
    crowd.command("connect %d" % options.count)
    upgraded.server.sleeps(options.count, 10)
    before = upgraded.server.user_bytes()
    programs = dict(BROKEN)
    for name, text in BROKEN.items():
        programs[name] = os.path.join(directory, name.replace(" ", "-"))
        with open(programs[name], "w") as file:
            file.write(text)
        os.chmod(programs[name], 0o755)
    good = os.path.join(directory, "godwitd-next")
    shutil.copy(os.path.join(options.bin, "godwitd"), good)

    def work():
        time.sleep(2)
        steps = []
        for name, words in (("upgrade", ("upgrade", good)),
                            ("broken: exits", ("upgrade", programs["exits"])),
                            ("broken: is killed", ("upgrade", programs["is killed"])),
                            ("rollback", ("rollback",)), ("upgrade", ("upgrade", good))):
            answer = upgraded.order(*words)
            say("%s: %s" % (name, answer))
            steps.append({"step": name, **answer})
            time.sleep(options.between)
        return steps

    crowd.begin("load %d %d 200" % (options.rate, options.seconds))
    steps = work()
    load = crowd.result()
    after = crowd.command("idle 2")
    result = {
        "connections": after["connections"], "cut": after["cut"],
        "open_at_the_server": upgraded.server.metric("godwitd_connections"),
        "messages": load["sent"], "lost": load["lost"], "duplicated": load["duplicated"],
        "refused": load["refused"], "latency_ms": load["latency_ms"],
        "server_user_bytes_before": before,
        "server_user_bytes_after": 1024 * connections.field(
            "/proc/%d/status" % upgraded.pid, "RssAnon"),
        "steps": steps,
    }
    with urllib.request.urlopen("http://%s/metrics" % connections.HTTP, timeout=30) as answer:
        result["disconnects_since_the_last_step"] = {
            line.split('"')[1]: int(line.split()[1]) for line in answer.read().decode().splitlines()
            if line.startswith("godwitd_disconnects_total{") and not line.endswith(" 0")}
    crowd.stop()
    upgraded.stop()
    return result


def table(result):
    say("\n%-20s %10s %12s %10s" % ("step", "worked", "pause (ms)", "took (s)"))
    for step in result["steps"]:
        say("%-20s %10s %12s %10s" % (step["step"], "yes" if step["ok"] else "no",
                                      "%.1f" % step["pause_ms"] if step["ok"] else "-",
                                      step["seconds"]))
    say("%(messages)d messages: lost %(lost)d, duplicated %(duplicated)d, refused %(refused)d; "
        "connections %(connections)d, cut %(cut)d" % result)
    if result["disconnects_since_the_last_step"]:
        say("disconnected by the last process: %(disconnects_since_the_last_step)s" % result)
    say("latency ms: %s" % result["latency_ms"])
    say("server user memory: %.1f MiB before, %.1f MiB after" % (
        result["server_user_bytes_before"] / 2**20, result["server_user_bytes_after"] / 2**20))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bin", default=os.path.join(ROOT, "build/bin"))
    parser.add_argument("--count", type=int, default=20_000, help="connections")
    parser.add_argument("--ping", type=int, default=60, help="seconds between pings of a phone")
    parser.add_argument("--rate", type=int, default=1000, help="messages a second")
    parser.add_argument("--seconds", type=int, default=30, help="of messages")
    parser.add_argument("--between", type=float, default=2, help="seconds between two steps")
    parser.add_argument("--threads", type=int, default=0, help="of the server; 0: as it likes")
    parser.add_argument("--directory", help="kept, and used again: registering takes its time")
    parser.add_argument("--json", action="store_true", help="the result, on standard output")
    options = parser.parse_args()
    enter_namespace(options.count)
    set_up(2 * options.count)  # both processes watch every socket for a while
    directory = options.directory or tempfile.mkdtemp(prefix="godwit-bench-")
    try:
        result = measure(options, directory)
    finally:
        if not options.directory:
            shutil.rmtree(directory, ignore_errors=True)
    table(result)
    if options.json:
        print(json.dumps(result))
    whole = not any(result[name] for name in ("cut", "lost", "duplicated", "refused"))
    right = all(step["ok"] != step["step"].startswith("broken") for step in result["steps"])
    sys.exit(0 if whole and right and result["connections"] == options.count else 1)


if __name__ == "__main__":
    main()
