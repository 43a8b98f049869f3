"""The same dispatch on Celery, with the settings that lose least: acknowledged late, confirmed publishes, a quorum queue.
`app.py produce` claims rows and sends a task for each; `app.py consume N` is a worker with N threads; `app.py serve` takes the callbacks."""
import http.server
import json
import os
import sys
import threading
import time

import psycopg
import requests
from celery import Celery
from celery.signals import worker_ready
from kombu import Exchange, Queue
from kombu.exceptions import OperationalError
from psycopg_pool import ConnectionPool

LABEL, QUEUE = os.environ["BATON_WORKER_TOKEN"], os.environ["BATON_QUEUE"]
DATABASE, WORKER, GITHUB = os.environ["BATON_DATABASE_URL"], os.environ["BATON_WORKER_URL"], os.environ["BATON_GITHUB_API_URL"]
CLAIM = """UPDATE code_reviews SET status = 'queued', claimed_by = %s, claimed_at = now()
WHERE id IN (SELECT id FROM code_reviews WHERE status = 'pending' ORDER BY created_at LIMIT 20 FOR UPDATE SKIP LOCKED) RETURNING id::text"""

app = Celery("reviews", broker=os.environ["BATON_AMQP_URL"])
app.conf.update(
    task_queues=[Queue(QUEUE, Exchange("celery.reviews", type="topic"), routing_key=QUEUE,
                       queue_arguments={"x-queue-type": "quorum", "x-delivery-limit": 20})],
    task_default_queue=QUEUE, task_default_exchange="celery.reviews", task_default_exchange_type="topic", task_default_routing_key=QUEUE, worker_detect_quorum_queues=True,
    broker_transport_options={"confirm_publish": True}, task_acks_late=True, task_reject_on_worker_lost=True,
    task_acks_on_failure_or_timeout=False, worker_prefetch_multiplier=1, task_ignore_result=True, worker_disable_rate_limits=True,
    broker_connection_retry_on_startup=True, broker_connection_max_retries=None, broker_heartbeat=30)
pool = ConnectionPool(DATABASE, min_size=1, max_size=8, kwargs={"autocommit": True}, open=False, timeout=60)


def sign_on():
    with psycopg.connect(DATABASE, autocommit=True) as connection:
        connection.execute("INSERT INTO baton_holders VALUES (%s, %s) ON CONFLICT DO NOTHING", (LABEL, os.getpid()))


@worker_ready.connect
def ready(**_):
    sign_on()
    pool.open()
    print("started", flush=True)


local = threading.local()


def http_session():
    """The thread's own, which keeps its connections."""
    if not hasattr(local, "session"):
        local.session = requests.Session()
    return local.session


# What fails by an outage is tried again, as Celery's pages recommend it.
@app.task(name="review", autoretry_for=(OSError, requests.RequestException, psycopg.Error), retry_backoff=1, retry_backoff_max=10,
          max_retries=None)
def review(id):
    with pool.connection() as connection:
        row = connection.execute("""UPDATE code_reviews SET lease_owner = %s WHERE id = %s AND status = 'queued' AND dispatched_at IS NULL
                                    RETURNING repo_full_name, pr_number""", (LABEL, id)).fetchone()
    if row is None:
        return
    http_session().get(f"{GITHUB}/repos/{row[0]}/pulls/{row[1]}", timeout=10).raise_for_status()
    answer = http_session().post(f"{WORKER}/review", json={"reviewId": id, "attempt": 1}, timeout=10,
                                 headers={"Authorization": f"Bearer {LABEL}", "Idempotency-Key": f"{id}/1"})
    answer.raise_for_status()
    with pool.connection() as connection:
        connection.execute("UPDATE code_reviews SET dispatched_at = now() WHERE id = %s", (id,))


def send(id):
    """Until the broker has confirmed it."""
    while True:
        try:
            return review.apply_async((id,))
        except (OperationalError, OSError) as error:
            print("again after", repr(error), flush=True)
            time.sleep(0.5)


def produce():
    sign_on()
    print("started", flush=True)
    while True:
        try:
            with psycopg.connect(DATABASE, autocommit=True) as connection:
                while True:
                    ids = [row[0] for row in connection.execute(CLAIM, (LABEL,)).fetchall()]
                    for id in ids:
                        send(id)
                    connection.execute("UPDATE code_reviews SET published_at = now() WHERE id = ANY (%s::uuid[])", (ids,))
                    time.sleep(0 if ids else 0.1)
        except (psycopg.Error, OSError) as error:
            print("again after", repr(error), flush=True)
            time.sleep(0.5)


class Callbacks(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        status = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["status"]
        with pool.connection() as connection:
            connection.execute("""UPDATE code_reviews SET status = %s, completed_at = CASE %s WHEN 'completed' THEN now() END
                                  WHERE id = %s AND status IN ('queued', 'running') AND status <> %s""",
                               (status, status, self.path.rsplit("/", 1)[1], status))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


def serve():
    sign_on()
    pool.open()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["BATON_HTTP_PORT"])), Callbacks)
    print("started", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    role, *rest = sys.argv[1:]
    if role == "consume":
        app.worker_main(["worker", "-P", "threads", "-c", *rest, "--without-gossip", "--without-mingle", "-l", "warning", "-n", f"{LABEL}@peer"])
    else:
        {"produce": produce, "serve": serve}[role]()
