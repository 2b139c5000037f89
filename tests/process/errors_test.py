#!/usr/bin/env python3
"""What people and disks do wrong: each has clear words, its exit code, and loses nothing."""
import contextlib
import json
import os
import shutil
import subprocess
import sys

import processes

LIMIT = 64 * 1024


def refused(done, code, words):
    """The process ended with `code`, and said `words`."""
    said = done.stderr.decode(errors="replace")
    assert done.returncode == code and words in said, "exit %d, not %d with %r: %s" % (
        done.returncode, code, words, said[-300:])
    assert "Traceback" not in said and "CHECK" not in said, said


def damage(path):
    """Overwrites the middle of a file, or of every file below a folder."""
    files = [path] if os.path.isfile(path) else [
        os.path.join(folder, name) for folder, _, names in os.walk(path) for name in names]
    for name in files:
        size = os.path.getsize(name)
        with open(name, "r+b") as file:
            file.seek(size // 3)
            file.write(b"\xa5" * max(size // 3, 1))


@contextlib.contextmanager
def small_disk(path, mebibytes):
    """A tmpfs of that size at `path`; None when mounting is not permitted."""
    os.makedirs(path, exist_ok=True)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=%dm,mode=0700" % mebibytes,
                              "godwit-test", path], capture_output=True, check=False)
    try:
        yield path if mounted.returncode == 0 else None
    finally:
        if mounted.returncode == 0:
            subprocess.run(["umount", "-l", path], check=False)


def fill(path):
    """Takes all the room that is left; returns the file to remove."""
    name = os.path.join(path, "full")
    with open(name, "wb", buffering=0) as file:
        with contextlib.suppress(OSError):
            while True:
                file.write(b"\0" * 4096)
    return name


class Checks:
    """One server, Alice and Bob, for all that leaves them usable."""

    def __init__(self, programs, server, alice, bob):
        self.programs, self.server, self.alice, self.bob = programs, server, alice, bob
        self.folder = os.path.dirname(server.data)

    def arrives(self, octets):
        self.alice.must("send", self.bob.phone, octets=octets)
        got = self.bob.must("receive", "--lines", "--count", "1", "--timeout", "30")
        assert got == octets + b"\n", "%d octets arrived of %d" % (len(got) - 1, len(octets))

    def one_byte(self):
        self.arrives(b"x")

    def sixty_four_kibibytes(self):
        self.arrives("€".encode() * (LIMIT // 3) + b"x")

    def empty_text(self):
        refused(self.alice.run("send", self.bob.phone, ""), 2, "empty")
        refused(self.alice.run("send", self.bob.phone), 2, "empty")

    def one_byte_too_many(self):
        refused(self.alice.run("send", self.bob.phone, octets=b"x" * (LIMIT + 1)), 2, "65,536")

    def not_utf8(self):
        refused(self.alice.run("send", self.bob.phone, octets=b"ab\xff"), 2, "not UTF-8: byte 2")

    def number_without_account(self):
        refused(self.alice.run("send", "+33600000000", "hello"), 4, "no account")

    def not_a_number(self):
        refused(self.alice.run("send", "0612345678", "hello"), 2, "country code")

    def not_registered(self):
        nobody = processes.Client(self.programs, self.folder + "/nobody", self.server,
                                  "+33611111111")
        refused(nobody.run("receive"), 3, "register")
        assert not os.path.exists(nobody.home), "reading made a home"

    def wrong_code(self):
        carol = processes.Client(self.programs, self.folder + "/carol", self.server,
                                 "+33622222222")
        where = ("register", carol.phone, "--server", self.server.address)
        carol.must(*where)
        right = self.server.code_for(carol.phone)
        wrong = "%06d" % ((int(right) + 1) % 1_000_000)
        refused(carol.run(*where, "--code", wrong), 3, "wrong code")
        refused(carol.run(*where, "--code", "12"), 2, "six digits")
        carol.must(*where, "--code", right)

    def server_away(self):
        self.server.stop()
        refused(self.bob.run("receive"), 6, "cannot reach")
        done = self.alice.run("send", self.bob.phone, "while you were out")
        assert done.returncode == 0 and b"queued" in done.stderr, done.stderr[-300:]
        self.server.start()
        self.alice.must("receive")
        assert self.bob.must("receive", "--lines", "-n", "1", "--timeout", "30") == (
            b"while you were out\n")

    def long_answer_ends_whole(self):
        lines = "".join("%d %s\n" % (n, "x" * 200) for n in range(1500))
        self.alice.must("send", self.bob.phone, "--lines", text=lines)
        for _ in range(10):
            said = [entry["text"] for entry in self.alice.history(self.bob.phone)]
            assert said[-1500:] == lines.splitlines(), "%d messages" % len(said)
        assert self.bob.must("receive", "--lines", "-n", "1500").decode() == lines

    def bench(self, *args):
        return subprocess.run([os.path.join(self.programs, "godwit"), "bench", "--people",
                               self.folder + "/people", "--phones", "2", *args],
                              capture_output=True, timeout=30, check=False)

    def benchmarks_that_cannot_be(self):
        codes = ("--codes", os.path.join(self.server.data, "verification-codes.jsonl"))
        refused(self.bench("--server", "127.0.0.1:1", *codes), 6, "127.0.0.1:1: nobody answers")
        server = ("--server", self.server.address)
        refused(self.bench(*server, "--codes", self.folder + "/none"), 2, "--codes is to name")
        web = ("--server", "127.0.0.1:%d" % self.server.http)
        refused(self.bench(*web, *codes), 3, "no godwit server")
        refused(self.bench("--server", "no.such.host.invalid:7400", *codes), 2, "no such host")
        done = self.bench(*server, *codes, "--seconds", "1", "--json")
        assert done.returncode == 0 and json.loads(done.stdout)["lost"] == 0, done

    def second_server_on_the_same_data(self):
        second = processes.Server(self.programs, self.server.data)
        done = subprocess.run(second.command(), capture_output=True, timeout=30, check=False)
        refused(done, 3, "in use")
        self.arrives(b"the first one still serves")

    def servers_disk_is_full(self):
        with small_disk(self.folder + "/small", 48) as disk:
            if not disk:
                return "mounting a small disk is not permitted here"
            with people_on(self.programs, disk + "/server", self.folder + "/full") as (
                    server, alice, bob):
                filler = fill(disk)
                alice.run("send", bob.phone, "no room", "--wait", "sent", "--timeout", "3")
                assert server.process.poll() is None, "the server ended"
                done = alice.run("status")
                os.remove(filler)
                alice.must("send", bob.phone, "room again", "--wait", "sent", "--timeout", "60")
                got = bob.must("receive", "--lines", "-n", "2", "--timeout", "30")
                assert got == b"no room\nroom again\n", (got, done.stdout)

    def clients_disk_is_full(self):
        with small_disk(self.folder + "/small_home", 8) as disk:
            if not disk:
                return "mounting a small disk is not permitted here"
            dora = processes.Client(self.programs, disk + "/dora", self.server, "+33633333333")
            dora.register()
            dora.must("send", self.bob.phone, "before")
            filler = fill(disk)
            refused(dora.run("send", self.bob.phone, octets=b"x" * LIMIT), 7, "disk is full")
            os.remove(filler)
            dora.must("send", self.bob.phone, "after")
            got = self.bob.must("receive", "--lines", "-n", "2", "--timeout", "30")
            assert got == b"before\nafter\n", got
            dora.kill()

    def damaged_client_store(self):
        copy = processes.Client(self.programs, self.folder + "/copy", self.server, self.alice.phone)
        shutil.copytree(self.alice.home, copy.home, ignore=shutil.ignore_patterns("*.sock"))
        damage(os.path.join(copy.home, "store.db"))
        refused(copy.run("history", self.bob.phone), 7, "damaged")

    def damaged_server_store(self):
        self.server.stop()
        copy = processes.Server(self.programs, self.folder + "/server_copy")
        shutil.copytree(self.server.data, copy.data, ignore=shutil.ignore_patterns("*.sock"))
        damage(os.path.join(copy.data, "store"))
        done = subprocess.run(copy.command(), capture_output=True, timeout=60, check=False)
        self.server.start()
        refused(done, 4, "damaged")


@contextlib.contextmanager
def people_on(programs, data, homes):
    server = processes.Server(programs, data)
    os.makedirs(homes)
    people = [processes.Client(programs, os.path.join(homes, name), server, phone)
              for name, phone in (("alice", processes.ALICE), ("bob", processes.BOB))]
    try:
        server.start()
        for person in people:
            person.register()
        yield server, *people
    finally:
        for person in people:
            person.kill()
        server.close()


def main():
    options = processes.arguments(__doc__)
    with processes.pair(options.bin) as (server, alice, bob):
        checks = Checks(options.bin, server, alice, bob)
        return processes.run_checks([
            checks.one_byte, checks.sixty_four_kibibytes, checks.empty_text,
            checks.one_byte_too_many, checks.not_utf8, checks.number_without_account,
            checks.not_a_number, checks.not_registered, checks.wrong_code, checks.server_away,
            checks.long_answer_ends_whole, checks.benchmarks_that_cannot_be,
            checks.second_server_on_the_same_data, checks.servers_disk_is_full,
            checks.clients_disk_is_full, checks.damaged_client_store,
            checks.damaged_server_store])


if __name__ == "__main__":
    sys.exit(main())
