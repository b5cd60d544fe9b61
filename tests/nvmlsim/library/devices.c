/* What is there: the system, its GPUs, their memory and their division by MIG. */
#include "session.h"

#include <stdio.h>
#include <string.h>

/* ---- The system. ---- */

API nvmlReturn_t nvmlSystemGetDriverVersion(char *version, unsigned length) {
  SYSTEM_CALL();
  return give_text(state->driver_version, version, length);
}

API nvmlReturn_t nvmlSystemGetNVMLVersion(char *version, unsigned length) {
  SYSTEM_CALL();
  return give_text(state->nvml_version, version, length);
}

API nvmlReturn_t nvmlSystemGetCudaDriverVersion_v2(int *version) {
  if (!version) return INVALID_ARGUMENT;
  SYSTEM_CALL();
  *version = (int)state->cuda_version;
  return release(SUCCESS);
}

API nvmlReturn_t nvmlSystemGetCudaDriverVersion(int *version) { return nvmlSystemGetCudaDriverVersion_v2(version); }

API nvmlReturn_t nvmlDeviceGetCount_v2(unsigned *count) {
  if (!count) return INVALID_ARGUMENT;
  SYSTEM_CALL();
  *count = state->gpu_count;
  return release(SUCCESS);
}

/* Give a handle out, and end the call. */
static nvmlReturn_t give_handle(const char *call, unsigned gpu, unsigned mig, nvmlDevice_t *device) {
  struct rule *fails = rule_for(RULE_FAIL, call, &state->gpus[gpu]);
  if (state->gpus[gpu].readings.lost) return release(GPU_IS_LOST);
  if (fails && fails->gpu) return release(use(fails));
  *device = handle_of(gpu, mig);
  return release(SUCCESS);
}

API nvmlReturn_t nvmlDeviceGetHandleByIndex_v2(unsigned index, nvmlDevice_t *device) {
  if (!device) return INVALID_ARGUMENT;
  SYSTEM_CALL();
  if (index >= state->gpu_count) return release(INVALID_ARGUMENT);
  return give_handle(__func__, index, 0, device);
}

API nvmlReturn_t nvmlDeviceGetHandleByUUID(const char *uuid, nvmlDevice_t *device) {
  if (!device || !uuid) return INVALID_ARGUMENT;
  SYSTEM_CALL();
  for (unsigned gpu = 0; gpu < state->gpu_count; gpu++) {
    const struct board *board = &state->gpus[gpu].board;
    if (!strcmp(board->uuid, uuid)) return give_handle(__func__, gpu, 0, device);
    for (unsigned mig = 0; mig < board->mig_count; mig++)
      if (!strcmp(board->mig[mig].uuid, uuid)) return give_handle(__func__, gpu, mig + 1, device);
  }
  return release(NOT_FOUND);
}

/* ---- What a device is. ---- */

API nvmlReturn_t nvmlDeviceGetUUID(nvmlDevice_t device, char *uuid, unsigned length) {
  DEVICE_CALL(device, uuid);
  return give_text(at.mig ? at.mig->uuid : at.gpu->board.uuid, uuid, length);
}

API nvmlReturn_t nvmlDeviceGetName(nvmlDevice_t device, char *name, unsigned length) {
  DEVICE_CALL(device, name);
  return give_text(at.mig ? at.mig->name : at.gpu->board.name, name, length);
}

NUMBER(GPU_CALL, nvmlDeviceGetIndex, unsigned, 1, at.gpu - state->gpus)
NUMBER(GPU_CALL, nvmlDeviceGetMinorNumber, unsigned, 1, at.gpu - state->gpus)
NUMBER(DEVICE_CALL, nvmlDeviceGetArchitecture, unsigned, 1, board->architecture)
NUMBER(GPU_CALL, nvmlDeviceGetPersistenceMode, unsigned, 1, 1)
NUMBER(GPU_CALL, nvmlDeviceGetPerformanceState, unsigned, 1, readings->utilization_percent ? 0 : 8)

API nvmlReturn_t nvmlDeviceGetCudaComputeCapability(nvmlDevice_t device, int *major, int *minor) {
  DEVICE_CALL(device, major && minor);
  *major = (int)at.gpu->board.compute_major;
  *minor = (int)at.gpu->board.compute_minor;
  return release(SUCCESS);
}

typedef struct {
  char busIdLegacy[16];
  unsigned domain, bus, device, pciDeviceId, pciSubSystemId;
  char busId[32];
} nvmlPciInfo_t;

API nvmlReturn_t nvmlDeviceGetPciInfo_v3(nvmlDevice_t device, nvmlPciInfo_t *pci) {
  GPU_CALL(device, pci);
  memset(pci, 0, sizeof *pci);
  pci->bus = 0x10 + (unsigned)(at.gpu - state->gpus);
  pci->pciDeviceId = 0x000010de;
  snprintf(pci->busIdLegacy, sizeof pci->busIdLegacy, "0000:%02X:00.0", pci->bus);
  snprintf(pci->busId, sizeof pci->busId, "00000000:%02X:00.0", pci->bus);
  return release(SUCCESS);
}

/* ---- Memory. ---- */

typedef struct {
  unsigned long long total, free, used;
} nvmlMemory_t;

typedef struct {
  unsigned version;
  unsigned long long total, reserved, free, used;
} nvmlMemory_v2_t;

static void memory_of(const struct target *at, unsigned long long *total, unsigned long long *used) {
  *total = at->mig ? at->mig->memory_bytes : at->gpu->board.memory_bytes;
  *used = 0;
  for (unsigned i = 0; i < at->gpu->process_count; i++) {
    const struct process *process = &at->gpu->processes[i];
    if (!at->mig || (process->mig && &at->gpu->board.mig[process->mig - 1] == at->mig)) *used += process->memory_bytes;
  }
  if (*used > *total) *used = *total;
}

API nvmlReturn_t nvmlDeviceGetMemoryInfo(nvmlDevice_t device, nvmlMemory_t *memory) {
  DEVICE_CALL(device, memory);
  memory_of(&at, &memory->total, &memory->used);
  memory->free = memory->total - memory->used;
  return release(SUCCESS);
}

API nvmlReturn_t nvmlDeviceGetMemoryInfo_v2(nvmlDevice_t device, nvmlMemory_v2_t *memory) {
  DEVICE_CALL(device, memory);
  if (memory->version != (sizeof *memory | 2u << 24)) return release(ARGUMENT_VERSION_MISMATCH);
  memory_of(&at, &memory->total, &memory->used);
  memory->reserved = 0;
  memory->free = memory->total - memory->used;
  return release(SUCCESS);
}

/* ---- MIG. ---- */

API nvmlReturn_t nvmlDeviceGetMigMode(nvmlDevice_t device, unsigned *current, unsigned *pending) {
  GPU_CALL(device, current && pending);
  if (!(at.gpu->board.capabilities & CAN_MIG)) return release(NOT_SUPPORTED);
  *current = *pending = at.gpu->board.mig_enabled;
  return release(SUCCESS);
}

NUMBER(GPU_CALL, nvmlDeviceGetMaxMigDeviceCount, unsigned, 1, board->capabilities &CAN_MIG ? MAX_MIG : 0)
NUMBER(DEVICE_CALL, nvmlDeviceIsMigDeviceHandle, unsigned, 1, at.mig != NULL)

API nvmlReturn_t nvmlDeviceGetMigDeviceHandleByIndex(nvmlDevice_t device, unsigned index, nvmlDevice_t *mig) {
  GPU_CALL(device, mig);
  if (!(at.gpu->board.capabilities & CAN_MIG)) return release(NOT_SUPPORTED);
  if (index >= MAX_MIG) return release(INVALID_ARGUMENT);
  if (!at.gpu->board.mig_enabled || index >= at.gpu->board.mig_count) return release(NOT_FOUND);
  *mig = handle_of((unsigned)(at.gpu - state->gpus), index + 1);
  return release(SUCCESS);
}

API nvmlReturn_t nvmlDeviceGetDeviceHandleFromMigDeviceHandle(nvmlDevice_t mig, nvmlDevice_t *device) {
  DEVICE_CALL(mig, device);
  if (!at.mig) return release(INVALID_ARGUMENT);
  *device = handle_of((unsigned)(at.gpu - state->gpus), 0);
  return release(SUCCESS);
}

typedef struct {
  unsigned multiprocessorCount, sharedCopyEngineCount, sharedDecoderCount, sharedEncoderCount, sharedJpegCount,
      sharedOfaCount, gpuInstanceSliceCount, computeInstanceSliceCount;
  unsigned long long memorySizeMB;
} nvmlDeviceAttributes_t;

API nvmlReturn_t nvmlDeviceGetAttributes_v2(nvmlDevice_t device, nvmlDeviceAttributes_t *attributes) {
  DEVICE_CALL(device, attributes);
  if (!at.mig) return release(NOT_SUPPORTED);
  memset(attributes, 0, sizeof *attributes);
  attributes->multiprocessorCount = 14 * at.mig->slices;
  attributes->sharedCopyEngineCount = at.mig->slices;
  attributes->gpuInstanceSliceCount = at.mig->slices;
  attributes->computeInstanceSliceCount = at.mig->slices;
  attributes->memorySizeMB = at.mig->memory_bytes >> 20;
  return release(SUCCESS);
}

NUMBER(DEVICE_CALL, nvmlDeviceGetGpuInstanceId, unsigned, at.mig, at.mig->gpu_instance)
NUMBER(DEVICE_CALL, nvmlDeviceGetComputeInstanceId, unsigned, at.mig, at.mig->compute_instance)
