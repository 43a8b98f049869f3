"""A network of its own: each server in a namespace with an address, Baton outside of them. What `cut` takes away, `heal` gives back."""
import itertools
import pathlib
import subprocess

SUBNET = "10.213.0"
BATON = "baton"  # the harness and the roles


def run(*command, **more):
    return subprocess.run(command, check=True, stdin=subprocess.DEVNULL, capture_output=True, text=True, **more).stdout


class Network:
    """Inside `unshare --net --mount`: nothing of it is seen outside, and it goes with the last process."""

    def __init__(self):
        self.numbers = {BATON: 1}
        pathlib.Path("/run/netns").mkdir(exist_ok=True)
        run("mount", "-t", "tmpfs", "netns", "/run/netns")  # names of our own
        run("mount", "--bind", "/dev/null", "/etc/resolv.conf")  # nothing here has a name, and each question would take seconds
        run("ip", "link", "set", "lo", "up")
        run("ip", "link", "add", "prove", "type", "bridge")
        run("ip", "address", "add", f"{SUBNET}.1/24", "dev", "prove")
        run("ip", "link", "set", "prove", "up")

    def add(self, name, number):
        self.numbers[name] = number
        run("ip", "netns", "add", name)
        run("ip", "link", "add", f"to-{name}", "type", "veth", "peer", "name", "eth0", "netns", name)
        run("ip", "link", "set", f"to-{name}", "master", "prove", "up")
        for command in (f"address add {self.address(name)}/24 dev eth0", "link set eth0 up", "link set lo up"):
            run(*self.inside(name), "ip", *command.split())

    def address(self, name):
        return f"{SUBNET}.{self.numbers[name]}"

    def inside(self, name):
        """The words before a command that make it run there."""
        return [] if name == BATON else ["ip", "netns", "exec", name]

    def cut(self, some, others):
        """Packets between these get lost, in both directions."""
        for one, other in itertools.product(some, others):
            for here, there in ((one, other), (other, one)):
                run(*self.inside(here), "ip", "route", "add", "blackhole", self.address(there))

    def heal(self):
        for name in self.numbers:
            run(*self.inside(name), "ip", "route", "flush", "type", "blackhole")
