"""Leases by a clock that the test sets."""

import json
from dataclasses import replace

import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from hypothesis.strategies import data, sampled_from

from focalloop.host.lab.leases import (
    WAITING_S,
    LeaseRefusedError,
    Leases,
    NoLeaseError,
    UnknownBoardError,
)
from focalloop.host.lab.settings import BoardSettings, LabSettings


class Bench:
    """Leases of the boards north, south and west, whose boards are at rest at once."""

    def __init__(self):
        self.now_s, self.ended = 1000.0, []
        boards = {
            name: BoardSettings(name, port=name, tags=tags)
            for name, tags in (("north", ("fast",)), ("south", ("fast", "dark")), ("west", ()))
        }
        self.lab = LabSettings(boards, lease_s=60, max_lease_s=600)
        self.leases = Leases(lambda: self.lab, self.end, lambda: self.now_s)

    def end(self, lease):
        self.ended.append((lease.name, lease.board))
        self.leases.rested(lease.board)

    def ask(self, name, board=None, tags=(), seconds=None):
        return self.leases.ask(name, board, tags, seconds)


@pytest.fixture
def bench():
    return Bench()


def test_a_lease_gives_one_board_to_one_holder(bench):
    lease = bench.ask("ada", "north")
    assert lease.board == "north"
    assert bench.leases.check(lease.token, "north") == lease
    with pytest.raises(NoLeaseError, match="is of the board north, not of south"):
        bench.leases.check(lease.token, "south")
    with pytest.raises(NoLeaseError, match="needs a lease of it, which ada has"):
        bench.leases.check(None, "north")
    with pytest.raises(NoLeaseError, match="knows no lease"):
        bench.leases.check("guessed", "north")


def test_it_ends_by_itself_and_says_so(bench):
    lease = bench.ask("ada", "north", seconds=10)
    bench.now_s += 9.9
    bench.leases.check(lease.token, "north")
    bench.now_s += 0.2
    with pytest.raises(NoLeaseError, match="has ended after 10 s"):
        bench.leases.check(lease.token, "north")
    assert bench.ended == [("ada", "north")]


def test_a_renewal_counts_from_now(bench):
    lease = bench.ask("ada", "north", seconds=10)
    bench.now_s += 9
    assert bench.leases.remaining_s(bench.leases.renew(lease.token)) == 10
    assert bench.leases.remaining_s(bench.leases.renew(lease.token, 100)) == 100


def test_those_who_wait_are_served_in_order_and_by_what_they_asked_for(bench):
    first = bench.ask("ada", tags=["fast", "dark"])
    assert first.board == "south"
    dark, fast = bench.ask("bob", tags=["dark"]), bench.ask("eve", tags=["fast"])
    assert (dark.board, fast.board) == (None, "north")
    south = bench.ask("kim", "south")
    assert bench.leases.queue == (dark, south)
    bench.leases.release(first.token)
    assert bench.leases.look(dark.token).board == "south"
    bench.leases.release(dark.token)
    assert bench.leases.look(south.token).board == "south"


def test_who_does_not_ask_after_their_place_loses_it(bench):
    bench.ask("ada", "north", seconds=600)
    bob, eve = bench.ask("bob", "north"), bench.ask("eve", "north")
    for _ in range(3):
        bench.now_s += WAITING_S - 1
        bench.leases.look(eve.token)
    assert [lease.name for lease in bench.leases.queue] == ["eve"]
    with pytest.raises(NoLeaseError, match="left the queue"):
        bench.leases.look(bob.token)


def test_a_takeover_ends_the_lease_of_another_with_the_reason(bench):
    ada, bob = bench.ask("ada", "north"), bench.ask("bob", "north")
    eve = bench.leases.take_over("north", "eve", None, "the demonstration begins")
    assert (eve.board, eve.reason) == ("north", "the demonstration begins")
    with pytest.raises(NoLeaseError, match="taken over by eve: the demonstration begins"):
        bench.leases.check(ada.token, "north")
    assert bench.leases.look(bob.token).board is None


def test_a_board_is_not_lent_before_it_is_at_rest(bench):
    ended = []
    leases = Leases(lambda: bench.lab, ended.append, lambda: bench.now_s)
    ada, bob = (leases.ask(name, "north", (), None) for name in ("ada", "bob"))
    leases.release(ada.token)
    assert leases.look(bob.token).board is None
    leases.rested("north")
    assert leases.look(bob.token).board == "north"


def test_what_cannot_be_is_refused(bench):
    with pytest.raises(UnknownBoardError, match=r"no board '\.\./x' here: choose one of north"):
        bench.ask("ada", "../x")
    with pytest.raises(UnknownBoardError, match="tags dark, round together; there are dark"):
        bench.ask("ada", tags=["dark", "round"])
    with pytest.raises(LeaseRefusedError, match="a lease of 601 s"):
        bench.ask("ada", seconds=601)
    assert bench.leases.queue == ()


def test_a_board_that_is_removed_ends_its_lease(bench):
    lease, waiting = bench.ask("ada", "north"), bench.ask("bob", "north")
    bench.lab = replace(bench.lab, boards={"west": bench.lab.boards["west"]})
    for token in (lease.token, waiting.token):
        with pytest.raises(NoLeaseError, match="removed from the lab"):
            bench.leases.look(token)


def test_leases_outlive_a_gateway_until_their_time(bench):
    short, long = bench.ask("ada", "north", seconds=10), bench.ask("bob", "south", seconds=100)
    waiting = bench.ask("eve", "south")
    dumped = bench.leases.dump()
    bench.now_s += 20
    again = Leases(lambda: bench.lab, bench.end, lambda: bench.now_s)
    again.restore(dumped)
    assert again.check(long.token, "south") == long
    assert again.look(waiting.token).board is None
    with pytest.raises(NoLeaseError, match="has ended after 10 s"):
        again.check(short.token, "north")
    assert bench.ended == [("ada", "north")]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"boot": "another", "leases": []}'])
def test_a_text_of_another_start_of_the_machine_or_a_damaged_one_holds_none(text, bench):
    bench.leases.restore(text)
    assert json.loads(bench.leases.dump())["leases"] == []


class AnyOrder(RuleBasedStateMachine):
    """Whatever is asked in whatever order, no board has two holders, and nobody waits in vain."""

    def __init__(self):
        super().__init__()
        self.bench, self.tokens = Bench(), []

    @rule(board=sampled_from(["north", "south", "west", None]), tags=sampled_from([(), ("fast",)]))
    def ask(self, board, tags):
        self.tokens.append(self.bench.ask("someone", board, () if board else tags, 30).token)

    @rule(board=sampled_from(["north", "south"]))
    def take_over(self, board):
        self.tokens.append(self.bench.leases.take_over(board, "other", 30, "why").token)

    @precondition(lambda self: self.tokens)
    @rule(which=data(), how=sampled_from(["look", "renew", "release"]))
    def use(self, which, how):
        token = which.draw(sampled_from(self.tokens))
        try:
            getattr(self.bench.leases, how)(token)
        except NoLeaseError:
            self.tokens.remove(token)

    @rule(seconds=sampled_from([1, 29, 31, 61]))
    def wait(self, seconds):
        self.bench.now_s += seconds
        self.bench.leases.tick()

    @invariant()
    def holds(self):
        leases = self.bench.leases
        for name in self.bench.lab.boards:
            lease = leases.of_board(name)
            if lease is not None:
                assert leases.check(lease.token, name) == lease
                assert self.would_take(lease, name)
            else:
                assert not [each for each in leases.queue if self.would_take(each, name)]

    def would_take(self, lease, name):
        if lease.wanted is not None:
            return lease.wanted == name
        return set(lease.tags) <= set(self.bench.lab.boards[name].tags)


AnyOrder.TestCase.settings = hypothesis_settings(max_examples=30, stateful_step_count=20)
TestAnyOrder = AnyOrder.TestCase
