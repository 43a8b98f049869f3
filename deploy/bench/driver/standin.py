"""GitHub that takes its time: `GET …/pulls/N` is answered after a delay that depends on N, all else at once, or all alike. And a
worker that says yes at once, and when."""
import http.server
import json
import queue
import re
import threading
import time

PULL = re.compile(r"/repos/([^/]+/[^/]+)/pulls/(\d+)$")
TOKEN = {"token": "ghs_" + "0" * 36, "expires_at": "2099-01-01T00:00:00Z"}


def pull_request(repository, number):
    side = {"ref": "main", "sha": "0" * 40, "repo": {"full_name": repository, "fork": False}}
    return {"number": number, "state": "open", "draft": False, "title": f"Pull {number}", "user": {"login": "ann", "id": 1},
            "html_url": f"https://github.com/{repository}/pull/{number}",
            "head": dict(side, ref=f"feature/{number}", sha=f"{number:040}"), "base": side}


class Answering(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # head and body in one packet

    def body(self):
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def answer(self, status, body):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
        self.wfile.flush()

    def log_message(self, *_):
        pass


class StandIn(http.server.ThreadingHTTPServer):
    """A server on a free port of this machine, for a `with`."""
    daemon_threads = True
    request_queue_size = 512

    def __init__(self, handler):
        super().__init__(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, *_):  # a client that goes away in the middle is no news
        pass

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()


class SlowGitHub(StandIn):
    def __init__(self, delay, every=0):
        """`delay` gives seconds for a pull request's number; every call takes `every` seconds more."""
        github = self
        self.asked = self.calls = self.tokens = 0
        counting = threading.Lock()

        class Handler(Answering):
            def take(self, **counts):
                with counting:
                    for name, count in counts.items():
                        setattr(github, name, getattr(github, name) + count)
                time.sleep(every)

            def do_GET(self):
                self.take(calls=1)
                match = PULL.search(self.path)
                if not match:
                    return self.answer(200, [])
                github.asked += 1
                time.sleep(delay(int(match[2])))
                self.answer(200, pull_request(match[1], int(match[2])))

            def do_POST(self):
                self.body()
                self.take(calls=1, tokens=1)
                self.answer(201, TOKEN)

        super().__init__(Handler)


class InstantWorker(StandIn):
    """Keeps (time, idempotency key) of each POST, as it arrives."""

    def __init__(self):
        arrivals = self.arrivals = queue.SimpleQueue()

        class Handler(Answering):
            def do_POST(self):
                at, key = time.time(), self.headers["Idempotency-Key"]
                arrivals.put((at, key))
                self.body()
                self.answer(202, {"reviewId": key.split("/")[0], "status": "queued"})

            def do_GET(self):
                self.answer(200, {"status": "ok"})

        super().__init__(Handler)

    def next_post(self, seconds):
        try:
            return self.arrivals.get(timeout=seconds)
        except queue.Empty:
            raise RuntimeError(f"no POST within {seconds} s: see .local/bench.log") from None
