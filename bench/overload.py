#!/usr/bin/env python3
"""A godwitd that is asked for more than it can do: by one client that floods, then by all at once.

The server gets a share of one core, so that its clients, on the same machine, can ask for several
times what it can do. Like bench/connections.py it runs in a network namespace of its own, and
needs root; the share is a control group's (version 1 or 2).
"""
import argparse
import contextlib
import json
import os
import shutil
import sys
import tempfile
import threading
import time

import connections
from connections import Crowd, Server, enter_namespace, say, set_up

ROOT = connections.ROOT
CALM = 0.3  # of the capacity: what the others ask for while one floods, and afterwards


class Share:
    """A part of one core's time for a process: no more, and no less, whatever else wants to run."""
    PERIOD = 10_000  # us: short, so that the pauses between two parts hardly count

    def __init__(self, share):
        self.path = "/sys/fs/cgroup/cpu/godwit-bench-%d" % os.getpid()
        quota = int(share * self.PERIOD)
        limits = {"cpu.cfs_period_us": self.PERIOD, "cpu.cfs_quota_us": quota,
                  "cpu.shares": 100 * 1024}
        if not os.path.isdir("/sys/fs/cgroup/cpu"):
            self.path = "/sys/fs/cgroup/godwit-bench-%d" % os.getpid()
            limits = {"cpu.max": "%d %d" % (quota, self.PERIOD), "cpu.weight": 10_000}
        try:
            os.mkdir(self.path)
            for name, value in limits.items():
                self.write(name, value)
        except OSError as error:
            say("overload.py: no control group for the server's share: %s" % error)
            sys.exit(77)

    def write(self, name, value):
        with open(os.path.join(self.path, name), "w") as file:
            file.write(str(value))

    def give(self, pid):
        self.write("cgroup.procs", pid)

    def remove(self):
        with contextlib.suppress(OSError):
            os.rmdir(self.path)


class Peak(threading.Thread):
    """The most memory that a server uses while this runs."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server, self.bytes, self.over = server, 0, threading.Event()

    def run(self):
        while not self.over.wait(0.1):
            self.bytes = max(self.bytes, self.server.user_bytes())

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.join()


class Bench:
    def __init__(self, options, directory, share):
        self.options, self.directory, self.share = options, directory, share
        # Users 0 and 1 are the one that floods, and whom it writes to.
        self.count = options.count + 2
        self.data = os.path.join(directory, "data")

    def server(self):
        return Server(self.options.bin, self.data, self.count + 100, 1)

    def crowd(self, most, *more):
        return Crowd(self.options.bin, self.directory, most, 25, *more)

    def run(self):
        o = self.options
        server, crowd = self.server(), self.crowd(self.count)
        crowd.command("register %d" % self.count)
        crowd.stop()
        server.stop()
        server = self.server()
        self.share.give(server.pid)
        crowd, flooder = self.crowd(o.count, "--first", "2"), self.crowd(2)
        crowd.command("connect %d" % self.count)
        flooder.command("connect 2")
        most = crowd.command("flood %d %d 200" % (o.count, o.seconds))
        capacity = most["messages_per_second"]
        calm = "load %d %d 200" % (CALM * capacity, o.seconds)
        result = {"connections": o.count, "share": o.share, "capacity": round(capacity)}
        result["fairness"] = self.fairness(crowd, flooder, calm)
        result["overload"] = self.overload(server, crowd, capacity)
        result["overload"]["recovery"] = self.recovery(crowd, capacity)
        crowd.stop()
        flooder.stop()
        server.stop()
        return result

    def fairness(self, crowd, flooder, calm):
        """The others' latencies, in turns without and with the flood."""
        rounds = []
        for _ in range(self.options.rounds):
            alone = crowd.command(calm)
            flooder.begin("pairs 1 %d %d 200" % (self.options.window, self.options.seconds))
            beside = crowd.command(calm)
            flood = flooder.result()
            rounds.append({
                "alone_ms": alone["latency_ms"]["0.99"], "beside_ms": beside["latency_ms"]["0.99"],
                "flood_per_second": flood["messages_per_second"],
                "lost": alone["lost"] + beside["lost"] + flood["lost"]})
            say("p99 %(alone_ms).1f ms alone, %(beside_ms).1f ms beside a flood of "
                "%(flood_per_second).0f a second" % rounds[-1])
        return rounds

    def overload(self, server, crowd, capacity):
        o = self.options
        before = server.user_bytes()
        shed = server.metric('godwitd_shed_total{reason="overloaded"}')
        with Peak(server) as peak:
            told = crowd.command("load %d %d 200" % (o.times * capacity, o.overload_seconds))
        return {
            "asked_per_second": round(o.times * capacity),
            "delivered_in_time_per_second": told["messages_per_second"],
            "sent": told["sent"], "accepted": told["accepted"], "refused": told["refused"],
            "shed": server.metric('godwitd_shed_total{reason="overloaded"}') - shed,
            "lost": told["lost"], "duplicated": told["duplicated"], "cut": told["cut"],
            "latency_ms": told["latency_ms"],
            "user_bytes_before": before, "user_bytes_most": peak.bytes}

    def recovery(self, crowd, capacity):
        """p99 of each second from the end of the overload on."""
        seconds = []
        for _ in range(self.options.recovery):
            told = crowd.command("load %d 1 200" % (CALM * capacity))
            seconds.append({"p99_ms": told["latency_ms"]["0.99"], "refused": told["refused"],
                            "lost": told["lost"]})
        return seconds


def table(result):
    say("\n%(connections)d phones, a server with %(share).2f of a core: %(capacity)d messages a "
        "second" % result)
    say("\none client floods; the others ask for %d %% of that" % (100 * CALM))
    for one in result["fairness"]:
        say("  p99 alone %(alone_ms).1f ms, beside the flood %(beside_ms).1f ms" % one +
            " (%.1f times)" % (one["beside_ms"] / one["alone_ms"]))
    over = result["overload"]
    say("\nall ask for %d a second" % over["asked_per_second"])
    say("  delivered in time: %.0f a second (%.2f of the capacity)" % (
        over["delivered_in_time_per_second"],
        over["delivered_in_time_per_second"] / result["capacity"]))
    say("  sent %(sent)d, accepted %(accepted)d, refused %(refused)d, lost %(lost)d, "
        "duplicated %(duplicated)d, connections cut %(cut)d" % over)
    say("  latency of the accepted (ms): %s" % over["latency_ms"])
    say("  server, user memory: %.1f MiB before, %.1f MiB at most" % (
        over["user_bytes_before"] / 2**20, over["user_bytes_most"] / 2**20))
    say("  p99 in the seconds after it (ms): %s" % ", ".join(
        "%.0f" % second["p99_ms"] for second in over["recovery"]))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bin", default=os.path.join(ROOT, "build/bin"))
    parser.add_argument("--count", type=int, default=2_000, help="connections")
    parser.add_argument("--share", type=float, default=1, help="of a core, for the server")
    parser.add_argument("--times", type=float, default=3, help="the capacity, asked for")
    parser.add_argument("--window", type=int, default=1_000,
                        help="messages that the flooding client has under way")
    parser.add_argument("--seconds", type=int, default=5, help="of each flow of messages")
    parser.add_argument("--overload-seconds", type=int, default=10)
    parser.add_argument("--recovery", type=int, default=6, help="seconds that are watched after it")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="the result, on standard output")
    options = parser.parse_args()
    enter_namespace(options.count)
    set_up(2 * options.count)
    directory = tempfile.mkdtemp(prefix="godwit-bench-")
    share = Share(options.share)
    try:
        result = Bench(options, directory, share).run()
    finally:
        share.remove()
        shutil.rmtree(directory, ignore_errors=True)
    table(result)
    if options.json:
        print(json.dumps(result))
    over = result["overload"]
    whole = not (over["lost"] or over["duplicated"] or over["cut"] or
                 any(one["lost"] for one in result["fairness"] + over["recovery"]))
    sys.exit(0 if whole else 1)


if __name__ == "__main__":
    main()
