#!/usr/bin/env python3
"""A godwitd with many connected phones: memory, cost of a connection, messages among them.

Server and phones run in a network namespace of their own. Needs root: for the namespace, and for
the system settings that many sockets need, which it names. Outside, two limits are only ever
raised, and the size of the hash table that a new namespace gets is put back.
"""
import argparse
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ADDRESS, HTTP = "127.0.0.1:7400", "127.0.0.1:7480"
TICKS = os.sysconf("SC_CLK_TCK")
QUANTILES = ("0.5", "0.99", "0.999")


def say(text):
    print(text, file=sys.stderr, flush=True)


# ---- the machine

HASH = "/proc/sys/net/ipv4/tcp_child_ehash_entries"


def enter_namespace(count):
    """Runs this program again in a network namespace, where `settings` may be changed.

    A socket is found by a hash table that the namespace gets once and for all when it is made: both
    ends of each connection in a table for a tenth of them are long chains, walked per packet."""
    if os.environ.get("GODWIT_BENCH_NAMESPACE"):
        return
    if os.geteuid() != 0:
        say("needs root, for a network namespace: sudo ./dev bench connections")
        sys.exit(77)
    os.environ["GODWIT_BENCH_NAMESPACE"] = "1"
    again = ["unshare", "--net", sys.executable, *sys.argv]
    if 2 * count < 262_144:
        os.execvp("unshare", again)
    with open(HASH) as file:
        before = file.read()
    with open(HASH, "w") as file:
        file.write(str(1 << (2 * count - 1).bit_length()))
    child = subprocess.Popen(again)
    time.sleep(2)  # it has its namespace by now
    with open(HASH, "w") as file:
        file.write(before)
    sys.exit(child.wait())


def set_up(count):
    """The settings are the namespace's own but for fs.*, which is only ever raised."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    settings = {"net.ipv4.ip_local_port_range": "1024 65000", "net.core.somaxconn": "65535",
                "net.ipv4.tcp_max_syn_backlog": "65535", "net.ipv4.tcp_syncookies": "0"}
    raised = {"fs.file-max": 2 * count + 100_000, "fs.epoll.max_user_watches": 2 * count + 100_000}
    for name, least in raised.items():
        with open("/proc/sys/" + name.replace(".", "/")) as present:
            if int(present.read()) < least:
                settings[name] = str(least)
    for name, value in settings.items():
        try:
            with open("/proc/sys/" + name.replace(".", "/"), "w") as file:
                file.write(value)
            say("set %s = %s" % (name, value))
        except OSError as error:
            say("cannot set %s = %s: %s" % (name, value, error.strerror))


def field(path, name):
    """Kilobytes behind `name:` in a file of /proc."""
    with open(path) as file:
        for line in file:
            if line.startswith(name + ":"):
                return int(line.split()[1])
    return 0


class Program:
    def __init__(self, command, **popen):
        self.process = subprocess.Popen(command, **popen)
        self.pid = self.process.pid

    def user_bytes(self):
        return 1024 * field("/proc/%d/status" % self.pid, "RssAnon")

    def cpu(self):
        """Seconds in user mode, in the kernel."""
        with open("/proc/%d/stat" % self.pid) as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return int(fields[11]) / TICKS, int(fields[12]) / TICKS

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(600)


# ---- the two sides

class Server(Program):
    def __init__(self, programs, data, connections, threads):
        super().__init__(
            [os.path.join(programs, "godwitd"), "--data", data, "--listen", ADDRESS, "--http", HTTP,
             "--log", "json", "--threads", str(threads), "--max-connections", str(connections)],
            stdout=subprocess.DEVNULL, stderr=open(data + ".log", "a"))
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                self.metric("godwitd_ready")
                return
            time.sleep(0.1)
        sys.exit("connections.py: godwitd did not start: see %s.log" % data)

    def metric(self, name):
        with urllib.request.urlopen("http://%s/metrics" % HTTP, timeout=30) as answer:
            for line in answer.read().decode().splitlines():
                if line.startswith(name + " "):
                    return int(line.split()[1])
        raise KeyError(name)

    def sleeps(self, count, seconds):
        """Waits until all but a few of `count` accounts are out of memory."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.metric("godwitd_sleeping_devices") >= count * 0.999:
                break
            time.sleep(0.5)
        time.sleep(1)


class Crowd(Program):
    def __init__(self, programs, directory, most, ping, *more):
        super().__init__(
            [os.path.join(programs, "loadgen"), "--server", ADDRESS, "--most", str(most),
             "--people", os.path.join(directory, "people"), "--ping", str(ping),
             "--codes", os.path.join(directory, "data/verification-codes.jsonl"), *more],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def command(self, line):
        self.begin(line)
        return self.result()

    def begin(self, line):
        say("> " + line)
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def result(self):
        answer = self.process.stdout.readline()
        if not answer:
            sys.exit("bench: the load generator failed")
        say("< " + answer.strip())
        return json.loads(answer)

    def stop(self):
        """Closing millions of sockets one after another takes minutes, and measures nothing."""
        self.process.kill()
        self.process.wait(600)


def registered_in(directory):
    """Accounts that an earlier run left there: the file has 81 octets, and 16 for each."""
    try:
        return (os.path.getsize(os.path.join(directory, "people")) - 81) // 16
    except OSError:
        return 0


def tcp_bytes():
    """Kernel memory of objects: sockets, their inodes, descriptors and watches among others."""
    return 1024 * field("/proc/meminfo", "Slab")


def measure(options, directory):
    data = os.path.join(directory, "data")
    if registered_in(directory) < options.count:
        shutil.rmtree(data, ignore_errors=True)
        server = Server(options.bin, data, options.count + 1000, options.threads)
        crowd = Crowd(options.bin, directory, options.count, options.ping)
        registered = crowd.command("register %d" % options.count)
        say("registered %d a second" % (options.count / registered["seconds"]))
        crowd.stop()
        server.stop()
    else:
        say("%d accounts are there already" % registered_in(directory))
    if options.register_only:
        return None

    # Started anew: what registering took is not an idle connection's.
    server = Server(options.bin, data, options.count + 1000, options.threads)
    crowd = Crowd(options.bin, directory, options.count, options.ping)
    points, cpu, seconds = [], 0.0, 0.0
    for count in (0, options.count // 10, options.count):
        if count:
            before = server.cpu()
            seconds += crowd.command("connect %d" % count)["seconds"]
            cpu += sum(server.cpu()) - sum(before)
            server.sleeps(count, 90)
        points.append((count, server.user_bytes(), crowd.user_bytes(), tcp_bytes()))
    slope = [(b - a) / (points[2][0] - points[1][0]) for a, b in zip(points[1][1:], points[2][1:])]
    result = {
        "connections": server.metric("godwitd_connections"),
        "server_user_bytes_per_connection": round(slope[0]),
        "generator_user_bytes_per_connection": round(slope[1]),
        "kernel_slab_bytes_per_pair": round(slope[2]),
        "server_user_bytes": points[2][1],
        "connect_cpu_us": round(cpu / options.count * 1e6),
        "connects_per_second": round(options.count / seconds),
        "server_threads": len(os.listdir("/proc/%d/task" % server.pid)),
    }
    before = sum(server.cpu())
    crowd.command("idle %d" % options.idle)
    result["idle_cpu_percent"] = round((sum(server.cpu()) - before) / options.idle * 100, 1)

    before, started = server.cpu(), time.monotonic()
    flood = crowd.command("flood %d %d %d" % (options.outstanding, options.seconds, options.size))
    after = server.cpu()
    result["messages_per_second"] = round(flood["messages_per_second"])
    result["server_cpu_s_per_million"] = round((sum(after) - sum(before)) /
                                               max(1, flood["delivered"]) * 1e6, 1)
    rate = options.rate or max(1, round(flood["messages_per_second"] * 0.7))
    load = crowd.command("load %d %d %d" % (rate, options.seconds, options.size))
    result["latency_at_per_second"] = rate
    result["latency_ms"] = {"p" + q.replace("0.", "").ljust(2, "0"): load["latency_ms"][q]
                            for q in QUANTILES}
    for name in ("lost", "duplicated", "refused"):
        result[name] = flood[name] + load[name]
    result["cut"] = load["cut"]
    result["server_user_bytes_after_load"] = server.user_bytes()
    crowd.stop()
    server.stop()
    return result, points, load["latency_ms"]


# ---- telling

def table(result, points):
    say("\n%12s %16s %16s %16s" % ("connections", "server user MiB", "phones user MiB", "slab MiB"))
    for count, *figures in points:
        say("%12d %16.1f %16.1f %16.1f" % (count, *(f / 2**20 for f in figures)))
    say("%12s %16d %16d %16d   octets per connection, between the last two" % (
        "", result["server_user_bytes_per_connection"],
        result["generator_user_bytes_per_connection"], result["kernel_slab_bytes_per_pair"]))
    say("connect + attach: %d us of the server's CPU, %d a second; idle: %.1f %% of a core" % (
        result["connect_cpu_us"], result["connects_per_second"], result["idle_cpu_percent"]))
    say("messages: %d a second, %.1f CPU-s per million; at %d a second %s ms" % (
        result["messages_per_second"], result["server_cpu_s_per_million"],
        result["latency_at_per_second"],
        ", ".join("%s %.1f" % item for item in result["latency_ms"].items())))
    say("lost %(lost)d, duplicated %(duplicated)d, refused %(refused)d, cut %(cut)d" % result)


def plot(path, latencies, title):
    """Latency over the share of messages within it; 90 %, 99 %, ... at equal distances."""
    import math
    width, height, left, bottom = 640, 360, 60, 320
    shares = [(float(q), ms) for q, ms in latencies.items()]
    top = max(1.0, max(ms for _, ms in shares))
    across = [(left + 130 * min(4, -math.log10(max(1e-4, 1 - q))), bottom - 280 * ms / top)
              for q, ms in shares]
    marks = "".join('<text x="%d" y="340">%s</text>' % (left + 130 * i, label) for i, label in
                    enumerate(("0 %", "90 %", "99 %", "99.9 %", "99.99 %")))
    with open(path, "w") as svg:
        svg.write('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family='
                  '"sans-serif" font-size="12"><text x="60" y="20">%s</text>'
                  '<path d="M60 40V320H600" fill="none" stroke="#888"/><text x="8" y="45">%.0f ms'
                  '</text>%s<polyline points="%s" fill="none" stroke="#06c" stroke-width="2"/>'
                  "</svg>\n" % (width, height, title, top, marks,
                                " ".join("%.1f,%.1f" % point for point in across)))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bin", default=os.path.join(ROOT, "build/bin"))
    parser.add_argument("--count", type=int, default=20_000, help="connections")
    parser.add_argument("--ping", type=int, default=60, help="seconds between pings of a phone")
    parser.add_argument("--idle", type=int, default=20, help="seconds of silence, measured")
    parser.add_argument("--seconds", type=int, default=10, help="of each flow of messages")
    parser.add_argument("--rate", type=int, default=0, help="for latencies; 0: 70 %% of the most")
    parser.add_argument("--outstanding", type=int, default=500, help="messages under way at once")
    parser.add_argument("--size", type=int, default=200, help="of a ciphertext")
    parser.add_argument("--threads", type=int, default=0, help="of the server; 0: as it likes")
    parser.add_argument("--keep", metavar="DIR", help="keep accounts there, for another run")
    parser.add_argument("--register-only", action="store_true", help="with --keep: no more")
    parser.add_argument("--json", action="store_true", help="the result, on standard output")
    parser.add_argument("--svg", help="file for a plot of the latencies")
    options = parser.parse_args()
    enter_namespace(options.count)
    set_up(options.count)
    directory = options.keep or tempfile.mkdtemp(prefix="godwit-bench-")
    os.makedirs(directory, exist_ok=True)
    try:
        measured = measure(options, directory)
    finally:
        if not options.keep:
            shutil.rmtree(directory, ignore_errors=True)
    if measured is None:
        return
    result, points, latencies = measured
    table(result, points)
    if options.svg:
        plot(options.svg, latencies, "%d connections, %d messages a second" % (
            result["connections"], result["latency_at_per_second"]))
    if options.json:
        print(json.dumps(result))
    whole = not result["lost"] and not result["duplicated"]
    sys.exit(0 if whole and result["connections"] == options.count else 1)


if __name__ == "__main__":
    main()
