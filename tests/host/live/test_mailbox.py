import threading

from hypothesis import given, strategies as st

from focalloop.host.live.mailbox import Mailbox


@given(st.lists(st.integers(), min_size=1))
def test_the_newest_item_wins_and_none_is_taken_twice(items):
    box = Mailbox()
    replaced = [box.put(item) for item in items]
    assert replaced == [None, *items[:-1]]
    assert box.take() == items[-1]
    box.put(0)
    box.close()
    assert box.take() is None


def test_closing_ends_a_waiting_take():
    box, taken = Mailbox(), []
    waiting = threading.Thread(target=lambda: taken.append(box.take()))
    waiting.start()
    box.close()
    waiting.join(5)
    assert taken == [None]
