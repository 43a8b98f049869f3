#pragma once

// What the Glibc module of Swift does not import.

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>

static inline int baton_eventfd(void) { return eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC); }

// Declared here, not taken from <pthread.h>: it is there only under _GNU_SOURCE, which a module cannot set for others.
extern int pthread_setname_np(pthread_t thread, const char *name);

// A file in memory, without a name; MFD_CLOEXEC is 1. Declared here for the same reason.
extern int memfd_create(const char *name, unsigned int flags);

// From now on no process of the same user may read this one's memory, environment or files, or trace it.
static inline int baton_forbid_inspection(void) { return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); }

// Declared here for the same reason.
extern void *memmem(const void *haystack, size_t haystack_length, const void *needle, size_t needle_length);
