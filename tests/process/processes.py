"""godwitd and godwit as processes: started, asked, killed."""
import argparse
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
ALICE, BOB = "+33612345678", "+33687654321"


def arguments(description, **extra):
    """Parses --bin and the options given as name=(default, help)."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--bin", default=os.path.join(ROOT, "build/bin"))
    for name, (default, text) in extra.items():
        parser.add_argument("--" + name, type=type(default), default=default, help=text)
    return parser.parse_args()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until(condition, seconds, what):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError("not within %d s: %.500s" % (
                seconds, what() if callable(what) else what))
        time.sleep(0.05)


@contextlib.contextmanager
def workspace():
    path = tempfile.mkdtemp(prefix="godwit-")
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


class Server:
    """One godwitd over one data directory. Keeps its ports over restarts."""

    def __init__(self, programs, data):
        self.program, self.data = os.path.join(programs, "godwitd"), data
        self.port, self.http = free_port(), free_port()
        self.address = "127.0.0.1:%d" % self.port
        self.log = data + ".log"  # stderr of every start
        self.process = None

    def command(self):
        return [self.program, "--data", self.data, "--listen", self.address,
                "--http", "127.0.0.1:%d" % self.http, "--log", "json"]

    def start(self):
        with open(self.log, "ab") as log, open(self.data + ".out", "ab") as out:
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL,
                                            stdout=out, stderr=log)
        wait_until(lambda: self.process.poll() is not None or self.get("/readyz") is not None,
                   30, "the server is ready")
        assert self.process.poll() is None, "godwitd ended: " + open(self.log).read()[-500:]

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        self.process.terminate()
        assert self.process.wait(30) == 0, "godwitd stopped with %d" % self.process.returncode

    def close(self):
        if self.process and self.process.poll() is None:
            self.kill()

    def get(self, path):
        try:
            with urllib.request.urlopen("http://127.0.0.1:%d%s" % (self.http, path),
                                        timeout=2) as answer:
                return answer.read().decode()
        except OSError:
            return None

    def metric(self, name):
        for line in (self.get("/metrics") or "").splitlines():
            if line.startswith(name + " "):
                return float(line.split()[1])
        raise AssertionError("no metric " + name)

    def code_for(self, phone):
        with open(os.path.join(self.data, "verification-codes.jsonl")) as codes:
            sent = [json.loads(line) for line in codes]
        return [entry["code"] for entry in sent if entry["phone"] == phone][-1]


class Heard:
    """A godwit that stays and prints JSON lines; what it printed so far can be read."""

    def __init__(self, client, path, *command):
        self.path = path
        with open(path, "wb") as out:
            self.process = client.spawn(*command, "--json", stdin=subprocess.PIPE, stdout=out)

    def wish(self, wish):
        self.process.stdin.write(json.dumps(wish).encode() + b"\n")
        self.process.stdin.flush()

    def told(self):
        with open(self.path, "rb") as said:
            return [json.loads(line) for line in said.read().splitlines(True)
                    if line.endswith(b"\n")]

    def until(self, fits, seconds=30):
        """The first line, of those printed so far or later, for which `fits` holds."""
        wait_until(lambda: any(map(fits, self.told())), seconds, self.told)
        return next(filter(fits, self.told()))


class Client:
    """godwit over one home."""

    def __init__(self, programs, home, server, phone):
        self.program, self.home = os.path.join(programs, "godwit"), home
        self.server, self.phone = server, phone
        self.spawned = []

    def command(self, *args):
        return [self.program, "--home", self.home, *args]

    def run(self, *args, text=None, octets=None, timeout=60):
        """The finished process; stdout and stderr as octets."""
        given = octets if octets is not None else (text or "").encode()
        return subprocess.run(self.command(*args), input=given, capture_output=True,
                              timeout=timeout, check=False)

    def must(self, *args, **how):
        done = self.run(*args, **how)
        assert done.returncode == 0, "%s: exit %d: %s%s" % (
            " ".join(args)[:80], done.returncode, done.stderr.decode(errors="replace")[-300:],
            self.last_words())
        return done.stdout

    def last_words(self):
        """What the process that keeps the home wrote when it ended badly; mostly nothing."""
        with contextlib.suppress(OSError), open(os.path.join(self.home, "godwit.log")) as log:
            return log.read()[-500:]
        return ""

    def spawn(self, *args, **how):
        process = subprocess.Popen(self.command(*args), **{
            "stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL,
            **how})
        self.spawned.append(process)
        return process

    def follow(self):
        """Stays connected, and receives."""
        return Heard(self, self.home + ".follow", "receive", "--follow")

    def chat(self, whom):
        """An open chat, once it is connected."""
        chat = Heard(self, "%s.chat.%d" % (self.home, len(self.spawned)), "chat", whom)
        chat.until(lambda line: line["type"] == "connection" and line["online"])
        return chat

    def register(self):
        where = ("register", self.phone, "--server", self.server.address)
        self.must(*where)
        self.must(*where, "--code", self.server.code_for(self.phone))

    def history(self, phone):
        return [json.loads(line) for line in
                self.must("history", phone, "--json", timeout=300).splitlines()]

    def act(self, *args):
        """A command's JSON lines."""
        return [json.loads(line) for line in self.must(*args, "--json").splitlines()]

    def read(self, chat):
        self.must("chat", chat, "--json", text='{"read":true}\n')

    def see(self, where, message, **fields):
        """The message, once it is there and so: None means that the field is absent."""
        def found():
            return [each for each in self.history(where) if each["id"] == message and all(
                each.get(name) == value for name, value in fields.items())]
        wait_until(found, 30, lambda: (fields, self.history(where)[-2:]))
        return found()[0]

    def gone(self, chat, message):
        wait_until(lambda: message not in [each["id"] for each in self.history(chat)], 30,
                   "it is gone")

    def processes(self):
        """Pids of everything that runs on this home, the process that keeps it included."""
        store, mine = os.path.join(self.home, "store.db"), self.home.encode()
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open("/proc/%s/cmdline" % pid, "rb") as line:
                    named = mine in line.read().split(b"\0")
                files = "/proc/%s/fd" % pid
                if named or any(os.readlink(os.path.join(files, fd)) == store
                                for fd in os.listdir(files)):
                    found.append(int(pid))
            except OSError:
                pass  # it has ended
        return found

    def kill(self):
        """Those just started are known here: they may have no name in /proc yet."""
        spawned, self.spawned = self.spawned, []
        for process in spawned:
            process.kill()
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@contextlib.contextmanager
def pair(programs):
    """A server with Alice and Bob, registered; everything ends with the block."""
    with workspace() as directory:
        server = Server(programs, os.path.join(directory, "server"))
        people = [Client(programs, os.path.join(directory, name), server, phone)
                  for name, phone in (("alice", ALICE), ("bob", BOB))]
        try:
            server.start()
            for person in people:
                person.register()
            yield server, *people
        finally:
            for person in people:
                person.kill()
            server.close()


def stored_rows(programs, server, *holding):
    """{space: rows} of a stopped server's store; only those that hold octets given in hex."""
    counted = subprocess.run([os.path.join(programs, "store_rows"), server.data, *holding],
                             capture_output=True, text=True, check=True)
    return {space: int(rows) for space, rows in map(str.split, counted.stdout.splitlines())}


def run_checks(checks):
    """Calls each, prints how it went and the line that counts them; returns the exit code."""
    failed = skipped = 0
    for check in checks:
        name = check.__name__.replace("_", " ")
        try:
            reason = check()
            if isinstance(reason, str):
                skipped += 1
                print("skipped:", name + ":", reason)
        except (AssertionError, subprocess.TimeoutExpired, OSError) as error:
            failed += 1
            print("FAILED:", name + ":", error)
    line = "%d passed, %d failed" % (len(checks) - failed - skipped, failed)
    print(line + (", %d skipped" % skipped if skipped else ""))
    return 1 if failed else 0
