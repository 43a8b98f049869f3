/* Baton's protocol: claim, publish, confirm; deliver, lease, ask or prepare, look, POST, record, acknowledge; recover.
 *
 * Each #ifdef of a name without a number is a mistake that ../model.py plants: it shows that the check can fail.
 */

#ifndef CONSUMERS
#define CONSUMERS 2
#endif
#ifndef PRODUCERS
#define PRODUCERS 1
#endif
#define REAPER PRODUCERS
#define CALLERS CONSUMERS

/* I3: what begins to run has a slot of its owner. A review that is pending has none. */
#define hasPlace(ticket) \
    (row[review_of(ticket)].attempt != attempt_of(ticket) || row[review_of(ticket)].status != pending)

#include "world.pml"

/* --- RabbitMQ: a ticket that is ready may be the next, in any order --- */

byte ready[STARTS];
byte unacked[CONSUMERS];    /* 1 + the ticket of the delivery that the broker waits for */
byte undecided[CONSUMERS];  /* 1 + the ticket of a delivery whose row has not been seen yet */

/* --- Who can be killed --- */

bit serves[CONSUMERS], killed[CONSUMERS];
bit publishes[PRODUCERS + 1], killedPublisher[PRODUCERS + 1];

/* --- Claim and publish: producers, and the reaper --- */

bit locked;  /* the owner's row, FOR UPDATE */

inline count_active() {
  n = (isActive(0) -> 1 : 0);
#if REVIEWS > 1
  n = n + (isActive(1) -> 1 : 0);
#endif
}

inline take_claim(r) {
  row[r].claim++;
  row[r].published = 0; row[r].overdue = 0;
  mine = row[r].claim; ticket = ticket_of(r, row[r].attempt);
  publishes[me] = 1
}

inline publish() {
  do  /* until it is confirmed: a second ticket does no harm, the row decides */
  :: atomic { ready[ticket]++; printf("broker: has a ticket of review %d, attempt %d\n", review_of(ticket), attempt_of(ticket)) };
     break
  :: atomic { faults > 0 -> faults--; ready[ticket]++; printf("fault: a ticket is taken, its confirm is lost\n") }
  :: atomic { faults > 0 -> faults--; printf("fault: a ticket is not taken\n") }
  od;
  atomic {
    if
    :: row[review_of(ticket)].claim == mine && row[review_of(ticket)].status == queued -> row[review_of(ticket)].published = 1
    :: else
    fi;
    mine = 0; ticket = 0; publishes[me] = 0
  }
}

inline die_publishing() {
  if
  :: mine != 0 && row[review_of(ticket)].claim == mine && !row[review_of(ticket)].published -> row[review_of(ticket)].overdue = 1
  :: else
  fi;
  mine = 0; ticket = 0; publishes[me] = 0; killedPublisher[me] = 0
}

#if REVIEWS > 1
#define isAnyPending (row[0].status == pending || row[1].status == pending)
#else
#define isAnyPending (row[0].status == pending)
#endif

#define CLAIM(r) \
    :: n < LIMIT && row[r].status == pending -> \
       printf("producer %d: claims review %d, attempt %d\n", me, r, row[r].attempt); \
       write_status(r, queued); \
       take_claim(r)

proctype producer(byte me) {
  byte mine, ticket, n;
  do
  :: {
#if defined COUNT_FIRST
       atomic { isAnyPending; count_active(); printf("producer %d: counts %d active reviews\n", me, n) };
       atomic { !locked; locked = 1 };
#elif PRODUCERS > 1
       atomic { isAnyPending && !locked; locked = 1 };
       atomic { count_active() };  /* in a snapshot that is younger than the lock */
#endif
       atomic {
#if PRODUCERS == 1
         isAnyPending; count_active();
#endif
         locked = 0;
         if
         CLAIM(0)
#if REVIEWS > 1
         CLAIM(1)
#endif
         :: else
         fi;
         count_active();
         assert(n <= LIMIT);  /* I3 */
         n = 0
       };
       if
       :: mine != 0 -> publish()
       :: else
       fi
     } unless {
       atomic { killedPublisher[me]; printf("fault: producer %d is killed\n", me); die_publishing() }
     }
  od
}

/* --- Recover --- */

/* The proof of a lost ticket: no queue and no consumer has it. The roll call that finds this out is not modelled. */
#if CONSUMERS > 1
#define isGone(t) (ready[t] == 0 && undecided[0] != t + 1 && undecided[1] != t + 1)
#else
#define isGone(t) (ready[t] == 0 && undecided[0] != t + 1)
#endif

#define isAbandoned(r) \
    (row[r].status == queued && !row[r].dispatched && \
      (row[r].lease != 0 -> row[r].leaseOver : row[r].waits || row[r].overdue || \
        row[r].published && isGone(ticket_of(r, row[r].attempt))))

#define RECOVER(r) \
    :: atomic { isAbandoned(r) -> \
         printf("reaper: takes review %d, attempt %d\n", r, row[r].attempt); \
         row[r].unclear = row[r].unclear || row[r].lease != 0; \
         row[r].lease = 0; row[r].leaseOver = 0; row[r].waits = 0; \
         take_claim(r) }; \
       publish() \
    :: atomic { /* silent: asks the worker, and takes its word */ \
         isActive(r) && (row[r].dispatched || row[r].status == running) && job[r].attempt == row[r].attempt && \
           (job[r].state == live && row[r].status == queued || job[r].state == finished || job[r].state == stopped) -> \
         word = (job[r].state == live -> running : (job[r].state == stopped -> cancelled : completed)); \
         ticket = ticket_of(r, row[r].attempt); \
         printf("reaper: asks the worker about review %d: %e\n", r, word) }; \
       atomic { report(review_of(ticket), attempt_of(ticket), word); ticket = 0; word = 0 } \
    :: atomic { /* the outbox: stops attempts up to this one */ \
         row[r].oweCancel > 0 -> \
         printf("outbox: cancels review %d up to attempt %d\n", r, row[r].oweCancel); \
         job[r].cancelledTo = row[r].oweCancel; \
         if \
         :: job[r].attempt <= row[r].oweCancel && (job[r].state == accepted || job[r].state == live) -> job[r].state = stopped \
         :: else \
         fi; \
         row[r].oweCancel = 0 }

proctype reaper(byte me) {
  byte mine, ticket;
  mtype word;
  do
  :: {
       if
       RECOVER(0)
#if REVIEWS > 1
       RECOVER(1)
#endif
       fi
     } unless {
       atomic { killedPublisher[me]; printf("fault: the reaper is killed\n"); die_publishing() }
     }
  od
}

/* --- Consume --- */

#define myRow row[review_of(ticket)]
#define myRun job[review_of(ticket)]
#define holdsLease (myRow.lease == lease && myRow.attempt == attempt_of(ticket) && myRow.status == queued)

/* What I2 adds to a single start: has a holder of the lease sent a start, and was the worker not asked since? No process reads it. */
bit unasked[STARTS];

inline give_up_call() {
  if
  :: call[me] == sent -> if :: late[ticket]++ :: true fi  /* it arrives later, or never */
  :: else
  fi;
  call[me] = none; called[me] = 0
}

/* Queued, with a backoff: its start may have reached the worker. */
inline leave_queued() {
  if
  :: holdsLease && !myRow.dispatched -> myRow.lease = 0; myRow.leaseOver = 0; myRow.waits = 1; myRow.unclear = 1
  :: else
  fi
}

inline leave() { ticket = 0; lease = 0; unclear = 0; undecided[me] = 0; unacked[me] = 0; serves[me] = 0 }

proctype consumer(byte me) {
  byte ticket, lease;
  bit unclear;  /* an earlier start may have reached the worker: it is asked first */
  do
  :: {
       atomic {
         if
         :: ready[0] > 0 -> ticket = 0
#if STARTS > 1
         :: ready[1] > 0 -> ticket = 1
#endif
         fi;
         ready[ticket]--; unacked[me] = ticket + 1; undecided[me] = ticket + 1; serves[me] = 1
       };
decide:
       atomic {
         undecided[me] = 0;
         if
         :: myRow.attempt == attempt_of(ticket) && (myRow.dispatched || myRow.status == running || myRow.status == completed) ->
            goto acknowledge
         :: else ->
            if
            :: myRow.attempt != attempt_of(ticket) || myRow.status != queued -> goto reject
            :: else ->
               if
               :: myRow.lease != 0 && !myRow.leaseOver -> if :: goto decide :: goto reject fi  /* held by another: looks again */
               :: myRow.lease == 0 && myRow.waits -> goto reject
               :: else ->
                  unclear = myRow.unclear || myRow.lease != 0;
                  myRow.unclear = unclear; myRow.waits = 0; myRow.overdue = 0; myRow.published = 1;
                  myRow.leases++; myRow.lease = myRow.leases; myRow.leaseOver = 0; lease = myRow.lease;
                  printf("consumer %d: leases review %d, attempt %d\n", me, review_of(ticket), attempt_of(ticket))
               fi
            fi
         fi
       };
#ifdef ACKNOWLEDGE_FIRST
       atomic { printf("consumer %d: acknowledges\n", me); assert(myRun.attempt >= attempt_of(ticket)); unacked[me] = 0 };
#endif
#ifndef NO_QUESTION
       if
       :: unclear -> goto ask
       :: else
       fi;
#endif
prepare:
       if
       :: true
       :: atomic { faults > 0 -> faults--;
            printf("fault: consumer %d cannot prepare\n", me);
            if
#ifdef FREE_THE_PLACE
            :: holdsLease && !myRow.dispatched -> write_status(review_of(ticket), pending)
#else
            :: holdsLease && !myRow.dispatched && !myRow.unclear -> write_status(review_of(ticket), pending)
            :: myRow.unclear -> leave_queued()  /* a start may still arrive */
#endif
            :: else
            fi };
          goto reject
       fi;
       if  /* the look before the call */
       :: atomic { holdsLease && !myRow.dispatched }
       :: atomic { !(holdsLease && !myRow.dispatched) }; goto reject
       fi;
       atomic {
         printf("consumer %d: POST of review %d, attempt %d\n", me, review_of(ticket), attempt_of(ticket));
         call[me] = sent; called[me] = ticket;
         if
         :: holdsLease -> assert(!unasked[ticket]); unasked[ticket] = 1  /* I2 */
         :: else
         fi
       };
       if
       :: atomic { call[me] == yes -> call[me] = none; called[me] = 0 }; goto record
       :: atomic { call[me] == conflict -> call[me] = none; called[me] = 0;
            if
            :: holdsLease && !myRow.dispatched -> write_status(review_of(ticket), failed)
            :: else
            fi };
          goto reject
       :: atomic { faults > 0 && call[me] != none -> faults--;
            printf("fault: consumer %d gets no answer\n", me);
            give_up_call();
            unclear = 0 }  /* from here on: the question is about its own start */
       fi;
ask:
       if
       :: atomic { myRun.attempt == attempt_of(ticket) ->
            printf("consumer %d: asks, and the worker knows it\n", me);
            unclear = 0 };
          goto record
       :: atomic { myRun.attempt != attempt_of(ticket) ->
            printf("consumer %d: asks, and the worker does not know it\n", me);
            if
            :: holdsLease -> unasked[ticket] = 0
            :: else
            fi;
            if
            :: unclear -> unclear = 0; goto prepare
            :: else -> leave_queued(); goto reject
            fi }
       :: atomic { faults > 0 -> faults--; printf("fault: consumer %d cannot ask\n", me); leave_queued() };
          goto reject
       fi;
record:
       if
       :: atomic {
            if
#ifdef RECORD_ANY_ATTEMPT
            :: (myRow.lease == lease || myRow.lease == 0) && myRow.status != pending ->
#else
            :: myRow.attempt == attempt_of(ticket) && (myRow.lease == lease || myRow.lease == 0) && myRow.status != pending ->
#endif
               printf("consumer %d: records the dispatch of attempt %d at attempt %d\n", me, attempt_of(ticket), myRow.attempt);
               myRow.lease = 0; myRow.leaseOver = 0; myRow.waits = 0;
               if
               :: myRow.status == queued -> myRow.dispatched = 1
               :: myRow.status == cancelled -> myRow.oweCancel = myRow.attempt  /* cancelled during the call */
               :: else
               fi
            :: else
            fi }
       :: atomic { faults > 0 -> faults--;
            printf("fault: consumer %d cannot record\n", me);
            if
            :: holdsLease -> myRow.leaseOver = 1
            :: else
            fi }
       fi;
acknowledge:
       atomic { assert(myRun.attempt >= attempt_of(ticket)); leave(); goto next };  /* I4 */
reject:
       atomic { leave() };  /* the row says what is next */
next:  skip
     } unless {
       atomic { killed[me];
         printf("fault: consumer %d is killed\n", me);
         if
         :: unacked[me] > 0 -> ready[unacked[me] - 1]++
         :: else
         fi;
         if
         :: lease != 0 && myRow.lease == lease -> myRow.leaseOver = 1
         :: else
         fi;
         give_up_call();
         leave();
         killed[me] = 0 }
     }
  od
}

/* --- What goes wrong by itself --- */

#define KILL_CONSUMER(c) \
  :: atomic { faults > 0 && serves[c] && !killed[c] -> faults--; killed[c] = 1 } \
  :: atomic { faults > 0 && unacked[c] > 0 && !killed[c] -> faults--; \
       printf("fault: the connection of consumer %d is cut\n", c); ready[unacked[c] - 1]++; unacked[c] = 0 }

#define KILL_PUBLISHER(p) \
  :: atomic { faults > 0 && publishes[p] && !killedPublisher[p] -> faults--; killedPublisher[p] = 1 }

#define LOSE_TICKET(t) \
  :: atomic { faults > 0 && ready[t] > 0 -> faults--; ready[t]--; printf("fault: a ticket is purged\n") } \
  :: atomic { faults > 0 && ready[t] > 0 -> faults--; ready[t]++; printf("fault: a ticket is doubled\n") }

#define TIME_PASSES(r) \
  :: atomic { faults > 0 && row[r].lease != 0 && !row[r].leaseOver -> faults--; \
       row[r].leaseOver = 1; printf("fault: a lease is over, and its holder lives\n") } \
  :: atomic { faults > 0 && row[r].status == queued && row[r].lease == 0 && !row[r].overdue -> faults--; \
       row[r].overdue = 1; printf("fault: a ticket counts as lost too early\n") }

proctype nature() {
  do
  KILL_CONSUMER(0)
  KILL_PUBLISHER(0)
  KILL_PUBLISHER(REAPER)
  LOSE_TICKET(0)
  TIME_PASSES(0)
#if CONSUMERS > 1
  KILL_CONSUMER(1)
#endif
#if PRODUCERS > 1
  KILL_PUBLISHER(1)
#endif
#if STARTS > 1
  LOSE_TICKET(1)
#endif
#if REVIEWS > 1
  TIME_PASSES(1)
#endif
  od
}

init {
  atomic {
    run producer(0);
#if PRODUCERS > 1
    run producer(1);
#endif
    run consumer(0);
#if CONSUMERS > 1
    run consumer(1);
#endif
#ifndef NO_REAPER
    run reaper(REAPER);
#endif
    run nature()
  }
}

/* --- I1: every review ends, no ticket is left, and the worker knows what was cancelled --- */

#if REVIEWS > 1
#define isSettled (hasEnded(0) && hasEnded(1) && ready[0] == 0 && ready[1] == 0 && row[0].oweCancel == 0)
#elif STARTS > 1
#define isSettled (hasEnded(0) && ready[0] == 0 && ready[1] == 0 && row[0].oweCancel == 0)
#else
#define isSettled (hasEnded(0) && ready[0] == 0 && row[0].oweCancel == 0)
#endif

#ifdef FAIR
ltl { <>[] isSettled }
#else
/* The same of executions that end, for a short counterexample. */
active proctype checker() { timeout -> assert(isSettled) }
#endif
