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


def test_a_put_can_wait_until_its_item_is_taken_or_the_mailbox_is_closed():
    box, done = Mailbox(), threading.Event()

    def fill():
        box.wait_until_empty()  # at once: nothing is in it
        box.put(1)
        box.wait_until_empty()
        done.set()

    filling = threading.Thread(target=fill)
    filling.start()
    assert box.take() == 1
    filling.join(5)
    assert done.is_set()
    box.put(2)
    waiting = threading.Thread(target=box.wait_until_empty)
    waiting.start()
    box.close()
    waiting.join(5)
    assert not waiting.is_alive()
