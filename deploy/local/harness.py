"""What the programs that try a whole Baton on private servers share: deploy/prove, bench/run, traces/check, prometheus/fire-alerts, local/upgrade."""
import os
import socket
import subprocess
import time


def say(text):
    print(f"    {text}", flush=True)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until(what, check, seconds=120, every=0.2):
    """Waits until check() gives something true, and returns that. A server that cannot be reached is one that has to be asked again."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            if answer := check():
                return answer
        except OSError:
            pass
        if time.monotonic() > deadline:
            raise SystemExit(f"not within {seconds} s: {what}")
        time.sleep(every)


def database_url(database):
    """The address of a database of the private PostgreSQL."""
    return os.environ["PG_URL"].rsplit("/", 1)[0] + "/" + database


def sql(database, text):
    """Runs statements, and returns their rows, each a line."""
    command = ["psql", "-XqAtd", database_url(database), "-v", "ON_ERROR_STOP=1", "-c", text]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
