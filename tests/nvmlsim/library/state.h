/* The state file: what a node's simulated boards are, what was set on them, and what they read.
 *
 * One file, mapped by every process of a node. The library writes `struct control` and the log of calls; all else is
 * the simulator's. Readers and writers hold flock(2) on the file while they touch it: the kernel lets go of the lock
 * when its holder is killed, so nobody is ever stuck. Every field has a fixed width and its natural alignment:
 * ../state.py mirrors this file with ctypes, and a test compares sizes and offsets.
 */
#ifndef NVMLSIM_STATE_H
#define NVMLSIM_STATE_H

#include <stdint.h>

#define NVMLSIM_MAGIC 0x314d49534c4d564eULL /* "NVMLSIM1" */
#define NVMLSIM_LAYOUT 1
#define NVMLSIM_DEFAULT_PATH "/run/nvmlsim/state"

enum {
  MAX_GPUS = 16,
  MAX_MIG = 7,
  MAX_CLOCKS = 256,
  MAX_MEMORY_CLOCKS = 8,
  MAX_PROCESSES = 128,
  MAX_SAMPLES = 1024,
  MAX_RULES = 32,
  MAX_CALLS = 1024,
  UUID_LENGTH = 48,
  NAME_LENGTH = 64,
};

/* The driver: loaded, unloaded, or gone for good because the file was replaced. */
enum { DRIVER_LOADED = 1, DRIVER_UNLOADED = 2, DRIVER_REPLACED = 3 };

enum { CAN_LOCK_CLOCKS = 1, CAN_LOCK_MEMORY = 2, CAN_MIG = 4, AVERAGES_POWER = 8 };

/* What a rule does to the calls it matches. */
enum { RULE_FAIL = 1, RULE_SLOW = 2, RULE_DENY = 3 };

struct mig_device {
  char uuid[UUID_LENGTH];
  char name[NAME_LENGTH];
  uint32_t slices;
  uint32_t gpu_instance;
  uint32_t compute_instance;
  uint32_t reserved;
  uint64_t memory_bytes;
};

struct board {
  char uuid[UUID_LENGTH];
  char name[NAME_LENGTH];
  uint64_t memory_bytes;
  uint32_t architecture;
  uint32_t compute_major;
  uint32_t compute_minor;
  uint32_t capabilities;
  uint32_t min_limit_mw;
  uint32_t max_limit_mw;
  uint32_t default_limit_mw;
  uint32_t slices; /* compute slices of the whole board; 0 without MIG */
  uint32_t mig_enabled;
  uint32_t mig_count;
  uint32_t clock_count;
  uint32_t memory_clock_count;
  uint32_t clocks_mhz[MAX_CLOCKS]; /* ascending */
  uint32_t memory_clocks_mhz[MAX_MEMORY_CLOCKS];
  struct mig_device mig[MAX_MIG];
};

/* What callers set; locks are 0 when there is none. */
struct control {
  uint32_t limit_mw;
  uint32_t lock_min_mhz;
  uint32_t lock_max_mhz;
  uint32_t memory_lock_min_mhz;
  uint32_t memory_lock_max_mhz;
  uint32_t reserved;
};

struct readings {
  uint64_t energy_mj;
  uint64_t throttle_reasons;
  uint64_t memory_used_bytes;
  uint32_t power_mw;
  uint32_t average_power_mw;
  uint32_t clock_mhz;
  uint32_t memory_clock_mhz;
  uint32_t temperature_celsius;
  uint32_t utilization_percent;
  uint32_t memory_utilization_percent;
  uint32_t lost;
};

struct process {
  uint64_t memory_bytes;
  uint32_t pid;
  uint32_t mig; /* 1 + index of its MIG device; 0 without */
};

/* What one process used until then: a ring, the oldest goes first. */
struct sample {
  uint64_t at_us;
  uint32_t pid;
  uint32_t sm_percent;
  uint32_t memory_percent;
  uint32_t reserved;
};

struct gpu {
  struct board board;
  struct control control;
  struct readings readings;
  uint32_t process_count;
  uint32_t reserved;
  uint64_t sample_count; /* ever written */
  struct process processes[MAX_PROCESSES];
  struct sample samples[MAX_SAMPLES];
};

/* A fault: calls whose name (without _v2) is `call`, or all if that is empty, on one GPU or on all. */
struct rule {
  char call[NAME_LENGTH];
  uint32_t kind; /* 0: free */
  uint32_t gpu;  /* 1 + index; 0: all */
  uint32_t value; /* error code, or milliseconds */
  uint32_t times; /* so often still; 0: for ever */
};

/* A setter that was called, and what came of it. */
struct call {
  char name[NAME_LENGTH];
  uint64_t at_us;
  uint32_t pid;
  uint32_t gpu;
  uint32_t argument_count;
  uint32_t arguments[2];
  uint32_t result;
};

struct state {
  uint64_t magic;
  uint32_t layout;
  uint32_t driver;
  uint64_t generation; /* another one: the driver was loaded anew, and every handle is void */
  uint64_t now_us;     /* the driver's time, since the epoch */
  char driver_version[NAME_LENGTH];
  char nvml_version[NAME_LENGTH];
  uint32_t cuda_version;
  uint32_t gpu_count;
  uint64_t call_count; /* ever logged */
  struct rule rules[MAX_RULES];
  struct call calls[MAX_CALLS];
  struct gpu gpus[MAX_GPUS];
};

#endif
