"""A RabbitMQ of three nodes, made as deploy/cluster.md says it."""
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time

from cluster.network import run

PROGRAMS = pathlib.Path("/usr/lib/rabbitmq/bin")
AS_USER = ["setpriv", "--reuid=rabbitmq", "--regid=rabbitmq", "--init-groups"]
SETTINGS = """listeners.tcp.1 = 0.0.0.0:5672
loopback_users = none
cluster_partition_handling = pause_minority
net_ticktime = 15
disk_free_limit.absolute = 50MB
vm_memory_high_watermark.absolute = 1GB
log.console = false
"""


class Node:
    def __init__(self, network, name, number, directory):
        network.add(name, number)
        self.network, self.name, self.address = network, name, network.address(name)
        self.node, self.home = f"rabbit@{self.address}", directory / name
        (self.home / "log").mkdir(parents=True)
        (self.home / "rabbitmq.conf").write_text(SETTINGS)
        (self.home / "enabled_plugins").write_text("[].")
        cookie = self.home / ".erlang.cookie"
        cookie.write_text("baton")
        cookie.chmod(0o400)
        shutil.chown(self.home, "rabbitmq", "rabbitmq")
        for path in self.home.rglob("*"):
            shutil.chown(path, "rabbitmq", "rabbitmq")

    def environment(self):
        return {
            **os.environ, "HOME": str(self.home), "RABBITMQ_NODENAME": self.node, "RABBITMQ_USE_LONGNAME": "true",
            "RABBITMQ_CONF_ENV_FILE": "/dev/null", "RABBITMQ_CONFIG_FILE": str(self.home / "rabbitmq.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.home / "enabled_plugins"), "RABBITMQ_MNESIA_BASE": str(self.home / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.home / "log"), "RABBITMQ_PID_FILE": str(self.home / "pid"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1"}

    def start(self):
        with open(self.home / "log/startup.log", "a") as log:
            subprocess.Popen([*self.network.inside(self.name), *AS_USER, PROGRAMS / "rabbitmq-server"], cwd=self.home, env=self.environment(),
                             stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)

    def control(self, *arguments, program="rabbitmqctl"):
        return run(*self.network.inside(self.name), *AS_USER, PROGRAMS / program, *arguments, cwd=self.home, env=self.environment())

    def answers(self):
        """Whether it takes connections, asked by the header of the protocol."""
        try:
            with socket.create_connection((self.address, 5672), timeout=3) as connection:
                connection.sendall(b"AMQP\0\0\x09\x01")
                return connection.recv(1) == b"\x01"
        except OSError:
            return False

    def wait(self, seconds=300):
        end = time.monotonic() + seconds
        while not self.answers():
            if time.monotonic() > end:
                raise SystemExit(f"{self.name} takes no connections after {seconds} s: see {self.home}/log")
            time.sleep(0.2)

    def wait_until_it_may_stop(self):
        """A queue would be without a majority otherwise."""
        while True:
            try:
                return self.control("check_if_node_is_quorum_critical", program="rabbitmq-diagnostics")
            except subprocess.CalledProcessError:
                time.sleep(1)

    def send(self, number):
        pid = int((self.home / "pid").read_text())
        os.kill(pid, number)
        while os.path.exists(f"/proc/{pid}"):
            time.sleep(0.1)

    def kill(self):
        self.send(signal.SIGKILL)

    def stop(self):
        self.send(signal.SIGTERM)


class Cluster:
    def __init__(self, network, directory):
        self.nodes = [Node(network, f"mq{number}", 10 + number, directory) for number in (1, 2, 3)]
        for node in self.nodes:
            node.start()
        for node in self.nodes:
            node.wait()
        first, *others = self.nodes
        for node in others:
            for command in (["stop_app"], ["reset"], ["join_cluster", first.node], ["start_app"]):
                node.control(*command)

    def grow(self):
        """Queues that were made with one member get one on each node."""
        for node in self.nodes[1:]:
            self.nodes[0].control("grow", node.node, "all", program="rabbitmq-queues")

    def url(self):
        return ",".join(f"amqp://guest:guest@{node.address}:5672/%2F" for node in self.nodes)

    def leader(self, queue):
        """The node that leads the queue."""
        asked = next(node for node in self.nodes if node.answers())
        rows = json.loads(asked.control("list_queues", "--silent", "--formatter", "json", "name", "leader"))
        name = next(row["leader"] for row in rows if row["name"] == queue)
        return next(node for node in self.nodes if node.node == name)

    def others(self, node):
        return [other for other in self.nodes if other is not node]

    def ready(self, queue):
        asked = next(node for node in self.nodes if node.answers())
        rows = json.loads(asked.control("list_queues", "--silent", "--formatter", "json", "name", "messages"))
        return next(row["messages"] for row in rows if row["name"] == queue)
