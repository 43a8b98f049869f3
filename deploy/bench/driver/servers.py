"""The servers that `deploy/bench/run` started, psql, and nginx, which is started here."""
import base64
import os
import pathlib
import subprocess
import time
import urllib.parse
import urllib.request

from harness import database_url

HERE = pathlib.Path(__file__).resolve().parent.parent
DIRECTORY = pathlib.Path(os.environ["BENCH_DIRECTORY"])
AMQP_PORT, HTTP_PORT = int(os.environ["AMQP_PORT"]), int(os.environ["HTTP_PORT"])
URL = f"http://127.0.0.1:{HTTP_PORT}"
END = "--end--"


class Session:
    """One psql that stays connected. A failed statement ends it, and raises."""

    def __init__(self, database="postgres"):
        command = ["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-d", database_url(database)]
        self.psql = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def query(self, sql):
        """The rows of a statement, unaligned lines of text."""
        self.psql.stdin.write(f"{sql};\nSELECT '{END}';\n")
        self.psql.stdin.flush()
        rows = []
        for line in self.psql.stdout:
            if line.rstrip("\n") == END:
                return rows
            rows.append(line.rstrip("\n"))
        raise RuntimeError("psql: " + " ".join(rows))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.psql.stdin.close()
        self.psql.wait()
        self.psql.stdout.close()


def query(sql, database="postgres"):
    with Session(database) as session:
        return session.query(sql)


def manage(method, path):
    """A call of RabbitMQ's management interface."""
    url = urllib.parse.urlsplit(os.environ["MGMT_URL"])
    authorization = "Basic " + base64.b64encode(b"guest:guest").decode()
    request = urllib.request.Request(f"http://{url.hostname}:{url.port}/api/{path}", method=method, headers={"Authorization": authorization})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return answer.read()


class Nginx:
    """The instant worker and static GitHub."""

    def __init__(self):
        self.log, self.offset, self.count = DIRECTORY / "posts.log", 0, 0
        settings = (HERE / "nginx.conf.in").read_text().replace("@DIR@", str(DIRECTORY)).replace("@PORT@", str(HTTP_PORT))
        (DIRECTORY / "nginx.conf").write_text(settings)
        self.process = subprocess.Popen(["nginx", "-c", DIRECTORY / "nginx.conf", "-e", DIRECTORY / "nginx.error.log"])
        for _ in range(50):
            try:
                urllib.request.urlopen(f"{URL}/health", timeout=10).close()
                return
            except OSError:
                time.sleep(.1)
        raise RuntimeError(f"nginx did not start: see {DIRECTORY}/nginx.error.log (BATON_KEEP=1 keeps it)")

    def post_count(self):
        """How many POSTs are in the log: those up to half a second ago. Reads only what is new."""
        if self.log.exists():
            with open(self.log, "rb") as file:
                file.seek(self.offset)
                new = file.read()
            self.offset += len(new)
            self.count += new.count(b"\n")
        return self.count

    def posts(self, after):
        """(time, idempotency key) of each POST after the first `after` ones."""
        time.sleep(1.2)
        lines = self.log.read_text().splitlines()[after:]
        return [(float(line.split()[0]), line.split()[1]) for line in lines]

    def stop(self):
        self.process.terminate()
        self.process.wait()


def pid(server, nginx):
    """The first process of a server."""
    if server == "nginx":
        return nginx.process.pid
    file = {"postgres": "pg/data/postmaster.pid", "rabbitmq": "rmq/pid"}[server]
    return int(pathlib.Path(os.environ["BENCH_SERVERS"], file).read_text().split()[0])
