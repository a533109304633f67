"""Workers, batches and scripts: each job an owner, each piece of work a session or transaction."""

from contextlib import suppress
from queue import Queue
from threading import Thread

from sqlalchemy import select, update
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class Message(Base):
    __tablename__ = "message"

    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str]
    state: Mapped[str] = mapped_column(default="new")


def make_messages(engine, make_session, number=10):
    Base.metadata.create_all(engine)
    with make_session.begin() as session:
        session.add_all(Message(text=str(each)) for each in range(number))


def test_worker_loop(watch, engine, make_session):
    make_messages(engine, make_session)
    queue = Queue()
    for number in [*range(1, 11), None]:
        queue.put(number)

    def work():
        while (number := queue.get()) is not None:
            with watch.owner("handle message"), make_session.begin() as session:
                session.get(Message, number).state = "done"

    worker = Thread(target=work)
    worker.start()
    worker.join()
    assert watch.snapshot().routes["handle message"].owners == 10


def test_job_that_fails_and_is_tried_again(watch, engine, make_session):
    """The first attempt rolls back and raises, so that the queue sends the message once more."""
    make_messages(engine, make_session)

    def handle(attempt):
        with watch.owner("handle message"), make_session.begin() as session:
            session.get(Message, 1).state = "done"
            session.flush()
            if attempt == 1:
                raise ConnectionError("the mail server is down")

    with suppress(ConnectionError):
        handle(1)
    handle(2)


def test_batches(watch, engine, make_session):
    """One commit for each hundred keeps the transactions short."""
    make_messages(engine, make_session, 250)
    with watch.owner("nightly"), make_session() as session:
        last = 0
        while batch := session.scalars(
            select(Message).where(Message.id > last).order_by(Message.id).limit(100)
        ).all():
            last = batch[-1].id
            for message in batch:
                message.state = "archived"
            session.commit()


def test_claim_work_and_finish(watch, engine, make_session):
    """A claim is committed at once, so that no other worker takes the same message."""
    make_messages(engine, make_session)
    with watch.owner("poll"):
        with make_session.begin() as session:
            message_id = session.scalar(select(Message.id).where(Message.state == "new").limit(1))
            session.execute(update(Message).where(Message.id == message_id).values(state="claimed"))
        with make_session.begin() as session:
            session.get(Message, message_id).state = "done"


def test_poll_that_finds_nothing(watch, engine, make_session):
    make_messages(engine, make_session, 0)
    for _ in range(5):
        with watch.owner("poll"), make_session() as session:
            assert session.scalars(select(Message).limit(1)).first() is None


def test_jobs_inside_a_job(watch, engine, make_session):
    make_messages(engine, make_session)
    with watch.owner("campaign"):
        with make_session() as session:
            numbers = session.scalars(select(Message.id)).all()
        for number in numbers:
            with watch.owner("send"), make_session.begin() as session:
                session.get(Message, number).state = "sent"


def test_script_without_an_owner(watch, engine, make_session):
    make_messages(engine, make_session)
    with make_session() as session:
        for message in session.scalars(select(Message)):
            message.state = "seen"
            session.flush()
        session.commit()
    with suppress(ValueError), make_session.begin() as session:
        session.execute(update(Message).values(state="half"))
        raise ValueError("no")


def test_job_that_stops_half_way_on_request(watch, engine, make_session):
    """What was finished is saved, and what was not begun is left for the next time."""
    make_messages(engine, make_session)
    with watch.owner("import"):
        for number in range(1, 11):
            with make_session.begin() as session:
                session.get(Message, number).state = "done"
            if number == 5:
                break


def test_generator_that_is_read_to_its_end(watch, engine, make_session):
    make_messages(engine, make_session)

    def texts():
        with make_session() as session:
            yield from session.scalars(select(Message.text))

    with watch.owner("report"):
        assert len(list(texts())) == 10


def test_generator_that_is_closed_early(watch, engine, make_session):
    from contextlib import closing

    make_messages(engine, make_session)

    def texts():
        with make_session() as session:
            yield from session.scalars(select(Message.text))

    with watch.owner("report"), closing(texts()) as first_texts:
        assert next(first_texts) == "0"
