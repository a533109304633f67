"""The threads that were there before a test are not its own."""

from __future__ import annotations

import threading
import weakref

import pytest

from sessionwatch.records.stand_in import OtherThreads


@pytest.fixture
def others():
    """Tells the threads that a test which begins now leaves to others."""
    threads = OtherThreads()
    return lambda: {each() for each in threads.now()}


@pytest.fixture
def make_thread():
    """Starts threads that run until somebody ends them."""
    running = []

    def make(work=lambda: None):
        over = threading.Event()

        def run():
            work()
            over.wait(60)

        thread = threading.Thread(target=run)
        thread.start()
        running.append((thread, over))
        return thread, over

    yield make
    for thread, over in running:
        over.set()
        thread.join(60)


def test_threads_that_come_and_go(others, make_thread):
    before = others()
    thread, over = make_thread()
    assert others() == others() == before | {thread}
    second, _ = make_thread()
    assert others() == before | {thread, second}
    over.set()
    thread.join(60)
    assert others() == before | {second}
    assert threading.current_thread() not in others()


def test_each_thread_has_others(others, make_thread):
    told = []
    asked = threading.Event()
    mine = others()

    def ask():
        told.append(others())
        asked.set()

    thread, _ = make_thread(ask)
    assert asked.wait(60)
    assert told == [mine | {threading.current_thread()}]
    assert others() == mine | {thread}


def test_a_thread_that_is_over_is_let_go():
    threads = OtherThreads()
    over = threading.Event()
    thread = threading.Thread(target=over.wait, args=(60,))
    thread.start()
    told = threads.now()
    let_go = weakref.ref(thread)
    assert let_go in told
    over.set()
    thread.join(60)
    del thread
    assert let_go() is None
    assert let_go in told
