#pragma once

// Replaces, in the whole process, what would make two runs of a simulation differ: clocks, random numbers, the seed of hashes.
// For the executable that simulates; nothing that production links.

#include <stdint.h>

/// From now on clocks stand still between calls of `simulation_set_time`, and random numbers come from a seed.
void simulation_begin(uint64_t seed);

/// What clocks show: nanoseconds since 1970; `skew` is added to the wall clock alone.
void simulation_set_time(int64_t nanoseconds, int64_t skew);

/// The number of a job's task, which no other task of this process has; 0 for a job that is no task.
uint64_t simulation_task_id(const void *job);

/// Runs a job until it suspends or ends.
void simulation_run_job(const void *job);
