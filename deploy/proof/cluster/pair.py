"""A Postgres primary and a standby that has confirmed every commit."""
import os
import pathlib
import shutil
import signal
import subprocess
import time

from cluster.network import SUBNET, run

AS_USER = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"]
SETTINGS = "-c listen_addresses=* -c port=5432 -c unix_socket_directories= -c fsync=off -c max_connections=200 -c wal_sender_timeout=5s"


def programs():
    """Of the newest version that is installed."""
    return max(pathlib.Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name))


class Server:
    def __init__(self, network, name, number, directory):
        network.add(name, number)
        self.network, self.name, self.address = network, name, network.address(name)
        self.home = directory / name
        self.home.mkdir()
        shutil.chown(self.home, "postgres", "postgres")
        self.data = self.home / "data"

    def run(self, program, *arguments):
        return run(*self.network.inside(self.name), *AS_USER, programs() / program, *arguments, cwd=self.home)

    def create(self):
        self.run("initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")
        with open(self.data / "pg_hba.conf", "a") as rules:
            rules.write(f"host all all {SUBNET}.0/24 trust\nhost replication all {SUBNET}.0/24 trust\n")

    def copy(self, primary):
        """Becomes a standby of it, from nothing."""
        shutil.rmtree(self.data, ignore_errors=True)
        self.run("pg_basebackup", "-h", primary.address, "-U", "postgres", "-D", self.data, "-R", "-X", "stream", "-c", "fast")
        settings = self.data / "postgresql.auto.conf"
        kept = [line for line in settings.read_text().splitlines(True) if not line.startswith("synchronous_standby_names")]
        settings.write_text("".join(kept))

    def start(self, *more):
        # A server that is started keeps the standard output: it may not be a pipe.
        options = " ".join([SETTINGS, *more])
        with open(os.devnull, "w") as nothing:
            subprocess.run([*self.network.inside(self.name), *AS_USER, programs() / "pg_ctl", "-w", "-D", self.data, "-l", self.home / "log", "-o",
                            options, "start"], check=True, cwd=self.home, stdin=subprocess.DEVNULL, stdout=nothing, stderr=nothing)

    def stop(self, mode):
        self.run("pg_ctl", "-w", "-D", self.data, "-m", mode, "stop")

    def crash(self):
        pid = int((self.data / "postmaster.pid").read_text().split()[0])
        os.kill(pid, signal.SIGQUIT)
        while os.path.exists(f"/proc/{pid}"):
            time.sleep(0.05)

    def promote(self):
        self.run("pg_ctl", "-w", "-D", self.data, "promote")

    def query(self, sql):
        return run("psql", "-XqAt", "-h", self.address, "-p", "5432", "-U", "postgres", "-c", sql, "postgres").strip()


class Pair:
    def __init__(self, network, directory):
        self.primary, self.standby = (Server(network, f"pg{number}", 20 + number, directory) for number in (1, 2))
        self.all = [self.primary, self.standby]
        self.primary.create()
        self.primary.start()
        self.attach()

    def attach(self):
        """The standby is made anew, and commits wait for it from then on."""
        self.standby.copy(self.primary)
        self.standby.start()
        self.primary.query("ALTER SYSTEM SET synchronous_standby_names = '*'")
        self.primary.query("SELECT pg_reload_conf()")
        while self.primary.query("SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'") != "1":
            time.sleep(0.1)

    def promote(self):
        self.standby.promote()
        self.primary, self.standby = self.standby, self.primary

    def return_read_only(self):
        """What was the primary comes back as if nothing had happened, but its operator allows no writes."""
        self.standby.start("-c default_transaction_read_only=on")

    def url(self, account, database):
        # The one that was the primary first comes first, whatever it is now.
        hosts = ",".join(f"{server.address}:5432" for server in self.all)
        return f"postgresql://{account}@{hosts}/{database}"
