#!/usr/bin/env python3
"""A server is upgraded and rolled back under load, and offered programs that fail at every step.

No phone may be cut, no message lost or doubled. A record that was sealed twice under one nonce, or
by two processes, would not open at the phone: it would cut the connection.
"""
import array
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time

import processes

PHONES, RATE = 300, 300
CONTROL, LISTENER = 3, 4


# ---- a program that takes over as far as it is told, and then fails

def varint(value):
    out = b""
    while value >= 0x80:
        out += bytes([value & 0x7f | 0x80])
        value >>= 7
    return out + bytes([value])


def word(kind, layout=0, text=b""):
    out = b"\x08" + varint(kind)
    if layout:
        out += b"\x10" + varint(layout)
    if text:
        out += b"\x1a" + varint(len(text)) + text
    return out


def receive(channel):
    descriptors = array.array("i")
    octets, control, _, _ = channel.recvmsg(65536, socket.CMSG_SPACE(253 * 4))
    for level, kind, data in control:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            descriptors.frombytes(data[:len(data) - len(data) % 4])
    return octets, list(descriptors)


def loops_of(offer):
    """Field 8 of the offer."""
    at = 0
    while at < len(offer):
        tag, at = offer[at], at + 1
        value = shift = 0
        while True:
            octet, at = offer[at], at + 1
            value |= (octet & 0x7f) << shift
            shift += 7
            if octet < 0x80:
                break
        if tag == 0x40:
            return value
        if tag & 7 == 2:
            at += value
    raise AssertionError("the offer names no loops")


def fail_at(step):
    """Runs as the new program. Holds every descriptor that it was given until it ends."""
    control = socket.socket(fileno=CONTROL)
    listener = socket.socket(fileno=LISTENER)
    control.setblocking(True)
    listener.setblocking(True)
    control.send(word(1, 99 if step == "layout" else 1, b"broken"))
    offer, _ = receive(control)
    if step == "layout":
        time.sleep(60)
    if step == "refuse":
        control.send(word(6, 0, b"not today"))
        time.sleep(60)
    control.send(word(3))
    channels = [listener.accept()[0] for _ in range(loops_of(offer))]
    for channel in channels:
        channel.setblocking(True)
        channel.recv(2)
    waiting = list(channels)
    while waiting:
        for channel in list(waiting):
            octets, _ = receive(channel)
            if step == "descriptors" and octets[0] == 2:
                os.kill(os.getpid(), signal.SIGKILL)
            if step == "snapshot" and octets[0] == 4:
                os.kill(os.getpid(), signal.SIGKILL)
            channel.send(b"\x05")
            if octets[0] == 4:
                waiting.remove(channel)
    receive(control)  # the store is closed by now
    if step == "unhealthy":
        control.send(word(6, 0, b"the store cannot be read"))
        time.sleep(60)
    if step == "lies":
        control.send(word(5))
        time.sleep(60)
    os.kill(os.getpid(), signal.SIGKILL)


# ---- the test

class Load:
    """A crowd of phones that write to each other."""

    def __init__(self, programs, directory, server):
        self.process = subprocess.Popen(
            [os.path.join(programs, "loadgen"), "--server", server.address, "--most", str(PHONES),
             "--people", os.path.join(directory, "people"), "--ping", "2",
             "--codes", os.path.join(server.data, "verification-codes.jsonl")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    def begin(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def result(self):
        line = self.process.stdout.readline()
        assert line, "the load generator ended"
        return json.loads(line)

    def command(self, line):
        self.begin(line)
        return self.result()

    def close(self):
        self.process.kill()
        self.process.wait()


class UpgradedServer(processes.Server):
    """With more connections than one table of descriptors holds, when `tables` says so."""

    def __init__(self, programs, data, tables):
        super().__init__(programs, data)
        self.tables, self.pid = tables, None

    def command(self):
        if not self.tables:
            return super().command()
        # Two tables' worth of a limit that is small.
        return ["sh", "-c", "ulimit -n 1024; exec \"$@\"", "sh", *super().command(),
                "--max-connections", "1200"]

    def order(self, *words):
        done = subprocess.run([self.program, "--data", self.data, *words, "--json"],
                              capture_output=True, text=True, check=False, timeout=120)
        answer = json.loads(done.stdout or '{"ok": false, "error": "%s"}' % done.stderr.strip())
        assert (done.returncode == 0) == answer["ok"], "exit code %d" % done.returncode
        if answer["ok"]:
            self.pid = answer["process"]
            self.process.wait(30)
        return answer

    def follow(self):
        """Waits until another process holds the data directory."""
        def changed():
            with open(os.path.join(self.data, "lock")) as lock:
                holder = lock.read()  # while it is written, a part
            if not holder.endswith("\n") or int(holder) == self.pid:
                return False
            self.pid = int(holder)
            return True
        processes.wait_until(changed, 20, "SIGUSR2 upgrades")

    def stop_all(self):
        self.close()
        if self.pid:
            os.kill(self.pid, signal.SIGTERM)
            processes.wait_until(self.ended, 30, "the last server has ended")

    def ended(self):
        try:
            with open("/proc/%d/stat" % self.pid) as stat:
                return stat.read().split()[2] == "Z"
        except OSError:  # gone before it was opened, or between that and reading
            return True


class Supervisor:
    """What systemd listens on."""

    def __init__(self, directory):
        path = os.path.join(directory, "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(path)
        self.socket.settimeout(10)
        os.environ["NOTIFY_SOCKET"] = path

    def told(self):
        return self.socket.recv(4096).decode()

    def close(self):
        del os.environ["NOTIFY_SOCKET"]
        self.socket.close()


def upgrades(programs, tables):
    with processes.workspace() as directory:
        supervisor = Supervisor(directory)
        server = UpgradedServer(programs, os.path.join(directory, "server"), tables)
        load = None
        try:
            server.start()
            assert supervisor.told() == "READY=1"
            load = Load(programs, directory, server)
            load.command("register %d" % PHONES)
            load.command("connect %d" % PHONES)
            next_program = os.path.join(directory, "godwitd-next")
            shutil.copy(server.program, next_program)
            load.begin("load %d 15 300" % RATE)
            time.sleep(0.5)
            for step, why in (("layout", "layout"), ("refuse", "not today"),
                              ("descriptors", "signal 9"), ("snapshot", "signal 9"),
                              ("unhealthy", "cannot be read"), ("lies", "without owning"),
                              ("dies", "signal 9")):
                broken = os.path.join(directory, step)
                with open(broken, "w") as file:
                    file.write("#!/bin/sh\nexec %s %s --fail-at %s\n" % (
                        sys.executable, os.path.abspath(__file__), step))
                os.chmod(broken, 0o755)
                answer = server.order("upgrade", broken)
                assert not answer["ok"] and why in answer["error"], "%s: %s" % (step, answer)
                assert server.get("/readyz") == "ready\n", "not ready after " + step
            answer = server.order("upgrade", "/nowhere")
            assert "cannot run" in answer["error"], answer
            assert "no upgrade" in server.order("rollback")["error"]
            assert server.order("upgrade", next_program)["ok"]
            assert supervisor.told() == "MAINPID=%d\nREADY=1" % server.pid
            assert server.metric("godwitd_upgrade_pause_seconds") > 0
            assert not server.order("upgrade", "/bin/false")["ok"]
            answer = server.order("rollback")
            assert answer["ok"], answer
            where = os.readlink("/proc/%d/exe" % server.pid)
            assert where == os.path.realpath(server.program), "rolled back to " + where
            os.kill(server.pid, signal.SIGUSR2)
            server.follow()
            result = load.result()
            after = load.command("idle 3")  # pings of all
            assert result["sent"] > RATE * 10, result
            for name in ("lost", "duplicated", "cut", "refused"):
                assert result[name] == 0, "%s: %s" % (name, result)
            assert after["cut"] == 0 and after["connections"] == PHONES, after
            assert server.metric("godwitd_connections") == PHONES
        finally:
            if load:
                load.close()
            server.stop_all()
            supervisor.close()


def main():
    if len(sys.argv) > 2 and sys.argv[1] == "--fail-at":
        fail_at(sys.argv[2])
    programs = processes.arguments(__doc__.splitlines()[0]).bin

    def loops_that_share_a_table():
        upgrades(programs, False)

    def loops_with_tables_of_their_own():
        upgrades(programs, True)

    return processes.run_checks([loops_that_share_a_table, loops_with_tables_of_their_own])


if __name__ == "__main__":
    sys.exit(main())
