#!/usr/bin/env python3
"""godwitd next to mosquitto, NATS, ejabberd and prosody: memory, CPU, latency, in the same run.

Every figure is taken in rounds that go through all servers, so that what else the machine does
meets all of them alike; what is told is the median of the rounds. Needs root, for a network
namespace. Servers and clients share this machine. Nothing outside is changed.
"""
import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

import peer_servers
from connections import enter_namespace, say, set_up

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SIZE = 200  # octets of a message


class Generator:
    def __init__(self, server, programs):
        self.server = server
        self.process = subprocess.Popen(
            server.generator(programs), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=open(server.path("generator.log"), "a"), text=True)

    def command(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            with open(self.server.path("generator.log")) as log:
                sys.exit("%s: '%s' failed: %s" % (self.server.name, line, log.read()[-500:]))
        return json.loads(answer)

    def connect(self, first, end):
        own = isinstance(self.server, peer_servers.Godwit)
        answer = self.command("connect %d" % end if own else "connect %d %d" % (first, end))
        if answer["connections"] < end:
            sys.exit("peers.py: %s took %s" % (self.server.name, answer))

    def measured(self, line):
        """The answer, with the server's CPU-seconds that it took."""
        before = self.server.cpu()
        answer = self.command(line)
        answer["cpu"] = self.server.cpu() - before
        return answer

    def stop(self):
        self.process.stdin.close()
        self.process.wait(120)


class Bench:
    def __init__(self, options, directory):
        self.options = options
        self.directory = directory
        self.programs = options.bin
        self.certificate = peer_servers.make_certificate(directory)
        self.figures = {}   # server -> figure -> value or list of rounds
        self.up = {}        # server -> (Server, Generator)

    def note(self, server, figure, value):
        self.figures.setdefault(server.name, {}).setdefault(figure, []).append(value)

    def fresh(self, kind, label, certificate=None):
        directory = os.path.join(self.directory, label)
        os.makedirs(directory, exist_ok=True)
        if kind is peer_servers.Godwit:
            return kind(directory, self.programs)
        return kind(directory, certificate)

    def start(self, server, users):
        server.add_users(users)
        server.start()
        crowd = Generator(server, self.programs)
        server.register(crowd, users)
        if isinstance(server, peer_servers.Godwit):  # what registering left in memory is not idle
            crowd.stop()
            server.stop()
            server.start()
            crowd = Generator(server, self.programs)
        self.up[server.name] = (server, crowd)
        return crowd

    def stop_all(self):
        for server, crowd in self.up.values():
            crowd.stop()
            server.stop()
        self.up = {}

    def abandon(self):
        for server, crowd in self.up.values():
            crowd.process.kill()
            server.stop(signal.SIGKILL)

    def each(self):
        return list(self.up.values())

    # ---- the parts

    def connect(self, suffix, count, steps):
        """Connects `count` in `steps` rounds; memory from after the first to after the last."""
        memory = {}
        for step in range(steps):
            for server, crowd in self.each():
                most = min(count, server.clients)
                first, end = (most * i // steps & ~3 for i in (step, step + 1))
                before = server.cpu()
                crowd.connect(first, end)
                self.note(server, "connect_us" + suffix,
                          (server.cpu() - before) / (end - first) * 1e6)
                time.sleep(3 if isinstance(server, peer_servers.Godwit) else 1)
                memory.setdefault(server.name, []).append((end, server.memory()))
        for server, _ in self.each():
            (low, at_low), *_, (high, at_high) = memory[server.name]
            self.note(server, "kib_per_connection" + suffix,
                      (at_high - at_low) / (high - low) / 1024)

    def pairs(self, count, window, seconds, rounds):
        name = "cpu_s_per_million_%d" % count
        for _ in range(rounds):
            for server, crowd in self.each():
                if 2 * count > min(server.clients, self.options.count):
                    continue
                told = crowd.measured("pairs %d %d %d %d" % (count, window, seconds, SIZE))
                if told["lost"] or told["duplicated"]:
                    say("%s: %s" % (server.name, told))
                self.note(server, name, told["cpu"] / max(1, told["delivered"]) * 1e6)
                self.note(server, "per_second_%d" % count, told["messages_per_second"])
                say("%-10s %5d pairs: %7.1f CPU-s per million, %7.0f a second" % (
                    server.name, count, self.figures[server.name][name][-1],
                    told["messages_per_second"]))

    def latencies(self, rates, seconds, rounds, pairs):
        for rate in rates:
            for _ in range(rounds):
                for server, crowd in self.each():
                    most = self.figures[server.name].get("per_second_%d" % pairs, [0])
                    if statistics.median(most) * 0.8 < rate:
                        continue
                    told = crowd.measured("pace %d %d %d %d" % (pairs, rate, seconds, SIZE))
                    for share in ("0.5", "0.99", "0.999"):
                        self.note(server, "ms_%d_p%s" % (rate, share[2:].ljust(2, "0")),
                                  told["latency_ms"][share])

    def offline(self, kind, messages, targets, senders=50, window=20):
        server = self.fresh(kind, "offline%d" % time.monotonic_ns())
        server.persistent = True
        end = senders + targets
        crowd = self.start(server, end)
        if kind is peer_servers.Mosquitto:  # only those who came once are kept anything
            crowd.connect(0, end)
            crowd.command("leave %d %d" % (senders, end))
        else:
            crowd.connect(0, senders)
        told = crowd.measured("store %d %d %d %d %d %d" % (
            senders, window, senders, targets, messages, SIZE))
        time.sleep(1)
        self.note(server, "store_cpu_s_per_million", told["cpu"] / messages * 1e6)
        self.note(server, "store_per_second", told["messages_per_second"])
        if kind is peer_servers.Godwit:
            server.stop(signal.SIGKILL)
            server.start()
        told = crowd.measured("drain %d %d" % (senders, end))
        self.note(server, "drain_cpu_s_per_million", told["cpu"] / messages * 1e6)
        self.note(server, "drain_per_second", told["messages_per_second"])
        missing = messages - told["delivered"]
        self.note(server, "missing_or_doubled", missing + told["duplicated"])
        say("%-10s %d stored and drained: %d missing, %d doubled" % (
            server.name, messages, missing, told["duplicated"]))
        del self.up[server.name]
        crowd.stop()
        server.stop()

    def run(self):
        o = self.options
        kinds = [peer_servers.Godwit, *peer_servers.PEERS]
        pairs = min(1000, o.count // 2)
        for kind in kinds:
            server = self.fresh(kind, "plain")
            say("starting %s" % server.name)
            self.start(server, min(o.count, server.clients))
        self.connect("", o.count, o.rounds)
        self.pairs(pairs, o.window, o.seconds, o.rounds)
        self.latencies(o.rates, o.seconds, o.rounds, pairs)
        if o.count >= 18_800:
            self.pairs(9_400, 1, o.seconds, o.rounds)
        self.stop_all()
        for kind in (peer_servers.Mosquitto, peer_servers.Nats, peer_servers.Ejabberd,
                     peer_servers.Prosody):
            server = self.fresh(kind, "tls", self.certificate)
            say("starting %s with TLS" % server.name)
            self.start(server, min(o.tls_count, server.clients))
        self.connect("_tls", o.tls_count, max(2, o.rounds))
        self.stop_all()
        for _ in range(o.offline_rounds):
            for kind in kinds:
                if kind is not peer_servers.Nats:
                    slow = kind in (peer_servers.Ejabberd, peer_servers.Prosody)
                    self.offline(kind, o.messages // (5 if slow else 1), o.targets)
        return {name: {figure: round(statistics.median(values), 2)
                       for figure, values in figures.items()}
                for name, figures in self.figures.items()}


# ---- telling

ROWS = [
    ("kib_per_connection", "memory per idle connection (KiB)"),
    ("kib_per_connection_tls", "the same with TLS"),
    ("connect_us", "CPU per connect and authentication (us)"),
    ("connect_us_tls", "the same with TLS"),
    ("cpu_s_per_million_%d", "CPU-s per million messages, %d pairs"),
    ("cpu_s_per_million_9400", "the same, 9400 pairs"),
    ("per_second_%d", "messages a second, %d pairs"),
    ("store_cpu_s_per_million", "offline: store, CPU-s per million"),
    ("drain_cpu_s_per_million", "drain, CPU-s per million"),
    ("missing_or_doubled", "missing or doubled"),
]


def table(result, pairs, rates):
    names = list(result)
    own = result["godwit"]
    print("| | " + " | ".join(names) + " |\n|" + "---|" * (len(names) + 1))
    rows = [(f % pairs if "%d" in f else f, t % pairs if "%d" in t else t) for f, t in ROWS]
    for rate in rates:
        rows.append(("", "latency at %d a second (ms): p50, p99, p99.9" % rate))
    for figure, title in rows:
        cells = []
        for name in names:
            values = result[name]
            if not figure:
                rate = title.split()[2]
                told = [values.get("ms_%s_p%s" % (rate, p)) for p in ("50", "99", "999")]
                cells.append("" if None in told else ", ".join("%.1f" % v for v in told))
                continue
            value = values.get(figure)
            against = own.get(figure) or own.get(figure.removesuffix("_tls"))
            ratio = ""
            if value is not None and name != "godwit" and against and "missing" not in figure:
                ratio = " (%.1f)" % (value / against)
            form = "%.1f" if value is not None and value < 100 else "%.0f"
            cells.append("" if value is None else form % value + ratio)
        print("| %s | %s |" % (title, " | ".join(cells)))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bin", default=os.path.join(ROOT, "build/release/bin"))
    parser.add_argument("--short", action="store_true", help="about three minutes: small counts")
    parser.add_argument("--count", type=int, default=18_800, help="connections to each server")
    parser.add_argument("--tls-count", type=int, default=3_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=4, help="of each flow of messages")
    parser.add_argument("--window", type=int, default=1, help="messages under way in each pair")
    parser.add_argument("--rates", type=lambda text: [int(n) for n in text.split(",")],
                        default=[500, 4000], help="messages a second, for latencies")
    parser.add_argument("--messages", type=int, default=100_000, help="stored and drained")
    parser.add_argument("--targets", type=int, default=1000, help="users who are away")
    parser.add_argument("--offline-rounds", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="the medians, on standard output")
    options = parser.parse_args()
    if options.short:
        options.count, options.tls_count, options.rounds, options.seconds = 2_000, 1_000, 2, 2
        options.messages, options.targets, options.rates = 20_000, 400, [500]
    enter_namespace(options.count)
    set_up(2 * options.count)
    directory = tempfile.mkdtemp(prefix="godwit-peers-")
    bench = Bench(options, directory)
    started = time.monotonic()
    try:
        result = bench.run()
    finally:
        bench.abandon()
        shutil.rmtree(directory, ignore_errors=True)
    say("took %d s" % (time.monotonic() - started))
    if options.json:
        print(json.dumps(result))
    else:
        table(result, min(1000, options.count // 2), options.rates)
    sys.exit(1 if result["godwit"]["missing_or_doubled"] else 0)


if __name__ == "__main__":
    main()
