/* What a GPU tells while it works: power, energy, clocks, temperature, utilization, processes. */
#include "session.h"

/* ---- Power and energy. ---- */

/* Ampere other than GA100, and newer, report a mean over one second; older ones and the A100 what is drawn now. */
static unsigned power_mw(const struct gpu *gpu) {
  return gpu->board.capabilities & AVERAGES_POWER ? gpu->readings.average_power_mw : gpu->readings.power_mw;
}

NUMBER(GPU_CALL, nvmlDeviceGetPowerUsage, unsigned, 1, power_mw(at.gpu))
NUMBER(GPU_CALL, nvmlDeviceGetTotalEnergyConsumption, unsigned long long, 1, readings->energy_mj)
NUMBER(GPU_CALL, nvmlDeviceGetPowerManagementMode, unsigned, 1, 1)
NUMBER(GPU_CALL, nvmlDeviceGetPowerManagementLimit, unsigned, 1, control->limit_mw)
NUMBER(GPU_CALL, nvmlDeviceGetEnforcedPowerLimit, unsigned, 1, control->limit_mw)
NUMBER(GPU_CALL, nvmlDeviceGetPowerManagementDefaultLimit, unsigned, 1, board->default_limit_mw)

API nvmlReturn_t nvmlDeviceGetPowerManagementLimitConstraints(nvmlDevice_t device, unsigned *least, unsigned *most) {
  GPU_CALL(device, least && most);
  *least = at.gpu->board.min_limit_mw;
  *most = at.gpu->board.max_limit_mw;
  return release(SUCCESS);
}

enum {
  FIELD_ENERGY = 83,
  FIELD_POWER_AVERAGE = 185,
  FIELD_POWER_INSTANT = 186,
  FIELD_MIN_LIMIT = 187,
  FIELD_MAX_LIMIT = 188,
  FIELD_DEFAULT_LIMIT = 189,
  FIELD_CURRENT_LIMIT = 190,
  FIELD_REQUESTED_LIMIT = 192,
  VALUE_UNSIGNED_INT = 1,
  VALUE_UNSIGNED_LONG_LONG = 3,
};

typedef struct {
  unsigned fieldId, scopeId;
  long long timestamp, latencyUsec;
  unsigned valueType, nvmlReturn;
  union {
    double dVal;
    unsigned uiVal;
    unsigned long long ullVal;
  } value;
} nvmlFieldValue_t;

static void read_field(const struct gpu *gpu, nvmlFieldValue_t *field) {
  field->timestamp = (long long)state->now_us;
  field->latencyUsec = 0;
  field->nvmlReturn = field->scopeId ? NOT_SUPPORTED : SUCCESS;
  field->valueType = VALUE_UNSIGNED_INT;
  field->value.ullVal = 0;
  switch (field->fieldId) {
    case FIELD_ENERGY:
      field->valueType = VALUE_UNSIGNED_LONG_LONG;
      field->value.ullVal = gpu->readings.energy_mj;
      break;
    case FIELD_POWER_AVERAGE:
      field->value.uiVal = gpu->readings.average_power_mw;
      if (!(gpu->board.capabilities & AVERAGES_POWER)) field->nvmlReturn = NOT_SUPPORTED;
      break;
    case FIELD_POWER_INSTANT: field->value.uiVal = gpu->readings.power_mw; break;
    case FIELD_MIN_LIMIT: field->value.uiVal = gpu->board.min_limit_mw; break;
    case FIELD_MAX_LIMIT: field->value.uiVal = gpu->board.max_limit_mw; break;
    case FIELD_DEFAULT_LIMIT: field->value.uiVal = gpu->board.default_limit_mw; break;
    case FIELD_CURRENT_LIMIT:
    case FIELD_REQUESTED_LIMIT: field->value.uiVal = gpu->control.limit_mw; break;
    default: field->nvmlReturn = NOT_SUPPORTED;
  }
  /* A board that does not tell its power tells it nowhere. */
  if (field->fieldId == FIELD_POWER_AVERAGE || field->fieldId == FIELD_POWER_INSTANT) {
    struct rule *fails = rule_for(RULE_FAIL, "nvmlDeviceGetPowerUsage", gpu);
    if (fails) field->nvmlReturn = fails->value;
  }
  if (field->fieldId == FIELD_ENERGY) {
    struct rule *fails = rule_for(RULE_FAIL, "nvmlDeviceGetTotalEnergyConsumption", gpu);
    if (fails) field->nvmlReturn = fails->value;
  }
}

API nvmlReturn_t nvmlDeviceGetFieldValues(nvmlDevice_t device, int count, nvmlFieldValue_t *fields) {
  GPU_CALL(device, fields && count > 0);
  for (int i = 0; i < count; i++) read_field(at.gpu, &fields[i]);
  return release(SUCCESS);
}

/* ---- Clocks, throttling, temperature. ---- */

enum { CLOCK_GRAPHICS = 0, CLOCK_SM = 1, CLOCK_MEM = 2, CLOCK_VIDEO = 3 };
enum { CLOCK_CURRENT = 0, CLOCK_CUSTOMER_BOOST_MAX = 3 };

static unsigned highest_clock(const struct board *board, unsigned type) {
  return type == CLOCK_MEM ? board->memory_clocks_mhz[board->memory_clock_count - 1]
                           : board->clocks_mhz[board->clock_count - 1];
}

static unsigned present_clock(const struct gpu *gpu, unsigned type) {
  return type == CLOCK_MEM ? gpu->readings.memory_clock_mhz : gpu->readings.clock_mhz;
}

API nvmlReturn_t nvmlDeviceGetClockInfo(nvmlDevice_t device, unsigned type, unsigned *mhz) {
  GPU_CALL(device, mhz && type <= CLOCK_VIDEO);
  *mhz = present_clock(at.gpu, type);
  return release(SUCCESS);
}

API nvmlReturn_t nvmlDeviceGetMaxClockInfo(nvmlDevice_t device, unsigned type, unsigned *mhz) {
  GPU_CALL(device, mhz && type <= CLOCK_VIDEO);
  *mhz = highest_clock(&at.gpu->board, type);
  return release(SUCCESS);
}

API nvmlReturn_t nvmlDeviceGetMaxCustomerBoostClock(nvmlDevice_t device, unsigned type, unsigned *mhz) {
  GPU_CALL(device, mhz && type <= CLOCK_VIDEO);
  *mhz = highest_clock(&at.gpu->board, type);
  return release(SUCCESS);
}

/* Application clocks are deprecated and not simulated. */
API nvmlReturn_t nvmlDeviceGetClock(nvmlDevice_t device, unsigned type, unsigned id, unsigned *mhz) {
  GPU_CALL(device, mhz && type <= CLOCK_VIDEO && id <= CLOCK_CUSTOMER_BOOST_MAX);
  if (id != CLOCK_CURRENT && id != CLOCK_CUSTOMER_BOOST_MAX) return release(NOT_SUPPORTED);
  *mhz = id == CLOCK_CURRENT ? present_clock(at.gpu, type) : highest_clock(&at.gpu->board, type);
  return release(SUCCESS);
}

/* Hand out clocks, the highest first; `count` says how many there is room for, then how many there are. */
static nvmlReturn_t give_clocks(const uint32_t *clocks, unsigned there_are, unsigned *count, unsigned *mhz) {
  unsigned room = *count;
  *count = there_are;
  if (!mhz || room < there_are) return release(INSUFFICIENT_SIZE);
  for (unsigned i = 0; i < there_are; i++) mhz[i] = clocks[there_are - 1 - i];
  return release(SUCCESS);
}

API nvmlReturn_t nvmlDeviceGetSupportedMemoryClocks(nvmlDevice_t device, unsigned *count, unsigned *mhz) {
  GPU_CALL(device, count);
  return give_clocks(at.gpu->board.memory_clocks_mhz, at.gpu->board.memory_clock_count, count, mhz);
}

API nvmlReturn_t nvmlDeviceGetSupportedGraphicsClocks(nvmlDevice_t device, unsigned memory, unsigned *count,
                                                      unsigned *mhz) {
  GPU_CALL(device, count);
  const struct board *board = &at.gpu->board;
  for (unsigned i = 0; i < board->memory_clock_count; i++)
    if (board->memory_clocks_mhz[i] == memory) return give_clocks(board->clocks_mhz, board->clock_count, count, mhz);
  return release(NOT_FOUND);
}

NUMBER(GPU_CALL, nvmlDeviceGetCurrentClocksEventReasons, unsigned long long, 1, readings->throttle_reasons)
NUMBER(GPU_CALL, nvmlDeviceGetCurrentClocksThrottleReasons, unsigned long long, 1, readings->throttle_reasons)
NUMBER(GPU_CALL, nvmlDeviceGetSupportedClocksEventReasons, unsigned long long, 1, 0x1ff)
NUMBER(GPU_CALL, nvmlDeviceGetSupportedClocksThrottleReasons, unsigned long long, 1, 0x1ff)

API nvmlReturn_t nvmlDeviceGetTemperature(nvmlDevice_t device, unsigned sensor, unsigned *celsius) {
  GPU_CALL(device, celsius && !sensor);
  *celsius = at.gpu->readings.temperature_celsius;
  return release(SUCCESS);
}

typedef struct {
  unsigned version, sensorType;
  int temperature;
} nvmlTemperature_t;

API nvmlReturn_t nvmlDeviceGetTemperatureV(nvmlDevice_t device, nvmlTemperature_t *celsius) {
  GPU_CALL(device, celsius);
  if (celsius->version != (sizeof *celsius | 1u << 24)) return release(ARGUMENT_VERSION_MISMATCH);
  if (celsius->sensorType) return release(INVALID_ARGUMENT);
  celsius->temperature = (int)at.gpu->readings.temperature_celsius;
  return release(SUCCESS);
}

/* ---- Utilization and processes. ---- */

typedef struct {
  unsigned gpu, memory;
} nvmlUtilization_t;

API nvmlReturn_t nvmlDeviceGetUtilizationRates(nvmlDevice_t device, nvmlUtilization_t *rates) {
  GPU_CALL(device, rates);
  if (at.gpu->board.mig_enabled) return release(NOT_SUPPORTED);
  rates->gpu = at.gpu->readings.utilization_percent;
  rates->memory = at.gpu->readings.memory_utilization_percent;
  return release(SUCCESS);
}

typedef struct {
  unsigned pid;
  unsigned long long timeStamp;
  unsigned smUtil, memUtil, encUtil, decUtil;
} nvmlProcessUtilizationSample_t;

/* Samples after a time; none at all is NOT_FOUND, and without a buffer the answer is how many there may be. */
API nvmlReturn_t nvmlDeviceGetProcessUtilization(nvmlDevice_t device, nvmlProcessUtilizationSample_t *out,
                                                 unsigned *count, unsigned long long after_us) {
  GPU_CALL(device, count);
  const struct gpu *gpu = at.gpu;
  unsigned room = *count, found = 0;
  if (gpu->board.mig_enabled) return release(NOT_SUPPORTED);
  uint64_t first = gpu->sample_count > MAX_SAMPLES ? gpu->sample_count - MAX_SAMPLES : 0;
  for (uint64_t i = first; i < gpu->sample_count; i++) {
    const struct sample *sample = &gpu->samples[i % MAX_SAMPLES];
    if (sample->at_us <= after_us) continue;
    if (out && found < room)
      out[found] = (nvmlProcessUtilizationSample_t){sample->pid, sample->at_us, sample->sm_percent,
                                                    sample->memory_percent, 0, 0};
    found++;
  }
  if (!found) {
    *count = 0;
    return release(NOT_FOUND);
  }
  *count = found;
  return release(!out || room < found ? INSUFFICIENT_SIZE : SUCCESS);
}

typedef struct {
  unsigned pid;
  unsigned long long usedGpuMemory;
  unsigned gpuInstanceId, computeInstanceId;
} nvmlProcessInfo_t;

static nvmlReturn_t give_processes(const struct target *at, unsigned *count, nvmlProcessInfo_t *out) {
  unsigned room = *count, found = 0;
  for (unsigned i = 0; i < at->gpu->process_count; i++) {
    const struct process *process = &at->gpu->processes[i];
    const struct mig_device *mig = process->mig ? &at->gpu->board.mig[process->mig - 1] : NULL;
    if (at->mig && mig != at->mig) continue;
    if (out && found < room)
      out[found] = (nvmlProcessInfo_t){process->pid, process->memory_bytes, mig ? mig->gpu_instance : 0xffffffffu,
                                       mig ? mig->compute_instance : 0xffffffffu};
    found++;
  }
  *count = found;
  return release(found && (!out || room < found) ? INSUFFICIENT_SIZE : SUCCESS);
}

API nvmlReturn_t nvmlDeviceGetComputeRunningProcesses_v3(nvmlDevice_t device, unsigned *count, nvmlProcessInfo_t *out) {
  DEVICE_CALL(device, count);
  return give_processes(&at, count, out);
}

API nvmlReturn_t nvmlDeviceGetComputeRunningProcesses_v2(nvmlDevice_t device, unsigned *count, nvmlProcessInfo_t *out) {
  DEVICE_CALL(device, count);
  return give_processes(&at, count, out);
}

/* Nothing here draws pictures or runs under MPS. */
API nvmlReturn_t nvmlDeviceGetGraphicsRunningProcesses_v3(nvmlDevice_t device, unsigned *count,
                                                          nvmlProcessInfo_t *out) {
  DEVICE_CALL(device, count);
  (void)out;
  *count = 0;
  return release(SUCCESS);
}

API nvmlReturn_t nvmlDeviceGetMPSComputeRunningProcesses_v3(nvmlDevice_t device, unsigned *count,
                                                            nvmlProcessInfo_t *out) {
  DEVICE_CALL(device, count);
  (void)out;
  *count = 0;
  return release(SUCCESS);
}
