"""Memory, descriptors and connections of the roles, looked at every five seconds: a leak shows as growth from the start to the end."""
import collections
import os
import statistics
import threading
import time

import processes

EVERY = 5


class Resources:
    def __init__(self, system):
        self.system, self.seen, self.is_over = system, [], threading.Event()
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()

    def watch(self):
        while not self.is_over.wait(EVERY):
            self.look()

    def look(self):
        seen = dict(at=time.time(), postgres=0, broker=0, memory=collections.Counter(), descriptors=collections.Counter())
        for role in list(self.system.roles.values()):
            pid = role.process.pid
            try:
                descriptors = len(os.listdir(f"/proc/{pid}/fd"))
            except OSError:
                continue
            seen["memory"][role.kind] = max(seen["memory"][role.kind], processes.memory([pid], "VmRSS"))
            seen["descriptors"][role.kind] = max(seen["descriptors"][role.kind], descriptors)
        for name in ("postgres", "broker"):
            seen[name] = connections_to(self.system.proxy.ports[name])
        self.seen.append(seen)

    def stop(self):
        self.is_over.set()
        self.thread.join()

    def table(self):
        """{what: [start, middle, end]}: medians of the first, the middle and the last of five parts of the time."""
        part = max(1, len(self.seen) // 5)
        parts = self.seen[:part], self.seen[2 * part:3 * part] or self.seen[-part:], self.seen[-part:]

        def row(value):
            return [round(statistics.median(map(value, seen)), 1) for seen in parts]

        found = {f"connections to {name}": row(lambda seen: seen[name]) for name in ("postgres", "broker")}
        for kind in sorted({role.kind for role in self.system.roles.values()}):
            found[f"MiB of the largest {kind}"] = row(lambda seen: seen["memory"][kind])
            found[f"descriptors of the {kind} that has most"] = row(lambda seen: seen["descriptors"][kind])
        return found


def connections_to(ports):
    """How many established connections lead to these ports of this machine."""
    with open("/proc/net/tcp") as table:
        rows = [line.split() for line in table.readlines()[1:]]
    return sum(row[3] == "01" and int(row[2].rsplit(":", 1)[1], 16) in ports for row in rows)
