"""Roles as processes: started, killed, terminated, and paused."""
import os
import signal
import subprocess
import threading
import time

import threads

DRAIN_LIMIT = 60  # seconds until a role that has to end by SIGTERM counts as hung


class Role:
    """One place in the system, in which one process after another runs."""

    def __init__(self, name, kind, command, settings, journal, log):
        self.name, self.kind, self.command = name, kind, command
        self.settings, self.journal, self.log = settings, journal, log
        self.lock, self.starts, self.is_paused, self.is_ending = threading.RLock(), 0, False, False

    @property
    def label(self):
        """Names this start of the role; its worker token, by which the worker knows the caller."""
        return f"{self.name}.{self.starts}"

    def start(self, **more):
        """`more`: environment of this one process."""
        with self.lock:
            self.starts += 1
            environment = {**os.environ, **self.settings, "BATON_WORKER_TOKEN": self.label, **more}
            with open(self.log, "a") as log:
                log.write(f"=== {self.label} at {time.time():.3f}\n")
                log.flush()
                self.process = subprocess.Popen(self.command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            self.is_paused = self.is_ending = False
            self.journal.note("start", role=self.label, pid=self.process.pid)

    def has_started(self):
        """Whether the present process has reported that it has started."""
        text = self.log.read_text(errors="replace")
        return "started" in text.rsplit("===", 1)[1]

    def kill(self):
        """kill -9, and a new process at once. Returns the label and the process id of the dead one, and the time."""
        with self.lock:
            dead, pid, at = self.label, self.process.pid, time.time()
            self.process.kill()
            self.process.wait()
            self.start()
            return dead, pid, at

    def terminate(self, second_after=None, **more):
        """SIGTERM, with `second_after` a second one after so many seconds; and a new process when the old one has ended, with `more` in its
        environment. Returns the exit status; with `second_after`, also the time of the end."""
        with self.lock:
            process, self.is_ending = self.process, True
            process.terminate()
        if second_after is not None:
            time.sleep(second_after)
            process.terminate()
        status, at = self.wait(process), time.time()
        with self.lock:
            if self.process is process:
                self.start(**more)
        return status if second_after is None else (status, at)

    def pause(self, is_over, seconds, when_stopped):
        """SIGSTOP for so long, as a process that gets no processor, or whose machine sleeps."""
        with self.lock:
            process, self.is_paused = self.process, True
            process.send_signal(signal.SIGSTOP)
        try:
            when_stopped()
            is_over.wait(seconds)
        finally:
            self.resume(process)

    def resume(self, process=None):
        with self.lock:
            if self.is_paused and process in (None, self.process):
                self.process.send_signal(signal.SIGCONT)
                self.is_paused = False

    def watch(self):
        """Starts it again if it has ended by itself, as a supervisor does. Returns the label and the status of the dead one."""
        with self.lock:
            if self.is_ending or (status := self.process.poll()) is None:
                return None
            dead = self.label
            self.start()
            return dead, status

    def end(self):
        """kill -9 without a new process."""
        with self.lock:
            self.is_ending = True
            if hasattr(self, "process"):
                self.process.kill()
                self.process.wait()

    def wait(self, process):
        """The exit status. One that does not end is killed; where its threads were is in its log."""
        try:
            return process.wait(DRAIN_LIMIT)
        except subprocess.TimeoutExpired:
            with open(self.log, "a") as log:
                log.writelines(f"{line}\n" for line in threads.standing(process.pid))
            process.kill()
            process.wait()
            return f"hung for {DRAIN_LIMIT} s"
