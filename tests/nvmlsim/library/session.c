/* The session of a process with the simulated driver: state file, lock, handles, faults.
 *
 * What must hold: a call takes the lock, does all it does, and lets go; a fault that makes it slow sleeps with no lock
 * held. Handles are numbers, not pointers into memory: generation of the driver, GPU, MIG device. One of an older
 * generation is refused, as is anything else that this library did not give out.
 */
#define _GNU_SOURCE
#include "session.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* ---- The session: one per process, from nvmlInit to the last nvmlShutdown. ---- */

static pthread_mutex_t guard = PTHREAD_MUTEX_INITIALIZER;
struct state *state;
static int file = -1;
static int writable;
static unsigned initialised;
static uint64_t generation;
static pid_t opened_by;

static void after_fork(void) { pthread_mutex_init(&guard, NULL); }

__attribute__((constructor)) static void prepare(void) { pthread_atfork(NULL, NULL, after_fork); }

static const char *state_path(void) {
  const char *named = getenv("NVMLSIM_STATE");
  return named && *named ? named : NVMLSIM_DEFAULT_PATH;
}

static void unmap(void) {
  if (state) munmap(state, sizeof *state);
  if (file >= 0) close(file);
  state = NULL;
  file = -1;
}

/* Map the state file, to write if that is allowed, else to read. */
static nvmlReturn_t map(const char *path) {
  struct stat found;
  writable = 1;
  file = open(path, O_RDWR | O_CLOEXEC);
  if (file < 0) {
    writable = 0;
    file = open(path, O_RDONLY | O_CLOEXEC);
  }
  if (file < 0) return DRIVER_NOT_LOADED;
  if (fstat(file, &found) || found.st_size != (off_t)sizeof *state) {
    unmap();
    return VERSION_MISMATCH;
  }
  void *mapped = mmap(NULL, sizeof *state, PROT_READ | (writable ? PROT_WRITE : 0), MAP_SHARED, file, 0);
  if (mapped == MAP_FAILED) {
    state = NULL;
    unmap();
    return DRIVER_NOT_LOADED;
  }
  state = mapped;
  if (state->magic != NVMLSIM_MAGIC || state->layout != NVMLSIM_LAYOUT) {
    unmap();
    return VERSION_MISMATCH;
  }
  opened_by = getpid();
  return SUCCESS;
}

/* A forked child shares its parent's open file, and with it the parent's lock: it needs its own. */
static void reopen_after_fork(void) {
  char path[64];
  if (opened_by == getpid()) return;
  snprintf(path, sizeof path, "/proc/self/fd/%d", file);
  int own = open(path, (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC);
  if (own >= 0) {
    close(file);
    file = own;
  }
  opened_by = getpid();
}

static void lock(int kind) {
  while (flock(file, kind) && errno == EINTR) continue;
}

/* Take the lock and make sure that there still is a driver. On anything but SUCCESS nothing is held. */
static nvmlReturn_t acquire(int kind) {
  pthread_mutex_lock(&guard);
  if (!initialised || !state) {
    pthread_mutex_unlock(&guard);
    return UNINITIALIZED;
  }
  reopen_after_fork();
  lock(kind);
  if (state->driver != DRIVER_LOADED || state->generation != generation) {
    lock(LOCK_UN);
    pthread_mutex_unlock(&guard);
    return UNINITIALIZED;
  }
  return SUCCESS;
}

int may_write(void) { return writable; }

nvmlReturn_t release(nvmlReturn_t result) {
  lock(LOCK_UN);
  pthread_mutex_unlock(&guard);
  return result;
}

/* ---- Faults. ---- */

/* Whether a rule speaks of this call: "nvmlDeviceGetCount" also means its _v2. */
static int names(const char *rule, const char *call) {
  size_t length = strlen(rule);
  if (!length) return 1;
  if (strncmp(rule, call, length)) return 0;
  return !call[length] || (call[length] == '_' && call[length + 1] == 'v');
}

struct rule *rule_for(uint32_t kind, const char *call, const struct gpu *gpu) {
  uint32_t number = gpu ? (uint32_t)(gpu - state->gpus) + 1 : 0;
  for (int i = 0; i < MAX_RULES; i++) {
    struct rule *rule = &state->rules[i];
    if (rule->kind == kind && (!rule->gpu || rule->gpu == number) && names(rule->call, call)) return rule;
  }
  return NULL;
}

/* Let a rule befall a call: its error code or milliseconds. */
uint32_t use(struct rule *rule) {
  uint32_t value = rule->value;
  if (writable && rule->times && !--rule->times) rule->kind = 0;
  return value;
}

/* ---- Handles. ---- */

nvmlDevice_t handle_of(unsigned gpu, unsigned mig) {
  return (nvmlDevice_t)(uintptr_t)((generation << 24) | 0x800000u | (gpu << 8) | mig);
}

static nvmlReturn_t locate(nvmlDevice_t handle, struct target *at) {
  uintptr_t bits = (uintptr_t)handle;
  unsigned gpu = (bits >> 8) & 0x7fff, mig = bits & 0xff;
  if (!(bits & 0x800000u) || bits >> 24 != (generation & 0xffffffffffULL)) return INVALID_ARGUMENT;
  if (gpu >= state->gpu_count || mig > state->gpus[gpu].board.mig_count) return INVALID_ARGUMENT;
  at->gpu = &state->gpus[gpu];
  at->mig = mig ? &at->gpu->board.mig[mig - 1] : NULL;
  return SUCCESS;
}

/* Sleep, with no lock held, if a fault makes this call slow; afterwards the call begins anew. */
static int slowed(const char *call, const struct gpu *gpu) {
  struct rule *slow = rule_for(RULE_SLOW, call, gpu);
  if (!slow) return 0;
  uint32_t milliseconds = use(slow);
  release(SUCCESS);
  struct timespec pause = {milliseconds / 1000, (long)(milliseconds % 1000) * 1000000L};
  while (nanosleep(&pause, &pause) && errno == EINTR) continue;
  return 1;
}

/* Begin a call on a device: the lock is held if, and only if, this is SUCCESS. Setters see to faults themselves. */
nvmlReturn_t enter(const char *call, nvmlDevice_t handle, int kind, struct target *at) {
  for (int slept = 0;; slept = 1) {
    nvmlReturn_t result = acquire(kind);
    if (result) return result;
    if ((result = locate(handle, at))) return release(result);
    if (!slept && slowed(call, at->gpu)) continue;
    if (at->gpu->readings.lost) return release(GPU_IS_LOST);
    struct rule *fails = kind == LOCK_SH ? rule_for(RULE_FAIL, call, at->gpu) : NULL;
    return fails ? release(use(fails)) : SUCCESS;
  }
}

/* Begin a call that has no device. */
nvmlReturn_t enter_system(const char *call) {
  for (int slept = 0;; slept = 1) {
    nvmlReturn_t result = acquire(LOCK_SH);
    if (result) return result;
    if (!slept && slowed(call, NULL)) continue;
    struct rule *fails = rule_for(RULE_FAIL, call, NULL);
    return fails ? release(use(fails)) : SUCCESS;
  }
}

/* ---- Texts. ---- */

nvmlReturn_t give_text(const char *text, char *buffer, unsigned length) {
  if (!buffer) return release(INVALID_ARGUMENT);
  if (strlen(text) + 1 > length) return release(INSUFFICIENT_SIZE);
  strcpy(buffer, text);
  return release(SUCCESS);
}

/* ---- Begin and end. ---- */

API nvmlReturn_t nvmlInitWithFlags(unsigned flags) {
  nvmlReturn_t result = SUCCESS;
  (void)flags;
  pthread_mutex_lock(&guard);
  if (!initialised) {
    unmap();
    if (!(result = map(state_path()))) {
      lock(LOCK_SH);
      if (state->driver != DRIVER_LOADED) result = DRIVER_NOT_LOADED;
      struct rule *fails = rule_for(RULE_FAIL, "nvmlInit", NULL);
      if (!result && fails) result = use(fails);
      generation = state->generation;
      lock(LOCK_UN);
      if (result) unmap();
    }
  }
  if (!result) initialised++;
  pthread_mutex_unlock(&guard);
  return result;
}

API nvmlReturn_t nvmlInit_v2(void) { return nvmlInitWithFlags(0); }

API nvmlReturn_t nvmlShutdown(void) {
  nvmlReturn_t result = UNINITIALIZED;
  pthread_mutex_lock(&guard);
  if (initialised) {
    result = SUCCESS;
    if (!--initialised) unmap();
  }
  pthread_mutex_unlock(&guard);
  return result;
}

API const char *nvmlErrorString(nvmlReturn_t result) {
  static const char *const texts[] = {
      [0] = "Success",
      [1] = "Uninitialized",
      [2] = "Invalid Argument",
      [3] = "Not Supported",
      [4] = "Insufficient Permissions",
      [5] = "Already Initialized",
      [6] = "Not Found",
      [7] = "Insufficient Size",
      [8] = "Insufficient External Power",
      [9] = "Driver Not Loaded",
      [10] = "Timeout",
      [11] = "Interrupt Request Issue",
      [12] = "NVML Shared Library Not Found",
      [13] = "Function Not Found",
      [14] = "Corrupted infoROM",
      [15] = "GPU is lost",
      [16] = "GPU requires reset",
      [17] = "GPU access blocked by the operating system",
      [18] = "Driver/library version mismatch",
      [19] = "In use by another client",
      [20] = "Insufficient Memory",
      [21] = "No data",
      [25] = "Argument version mismatch",
  };
  if (result < sizeof texts / sizeof *texts && texts[result]) return texts[result];
  return "Unknown Error";
}
