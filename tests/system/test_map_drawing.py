"""What the map editor paints, undoes and saves: its modules, in a browser, against NumPy."""

import numpy as np
import pytest

from focalloop.firmware_sim.maps.tiles import repeat

LEVELS = (0, 1, 2, 4, 8)
SHAPE = (12, 17)

PAINT = """async ([width, height, levels, symmetry, acts]) => {
  const { Drawing } = await import("/web/views/map/drawing.js");
  const drawing = new Drawing(width, height, Uint8Array.from(levels));
  Object.assign(drawing, { symmetry: { ...drawing.symmetry, ...symmetry } });
  return acts.map(([act, spans, level]) => {
    const happened = act === "paint" ? drawing.paint(spans, () => level) : drawing[act]();
    return [[...drawing.levels], [...drawing.counts], happened ?? null];
  });
}"""


@pytest.fixture
def page(modules):
    return modules


def paint(page, levels, acts, **symmetry):
    """The levels after each act; each act is ``[name]`` or ``["paint", spans, level]``."""
    height, width = levels.shape
    given = [width, height, levels.ravel().tolist(), symmetry, acts]
    states = page.evaluate(PAINT, given)
    for flat, counts, _ in states:
        assert counts == np.bincount(flat, minlength=256).tolist()
    return [np.reshape(flat, levels.shape) for flat, *_ in states], [state[2] for state in states]


def random_spans(rng, shape):
    """Spans as a tool makes them, some beyond the map."""
    rows = rng.integers(-2, shape[0] + 2, 4)
    starts = rng.integers(-3, shape[1], 4)
    return [
        int(v) for y, x in zip(rows, starts, strict=True) for v in (y, x, x + rng.integers(0, 9))
    ]


def painted(levels, spans, level):
    result = levels.copy()
    for y, start, end in np.reshape(spans, (-1, 3)):
        if 0 <= y < len(levels):
            result[y, max(0, start) : max(0, end)] = level
    return result


def test_every_step_is_undone_and_redone(page):
    rng = np.random.default_rng(0)
    first = rng.choice(LEVELS, SHAPE)
    states, acts = [first], []
    for _ in range(40):
        spans, level = random_spans(rng, SHAPE), int(rng.choice(LEVELS))
        after = painted(states[-1], spans, level)
        acts += [["paint", spans, level], ["commit"]]
        if (after != states[-1]).any():
            states.append(after)
    count = len(states) - 1
    seen, happened = paint(page, first, acts + [["undo"]] * (count + 1) + [["redo"]] * (count + 1))
    np.testing.assert_array_equal(seen[len(acts) - 1], states[-1])
    undone = seen[len(acts) : len(acts) + count]
    np.testing.assert_array_equal(undone, states[-2::-1])
    redone = seen[len(acts) + count + 1 : -1]
    np.testing.assert_array_equal(redone, states[1:])
    assert happened[len(acts) + count] is happened[-1] is False


def test_a_hundred_steps_are_kept(page):
    blank = np.zeros(SHAPE, int)
    acts = []
    for i in range(120):
        acts += [["paint", [i % 12, i // 12, i // 12 + 1], 4], ["commit"]]
    seen, happened = paint(page, blank, acts + [["undo"]] * 101)
    assert happened[-2:] == [True, False]
    assert np.count_nonzero(seen[-1]) == 20


def test_a_cancelled_stroke_leaves_no_trace(page):
    levels = np.random.default_rng(1).choice(LEVELS, SHAPE)
    acts = [["paint", [2, 0, 9, 3, 1, 5], 8], ["cancel"], ["commit"], ["undo"]]
    seen, happened = paint(page, levels, acts)
    assert (seen[0] != levels).any()
    np.testing.assert_array_equal(seen[1], levels)
    assert happened[2:] == [False, False]


@pytest.mark.parametrize("across", [False, True])
@pytest.mark.parametrize("down", [False, True])
@pytest.mark.parametrize("tile", [(12, 17), (4, 4), (3, 5)])
def test_a_tile_repeats_and_mirrors(page, tile, across, down):
    levels = np.random.default_rng(2).choice(LEVELS, SHAPE)
    cells = np.zeros(tile, bool)
    cells[1, 0:2] = cells[2, 1] = True
    spans = [1, 0, 2, 2, 1, 2]
    whole = tile == SHAPE
    sides = {} if whole else {"tileWidth": tile[1], "tileHeight": tile[0]}
    (seen,), _ = paint(page, levels, [["paint", spans, 8]], across=across, down=down, **sides)
    if across:
        cells |= cells[:, ::-1]
    if down:
        cells |= cells[::-1]
    np.testing.assert_array_equal(seen, np.where(repeat(cells, *SHAPE), 8, levels))


COVER = """async ([name, levels, width, x, y]) => {
  const strokes = await import("/web/views/map/strokes.js");
  return strokes[name](Uint8Array.from(levels), width, { x, y });
}"""


def covered(page, name, levels, x, y):
    """The cells of a fill; each is covered once."""
    flat = levels.ravel().tolist()
    spans = page.evaluate(COVER, [name, flat, levels.shape[1], x, y])
    cells = [(x, y) for y, start, end in np.reshape(spans, (-1, 3)) for x in range(start, end)]
    assert len(cells) == len(set(cells))
    return set(cells)


def hanging_together(levels, x, y):
    """The cells that a fill reaches, step by step."""
    found, waiting, level = set(), [(x, y)], levels[y, x]
    while waiting:
        x, y = waiting.pop()
        inside = 0 <= y < levels.shape[0] and 0 <= x < levels.shape[1]
        if inside and levels[y, x] == level and (x, y) not in found:
            found.add((x, y))
            waiting += [(x - 1, y), (x + 1, y), (x, y - 1), (x, y + 1)]
    return found


@pytest.mark.parametrize("seed", range(6))
def test_a_fill_takes_what_hangs_together_or_every_cell_of_a_level(page, seed):
    rng = np.random.default_rng(seed)
    levels = rng.choice((0, 4), (14, 19), p=(0.6, 0.4))
    x, y = int(rng.integers(19)), int(rng.integers(14))
    assert covered(page, "region", levels, x, y) == hanging_together(levels, x, y)
    rows, columns = np.nonzero(levels == levels[y, x])
    everywhere = set(zip(columns.tolist(), rows.tolist(), strict=True))
    assert covered(page, "everywhere", levels, x, y) == everywhere
