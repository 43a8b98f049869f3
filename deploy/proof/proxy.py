"""The network between Baton and its servers, a program of its own: `proxy.py SEED JOURNAL NAME=PORT=TARGETPORT...`.

It relays TCP, and disturbs a link when a command says so, a line of JSON each on standard input:
{"link": "postgres", "mode": "delay", "seconds": 5, "share": 0.5, "delay": 0.3}. What it did to connections is in the journal.
"""
import asyncio
import json
import random
import sys
import time

# What happens to a connection that a disturbance has chosen, in each mode:
MODES = {
    "delay": "everything arrives later",
    "trickle": "one byte a second arrives",
    "stall": "nothing arrives, in one direction or in both; later it goes on",
    "half-open": "the server's side is closed at once, the client learns of it only at the end",
    "cut": "half of the next write arrives, then both sides are cut",
    "lose-answer": "what the server answers next is dropped, then both sides are cut",
}


class Disturbance:
    def __init__(self, command, seed):
        self.mode, self.share, self.delay = command["mode"], command["share"], command.get("delay", 0)
        self.direction = command.get("direction", "both")
        self.random, self.over, self.hit = random.Random(seed), asyncio.Event(), {}

    def hits(self, connection):
        """Whether it has chosen this connection; decided once for each."""
        if connection not in self.hit:
            self.hit[connection] = self.random.random() < self.share
        return self.hit[connection] and not self.over.is_set()


class Connection:
    def __init__(self, link, client, server):
        self.link, self.sides, self.is_severed = link, {"client": client, "server": server}, False

    def abort(self, *sides):
        for side in sides or ("client", "server"):
            self.sides[side][1].transport.abort()

    async def relay(self):
        pumps = [asyncio.create_task(self.pump("client", "server")), asyncio.create_task(self.pump("server", "client"))]
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        if self.is_severed:
            await self.is_severed.over.wait()
        self.abort()
        await asyncio.gather(*pumps, return_exceptions=True)

    async def pump(self, source, sink):
        reader, writer = self.sides[source][0], self.sides[sink][1]
        while data := await reader.read(65536):
            disturbance = self.link.disturbance
            if disturbance and disturbance.hits(self):
                data = await self.disturb(disturbance, source, data, writer)
            writer.write(data)
            await writer.drain()

    async def disturb(self, disturbance, source, data, writer):
        """Returns what is still to be passed on."""
        mode, over = disturbance.mode, disturbance.over
        if mode == "delay":
            await wait(over, disturbance.delay)
        elif mode == "trickle":
            while data and not over.is_set():
                writer.write(data[:1])
                data = data[1:]
                await wait(over, 1)
        elif mode == "stall" and disturbance.direction in (source, "both"):
            await over.wait()
        elif mode == "half-open":
            await over.wait()
            self.abort()
            raise ConnectionResetError
        elif mode == "cut":
            writer.write(data[:len(data) // 2])
            await asyncio.sleep(0)
            self.link.note("cut", bytes=len(data) // 2, of=len(data), source=source)
            self.close()
            raise ConnectionResetError
        elif mode == "lose-answer" and source == "server":
            self.link.note("answer lost", bytes=len(data))
            self.abort()
            raise ConnectionResetError
        return data

    def close(self):
        """What was written is sent before the end."""
        for _, writer in self.sides.values():
            writer.close()

    def sever(self, disturbance):
        self.is_severed = disturbance
        self.abort("server")


class Link:
    def __init__(self, name, port, target, journal):
        self.name, self.port, self.target, self.journal = name, port, target, journal
        self.disturbance, self.connections = None, set()

    def note(self, what, **fields):
        self.journal.write(json.dumps(dict(what=what, at=time.time(), link=self.name, **fields)) + "\n")

    async def listen(self):
        await asyncio.start_server(self.accept, "127.0.0.1", self.port, backlog=512)

    async def accept(self, reader, writer):
        try:
            server = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()  # refused, as the server does it
            return
        connection = Connection(self, (reader, writer), server)
        self.connections.add(connection)
        try:
            await connection.relay()
        except OSError:
            pass
        finally:
            self.connections.discard(connection)

    def begin(self, disturbance):
        if self.disturbance:
            self.disturbance.over.set()
        self.disturbance = disturbance
        chosen = [connection for connection in self.connections if disturbance.hits(connection)]
        self.note("begin", mode=disturbance.mode, chosen=len(chosen), connections=len(self.connections))
        if disturbance.mode == "half-open":
            for connection in chosen:
                connection.sever(disturbance)

    def end(self, disturbance):
        disturbance.over.set()
        if self.disturbance is disturbance:
            self.disturbance = None
            self.note("end", mode=disturbance.mode, hit=sum(disturbance.hit.values()))


async def wait(event, seconds):
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        pass


async def obey(links, seed):
    reader, number, tasks = asyncio.StreamReader(), 0, set()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)

    async def last(disturbance, chosen, seconds):
        await asyncio.sleep(seconds)
        for link in chosen:
            link.end(disturbance)

    while line := await reader.readline():
        command, number = json.loads(line), number + 1
        chosen = [link for link in links if link.name == command["link"]]
        disturbance = Disturbance(command, f"{seed} {number}")
        for link in chosen:
            link.begin(disturbance)
        task = asyncio.create_task(last(disturbance, chosen, command["seconds"]))
        tasks.add(task)
        task.add_done_callback(tasks.discard)


async def main():
    seed, path, *items = sys.argv[1:]
    journal = open(path, "w", buffering=1)
    links = []
    for item in items:
        name, port, target = item.split("=")
        links.append(Link(name, int(port), int(target), journal))
        await links[-1].listen()
        links[-1].note("listens")
    await obey(links, seed)  # until the programme that started it has ended


if __name__ == "__main__":
    asyncio.run(main())
