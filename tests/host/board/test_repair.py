"""What is missing is asked for when something later arrives, or after silence, and not before."""

from concurrent.futures import Future

from focalloop.firmware_sim.wire import ResendRequest
from focalloop.host.board.repair import (
    CHATTER_S,
    DESCRIPTOR_ONLY,
    MAX_REPAIRS,
    QUIET_S,
    Repairs,
    SilenceWatch,
)

WINDOW_BYTES = 1000


class Asked(list):
    """Repairs of windows of which nothing has come, and the requests that they sent."""

    def __init__(self, first=5):
        super().__init__()
        self.repairs = Repairs(self.missing, self.append)
        self.repairs.begin(first)

    @staticmethod
    def missing(number, start, stop):
        return [ResendRequest(number, start, (stop or WINDOW_BYTES) - start)]

    def arrive(self, number, offset, length=100, described=True):
        self.repairs.fragment_arrived(number, offset, length, described)


def test_a_gap_in_a_window_is_asked_for_by_the_next_fragment():
    asked = Asked()
    asked.arrive(5, 0)
    asked.arrive(5, 300)
    assert asked == [ResendRequest(5, 100, 200)]
    assert asked.repairs.edge == (5, 400)


def test_skipped_windows_are_asked_for_by_a_later_descriptor():
    asked = Asked()
    asked.arrive(5, 0)
    asked.repairs.descriptor_arrived(7)
    assert asked == [ResendRequest(5, 100, 900), ResendRequest(6, 0, 1000)]


def test_a_lost_descriptor_is_asked_for_once_and_without_its_readout():
    asked = Asked()
    asked.arrive(5, 0, described=False)
    asked.arrive(5, 100, described=False)
    assert asked == [ResendRequest(5, DESCRIPTOR_ONLY)]


def test_a_lost_repair_is_asked_for_again_after_its_turn_and_only_then():
    asked = Asked()
    asked.arrive(5, 0)
    asked.arrive(5, 200)
    asked.arrive(5, 400)
    first, second = asked
    asked.arrive(5, 500)  # the board has not answered, so it may have sent this before
    assert len(asked) == 2
    asked.repairs.answered(first)
    asked.repairs.answered(second)
    asked.arrive(5, 300)  # the second repair: the turn of the first is over
    assert asked[2:] == [ResendRequest(5, 100, 100)]
    asked.arrive(5, 600)  # new data: the turn of the second is over too
    assert asked[3:] == [ResendRequest(5, 300, 100)]


def test_repairs_under_way_are_limited():
    asked = Asked()
    asked.repairs.nothing_under_way(5, 5 + 2 * MAX_REPAIRS)
    assert len(asked) == len(asked.repairs) == MAX_REPAIRS


class Line:
    """A line that has been silent since `last_byte_s`, and the board's answers to come."""

    def __init__(self):
        self.questions = []
        self.watch = SilenceWatch(self.ask)
        self.last_byte_s = 10.0

    def ask(self):
        self.questions.append(Future())
        return self.questions[-1]

    def answer(self, now_s):
        self.last_byte_s = now_s
        self.watch.answered(now_s)
        self.questions[-1].set_result(b"")

    def nothing_under_way(self, after_s):
        return self.watch.nothing_under_way(self.last_byte_s, self.last_byte_s + after_s)


def test_only_silence_after_an_answer_means_that_nothing_is_under_way():
    line = Line()
    assert not line.nothing_under_way(QUIET_S / 2)
    assert not line.questions
    for _ in range(3):  # one question at a time
        assert not line.nothing_under_way(2 * QUIET_S)
    assert len(line.questions) == 1
    line.answer(11.0)
    assert not line.nothing_under_way(QUIET_S / 2)
    assert line.nothing_under_way(2 * QUIET_S)


def test_bytes_after_the_answer_start_it_again():
    line = Line()
    line.nothing_under_way(2 * QUIET_S)
    line.answer(11.0)
    line.last_byte_s = 11.1
    assert not line.nothing_under_way(2 * QUIET_S)
    assert len(line.questions) == 2


def test_silence_is_reported_once_per_answer():
    line = Line()
    line.nothing_under_way(2 * QUIET_S)
    line.answer(11.0)
    assert line.nothing_under_way(2 * QUIET_S)
    assert not line.nothing_under_way(3 * QUIET_S)
    assert len(line.questions) == 2


def test_questions_and_logs_without_end_do_not_hide_that_no_data_comes():
    line = Line()
    line.watch.data_arrived(10.0)
    line.last_byte_s = 10.0 + CHATTER_S  # other threads keep the line busy
    assert not line.nothing_under_way(QUIET_S / 2)
    line.last_byte_s += 1.0
    assert not line.nothing_under_way(0.0)
    assert len(line.questions) == 1
    line.answer(line.last_byte_s)
    line.last_byte_s += 2 * QUIET_S
    assert line.nothing_under_way(0.0)
    line.last_byte_s += 2 * QUIET_S
    assert not line.nothing_under_way(0.0)  # what was asked for gets its time
    assert len(line.questions) == 1
