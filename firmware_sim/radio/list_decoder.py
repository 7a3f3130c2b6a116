"""The compiled loops of the polar code: its checksum, and successive cancellation with a list.

Bits are decided in order; a *path* is one sequence of decisions, and of all paths the most likely
`width` survive each decision (Tal and Vardy, IEEE Transactions on Information Theory 61(5), 2015),
with path metrics of log-likelihood ratios (Balatsoukas-Stimming et al., IEEE Transactions on Signal
Processing 63(19), 2015).

The code word is a binary tree: *layer* 0 is its root with all N values, layer s has 2^s nodes of
N/2^s values each, and the leaves are the bits. Of every layer a path needs one node at a time, so a
*slot* holds one node of every layer, one layer after another. All paths enter a node together, each
writing its own slot; until then, a path that was copied refers to the slots of its original, so no
layer is ever copied.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from focalloop.firmware_sim.kernel_cache import kernel

CHECKSUM_BITS = 24

_POLYNOMIAL = 0xB2B117
"""CRC24C of 3GPP TS 38.212, section 5.1, without its leading power."""

_PRESET = 0xFFFFFF
"""Not zero, so that zeros, which are a word of every linear code, are no valid block."""


@kernel
def checksum(bits: NDArray[np.uint8]) -> int:
    """Return the CRC-24 of bits, first bit first."""
    register = _PRESET
    for bit in bits:
        carry = (register >> (CHECKSUM_BITS - 1)) ^ bit
        register = (register << 1) & _PRESET
        if carry:
            register ^= _POLYNOMIAL
    return register


@kernel
def paths_of(
    ratios: NDArray[np.float32], frozen: NDArray[np.bool_], width: int
) -> NDArray[np.uint8]:
    """Decode one word.

    Parameters
    ----------
    ratios : (N,) float32
        Log-likelihood ratios of the coded bits, positive for 0; N is a power of two, 2 or more.
    frozen : (N,) bool
        The bits that are 0.
    width : int
        Paths to keep.

    Returns
    -------
    (paths, K) uint8
        The bits that are not frozen, at most `width` times, the likeliest path first.
    """
    size = ratios.size
    layers = 0
    while 1 << layers < size:
        layers += 1
    # Where the node of a layer begins in a slot; layer 0 is `ratios` for all paths.
    start = np.zeros(layers + 2, np.int64)
    for layer in range(1, layers + 1):
        start[layer + 1] = start[layer] + (size >> layer)
    leaf = start[layers]

    # Ratios of a node, its bits if it is a left child, and those of the node that was just decided.
    node_ratios = np.zeros((width, size), np.float32)
    left_bits = np.zeros((width, size), np.uint8)
    new_bits = np.zeros((width, size), np.uint8)
    ratios_slot = np.zeros((width, layers + 1), np.int64)
    left_slot = np.zeros((width, layers + 1), np.int64)

    decided = np.zeros((width, size), np.uint8)
    metric = np.zeros(width, np.float32)
    paths, count = 1, 0
    fork = np.zeros(2 * width, np.float32)
    ranked = np.zeros(2 * width, np.int64)
    kept = np.zeros(2 * width, np.bool_)

    for phase in range(size):
        # Down: every node on the way to this leaf that the last leaf did not share.
        layer = 1
        if phase > 0:
            layer = layers
            while (phase >> (layers - layer)) & 1 == 0:
                layer -= 1
        for below in range(layer, layers + 1):
            half = size >> below
            here = start[below]
            is_right = (phase >> (layers - below)) & 1
            for path in range(paths):
                if below == 1:
                    above = ratios
                else:
                    begin = start[below - 1]
                    above = node_ratios[ratios_slot[path, below - 1], begin : begin + 2 * half]
                into = node_ratios[path, here : here + half]
                if is_right:
                    left = left_bits[left_slot[path, below], here : here + half]
                    for i in range(half):
                        into[i] = above[half + i] + (-above[i] if left[i] else above[i])
                else:
                    for i in range(half):
                        a, b = above[i], above[half + i]
                        smaller = min(abs(a), abs(b))
                        into[i] = smaller if (a < 0) == (b < 0) else -smaller
            for path in range(paths):
                ratios_slot[path, below] = path

        if frozen[phase]:
            for path in range(paths):
                ratio = node_ratios[ratios_slot[path, layers], leaf]
                metric[path] += max(-ratio, np.float32(0))
                new_bits[path, leaf] = 0
        else:
            for path in range(paths):
                ratio = node_ratios[ratios_slot[path, layers], leaf]
                fork[2 * path] = metric[path] + max(-ratio, np.float32(0))
                fork[2 * path + 1] = metric[path] + max(ratio, np.float32(0))
            for candidate in range(2 * paths):
                place = candidate
                while place > 0 and fork[ranked[place - 1]] > fork[candidate]:
                    ranked[place] = ranked[place - 1]
                    place -= 1
                ranked[place] = candidate
            kept[:] = False
            kept[ranked[: min(2 * paths, width)]] = True
            before, free = paths, 0
            for path in range(before):
                if kept[2 * path] and kept[2 * path + 1]:
                    # The 1 goes to the place of a path that is dropped, or to a new one.
                    while free < before and (kept[2 * free] or kept[2 * free + 1]):
                        free += 1
                    copy = free
                    if free == before:
                        copy = paths
                        paths += 1
                    else:
                        free += 1
                    ratios_slot[copy] = ratios_slot[path]
                    left_slot[copy] = left_slot[path]
                    decided[copy, :count] = decided[path, :count]
                    decided[copy, count] = 1
                    new_bits[copy, leaf] = 1
                    metric[copy] = fork[2 * path + 1]
                    kept[2 * path + 1] = False
                if kept[2 * path] or kept[2 * path + 1]:
                    bit = 0 if kept[2 * path] else 1
                    decided[path, count] = bit
                    new_bits[path, leaf] = bit
                    metric[path] = fork[2 * path + bit]
            count += 1

        # Up: a right child completes its parent, and so on to the first left child.
        layer = layers
        while layer > 1 and (phase >> (layers - layer)) & 1:
            half = size >> layer
            here, parent = start[layer], start[layer - 1]
            for path in range(paths):
                left = left_bits[left_slot[path, layer], here : here + half]
                right = new_bits[path, here : here + half]
                for i in range(half):
                    new_bits[path, parent + i] = left[i] ^ right[i]
                    new_bits[path, parent + half + i] = right[i]
            layer -= 1
        here, end = start[layer], start[layer + 1]
        for path in range(paths):
            left_bits[path, here:end] = new_bits[path, here:end]
            left_slot[path, layer] = path

    found = np.zeros((paths, count), np.uint8)
    best_first = np.argsort(metric[:paths])
    for place in range(paths):
        found[place] = decided[best_first[place], :count]
    return found
