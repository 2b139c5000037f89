#!/usr/bin/env python3
"""While the server is away, clients try again: ever more rarely, not in step; then all arrives."""
import contextlib
import os
import socket
import sys
import threading
import time

import processes
from processes import ALICE, BOB

FIRST, LONGEST = 0.25, 60.0  # limits::kBackoffFirst, kBackoffMax
SLACK = 0.3  # a busy machine is late, and never early
TRIES = 6  # that are watched: up to 16 s


class Road:
    """The way to the server, which notes when somebody took it."""

    def __init__(self, server):
        self.server, self.times = server, []
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.address = "127.0.0.1:%d" % self.socket.getsockname()[1]
        self.code_for = server.code_for
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            caller, _ = self.socket.accept()
            # Hung up on, a client comes back at once to ask whether the server has another key.
            if not self.times or time.monotonic() - self.times[-1] > 0.05:
                self.times.append(time.monotonic())
            try:
                called = socket.create_connection(("127.0.0.1", self.server.port))
            except OSError:
                caller.close()
                continue
            for ends in ((caller, called), (called, caller)):
                threading.Thread(target=self.carry, args=ends, daemon=True).start()

    @staticmethod
    def carry(source, target):
        with contextlib.suppress(OSError):
            while octets := source.recv(65536):
                target.sendall(octets)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


class Outage:
    """Alice and Bob, and a server that goes away. Bob stays, Alice comes and goes."""

    def __init__(self, server, alice, bob, road):
        self.server, self.alice, self.bob, self.road = server, alice, bob, road
        self.earlier = alice.act("send", BOB, "befor")[0]["id"]
        self.heard = bob.follow()
        processes.wait_until(lambda: self.status()["connection"] == "online", 30, "Bob is online")

    def status(self):
        return self.bob.act("status")[0]

    def tries_are_ever_rarer_and_not_in_step(self):
        before = self.status()["retries"]["connection"]
        self.server.stop()
        del self.road.times[:]
        processes.wait_until(lambda: len(self.road.times) >= TRIES, 60, lambda: self.road.times)
        times = self.road.times[:TRIES]
        waits = [later - earlier for earlier, later in zip(times, times[1:])]
        ceilings = [FIRST * 2 ** (i + 1) for i in range(len(waits))]
        shares = [wait / ceiling for wait, ceiling in zip(waits, ceilings)]
        for wait, ceiling in zip(waits, ceilings):
            assert ceiling / 2 - 0.02 <= wait <= ceiling + SLACK, (waits, ceilings)
        assert max(shares) - min(shares) > 0.01, "always the same part of its ceiling: %s" % shares
        now = self.status()
        assert now["connection"] == "offline", now
        assert now["retries"]["connection"] - before >= TRIES, now
        assert time.time() < now["next_try_ms"] / 1000 < time.time() + LONGEST, now

    def what_was_said_meanwhile_arrives(self):
        started = time.monotonic()
        assert self.alice.act("send", BOB, "are you back?")[0]["type"] == "queued"
        assert self.alice.act("edit", self.earlier, "before")[0]["queued"]
        took = time.monotonic() - started
        assert took < 6, "two things were queued in %.1f s" % took
        self.server.start()
        self.alice.must("receive")
        self.heard.until(lambda line: line["type"] == "message" and line["text"] == "are you back?",
                         70)
        self.bob.see(ALICE, self.earlier, text="before")
        now = self.status()
        assert now["connection"] == "online" and "next_try_ms" not in now, now

    def the_server_counts_what_came_again(self):
        text = self.server.get("/metrics")
        for who in ("client", "group"):
            assert 'godwitd_retries_total{by="%s"} ' % who in text, text


def main():
    programs = os.path.abspath(processes.arguments(__doc__).bin)
    with processes.workspace() as directory, contextlib.ExitStack() as ends:
        server = processes.Server(programs, os.path.join(directory, "server"))
        ends.callback(server.close)
        server.start()
        road = Road(server)
        alice = processes.Client(programs, os.path.join(directory, "alice"), server, ALICE)
        bob = processes.Client(programs, os.path.join(directory, "bob"), road, BOB)
        for person in (alice, bob):
            ends.callback(person.kill)
            person.register()
        outage = Outage(server, alice, bob, road)
        return processes.run_checks([outage.tries_are_ever_rarer_and_not_in_step,
                                     outage.what_was_said_meanwhile_arrives,
                                     outage.the_server_counts_what_came_again])


if __name__ == "__main__":
    sys.exit(main())
