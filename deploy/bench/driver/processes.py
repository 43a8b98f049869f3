"""CPU time and memory of process trees, and of the machine, from /proc."""
import collections
import os
import pathlib
import platform
import time


def stat(pid):
    """The fields of /proc/PID/stat after the name, which may contain spaces."""
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()


def tree(pid):
    """The processes below `pid`, itself included."""
    children = collections.defaultdict(list)
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            children[int(stat(name)[1])].append(int(name))
        except OSError:
            pass
    todo, found = [pid], []
    while todo:
        found.append(todo.pop())
        todo += children[found[-1]]
    return found


def cpu(pids):
    """User and system seconds of the trees below these processes, children that have ended included."""
    total = 0
    for pid in (p for root in pids for p in tree(root)):
        try:
            total += sum(map(int, stat(pid)[11:15]))
        except OSError:
            pass
    return total / os.sysconf("SC_CLK_TCK")


def memory(pids, key):
    """MiB over the trees: VmRSS, VmHWM (its peak; both count shared pages in every process) or Pss (shared pages divided)."""
    file, total = "smaps_rollup" if key == "Pss" else "status", 0
    for pid in (p for root in pids for p in tree(root)):
        try:
            lines = pathlib.Path(f"/proc/{pid}/{file}").read_text().splitlines()
            total += next(int(line.split()[1]) for line in lines if line.startswith(key + ":"))
        except (OSError, StopIteration):
            pass
    return total / 1024


def machine_ticks():
    """(steal, idle, all) ticks of all processors since boot."""
    ticks = list(map(int, pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]))
    return ticks[7], ticks[3] + ticks[4], sum(ticks)


def machine():
    """One line on what was measured on."""
    def field(path, key):
        lines = pathlib.Path(path).read_text().splitlines()
        return next((line.split(":" if ":" in line else "=", 1)[1].strip(' "\t') for line in lines if line.startswith(key)), "?")

    gib = int(field("/proc/meminfo", "MemTotal").split()[0]) / 2**20
    return (f"{os.cpu_count()} x {field('/proc/cpuinfo', 'model name')}, {gib:.0f} GiB, {field('/etc/os-release', 'PRETTY_NAME')}, "
            f"Linux {platform.release()}, {time.strftime('%Y-%m-%d')}")
