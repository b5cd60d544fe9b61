/* What the library's files share: NVML's types and codes, the session, and how a call begins and ends.
 *
 * Every call has one shape: it begins with SYSTEM_CALL, DEVICE_CALL or GPU_CALL, which take the lock and return at once
 * if there is no driver, the handle is void, the GPU is lost or a fault says so; and it ends with `release`.
 */
#ifndef NVMLSIM_SESSION_H
#define NVMLSIM_SESSION_H

#include <stddef.h>
#include <stdint.h>
#include <sys/file.h>

#include "state.h"

#define API __attribute__((visibility("default")))

typedef unsigned int nvmlReturn_t;
typedef const void *nvmlDevice_t;

enum {
  SUCCESS = 0,
  UNINITIALIZED = 1,
  INVALID_ARGUMENT = 2,
  NOT_SUPPORTED = 3,
  NO_PERMISSION = 4,
  NOT_FOUND = 6,
  INSUFFICIENT_SIZE = 7,
  DRIVER_NOT_LOADED = 9,
  GPU_IS_LOST = 15,
  VERSION_MISMATCH = 18,
  ARGUMENT_VERSION_MISMATCH = 25,
};

/* What a handle stands for: a GPU, or one of its MIG devices. */
struct target {
  struct gpu *gpu;
  struct mig_device *mig; /* NULL: the whole GPU */
};

extern struct state *state; /* mapped from nvmlInit to the last nvmlShutdown */

int may_write(void); /* whether the state file could be opened for writing */
nvmlReturn_t release(nvmlReturn_t result);
struct rule *rule_for(uint32_t kind, const char *call, const struct gpu *gpu);
uint32_t use(struct rule *rule);
nvmlDevice_t handle_of(unsigned gpu, unsigned mig);
nvmlReturn_t enter(const char *call, nvmlDevice_t handle, int kind, struct target *at);
nvmlReturn_t enter_system(const char *call);
nvmlReturn_t give_text(const char *text, char *buffer, unsigned length);

#define SYSTEM_CALL()                                \
  {                                                  \
    nvmlReturn_t wrong = enter_system(__func__);     \
    if (wrong) return wrong;                         \
  }

/* A call that a MIG device answers as well as a whole GPU. */
#define DEVICE_CALL(device, given)                                \
  struct target at;                                               \
  if (!(given)) return INVALID_ARGUMENT;                          \
  {                                                               \
    nvmlReturn_t wrong = enter(__func__, device, LOCK_SH, &at);   \
    if (wrong) return wrong;                                      \
  }

/* A call that only a whole GPU answers. */
#define GPU_CALL(device, given) \
  DEVICE_CALL(device, given)    \
  if (at.mig) return release(NOT_SUPPORTED);

/* Most calls hand out one number: say what it is, and under which condition the board tells. */
#define NUMBER(kind, name, type, condition, value)          \
  API nvmlReturn_t name(nvmlDevice_t device, type *number) { \
    kind(device, number);                                   \
    const struct board *board = &at.gpu->board;             \
    const struct control *control = &at.gpu->control;       \
    const struct readings *readings = &at.gpu->readings;    \
    (void)board, (void)control, (void)readings;             \
    if (!(condition)) return release(NOT_SUPPORTED);        \
    *number = (type)(value);                                \
    return release(SUCCESS);                                \
  }

#endif
