"""Random faults on a running system, in an order that the seed decides. In a storm a fault begins every 0.3 to 2 s, and several last at the same
time. Otherwise each comes alone: the one before is over, and five seconds more."""
import random
import subprocess
import threading
import time

from faults import KINDS

# Whether a fault comes alone, by the minute of the run.
PATTERNS = {"storm": lambda minute: False, "alone": lambda minute: True, "turns": lambda minute: minute % 2 == 1}
QUIET = 5  # seconds after a fault that comes alone


class Weather:
    def __init__(self, system, recovery, options, classes):
        self.system, self.recovery, self.random = system, recovery, random.Random(f"weather {options.seed}")
        self.gap, self.is_spared, self.is_alone = options.gap, options.spare, PATTERNS[options.pattern]
        self.classes, self.weights = list(classes), [KINDS[name].weight for name in classes]
        self.faults, self.threads, self.is_over = [], [], threading.Event()

    def run(self, goes_on):
        """Faults for as long as goes_on() says so; then waits until each has ended."""
        began = time.monotonic()
        while goes_on():
            # Always the same number of draws, whatever their result: the order of faults must not depend on how long things take.
            gap, where, strength = self.random.uniform(0.15, 1) * self.gap, self.random.random(), self.random.random()
            name = self.random.choices(self.classes, self.weights)[0]
            time.sleep(gap)
            if self.is_alone(int(time.monotonic() - began) // 60):
                self.wait_for_quiet()
            if self.may_begin(name):
                self.begin(name, where, strength)
        self.is_over.set()
        for thread in self.threads:
            thread.join()

    def wait_for_quiet(self):
        def is_felt(fault):
            return not KINDS[fault["fault"]].is_background and ("end" not in fault or time.time() - fault["end"] < QUIET)

        while any(map(is_felt, self.faults)):
            time.sleep(0.1)

    def may_begin(self, name):
        place = KINDS[name].place
        return place is None or all("end" in fault or KINDS[fault["fault"]].place != place for fault in self.faults)

    def begin(self, name, where, strength):
        fault = self.system.journal.note("fault", fault=name)
        self.faults.append(fault)
        thread = threading.Thread(target=self.last, args=(fault, where, strength))
        self.threads.append(thread)
        thread.start()

    def last(self, fault, where, strength):
        try:
            fault.update(KINDS[fault["fault"]].run(self, where, strength) or {})
        except (OSError, RuntimeError, subprocess.CalledProcessError) as error:
            fault["failed"] = str(error)
        finally:
            fault["end"] = time.time()
        self.system.journal.note("fault over", began=fault["at"], **{key: value for key, value in fault.items() if key not in ("what", "at")})

    def one_role(self, where, may_be_paused=False, kind=None, ends=False):
        """A role by the number drawn, not one that is being ended already; None if there is none. With --spare, the first of each kind
        is never ended."""
        roles = [role for role in self.system.roles.values()
                 if not role.is_ending and (may_be_paused or not role.is_paused) and kind in (None, role.kind)
                 and not (ends and self.is_spared and role.name.endswith("-1"))]
        return roles[int(where * len(roles))] if roles else None

    def others_go_on(self, role):
        """One of each kind goes on; otherwise no promise could hold."""
        others = [other for other in self.system.roles.values() if other.kind == role.kind and other is not role]
        return any(not other.is_paused and not other.is_ending for other in others)
