"""The stand-in worker, a program of its own: `worker.py PORT SEED CALLBACK_URL,... JOURNAL OPTIONS`.

It is not idempotent: every POST /review starts a run. It writes each POST, answer and question with its time into the journal, a
line of JSON each. Commands come on standard input, a line of JSON each: {"mode": "hang", "seconds": 3}.
"""
import asyncio
import json
import random
import sys
import time

# How a mode answers a request: status, headers, body.
ANSWERS = {
    "error": (500, "", '{"error": "the worker has a fault"}'),
    "busy": (429, "Retry-After: 1\r\n", '{"error": "too many runs"}'),
    "unavailable": (503, "Retry-After: 1\r\n", "<html>upstream is down</html>"),
    "garbage": (200, "", "{\"reviewId\": \xe9, <html>"),
    "redirect": (307, "Location: http://127.0.0.1:9/elsewhere\r\n", ""),
}


MAY_START = ("hang", "error", "reset", "refuse", "garbage")


def fine(code, /, **body):
    return code, "", json.dumps(body)


class Worker:
    def __init__(self, port, seed, callbacks, journal, options):
        self.port, self.seed, self.options = port, seed, options
        self.callback_ports = [int(url.rsplit(":", 1)[1]) for url in callbacks]
        self.journal = open(journal, "a", buffering=1)
        self.mode, self.mode_ended = "fine", asyncio.Event()
        self.runs, self.number, self.connections, self.tasks = {}, 0, set(), set()
        self.random = random.Random(f"worker {seed}")

    def note(self, what, **fields):
        self.journal.write(json.dumps(dict(what=what, at=time.time(), **fields)) + "\n")

    def spawn(self, work):
        task = asyncio.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    # --- modes ---

    async def listen(self):
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", self.port, backlog=512)

    async def obey(self):
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while line := await reader.readline():
            command = json.loads(line)
            self.options.update(command.get("options", {}))
            if "mode" in command:
                await self.enter(command["mode"])
                if seconds := command.get("seconds"):
                    self.spawn(self.leave_later(self.mode_ended, seconds))

    async def enter(self, mode):
        self.mode_ended.set()
        self.mode_ended = asyncio.Event()
        was, self.mode = self.mode, mode
        self.note("mode", mode=mode)
        if mode == "refuse":
            self.server.close()
            for connection in list(self.connections):
                connection.transport.abort()
        elif was == "refuse":
            await self.listen()

    async def leave_later(self, mode_ended, seconds):
        await asyncio.sleep(seconds)
        if mode_ended is self.mode_ended:
            await self.enter("fine")

    # --- HTTP ---

    async def serve(self, reader, writer):
        self.connections.add(writer)
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.decode().split("\r\n")
                method, path, _ = lines[0].split(" ")
                headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                number, status, more, text = await self.answer(method, path, headers, body, writer)
                if reader.at_eof() or writer.transport.is_closing():
                    return
                data = text.encode("latin-1")
                head = f"HTTP/1.1 {status} -\r\n{more}Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
                writer.write(head.encode() + data)
                await writer.drain()
                if number:
                    self.note("answer", post=number, status=status)
        except (asyncio.IncompleteReadError, ConnectionError, ValueError):
            pass
        finally:
            self.connections.discard(writer)
            writer.close()

    async def answer(self, method, path, headers, body, writer):
        """(number of the POST, status, headers, body)"""
        sender = headers.get("authorization", "").removeprefix("Bearer ")
        if method == "POST" and path == "/review":
            return await self.start(json.loads(body), sender, writer)
        review = path.split("/")[2] if path.count("/") > 1 else ""
        if method == "GET" and path.startswith("/reviews/"):
            self.note("get", review=review, sender=sender, mode=self.mode)
        if disturbed := await self.disturb(self.mode, writer):
            return None, *disturbed
        if method == "POST":
            return None, *fine(200, success=True, reviewId=review)
        if path == "/health":
            return None, *fine(200, status="ok")
        return None, *self.status(review)

    def status(self, review):
        if review not in self.runs:
            return fine(404, error="this review is not known here")
        attempt, status = self.runs[review]
        return fine(200, reviewId=review, attempt=attempt, status=status)

    async def disturb(self, mode, writer):
        """How the mode answers a request; None if it does not."""
        if mode == "reset" or mode == "refuse":
            writer.transport.abort()
            raise ConnectionResetError
        if mode == "hang":
            await self.mode_ended.wait()
        return ANSWERS.get(mode)

    async def start(self, request, sender, writer):
        review, attempt, mode = request["reviewId"], request["attempt"], self.mode
        self.number += 1
        number = self.number
        # A failing worker may have started the run before the failure shows. What refuses a request by its contract has not.
        starts = mode == "fine" or mode in MAY_START and self.random.random() < 0.5
        self.note("post", post=number, review=review, attempt=attempt, sender=sender, mode=mode, starts=starts)
        if starts:
            self.runs[review] = (attempt, "queued")
            self.spawn(self.run(review, attempt, number))
        elif mode == "hang":
            await asyncio.sleep(3600)
        if disturbed := await self.disturb(mode, writer):
            return number, *disturbed
        if delay := self.options.get("answer_after"):
            await asyncio.sleep(delay)
        return number, *fine(202, reviewId=review, status="queued")

    # --- runs and callbacks ---

    async def run(self, review, attempt, number):
        chance = random.Random(f"{self.seed} {review} {attempt} {number}")
        low, high = self.options["run"]
        silent = chance.random() < self.options["silent"]
        says_running = chance.random() < 0.5 and not silent
        await asyncio.sleep(chance.uniform(0.05, 0.5))
        if says_running:
            self.runs[review] = (attempt, "running")
            self.spawn(self.report(chance, review, attempt, "running"))
        await asyncio.sleep(chance.uniform(low, high))
        self.runs[review] = (attempt, "completed")
        self.note("end", post=number, silent=silent)
        if not silent:
            await self.report(chance, review, attempt, "completed")

    async def report(self, chance, review, attempt, status):
        """Calls back until it is accepted. A part of the calls is lost (and repeated later), late or doubled."""
        while True:
            if chance.random() < self.options["late"]:
                await asyncio.sleep(chance.uniform(2, 15))
            if chance.random() < self.options["lost"]:
                await asyncio.sleep(chance.uniform(5, 30))
                continue
            calls = 2 if chance.random() < self.options["doubled"] else 1
            if all([await self.call(chance.choice(self.callback_ports), review, attempt, status) for _ in range(calls)]):
                return
            await asyncio.sleep(chance.uniform(0.5, 2))

    async def call(self, port, review, attempt, status):
        try:
            async with asyncio.timeout(10):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                try:
                    body = json.dumps({"status": status, "attempt": attempt}).encode()
                    head = (f"POST /api/internal/code-review-status/{review} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                            f"X-Internal-Secret: s\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n")
                    writer.write(head.encode() + body)
                    line = await reader.readline()
                    return line.split(b" ")[1:2] == [b"200"]
                finally:
                    writer.close()
        except (OSError, TimeoutError):
            return False


async def main():
    port, seed, callbacks, journal, options = sys.argv[1:]
    worker = Worker(int(port), seed, callbacks.split(","), journal, json.loads(options))
    await worker.listen()
    worker.note("mode", mode="fine")
    await worker.obey()  # until the programme that started it has ended


asyncio.run(main())
