#!/usr/bin/env python3
"""Two clients and a server on this machine: how fast, how late, how large."""
import json
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../tests/process"))
import processes  # noqa: E402  (lies there)


def resident(pid):
    with open("/proc/%d/status" % pid) as status:
        for line in status:
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
    return 0.0


def sum_resident(person):
    return sum(resident(pid) for pid in person.processes())


def throughput(alice, bob, count):
    """Messages a second, from composing to the recipient's acknowledgement."""
    text = "".join("message %d of a busy evening\n" % n for n in range(count))
    started = time.monotonic()
    alice.must("send", bob.phone, "--lines", "--wait", "delivered", "--timeout", "600", text=text,
               timeout=600)
    return count / (time.monotonic() - started)


def latencies(alice, reader, bob, count, rate):
    """Milliseconds from writing a line into `send --lines` to reading it from `receive`."""
    sender = alice.spawn("send", bob.phone, "--lines", "--json", stdin=subprocess.PIPE,
                         stdout=subprocess.DEVNULL)
    took = []
    for n in range(-5, count):  # the first ones open the connection and the session
        started = time.monotonic()
        sender.stdin.write(b"%d\n" % n)
        sender.stdin.flush()
        while True:
            entry = json.loads(reader.stdout.readline())
            if entry["type"] == "message" and entry["text"] == str(n):
                break
        if n >= 0:
            took.append((time.monotonic() - started) * 1000)
        time.sleep(max(0.0, 1 / rate - (time.monotonic() - started)))
    sender.stdin.close()
    sender.wait()
    return sorted(took)


def main():
    options = processes.arguments(__doc__, messages=(1000, "of the throughput"),
                                  latency=(200, "messages of the latency"),
                                  rate=(20, "messages a second of the latency"))
    with processes.pair(options.bin) as (server, alice, bob):
        idle = resident(server.process.pid)
        reader = bob.spawn("receive", "--follow", "--json")
        took = latencies(alice, reader, bob, options.latency, options.rate)
        client = sum_resident(bob)
        reader.kill()
        bob.kill()
        offline = bob.spawn("receive", "--follow", "--lines", stdout=subprocess.DEVNULL)
        rate = throughput(alice, bob, options.messages)
        offline.kill()
        after = resident(server.process.pid)
    rows = [
        ("throughput, one pair (messages a second)", "%.0f" % rate),
        ("send to receive, median (ms)", "%.1f" % took[len(took) // 2]),
        ("send to receive, 99th percentile (ms)", "%.1f" % took[int(len(took) * 0.99)]),
        ("server resident, idle (MiB)", "%.0f" % idle),
        ("server resident, afterwards (MiB)", "%.0f" % after),
        ("client resident, receive --follow (MiB)", "%.0f" % client),
    ]
    for name, value in rows:
        print("%-45s %8s" % (name, value))
    return 0


if __name__ == "__main__":
    sys.exit(main())
