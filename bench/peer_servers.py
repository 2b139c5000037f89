"""The servers of `./dev bench peers`: how each is configured, started and measured.

All listen on 127.0.0.1 in a directory of their own, as root, in a network namespace of their own.
"""
import os
import signal
import socket
import subprocess
import time

TICKS = os.sysconf("SC_CLK_TCK")


def processes(session):
    """The processes of a session, as (pid, fields of /proc/PID/stat from the state on)."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/stat" % pid) as stat:
                fields = stat.read().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[3]) == session:
            yield int(pid), fields


class Server:
    """One server process, and what it started."""
    name = dialect = ""
    port = 0
    clients = 20_000     # more take too long to set up
    persistent = False

    def __init__(self, directory, certificate=None):
        self.directory = os.path.join(directory, self.name.replace(" ", "-"))
        os.makedirs(self.directory, exist_ok=True)
        self.certificate = certificate  # a path without .crt and .key; None: no TLS
        self.process = None

    def path(self, name):
        return os.path.join(self.directory, name)

    def write(self, name, text):
        with open(self.path(name), "w") as file:
            file.write(text)

    def command(self):
        raise NotImplementedError

    def environment(self):
        return {}

    def add_users(self, count):
        """Before start(): makes accounts where the server has them in files."""

    def register(self, crowd, count):
        """After start(): makes accounts over the network."""

    def start(self):
        log = open(self.path("log"), "a")
        self.process = subprocess.Popen(self.command(), cwd=self.directory, stdout=log, stderr=log,
                                        env=os.environ | self.environment(),
                                        start_new_session=True)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                time.sleep(0.05)
        raise SystemExit("peers.py: %s did not start: see %s" % (self.name, self.path("log")))

    def cpu(self):
        return sum(int(f[11]) + int(f[12]) for _, f in processes(self.process.pid)) / TICKS

    def memory(self):
        return sum(int(f[21]) for _, f in processes(self.process.pid)) * os.sysconf("SC_PAGE_SIZE")

    def stop(self, how=signal.SIGTERM):
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(how)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for pid, _ in list(processes(self.process.pid)):
            os.kill(pid, signal.SIGKILL)

    def generator(self, programs):
        line = [os.path.join(programs, "peerload"), self.dialect, str(self.port)]
        return line + ["tls"] * bool(self.certificate) + ["persistent"] * self.persistent


class Godwit(Server):
    name, port = "godwit", 7400
    clients = 19_000

    def __init__(self, directory, programs):
        super().__init__(directory)
        self.programs = programs

    def command(self):
        return [os.path.join(self.programs, "godwitd"), "--data", self.path("data"), "--log",
                "json", "--listen", "127.0.0.1:7400", "--http", "127.0.0.1:7480"]

    def register(self, crowd, count):
        crowd.command("register %d" % count)

    def generator(self, programs):
        return [os.path.join(programs, "loadgen"), "--most", str(self.clients), "--people",
                self.path("people"), "--codes", self.path("data/verification-codes.jsonl")]


class Mosquitto(Server):
    name, dialect, port = "mosquitto", "mqtt", 1883

    def command(self):
        subprocess.run(["mosquitto_passwd", "-c", "-b", self.path("passwords"), "bench", "secret"],
                       check=True)
        tls = "certfile %s.crt\nkeyfile %s.key\n" % (self.certificate, self.certificate)
        self.write("mosquitto.conf", "listener %d 127.0.0.1\n%sallow_anonymous false\n"
                   "password_file %s\nmax_inflight_messages 100\nmax_queued_messages 0\n"
                   "set_tcp_nodelay true\npersistence true\npersistence_location %s/\n"
                   "autosave_interval 1800\nuser root\nlog_type error\n" % (
                       self.port, tls if self.certificate else "", self.path("passwords"),
                       self.directory))
        return ["mosquitto", "-c", self.path("mosquitto.conf")]


class Nats(Server):
    name, dialect, port = "NATS", "nats", 4222

    def command(self):
        tls = 'tls { cert_file: "%s.crt", key_file: "%s.key" }\n' % (
            self.certificate, self.certificate)
        stored = 'jetstream { store_dir: "%s" }\n' % self.directory
        self.write("nats.conf", 'listen: "127.0.0.1:%d"\nmax_connections: 100000\n'
                   "authorization { user: bench, password: secret }\n%s%s" % (
                       self.port, tls if self.certificate else "",
                       stored if self.dialect == "jetstream" else ""))
        return ["nats-server", "-c", self.path("nats.conf")]


class JetStream(Nats):
    name, dialect, port = "JetStream", "jetstream", 4322
    clients = 3_000


class Ejabberd(Server):
    name, dialect, port = "ejabberd", "xmpp", 5222
    more = ""            # modules

    def command(self):
        tls = ', tls: true, certfile: "%s.pem"' % self.certificate if self.certificate else ""
        self.write("ejabberd.yml", """hosts: [localhost]
loglevel: error
listen:
  - {port: %d, ip: "127.0.0.1", module: ejabberd_c2s, shaper: none, access: all, backlog: 1024%s}
auth_method: internal
auth_password_format: plain
registration_timeout: infinity
modules:
  mod_roster: {}
  mod_offline: {access_max_user_messages: 100000}
  mod_stream_mgmt: {}
  mod_register: {access: all, ip_access: all, password_strength: 0}
%s""" % (self.port, tls, self.more))
        return ["erl", "-noinput", "+K", "true", "+P", "250000", "+Q", "65536",
                "-mnesia", "dir", '"%s"' % self.path("mnesia"), "-s", "ejabberd"]

    def environment(self):
        return {"EJABBERD_CONFIG_PATH": self.path("ejabberd.yml"), "HOME": self.directory,
                "EJABBERD_LOG_PATH": self.path("ejabberd.log"),
                "ERL_LIBS": "/usr/lib/%s-linux-gnu" % os.uname().machine,
                "ERL_CRASH_DUMP": "/dev/null", "ERL_MAX_ETS_TABLES": "32000"}

    def register(self, crowd, count):
        crowd.command("register %d" % count)


class Prosody(Server):
    name, dialect, port = "prosody", "xmpp", 5322
    clients = 2_000

    def add_users(self, count):
        accounts = self.path("data/localhost/accounts")
        os.makedirs(accounts, exist_ok=True)
        for user in range(count):
            with open(os.path.join(accounts, "u%d.dat" % user), "w") as file:
                file.write('return {\n\t["password"] = "secret";\n};\n')

    def command(self):
        os.makedirs(self.path("data"), exist_ok=True)
        tls = ('c2s_direct_tls_ports = { %d }\nc2s_ports = {}\nssl = { certificate = "%s.crt", '
               'key = "%s.key" }\n' % (self.port, self.certificate, self.certificate))
        self.write("prosody.cfg.lua", """data_path = "%s"
pidfile = "%s"
network_backend = "epoll"
run_as_root = true
network_settings = { tcp_backlog = 1024 }
modules_enabled = { "roster", "saslauth", "tls", "smacks", "offline" }
modules_disabled = { "s2s" }
c2s_require_encryption = false
allow_unencrypted_plain_auth = true
authentication = "internal_plain"
storage = "internal"
c2s_interfaces = { "127.0.0.1" }
%slog = { error = "%s" }
smacks_max_queue_size = 500
VirtualHost "localhost"
""" % (self.path("data"), self.path("pid"),
       tls if self.certificate else "c2s_ports = { %d }\n" % self.port, self.path("errors")))
        return ["prosody", "-F", "--config", self.path("prosody.cfg.lua")]


PEERS = [Mosquitto, Nats, JetStream, Ejabberd, Prosody]


def make_certificate(directory):
    """A P-256 certificate for nobody. Returns its path without the ending."""
    path = os.path.join(directory, "localhost")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj",
                    "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout",
                    path + ".key", "-out", path + ".crt"], check=True, stderr=subprocess.DEVNULL)
    with open(path + ".pem", "w") as both:
        for ending in (".key", ".crt"):
            with open(path + ending) as part:
                both.write(part.read())
    return path
