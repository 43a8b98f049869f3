/* What baton.pml and original.pml share: the rows of Postgres, the worker with its callbacks, the operator, and the promises.
 *
 * One `atomic` is one transaction, or one step of the worker. Between any two of them every other process may take any number of steps,
 * so delays, pauses and late answers need no steps of their own. FAULTS bounds how much goes wrong, OPERATIONS what operators do.
 */

#ifndef REVIEWS
#define REVIEWS 1
#endif
#ifndef ATTEMPTS
#define ATTEMPTS 2
#endif
#ifndef FAULTS
#define FAULTS 2
#endif
#ifndef OPERATIONS
#define OPERATIONS 2
#endif
#ifndef LIMIT
#define LIMIT 1
#endif

/* A ticket, and every start, is of one review and one attempt: a number below STARTS. */
#define STARTS (REVIEWS * ATTEMPTS)
#define review_of(ticket) ((ticket) / ATTEMPTS)
#define attempt_of(ticket) ((ticket) % ATTEMPTS + 1)
#define ticket_of(review, attempt) ((review) * ATTEMPTS + (attempt) - 1)

/* --- The rows --- */

mtype = { pending, queued, running, completed, failed, cancelled };

typedef Row {
  mtype status = pending;
  byte attempt = 1;
  byte claim;      /* claimed_at: the number of the last claim */
  bit overdue;     /* its claimer died, or the time for the ticket is over */
  bit published;   /* published_at */
  byte lease;      /* lease_owner and lease_expires_at: the number of the lease; 0 without one */
  bit leaseOver;   /* its holder died, or its time is over */
  byte leases;     /* how many leases there were: each has a number of its own */
  bit waits;       /* lease_expires_at without an owner: published again after a backoff */
  bit dispatched;  /* dispatched_at */
  bit unclear;     /* unclear_starts: a start may have reached the worker */
  byte oweCancel;  /* the outbox: the worker has to stop this attempt and earlier ones */
};
Row row[REVIEWS];

/* What a review has to itself while it is queued or running. */
#define isActive(r) (row[r].status == queued || row[r].status == running)
#define hasEnded(r) (row[r].status == completed || row[r].status == failed || row[r].status == cancelled)

/* I5: only the operator's retry, which does not come here, changes a row that has ended. */
inline write_status(r, s) {
  assert(!hasEnded(r));
  row[r].status = s;
  if
  :: s == queued || s == running
  :: else ->
    row[r].lease = 0; row[r].leaseOver = 0; row[r].waits = 0; row[r].published = 0; row[r].overdue = 0; row[r].unclear = 0;
    if :: s == pending -> row[r].dispatched = 0 :: else fi
  fi
}

/* --- The worker: durable, idempotent by review and attempt --- */

mtype = { unknown, accepted, live, finished, stopped };
mtype = { none, sent, yes, conflict };

typedef Run {
  mtype state = unknown;
  byte attempt;      /* the newest attempt that it knows */
  byte cancelledTo;  /* attempts up to this one are not to run */
};
Run job[REVIEWS];
byte starts[STARTS];         /* how many runs of this attempt have begun */
bit tellsRunning[STARTS];    /* callbacks on their way */
bit tellsEnd[STARTS];
mtype call[CALLERS] = none;  /* the POST that each caller waits for */
byte called[CALLERS];        /* of which ticket */
byte late[STARTS];           /* POSTs whose caller waits no more: they may still arrive */

/* I2: an attempt begins once. */
inline begin(ticket) {
  starts[ticket]++;
  printf("worker: starts attempt %d of review %d\n", attempt_of(ticket), review_of(ticket));
  assert(starts[ticket] <= 1);
#ifdef hasPlace
  assert(hasPlace(ticket));
#endif
}

inline start(ticket, answer) {
  if
#ifdef NOT_IDEMPOTENT
  :: true -> job[review_of(ticket)].attempt = attempt_of(ticket); job[review_of(ticket)].state = accepted; begin(ticket); answer = yes
#else
  :: attempt_of(ticket) < job[review_of(ticket)].attempt -> answer = conflict
  :: attempt_of(ticket) == job[review_of(ticket)].attempt -> answer = yes
  :: else ->
    job[review_of(ticket)].attempt = attempt_of(ticket);
    answer = yes;
    if
    :: attempt_of(ticket) <= job[review_of(ticket)].cancelledTo -> job[review_of(ticket)].state = stopped
    :: else -> job[review_of(ticket)].state = accepted; begin(ticket)
    fi
#endif
  fi
}

active proctype worker() {
  byte i;
  mtype ignored;

  do
  :: atomic { call[0] == sent -> start(called[0], call[0]) }
#if CALLERS > 1
  :: atomic { call[1] == sent -> start(called[1], call[1]) }
#endif
  :: atomic { late[0] > 0 -> late[0]--; printf("worker: a late start arrives\n"); start(0, ignored); ignored = none }
#if STARTS > 1
  :: atomic { late[1] > 0 -> late[1]--; printf("worker: a late start arrives\n"); start(1, ignored); ignored = none }
#endif
  :: atomic { job[0].state == accepted -> job[0].state = live; tellsRunning[ticket_of(0, job[0].attempt)] = 1 }
  :: atomic { job[0].state == live -> job[0].state = finished; tellsEnd[ticket_of(0, job[0].attempt)] = 1 }
#if REVIEWS > 1
  :: atomic { job[1].state == accepted -> job[1].state = live; tellsRunning[ticket_of(1, job[1].attempt)] = 1 }
  :: atomic { job[1].state == live -> job[1].state = finished; tellsEnd[ticket_of(1, job[1].attempt)] = 1 }
#endif
  od
}

/* A report is for one attempt, and changes no row that is pending or has ended. */
inline report(r, a, s) {
  if
#ifdef UNGUARDED_REPORT
  :: row[r].attempt == a && row[r].status != pending && row[r].status != s ->
#else
  :: row[r].attempt == a && (row[r].status == queued || row[r].status == running && s != running) ->
#endif
    printf("row %d: the worker reports %e\n", r, s);
    write_status(r, s);
    row[r].dispatched = 1; row[r].lease = 0; row[r].leaseOver = 0; row[r].waits = 0
  :: else
  fi
}

#define CALLBACK(ticket) \
  :: atomic { tellsRunning[ticket] -> tellsRunning[ticket] = 0; report(review_of(ticket), attempt_of(ticket), running) } \
  :: atomic { tellsEnd[ticket] -> tellsEnd[ticket] = 0; report(review_of(ticket), attempt_of(ticket), completed) } \
  :: atomic { faults > 0 && tellsRunning[ticket] -> faults--; tellsRunning[ticket] = 0; printf("fault: a callback is lost\n") } \
  :: atomic { faults > 0 && tellsEnd[ticket] -> faults--; tellsEnd[ticket] = 0; printf("fault: a callback is lost\n") }

byte faults = FAULTS;

active proctype server() {

  do
  CALLBACK(0)
#if STARTS > 1
  CALLBACK(1)
#endif
  od
}

/* --- The operator --- */

active proctype operator() {
  byte left = OPERATIONS;

  do
  :: atomic { left > 0 && (row[0].status == pending || isActive(0)) ->
       left--;
       printf("operator: cancels review 0, attempt %d\n", row[0].attempt);
       write_status(0, cancelled);
       row[0].oweCancel = row[0].attempt }
  :: atomic { left > 0 && (row[0].status == failed || row[0].status == cancelled) && row[0].attempt < ATTEMPTS ->
       left--;
       row[0].attempt++;
       row[0].status = pending; row[0].dispatched = 0;
       printf("operator: retries review 0, attempt %d\n", row[0].attempt) }
  od
}
