#define _GNU_SOURCE
#include "CSimulation.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <time.h>

static bool isActive;
static int64_t now;
static int64_t wallClockSkew;
static uint64_t seedState;

void simulation_begin(uint64_t seed) {
  isActive = true;
  seedState = seed;
}

void simulation_set_time(int64_t nanoseconds, int64_t skew) {
  now = nanoseconds;
  wallClockSkew = skew;
}

// Jobs. The layout of a job's head is part of the ABI of Swift's runtime: two words of an object, two words of the scheduler, the flags.

extern __attribute__((swiftcall)) void swift_job_run(void *job, void *identity, void *implementation);
extern __attribute__((swiftcall)) uint64_t swift_task_getJobTaskId(void *job);

uint64_t simulation_task_id(const void *job) {
  uint32_t flags = *(const uint32_t *)((const char *)job + 4 * sizeof(void *));
  bool isTask = (flags & 0xff) == 0;
  return isTask ? swift_task_getJobTaskId((void *)job) : 0;
}

void simulation_run_job(const void *job) { swift_job_run((void *)job, NULL, NULL); }

// Hashes. Without this, the order of sets and dictionaries follows the addresses of their storage. The constructor runs before any set is made.

extern struct {
  uint64_t first, second;
  bool isDeterministic;
} _swift_stdlib_Hashing_parameters;

__attribute__((constructor)) static void fixHashes(void) {
  _swift_stdlib_Hashing_parameters.first = 0;
  _swift_stdlib_Hashing_parameters.second = 0;
  _swift_stdlib_Hashing_parameters.isDeterministic = true;
}

// Clocks. The program's definition of a function comes before that of a shared library.

int clock_gettime(clockid_t clock, struct timespec *time) {
  static int (*original)(clockid_t, struct timespec *);
  if (!isActive) {
    if (!original) original = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    return original(clock, time);
  }
  int64_t shown = clock == CLOCK_REALTIME ? now + wallClockSkew : now;
  time->tv_sec = shown / 1000000000;
  time->tv_nsec = shown % 1000000000;
  return 0;
}

// Random numbers.

static uint64_t nextRandom(void) {
  uint64_t mixed = (seedState += 0x9e3779b97f4a7c15);
  mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9;
  mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
  return mixed ^ (mixed >> 31);
}

static void fill(void *buffer, size_t count) {
  unsigned char *bytes = buffer;
  while (count > 0) {
    uint64_t random = nextRandom();
    size_t part = count < sizeof random ? count : sizeof random;
    memcpy(bytes, &random, part);
    bytes += part;
    count -= part;
  }
}

// Of `SystemRandomNumberGenerator`, whose only way to the kernel this is. All other calls go on to the library's function.
long syscall(long number, ...) {
  static long (*original)(long, ...);
  if (!original) original = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
  va_list arguments;
  va_start(arguments, number);
  long values[6];
  for (int index = 0; index < 6; index++) values[index] = va_arg(arguments, long);
  va_end(arguments);
  if (!isActive || number != SYS_getrandom)
    return original(number, values[0], values[1], values[2], values[3], values[4], values[5]);
  fill((void *)values[0], (size_t)values[1]);
  return values[1];
}

// Of `UUID()`, which reads a file.

static int randomFile = -1;

int open(const char *path, int flags, ...) {
  static int (*original)(const char *, int, ...);
  if (!original) original = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, "open");
  va_list arguments;
  va_start(arguments, flags);
  mode_t mode = va_arg(arguments, mode_t);
  va_end(arguments);
  int file = original(path, flags, mode);
  if (isActive && strcmp(path, "/dev/urandom") == 0) randomFile = file;
  return file;
}

ssize_t read(int file, void *buffer, size_t count) {
  static ssize_t (*original)(int, void *, size_t);
  if (!original) original = (ssize_t(*)(int, void *, size_t))dlsym(RTLD_NEXT, "read");
  if (!isActive || file != randomFile || file < 0) return original(file, buffer, count);
  fill(buffer, count);
  return (ssize_t)count;
}
