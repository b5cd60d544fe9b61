"""Published energy per operation and per byte, by kind of hardware, each figure with where it is from.

What must hold: no figure without its source, and none that its source does not give, other than sums of such and
changes of unit, which are told. What a source leaves out stands in the remarks. A multiply-add is one operation here: a
chip's operations per second and watt count it as two.

A synaptic operation is one spike through one connection, a neuron update one time step of one leaky neuron. On digital
logic the first is an addition, the second a multiply-add (leak and input) and a further addition (threshold).
"""

from __future__ import annotations

from collections.abc import Mapping

from frugal.costs.technology import Figure, Technology

BITS = 8
WORD_BYTES = 8  # memory accesses of Horowitz and of Jouppi et al. are of 64 bits

HOROWITZ = "Horowitz, Computing's energy problem (and what we can do about it), ISSCC 2014, figure 1.1.9"
JOUPPI = "Jouppi et al., Ten Lessons From Three Generations Shaped Google's TPUv4i, ISCA 2021, table 2"
OCONNOR = (
    "O'Connor et al., Fine-Grained DRAM: Energy-Efficient DRAM for Extreme Bandwidth Systems, MICRO 2017, section 2"
)
LEE = "Lee et al., Architecting Phase Change Memory as a Scalable DRAM Alternative, ISCA 2009, technology parameters"
LE_GALLO = (
    "Le Gallo et al., A 64-core mixed-signal in-memory compute chip based on phase-change memory for deep neural "
    "network inference, Nature Electronics 6, 2023"
)
SPAGNOLO = (
    "Spagnolo et al., Energy-Efficient Architecture for CNNs Inference on Heterogeneous FPGA, Journal of Low Power "
    "Electronics and Applications 10(1), 2020"
)
DAVIES = (
    "Davies et al., Loihi: A Neuromorphic Manycore Processor with On-Chip Learning, IEEE Micro 38(1), 2018, table 2"
)
MEROLLA = (
    "Merolla et al., A million spiking-neuron integrated circuit with a scalable communication network and interface, "
    "Science 345, 2014"
)

ARITHMETIC_ONLY = "Arithmetic and the bytes that are named: no control, clock, wires between the units, or leakage."


def _sum(source: str, what: str, *picojoules: float) -> Figure:
    return Figure(picojoules=sum(picojoules), source=f"{source}: {what}")


def _word(source: str, what: str, picojoules: float) -> Figure:
    return Figure(picojoules=picojoules / WORD_BYTES, source=f"{source}: {what}, {picojoules:g} pJ for 64 bits")


def _bits(source: str, what: str, picojoules: float) -> Figure:
    return Figure(picojoules=picojoules * BITS, source=f"{source}: {what}, {picojoules:g} pJ for a bit")


LOGIC_45NM: Mapping[str, Figure] = {
    "mac-fp32": _sum(HOROWITZ, "32-bit float multiplication and addition", 3.7, 0.9),
    "mac-fp16": _sum(HOROWITZ, "16-bit float multiplication and addition", 1.1, 0.4),
    "mac-int8": _sum(HOROWITZ, "8-bit multiplication, and addition to a 32-bit sum", 0.2, 0.1),
    "ac-fp32": _sum(HOROWITZ, "32-bit float addition", 0.9),
    "ac-int8": _sum(HOROWITZ, "addition to a 32-bit sum", 0.1),
    "synaptic-op": _sum(HOROWITZ, "32-bit float addition", 0.9),
    "neuron-update": _sum(HOROWITZ, "32-bit float multiplication and two additions", 3.7, 0.9, 0.9),
}
LOGIC_7NM: Mapping[str, Figure] = {
    "mac-fp32": _sum(JOUPPI, "32-bit float multiplication and addition", 1.31, 0.38),
    "mac-fp16": _sum(JOUPPI, "16-bit float multiplication and addition", 0.34, 0.16),
    "mac-bf16": _sum(JOUPPI, "bf16 multiplication and addition", 0.21, 0.11),
    "mac-int8": _sum(JOUPPI, "8-bit multiplication, and addition to a 32-bit sum", 0.07, 0.03),
    "ac-fp32": _sum(JOUPPI, "32-bit float addition", 0.38),
    "ac-int8": _sum(JOUPPI, "addition to a 32-bit sum", 0.03),
    "synaptic-op": _sum(JOUPPI, "32-bit float addition", 0.38),
    "neuron-update": _sum(JOUPPI, "32-bit float multiplication and two additions", 1.31, 0.38, 0.38),
}
SRAM_45NM = _word(HOROWITZ, "cache of 1 MB", 100)
DRAM = _word(HOROWITZ, "DRAM, the lower end of 1.3 to 2.6 nJ", 1300)

TECHNOLOGIES: Mapping[str, Technology] = {
    technology.name: technology
    for technology in (
        Technology(
            name="45nm",
            operations=LOGIC_45NM,
            bytes={"dram": DRAM, "sram": SRAM_45NM},
            remarks=f"A processor of 45 nm at 0.9 V with DRAM outside it. {ARITHMETIC_ONLY}",
        ),
        Technology(
            name="7nm-asic",
            operations=LOGIC_7NM,
            bytes={"dram": DRAM},
            remarks=f"The logic of an accelerator of 7 nm with DRAM outside it. {ARITHMETIC_ONLY}",
        ),
        Technology(
            name="7nm-asic-hbm",
            operations=LOGIC_7NM,
            bytes={"dram": _bits(OCONNOR, "access to HBM2", 3.92)},
            remarks="The same logic with memory near it: stacked DRAM on the same carrier. The stack's own figure, "
            f"without the memory controller. {ARITHMETIC_ONLY}",
        ),
        Technology(
            name="fpga",
            operations={"mac-int8": Figure(picojoules=2e3 / 135, source=f"{SPAGNOLO}: up to 135 Gops/W, XC7Z045")},
            bytes={},
            remarks="A 28 nm FPGA at its best on convolutions of 8 bits; memory outside the chip and a chip that waits "
            "are left out.",
        ),
        Technology(
            name="pcm-memory",
            operations=LOGIC_45NM,
            bytes={
                "nvm-read": Figure(
                    picojoules=(2.47 + 0.93) * BITS,
                    source=f"{LEE}: array read and row buffer, 2.47 + 0.93 pJ for a bit",
                ),
                "nvm-write": Figure(
                    picojoules=(16.82 + 1.02) * BITS,
                    source=f"{LEE}: array write and row buffer, 16.82 + 1.02 pJ for a bit",
                ),
            },
            remarks="45 nm logic with its weights in phase-change memory. The memory's cells and buffers only: the way "
            "to the processor, which DRAM's figures have in them, is left out, and so is what non-volatile memory "
            f"saves: refresh and standby. {ARITHMETIC_ONLY}",
        ),
        Technology(
            name="pcm-in-memory",
            operations={
                "mac-int8": Figure(
                    picojoules=2 / 2.48, source=f"{LE_GALLO}: 2.48 TOPS/W, 8-bit inputs and outputs, four phases"
                )
            },
            bytes={
                "in-memory": Figure(picojoules=0.0, source=f"{LE_GALLO}: weights are where they are multiplied with")
            },
            remarks="Weights as conductances of phase-change memory, 14 nm, at peak throughput with every cell in use; "
            "analog weights are less exact than 8 bits, and writing them is left out.",
        ),
        Technology(
            name="loihi",
            operations={
                "synaptic-op": Figure(picojoules=23.6, source=f"{DAVIES}: synaptic spike operation, minimum"),
                "neuron-update": Figure(picojoules=81.0, source=f"{DAVIES}: neuron update, active (52 pJ inactive)"),
            },
            bytes={},
            remarks="Neuromorphic chip of 14 nm, simulated before it was made, so no measurement; spikes that leave "
            "their tile (3 to 4 pJ a hop), the processors that feed it and power at rest are left out. No "
            "multipliers: takes rate-coded inputs only.",
        ),
        Technology(
            name="loihi-with-host",
            operations={
                "mac-fp32": LOGIC_45NM["mac-fp32"],
                "synaptic-op": Figure(picojoules=23.6, source=f"{DAVIES}: synaptic spike operation, minimum"),
                "neuron-update": Figure(picojoules=81.0, source=f"{DAVIES}: neuron update, active (52 pJ inactive)"),
            },
            bytes={},
            remarks="Loihi, with the first layer's multiply-adds on a 45 nm processor beside it; what carries the "
            "currents between the two is left out, and so is what Loihi's own figures leave out.",
        ),
        Technology(
            name="truenorth",
            operations={
                "synaptic-op": Figure(
                    picojoules=26.0, source=f"{MEROLLA}: the chip's power by its synaptic events, 20 Hz, 128 synapses"
                ),
                "neuron-update": Figure(picojoules=0.0, source=f"{MEROLLA}: within the synaptic operation's figure"),
            },
            bytes={},
            remarks="Neuromorphic chip of 28 nm, measured as a whole at one load, with its power at rest: at lower "
            "loads an operation costs more. Its synapses are on or off, in four strengths: other networks than these "
            "would have to be trained for it. No multipliers: takes rate-coded inputs only.",
        ),
    )
}
