"""Random faults on a running system, one every 0.3 to 2 s, in an order that the seed decides. Several may last at the same time."""
import random
import subprocess
import threading
import time
import urllib.error

import broker
import postgres
from system import DATABASE, QUEUE

# How often each class comes, against the others.
WEIGHTS = {
    "kill": 28, "kill-publishing": 4, "terminate": 8, "pause": 12, "cut-postgres": 10, "close-broker": 8, "purge": 6, "lock-row": 10,
    "worker": 10, "stop-postgres": 4, "restart-broker": 2,
}
# Only if asked for.
EXTRA = {"freeze-broker": 4, "delete-queue": 3, "unbind": 3}
# Of these, one lasts at a time.
ALONE = {"worker", "stop-postgres", "restart-broker", "kill-publishing", "freeze-broker"}
# While one of these lasts, the harness itself keeps Baton from a dispatch.
OUTAGES = {"worker", "stop-postgres", "restart-broker", "kill-publishing", "freeze-broker"}
# These stop the broker's processes or need its answer: never at the same time.
BROKER = {"restart-broker", "kill-publishing", "freeze-broker"}
WORKER_MODES = {"hang": (2, 12), "error": (1, 5), "reset": (1, 5), "refuse": (1, 5)}


class Weather:
    def __init__(self, system, recovery, seed, classes):
        self.system, self.recovery, self.random = system, recovery, random.Random(f"weather {seed}")
        self.classes, self.weights = list(classes), [{**WEIGHTS, **EXTRA}[name] for name in classes]
        self.faults, self.threads, self.is_over = [], [], threading.Event()

    def run(self, goes_on):
        """Faults for as long as goes_on() says so; then waits until each has ended."""
        while goes_on():
            # Always the same number of draws, whatever their result: the order of faults must not depend on how long things take.
            gap, where, strength = self.random.uniform(0.3, 2), self.random.random(), self.random.random()
            name = self.random.choices(self.classes, self.weights)[0]
            time.sleep(gap)
            if self.may_begin(name):
                self.begin(name, where, strength)
        self.is_over.set()
        for thread in self.threads:
            thread.join()

    def may_begin(self, name):
        going_on = {fault["fault"] for fault in self.faults if "end" not in fault}
        return not (name in ALONE and name in going_on or name in BROKER and going_on & BROKER)

    def begin(self, name, where, strength):
        fault = self.system.journal.note("fault", fault=name)
        self.faults.append(fault)
        thread = threading.Thread(target=self.last, args=(fault, where, strength))
        self.threads.append(thread)
        thread.start()

    def last(self, fault, where, strength):
        name = fault["fault"]
        try:
            fault.update(getattr(self, name.replace("-", "_"))(where, strength) or {})
        except (OSError, RuntimeError, urllib.error.URLError, subprocess.CalledProcessError) as error:
            fault["failed"] = str(error)
        fault["end"] = time.time()
        self.system.journal.note("fault over", fault=name, began=fault["at"], target=fault.get("target"), failed=fault.get("failed"))

    def one_role(self, where, may_be_paused=False, kind=None):
        """A role by the number drawn, not one that is being ended already; None if there is none."""
        roles = [role for role in self.system.roles.values()
                 if not role.is_ending and (may_be_paused or not role.is_paused) and kind in (None, role.kind)]
        return roles[int(where * len(roles))] if roles else None

    # --- the classes; each returns what to record ---

    def kill(self, where, _):
        # Half of the kills hit a consumer: consumers hold most of the work.
        kind, where = ("consume", where * 2) if where < 0.5 else (None, where * 2 - 1)
        role = self.one_role(where, may_be_paused=True, kind=kind) or self.one_role(where, may_be_paused=True)
        dead, pid, at = role.kill()
        return dict(target=dead, killed=at, hands=self.recovery.killed(dead, pid, at))

    def kill_publishing(self, where, _):
        """A kill between a claim and its publish, which is rarely hit by chance: the broker stands still for up to a second."""
        if not (role := self.one_role(where, kind="produce")):
            return dict(skipped=True)
        with broker.Frozen():
            self.wait_for_claims(role.process.pid)
            dead, pid, at = role.kill()
            hands = self.recovery.killed(dead, pid, at)
        return dict(target=dead, killed=at, hands=hands)

    def wait_for_claims(self, pid):
        end = time.monotonic() + 1
        while time.monotonic() < end:
            if postgres.query(f"""SELECT 1 FROM baton_holders h JOIN code_reviews r ON r.claimed_by = h.id
                                  WHERE h.pid = {pid} AND r.status = 'queued' AND r.published_at IS NULL LIMIT 1""", DATABASE):
                return
            time.sleep(0.05)

    def terminate(self, where, _):
        role = self.one_role(where)
        label = role.label
        return dict(target=label, status=role.terminate())

    def pause(self, where, strength):
        role = self.one_role(where)
        # One of each kind goes on; otherwise no promise could hold.
        others = [r for r in self.system.roles.values() if r.kind == role.kind and r is not role]
        if not any(not r.is_paused and not r.is_ending for r in others):
            return dict(skipped=True)
        label = role.label
        role.pause(0.2 + 19.8 * strength ** 2)
        return dict(target=label)

    def cut_postgres(self, _, strength):
        rows = postgres.query(f"""SELECT setseed({strength}); SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
          WHERE datname = '{DATABASE}' AND application_name LIKE 'baton %' AND random() < 0.5""")
        return dict(connections=int(rows[-1][0]))

    def close_broker(self, *_):
        return dict(connections=broker.close_connections())

    def purge(self, *_):
        broker.purge(QUEUE)

    def freeze_broker(self, _, strength):
        with broker.Frozen():
            self.is_over.wait(0.5 + 5.5 * strength)

    def delete_queue(self, *_):
        broker.delete(QUEUE)

    def unbind(self, *_):
        broker.unbind(QUEUE)

    def lock_row(self, where, strength):
        with postgres.Session(DATABASE) as session:
            rows = session.query(f"""BEGIN; SELECT setseed({where}); SELECT id FROM code_reviews
              WHERE status IN ('pending', 'queued') ORDER BY random() LIMIT 1 FOR UPDATE SKIP LOCKED""")
            if len(rows) > 1:
                self.is_over.wait(0.5 + 7.5 * strength)
            return dict(review=rows[-1][0])

    def worker(self, where, strength):
        mode = list(WORKER_MODES)[int(where * len(WORKER_MODES))]
        low, high = WORKER_MODES[mode]
        self.system.command_worker(mode=mode)
        self.is_over.wait(low + (high - low) * strength)
        self.system.command_worker(mode="fine")
        return dict(mode=mode)

    def stop_postgres(self, _, strength):
        postgres.stand_still(1 + 5 * strength)

    def restart_broker(self, _, strength):
        broker.restart_application(3 * strength)
