#!/usr/bin/env python3
"""A group's messages in godwit and in ejabberd's chat rooms: what sender and server take, and how
soon everybody has them, in the same run.

godwit: the writer is a whole client, with its engine and its encrypted store; the other members are
connections with real keys that acknowledge what comes and read nothing. Everything is encrypted,
and stored by the server before it is accepted.
ejabberd: everybody is a connection with stream management. Nothing is encrypted, and rooms keep
nothing; they announce neither who comes nor who goes, which is the cheapest there is.

Rounds go through both servers and all sizes, so that what else the machine does meets all alike;
what is told is the median of the rounds. Needs root, for a network namespace.
"""
import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
import time

import peer_servers
from connections import enter_namespace, say, set_up
from peers import Generator

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FIGURES = [
    ("sender_us", "sender, CPU per message (us)"),
    ("engine_us", "of it to compose and encrypt (us)"),
    ("upload_octets", "upload per message (octets)"),
    ("server_us", "server, CPU per delivery (us)"),
    ("p50_ms", "until a member has it, p50 (ms)"),
    ("p99_ms", "p99 (ms)"),
]


class Godwit(peer_servers.Godwit):
    def generator(self, programs):
        return [os.path.join(programs, "groupload"), "127.0.0.1:7400",
                self.path("data/verification-codes.jsonl"), self.directory]

    def gather(self, crowd, count):
        crowd.command("gather %d" % count)

    def found(self, crowd, size):
        return crowd.measured("found %d" % size)

    def speak(self, size, rate, count, octets):
        return "speak %g %d %d" % (rate, count, octets)


class Ejabberd(peer_servers.Ejabberd):
    more = """  mod_muc:
    access: all
    access_create: all
    history_size: 0
    max_users: 5000
    max_users_presence: 1
    min_message_interval: 0
    min_presence_interval: 0
    room_shaper: none
    user_message_shaper: none
    user_presence_shaper: none
    default_room_options: {max_users: 5000, presence_broadcast: [], mam: false}
"""

    def gather(self, crowd, count):
        crowd.command("register %d" % count)
        crowd.command("connect 0 %d" % count)

    def found(self, crowd, size):
        told = crowd.measured("join %d" % size)
        if told["joined"] < size:
            sys.exit("group.py: %s of %d came into ejabberd's room" % (told["joined"], size))
        return told

    def speak(self, size, rate, count, octets):
        return "speak %d %g %d %d" % (size, rate, count, octets)


def run(options, directory):
    """(name, size) -> figure -> rounds; what making the groups took, likewise."""
    figures, made, up = {}, {}, []
    whole = True
    try:
        kinds = [(Godwit, (options.bin,)), (Ejabberd, ())]
        for kind, arguments in kinds[:1] if options.alone else kinds:
            server = kind(directory, *arguments)
            say("starting %s" % server.name)
            server.start()
            crowd = Generator(server, options.bin)
            up.append((server, crowd))
            server.gather(crowd, max(options.sizes))
        for size in options.sizes:
            for server, crowd in up:
                made[server.name, size] = told = server.found(crowd, size)
                say("%-10s made a group of %d in %.1f s" % (server.name, size, told["seconds"]))
            rate = options.deliveries / size
            count = max(4, round(rate * options.seconds))
            for _ in range(options.rounds):
                for server, crowd in up:
                    told = crowd.measured(server.speak(size, rate, count, options.size))
                    told["server_us"] = told["cpu"] / max(1, told["deliveries"]) * 1e6
                    whole = whole and told["deliveries"] == told["wanted"]
                    told.setdefault("engine_us", told["sender_us"])  # its client does no more
                    for name, _ in FIGURES:
                        figures.setdefault((server.name, size), {}).setdefault(name, []).append(
                            told[name])
                    say("%-10s %5d members, %d of %d deliveries: %s" % (
                        server.name, size, told["deliveries"], told["wanted"],
                        ", ".join("%s %.1f" % (name, told[name]) for name, _ in FIGURES)))
    finally:
        for server, crowd in up:
            crowd.process.stdin.close()
            crowd.process.wait(60)
            server.stop()
    return figures, made, whole


def medians(figures):
    result = {}
    for (name, size), rounds in figures.items():
        result.setdefault(str(size), {})[name] = {
            figure: round(statistics.median(values), 3) for figure, values in rounds.items()}
    return result


def table(result):
    sizes = list(result)
    names = ", ".join(result[sizes[0]])
    print("| members | " + " | ".join("%s: %s" % (size, names) for size in sizes) + " |")
    print("|" + "---|" * (len(sizes) + 1))
    for figure, title in FIGURES:
        cells = []
        for size in sizes:
            own, *theirs = [one[figure] for one in result[size].values()]
            ratio = " (%.2f)" % (theirs[0] / own) if own and theirs else ""
            cells.append(", ".join(map(short, [own, *theirs])) + ratio)
        print("| %s | %s |" % (title, " | ".join(cells)))


def short(value):
    return "%.0f" % value if value >= 100 else "%.1f" % value


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bin", default=os.path.join(ROOT, "build/release/bin"),
                        type=os.path.abspath)
    parser.add_argument("--sizes", type=lambda text: [int(n) for n in text.split(",")],
                        default=[32, 256, 1024], help="members of the groups")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4, help="of each flow of messages")
    parser.add_argument("--deliveries", type=int, default=2000,
                        help="a second: a message to 1,024 members is 1,024")
    parser.add_argument("--size", type=int, default=200, help="octets of a text")
    parser.add_argument("--alone", action="store_true", help="godwit only")
    parser.add_argument("--json", action="store_true", help="the medians, on standard output")
    options = parser.parse_args()
    enter_namespace(2 * max(options.sizes))
    set_up(2 * max(options.sizes))
    directory = tempfile.mkdtemp(prefix="godwit-group-")
    started = time.monotonic()
    try:
        figures, made, whole = run(options, directory)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    result = medians(figures)
    making = {str(size): {"seconds": round(told["seconds"], 2),
                          "sender_cpu_ms": round(told["sender_us"] / 1000, 1),
                          "upload_octets": round(told["upload_octets"])}
              for (name, size), told in made.items() if name == "godwit"}
    say("took %d s" % (time.monotonic() - started))
    if options.json:
        print(json.dumps({"messages": result, "making_a_godwit_group": making}))
    else:
        table(result)
        if not options.alone:
            print("\nIn brackets: ejabberd's figure by godwit's. godwit encrypts end to end, "
                  "ejabberd does not at all.")
        print("\nMaking the group in godwit, with a session and a key for each:")
        for size, told in making.items():
            print("  %s members: %.1f s, %.0f ms of CPU, %.0f KiB sent" % (
                size, told["seconds"], told["sender_cpu_ms"], told["upload_octets"] / 1024))
    sys.exit(0 if whole else 1)


if __name__ == "__main__":
    main()
