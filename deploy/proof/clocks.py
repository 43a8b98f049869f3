"""A wrong clock for one process, by libfaketime; its timers stay right."""
import atexit
import ctypes
import os
import pathlib

LIBRARY = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"
SHARED = pathlib.Path("/dev/shm")
numbers = iter(range(10**9))


def are_possible():
    return os.path.exists(LIBRARY)


def environment(offset):
    """For a process whose clock is wrong by so many seconds.

    Without FAKETIME_SHARED the library sets it at the start of the process and so moves its environment, behind which Swift looks for the
    arguments of the program. So the memory and the semaphore are made here, for each process anew: a kill may leave them locked.
    """
    name = f"baton-prove-{os.getpid()}-{next(numbers)}"
    library = ctypes.CDLL(None)
    library.sem_open.restype = ctypes.c_void_p
    library.sem_open(f"/{name}".encode(), os.O_CREAT, 0o600, 1)
    (SHARED / name).write_bytes(bytes(4096))
    for path in (SHARED / name, SHARED / f"sem.{name}"):
        atexit.register(path.unlink, missing_ok=True)
    return dict(LD_PRELOAD=LIBRARY, FAKETIME=f"{offset:+d}", FAKETIME_SHARED=f"/{name} /{name}", FAKETIME_DONT_FAKE_MONOTONIC="1")
