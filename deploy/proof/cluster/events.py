"""What happens to the servers. Each event returns when they could serve again; the network is healed after it."""
import time

from cluster.network import BATON
from system import QUEUE

PARTITION = 40  # seconds
NOTICE = 25  # seconds until nodes notice that others are gone, and have another leader: net_ticktime is 15
AWAY = 10  # seconds that a dead server stays away


def kill_a_node(_, broker, __):
    """One that does not lead the queue."""
    return away(broker.others(broker.leader(QUEUE))[-1].kill, broker)


def kill_the_leader(_, broker, __):
    return away(broker.leader(QUEUE).kill, broker)


def restart_nodes(_, broker, __):
    """One after another, as in an upgrade."""
    began = time.time()
    for node in broker.nodes:
        node.wait_until_it_may_stop()
        node.stop()
        node.start()
        node.wait()
    return began


def away(end, broker):
    end()
    at = time.time()
    time.sleep(AWAY)
    for node in broker.nodes:
        if not node.answers():
            node.start()
    for node in broker.nodes:
        node.wait()
    return at


def partition_one_away(network, broker, _):
    """A node that neither the others nor Baton reach."""
    node = broker.others(broker.leader(QUEUE))[0]
    return partition(network, broker, [([node.name], [BATON, *names(broker.others(node))])], able_after=0)


def partition_the_middle(network, broker, _):
    """Two nodes do not see each other, and both see the third one. With pause_minority both pause until the network is healed."""
    first, _, last = broker.nodes
    return partition(network, broker, [([first.name], [last.name])], able_after=None)


def partition_the_leader(network, broker, _):
    """The queue's leader is alone, and Baton still reaches it."""
    leader = broker.leader(QUEUE)
    return partition(network, broker, [([leader.name], names(broker.others(leader)))], able_after=NOTICE)


def partition_the_leader_and_baton(network, broker, _):
    """The same, but Baton does not reach the others either: nothing can be sent until it is over."""
    leader = broker.leader(QUEUE)
    return partition(network, broker, [([leader.name, BATON], names(broker.others(leader)))], able_after=None)


def partition(network, broker, cuts, able_after):
    """`able_after`: seconds until the nodes that are left can serve, None if they cannot before it is over."""
    began = time.time()
    for some, others in cuts:
        network.cut(some, others)
    time.sleep(PARTITION)
    network.heal()
    for node in broker.nodes:
        node.wait()
    return time.time() if able_after is None else began + able_after


def names(nodes):
    return [node.name for node in nodes]


def fail_over(network, _, pair):
    """The primary crashes, and its standby is promoted."""
    pair.primary.crash()
    return promote(network, pair, lambda: None)


def fail_over_by_partition(network, _, pair):
    """Neither its standby nor Baton reaches the primary: no connection is closed. It is stopped before the network is healed."""
    lost = pair.primary
    network.cut([lost.name], [pair.standby.name, BATON])
    return promote(network, pair, lost.crash, away=PARTITION)


def switch_over(network, _, pair):
    """The primary is stopped in good order."""
    pair.primary.stop("fast")
    return promote(network, pair, lambda: None)


def promote(network, pair, fence, away=AWAY):
    time.sleep(3)
    pair.promote()
    at = time.time()
    time.sleep(away)
    fence()
    network.heal()
    pair.return_read_only()
    time.sleep(AWAY)
    pair.standby.stop("fast")
    pair.attach()
    return at


# Seconds without a POST, from the moment when the servers can serve again. Of a lost host no one says that it is lost: that takes a time-out.
PROMISED = {"fail-over-by-partition": 30}
EVENTS = {
    "kill-a-node": kill_a_node, "kill-the-leader": kill_the_leader, "restart-nodes": restart_nodes, "partition-one-away": partition_one_away,
    "partition-the-middle": partition_the_middle, "partition-the-leader": partition_the_leader,
    "partition-the-leader-and-baton": partition_the_leader_and_baton, "fail-over": fail_over,
    "fail-over-by-partition": fail_over_by_partition, "switch-over": switch_over,
}
