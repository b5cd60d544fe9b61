/* Sizes and places of the state file, for the test that compares them with state.py. */
#include "session.h"

API const unsigned long nvmlsimLayout[] = {
    sizeof(struct state),  offsetof(struct state, gpus),       offsetof(struct state, calls), sizeof(struct gpu),
    sizeof(struct board),  sizeof(struct mig_device),          sizeof(struct readings),       sizeof(struct rule),
    sizeof(struct call),   offsetof(struct gpu, readings),     offsetof(struct gpu, samples), sizeof(struct sample),
    sizeof(struct process), offsetof(struct gpu, processes),   sizeof(struct control),
};
