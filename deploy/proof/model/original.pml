/* The three orders of the dispatcher that Baton replaces, each chosen by an #ifdef. There is no broker and no lease: a dispatcher takes a
 * row, calls the worker, and writes the status; two may run at once. Its worker begins a run for every POST.
 *
 *   STATUS_FIRST   the row is queued first, then prepared and sent
 *   REVERT         the row is queued right before the POST, and pending again if the POST has no good answer
 *   STALE          such a row stays queued; one that is queued for long is sent again
 */

#define NOT_IDEMPOTENT
#define ATTEMPTS 1
#define OPERATIONS 0
#define DISPATCHERS 2
#define CALLERS DISPATCHERS

#include "world.pml"

bit serves[DISPATCHERS], killed[DISPATCHERS];

inline give_up_call() {
  if
  :: call[me] == sent -> late[0]++  /* it arrives later */
  :: else
  fi;
  call[me] = none
}

#ifdef STALE
#define isDue (row[0].status == pending || row[0].status == queued && row[0].overdue)
#else
#define isDue (row[0].status == pending)
#endif

proctype dispatcher(byte me) {
  do
  :: {
#ifdef STATUS_FIRST
       atomic { isDue; printf("dispatcher %d: writes queued\n", me); write_status(0, queued); serves[me] = 1 };
       printf("dispatcher %d: prepares\n", me);
#else
       atomic { isDue; printf("dispatcher %d: selects and prepares\n", me); serves[me] = 1 };
       if
       :: atomic { isDue; printf("dispatcher %d: writes queued\n", me); row[0].overdue = 0; write_status(0, queued) }
       :: atomic { !isDue; goto next }  /* another dispatcher was faster */
       fi;
#endif
       atomic { printf("dispatcher %d: POST\n", me); call[me] = sent };
       if
       :: atomic { call[me] == yes; printf("dispatcher %d: 202\n", me); call[me] = none }
       :: atomic { faults > 0 && call[me] != none -> faults--;
            printf("fault: dispatcher %d gets no answer\n", me);
            give_up_call();
            if
#ifdef STATUS_FIRST
            :: row[0].status == queued -> write_status(0, failed)
#endif
#ifdef REVERT
            :: row[0].status == queued -> printf("dispatcher %d: writes pending\n", me); write_status(0, pending)
#endif
            :: else
            fi }
       fi;
next:  atomic { serves[me] = 0 }
     } unless {
       atomic { killed[me]; printf("fault: dispatcher %d is killed\n", me); give_up_call(); serves[me] = 0; killed[me] = 0 }
     }
  od
}

proctype nature() {
  do
  :: atomic { faults > 0 && serves[0] && !killed[0] -> faults--; killed[0] = 1 }
  :: atomic { faults > 0 && serves[1] && !killed[1] -> faults--; killed[1] = 1 }
#ifdef STALE
  :: atomic { row[0].status == queued && !row[0].overdue &&
       /* longer than a call, a start and a callback take */
       !serves[0] && !serves[1] && late[0] == 0 && job[0].state != accepted && !tellsRunning[0] ->
       row[0].overdue = 1; printf("five minutes pass\n") }
#endif
  od
}

init { atomic { run dispatcher(0); run dispatcher(1); run nature() } }

#ifdef STATUS_FIRST
active proctype checker() { timeout -> assert(hasEnded(0)) }  /* I1; what the other two break is I2 */
#endif
