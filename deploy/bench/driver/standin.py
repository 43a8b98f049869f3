"""GitHub that takes its time: `GET …/pulls/N` is answered after a delay that depends on N, all else at once, or all alike."""
import http.server
import json
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


class SlowGitHub:
    def __init__(self, delay, every=0):
        """`delay` gives seconds for a pull request's number; every call takes `every` seconds more."""
        github = self
        self.asked = self.calls = self.tokens = 0
        counting = threading.Lock()

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def answer(self, status, body):
                data = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

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
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                self.take(calls=1, tokens=1)
                self.answer(201, TOKEN)

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 512

            def handle_error(self, *_):  # a client that goes away in the middle is no news
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
