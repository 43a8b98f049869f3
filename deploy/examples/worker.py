#!/usr/bin/env python3
"""A worker on Python's standard library alone, written from the page on the worker contract alone.

    BATON_WORKER_TOKEN=… BATON_CALLBACK_URL=http://127.0.0.1:8080 ./worker.py --port 9000 --state runs.sqlite -- ./review.sh

The command gets the body of the start on standard input. Exit status 0 completes the review, another one fails it; each line that it
prints is an event. An example to read and to copy: it runs one process for each review, without a limit on how many.
"""
import argparse
import http.server
import json
import os
import signal
import sqlite3
import subprocess
import threading
import time
import urllib.error
import urllib.request
from datetime import datetime, timezone
from hmac import compare_digest

BODY_MAX = 4 << 20
ENDED = ("completed", "failed", "cancelled")
TOKEN_LIFETIME = 24 * 60 * 60


def now():
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def age(time):
    """In seconds."""
    return (datetime.now(timezone.utc) - datetime.fromisoformat(time.replace("Z", "+00:00"))).total_seconds()


class Runs:
    """What is known of each review's newest attempt. It is in the file before the start is answered: a worker that forgets a start would
    run it twice."""

    def __init__(self, path):
        self.lock = threading.RLock()
        self.file = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self.file.execute("PRAGMA journal_mode = WAL")
        self.file.execute("PRAGMA synchronous = FULL")
        self.file.execute("""CREATE TABLE IF NOT EXISTS runs (
            review TEXT PRIMARY KEY, attempt INTEGER NOT NULL, status TEXT NOT NULL, token TEXT, started_at TEXT, completed_at TEXT,
            error TEXT, reported INTEGER NOT NULL DEFAULT 0)""")
        self.file.execute("CREATE TABLE IF NOT EXISTS events (review TEXT, at TEXT, message TEXT)")

    def find(self, review):
        with self.lock:
            row = self.file.execute(
                "SELECT attempt, status, token, started_at, completed_at, error FROM runs WHERE review = ?", (review,)).fetchone()
        return row and dict(zip(("attempt", "status", "token", "startedAt", "completedAt", "errorMessage"), row))

    def begin(self, review, attempt, token):
        """Returns the status, and whether this call began the run; None if a newer attempt is known."""
        with self.lock:
            known = self.find(review)
            if known and known["attempt"] > attempt:
                return None
            if known and known["attempt"] == attempt:
                return known["status"], False
            self.file.execute(
                "REPLACE INTO runs (review, attempt, status, token, started_at) VALUES (?, ?, 'running', ?, ?)",
                (review, attempt, token, now()))
            self.file.execute("DELETE FROM events WHERE review = ?", (review,))
            return "running", True

    def end(self, review, attempt, status, error=None):
        """The first end counts. Returns whether this is it."""
        with self.lock:
            changed = self.file.execute(
                """UPDATE runs SET status = ?, error = ?, completed_at = ?
                    WHERE review = ? AND attempt = ? AND status NOT IN ('completed', 'failed', 'cancelled')""",
                (status, error, now(), review, attempt)).rowcount
        return changed == 1

    def remember_cancel(self, review, attempt):
        with self.lock:
            self.file.execute(
                "REPLACE INTO runs (review, attempt, status, completed_at, reported) VALUES (?, ?, 'cancelled', ?, 1)",
                (review, attempt, now()))

    def unreported(self):
        with self.lock:
            return self.file.execute("SELECT review, attempt, status, token, error FROM runs WHERE NOT reported").fetchall()

    def reported(self, review, attempt, status):
        if status in ENDED:
            with self.lock:
                # The token is not needed any more.
                self.file.execute(
                    "UPDATE runs SET reported = 1, token = NULL WHERE review = ? AND attempt = ?", (review, attempt))

    def add_event(self, review, message):
        with self.lock:
            self.file.execute("INSERT INTO events VALUES (?, ?, ?)", (review, now(), message[:4096]))

    def events(self, review):
        with self.lock:
            rows = self.file.execute("SELECT at, message FROM events WHERE review = ? ORDER BY rowid", (review,)).fetchall()
        return [dict(timestamp=at, eventType="output", message=message) for at, message in rows]


class Worker:
    def __init__(self, runs, command, callback_url):
        self.runs, self.command, self.callback_url = runs, command, callback_url.rstrip("/")
        self.processes = {}
        # Runs of an earlier process: their commands have ended with it, or no process waits for them.
        for review, attempt, status, token, _ in runs.unreported():
            if status not in ENDED:
                runs.end(review, attempt, "failed", "the worker was restarted during the run")
            threading.Thread(target=self.report, args=(review, attempt), daemon=True).start()

    def start(self, body):
        review, attempt = body["reviewId"].lower(), body["attempt"]
        begun = self.runs.begin(review, attempt, body["authToken"])
        if begun is None:
            return 409, {"error": "a newer attempt of this review is known"}
        status, is_new = begun
        if is_new:
            threading.Thread(target=self.run, args=(review, attempt, body), daemon=True).start()
        return 202, {"reviewId": review, "status": status}

    def run(self, review, attempt, body):
        self.report(review, attempt)
        # A session of its own, so that a cancel ends everything that the command has begun. It gets none of the worker's secrets.
        process = subprocess.Popen(
            self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
            start_new_session=True, env={name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ})
        self.processes[review, attempt] = process
        if self.runs.find(review)["status"] != "running":
            self.stop(review, attempt, "cancelled")  # It was cancelled while the command began.
        timer = threading.Timer(body["maxReviewTimeMinutes"] * 60, self.stop, (review, attempt, "failed", "timeout"))
        timer.start()
        threading.Thread(target=self.feed, args=(process, body), daemon=True).start()
        for line in process.stdout:
            self.runs.add_event(review, line.rstrip("\n"))
        status = process.wait()
        timer.cancel()
        self.processes.pop((review, attempt), None)
        if status == 0:
            self.runs.end(review, attempt, "completed")
        else:
            self.runs.end(review, attempt, "failed", f"the command has ended with status {status}")
        self.report(review, attempt)

    def feed(self, process, body):
        try:
            with process.stdin:
                json.dump(body, process.stdin)
        except BrokenPipeError:
            pass  # The command does not read it.

    def stop(self, review, attempt, status, error=None):
        stopped = self.runs.end(review, attempt, status, error)
        process = self.processes.get((review, attempt))
        if process:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass  # It has just ended.
        return stopped

    def cancel(self, review, attempt):
        known = self.runs.find(review)
        if known is None and attempt is None:
            return 404, {"error": "unknown review"}
        if known is None or attempt is not None and known["attempt"] < attempt:
            # The start may come later than its cancel.
            if known:
                self.stop(review, known["attempt"], "cancelled")
            self.runs.remember_cancel(review, attempt)
            return 200, {"success": True, "reviewId": review}
        stopped = (attempt is None or known["attempt"] <= attempt) and self.stop(review, known["attempt"], "cancelled")
        return 200, {"success": stopped, "reviewId": review}

    def report(self, review, attempt):
        """Sends the run's status until Baton has it. An answer of 2xx is a receipt, also when the report changes nothing. 401 and 403 are
        repeated while the token is valid: Baton's secrets may be being exchanged. Another 4xx than these, 408 and 429 is not repeated: Baton
        does not know the review."""
        pause = 0.2
        while True:
            run = self.runs.find(review)
            if not run or run["attempt"] != attempt or not run["token"]:
                return
            body = {"status": run["status"], "attempt": attempt, "errorMessage": run["errorMessage"]}
            request = urllib.request.Request(
                f"{self.callback_url}/api/internal/code-review-status/{review}", json.dumps(body).encode(),
                {"Authorization": f"Bearer {run['token']}", "Content-Type": "application/json"})
            try:
                urllib.request.urlopen(request, timeout=10).close()
                return self.runs.reported(review, attempt, run["status"])
            except urllib.error.HTTPError as error:
                is_expired = error.code in (401, 403) and age(run["startedAt"]) > TOKEN_LIFETIME
                if is_expired or 400 <= error.code < 500 and error.code not in (401, 403, 408, 429):
                    print(f"Baton refuses the status of {review}: {error.code}", flush=True)
                    return self.runs.reported(review, attempt, run["status"])
            except OSError:
                pass
            time.sleep(pause)
            pause = min(pause * 2, 30)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 30

    def answer(self, status, body):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        if status >= 400:
            self.send_header("Connection", "close")  # The request's body may be unread.
        self.end_headers()
        self.wfile.write(data)

    def may_not(self):
        sent = self.headers.get("Authorization", "")
        if compare_digest(sent.encode(), f"Bearer {self.server.token}".encode()):
            return False
        self.answer(401, {"error": "expected the worker's token"})
        return True

    def body(self):
        """The JSON object that was sent; None if it was answered already."""
        length = int(self.headers.get("Content-Length") or 0)
        if length > BODY_MAX:
            return self.answer(413, {"error": "more than 4 MiB"})
        try:
            body = json.loads(self.rfile.read(length) or b"{}")
            if isinstance(body, dict):
                return body
        except ValueError:
            pass
        return self.answer(400, {"error": "expected a JSON object"})

    def do_GET(self):
        if self.path == "/health":
            return self.answer(200, {"status": "ok"})
        if self.may_not():
            return
        parts = self.path.strip("/").split("/")
        run = self.server.worker.runs.find(parts[1].lower()) if len(parts) >= 2 and parts[0] == "reviews" else None
        if run is None:
            return self.answer(404, {"error": "unknown review"})
        if parts[2:] == ["events"]:
            return self.answer(200, {"reviewId": parts[1].lower(), "events": self.server.worker.runs.events(parts[1].lower())})
        run.pop("token")
        self.answer(200, {"reviewId": parts[1].lower(), **{name: value for name, value in run.items() if value is not None}})

    def do_POST(self):
        if self.may_not() or (body := self.body()) is None:
            return
        parts = self.path.strip("/").split("/")
        if parts == ["review"]:
            if not (isinstance(body.get("reviewId"), str) and isinstance(body.get("attempt"), int) and body.get("authToken")
                    and isinstance(body.get("maxReviewTimeMinutes"), int)):
                return self.answer(400, {"error": "reviewId, attempt, authToken and maxReviewTimeMinutes are needed"})
            return self.answer(*self.server.worker.start(body))
        if len(parts) == 3 and parts[0] == "reviews" and parts[2] == "cancel":
            return self.answer(*self.server.worker.cancel(parts[1].lower(), body.get("attempt")))
        self.answer(404, {"error": "nothing is here"})

    def log_message(self, *_):
        pass


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--port", type=int, default=9000)
    arguments.add_argument("--state", default="runs.sqlite")
    arguments.add_argument("command", nargs="+")
    options = arguments.parse_args()
    os.umask(0o077)  # The state holds tokens.
    server = http.server.ThreadingHTTPServer(("127.0.0.1", options.port), Handler)
    server.token = os.environ["BATON_WORKER_TOKEN"]
    server.worker = Worker(Runs(options.state), options.command, os.environ["BATON_CALLBACK_URL"])
    print(f"listening url=http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
