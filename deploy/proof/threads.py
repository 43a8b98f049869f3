"""Where the threads of a process are that does not end: what each waits for, before it is killed."""
import pathlib

FUTEX = 202


def standing(pid):
    """A line for each thread: its name, the number of its system call, and for a futex the file or the area of the memory where it lies."""
    process = pathlib.Path(f"/proc/{pid}")
    areas = []
    for line in (process / "maps").read_text().splitlines():
        span, _, _, _, _, *name = line.split(maxsplit=5)
        begin, end = (int(address, 16) for address in span.split("-"))
        areas.append((begin, end, " ".join(name) or "memory"))
    lines = []
    for task in sorted((process / "task").iterdir()):
        try:
            name, call = (task / "comm").read_text().strip(), (task / "syscall").read_text().split()
        except OSError:
            continue  # it has ended
        place = ""
        if call[0] == str(FUTEX):
            address = int(call[1], 16)
            place = next((f" {area}" for begin, end, area in areas if begin <= address < end), "")
        lines.append(f"thread {task.name} {name}: {call[0]}{place}")
    return lines
