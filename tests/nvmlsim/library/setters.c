/* What can be set: power limit and locked clocks, by root and where the state file can be written.
 *
 * Each attempt that can be written down is, with what came of it: tests read the exact calls, their order and units.
 */
#include "session.h"

#include <string.h>
#include <unistd.h>

/* The highest clock that the board knows and that is not above; its lowest if all are. */
static uint32_t snap(const uint32_t *clocks, unsigned count, uint32_t mhz) {
  uint32_t best = clocks[0];
  for (unsigned i = 0; i < count; i++)
    if (clocks[i] <= mhz) best = clocks[i];
  return best;
}

static nvmlReturn_t set_limit(struct gpu *gpu, uint32_t mw, uint32_t unused) {
  (void)unused;
  if (mw < gpu->board.min_limit_mw || mw > gpu->board.max_limit_mw) return INVALID_ARGUMENT;
  gpu->control.limit_mw = mw;
  return SUCCESS;
}

static nvmlReturn_t lock_clocks(struct gpu *gpu, uint32_t least, uint32_t most) {
  const struct board *board = &gpu->board;
  if (!(board->capabilities & CAN_LOCK_CLOCKS)) return NOT_SUPPORTED;
  if (least > most || least < board->clocks_mhz[0] || most > board->clocks_mhz[board->clock_count - 1])
    return INVALID_ARGUMENT;
  gpu->control.lock_min_mhz = snap(board->clocks_mhz, board->clock_count, least);
  gpu->control.lock_max_mhz = snap(board->clocks_mhz, board->clock_count, most);
  return SUCCESS;
}

static nvmlReturn_t unlock_clocks(struct gpu *gpu, uint32_t unused, uint32_t unused_too) {
  (void)unused, (void)unused_too;
  if (!(gpu->board.capabilities & CAN_LOCK_CLOCKS)) return NOT_SUPPORTED;
  gpu->control.lock_min_mhz = gpu->control.lock_max_mhz = 0;
  return SUCCESS;
}

static nvmlReturn_t lock_memory(struct gpu *gpu, uint32_t least, uint32_t most) {
  const struct board *board = &gpu->board;
  if (!(board->capabilities & CAN_LOCK_MEMORY)) return NOT_SUPPORTED;
  if (least > most || least < board->memory_clocks_mhz[0] ||
      most > board->memory_clocks_mhz[board->memory_clock_count - 1])
    return INVALID_ARGUMENT;
  gpu->control.memory_lock_min_mhz = snap(board->memory_clocks_mhz, board->memory_clock_count, least);
  gpu->control.memory_lock_max_mhz = snap(board->memory_clocks_mhz, board->memory_clock_count, most);
  return SUCCESS;
}

static nvmlReturn_t unlock_memory(struct gpu *gpu, uint32_t unused, uint32_t unused_too) {
  (void)unused, (void)unused_too;
  if (!(gpu->board.capabilities & CAN_LOCK_MEMORY)) return NOT_SUPPORTED;
  gpu->control.memory_lock_min_mhz = gpu->control.memory_lock_max_mhz = 0;
  return SUCCESS;
}

static void write_down(const char *call, const struct gpu *gpu, int count, uint32_t a, uint32_t b, nvmlReturn_t result) {
  struct call *entry = &state->calls[state->call_count++ % MAX_CALLS];
  memset(entry, 0, sizeof *entry);
  strncpy(entry->name, call, sizeof entry->name - 1);
  entry->at_us = state->now_us;
  entry->pid = (uint32_t)getpid();
  entry->gpu = (uint32_t)(gpu - state->gpus);
  entry->argument_count = (uint32_t)count;
  entry->arguments[0] = a;
  entry->arguments[1] = b;
  entry->result = result;
}

typedef nvmlReturn_t apply_t(struct gpu *gpu, uint32_t a, uint32_t b);

static nvmlReturn_t set(const char *call, nvmlDevice_t device, apply_t *apply, int count, uint32_t a, uint32_t b) {
  struct target at;
  struct rule *rule;
  nvmlReturn_t result = enter(call, device, LOCK_EX, &at);
  if (result) return result;
  if (at.mig)
    result = NOT_SUPPORTED;
  else if ((rule = rule_for(RULE_FAIL, call, at.gpu)))
    result = use(rule);
  else if ((rule = rule_for(RULE_DENY, call, at.gpu)))
    result = use(rule);
  else if (!may_write() || geteuid() != 0)
    result = NO_PERMISSION;
  else
    result = apply(at.gpu, a, b);
  if (may_write()) write_down(call, at.gpu, count, a, b, result);
  return release(result);
}

API nvmlReturn_t nvmlDeviceSetPowerManagementLimit(nvmlDevice_t device, unsigned mw) {
  return set(__func__, device, set_limit, 1, mw, 0);
}

typedef struct {
  unsigned version, powerScope, powerValueMw;
} nvmlPowerValue_v2_t;

API nvmlReturn_t nvmlDeviceSetPowerManagementLimit_v2(nvmlDevice_t device, nvmlPowerValue_v2_t *value) {
  if (!value) return INVALID_ARGUMENT;
  if (value->version != (sizeof *value | 2u << 24)) return ARGUMENT_VERSION_MISMATCH;
  if (value->powerScope) return NOT_SUPPORTED;
  return set(__func__, device, set_limit, 1, value->powerValueMw, 0);
}

API nvmlReturn_t nvmlDeviceSetGpuLockedClocks(nvmlDevice_t device, unsigned least_mhz, unsigned most_mhz) {
  return set(__func__, device, lock_clocks, 2, least_mhz, most_mhz);
}

API nvmlReturn_t nvmlDeviceResetGpuLockedClocks(nvmlDevice_t device) {
  return set(__func__, device, unlock_clocks, 0, 0, 0);
}

API nvmlReturn_t nvmlDeviceSetMemoryLockedClocks(nvmlDevice_t device, unsigned least_mhz, unsigned most_mhz) {
  return set(__func__, device, lock_memory, 2, least_mhz, most_mhz);
}

API nvmlReturn_t nvmlDeviceResetMemoryLockedClocks(nvmlDevice_t device) {
  return set(__func__, device, unlock_memory, 0, 0, 0);
}
