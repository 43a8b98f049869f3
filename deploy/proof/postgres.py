"""The private PostgreSQL: statements through psql, and its processes, which can be made to stand still."""
import contextlib
import os
import pathlib
import signal
import subprocess
import threading
import time

import private_servers
import processes
from harness import database_url

# Of the harness's own sessions. They can write, also if that is not the server's default for a while, or if several servers are named.
ENVIRONMENT = {"PGOPTIONS": "-c default_transaction_read_only=off", "PGTARGETSESSIONATTRS": "read-write"}
END = "--end--"
SEPARATOR = "\x1f"


def port():
    return int(os.environ["PG_PORT"])


class Session:
    """One psql that stays connected, and is started again after a failure. Safe to share between threads."""

    def __init__(self, database):
        self.database, self.lock, self.psql = database, threading.Lock(), None

    def query(self, sql):
        """The rows of the last statement, each a list of texts."""
        with self.lock:
            if self.psql is None:
                self.psql = self.connect()
            try:
                self.psql.stdin.write(f"{sql};\nSELECT '{END}';\n")
                self.psql.stdin.flush()
                return self.read()
            except (OSError, RuntimeError) as error:
                self.end()
                raise RuntimeError(f"psql: {error}") from error

    def connect(self):
        command = ["psql", "-XqAt", "-F", SEPARATOR, "-v", "ON_ERROR_STOP=1", "-d", database_url(self.database)]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, **ENVIRONMENT})

    def read(self):
        rows = []
        for line in self.psql.stdout:
            line = line.rstrip("\n")
            if line == END:
                return rows
            rows.append(line.split(SEPARATOR))
        raise RuntimeError(" ".join(" ".join(row) for row in rows))

    def end(self):
        psql, self.psql = self.psql, None
        if psql:
            psql.kill()
            psql.wait()
            with contextlib.suppress(OSError):  # what it did not read is written now
                psql.stdin.close()
            psql.stdout.close()

    def close(self):
        with self.lock:
            self.end()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def query(sql, database="postgres"):
    with Session(database) as session:
        return session.query(sql)


def first_process():
    return int(pathlib.Path(os.environ["PROVE_SERVERS"], "pg/data/postmaster.pid").read_text().split()[0])


def stand_still(seconds, before_it_goes_on=lambda: None):
    """SIGSTOP to every process of the server, as a failover or a frozen virtual machine looks from outside."""
    first, stopped = first_process(), set()
    try:
        # The first process comes first: it starts no more of them then.
        while new := [pid for pid in processes.tree(first) if pid not in stopped]:
            for pid in new:
                send(pid, signal.SIGSTOP)
                stopped.add(pid)
        time.sleep(seconds)
        before_it_goes_on()
    finally:
        for pid in stopped:
            send(pid, signal.SIGCONT)


def send(pid, number):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def cpu_seconds():
    return processes.cpu([first_process()])


def restart_with(settings):
    """Sets server parameters that need a restart."""
    for name, value in settings.items():
        query(f"ALTER SYSTEM SET {name} = {value}")
    private_servers.control("stop", "PG_ONLY")
    private_servers.control("start", "PG_ONLY")


def set_parameter(name, value):
    """For every session, also those that are open."""
    query(f"ALTER SYSTEM SET {name} = {value}")
    query("SELECT pg_reload_conf()")


def crash_and_start(seconds):
    """An immediate stop, and a start so many seconds later: what was not written to disk is recovered from the log."""
    private_servers.control("crash", "PG_ONLY")
    time.sleep(seconds)
    private_servers.control("start", "PG_ONLY")
    patiently(lambda: query("SELECT 1"))


def patiently(ask, seconds=60):
    """What `ask` returns, once the server answers."""
    end = time.monotonic() + seconds
    while True:
        try:
            return ask()
        except RuntimeError:
            if time.monotonic() > end:
                raise
            time.sleep(0.1)
