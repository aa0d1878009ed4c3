"""One graph on this CPU: what runs on how many threads."""

import ctypes
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from minilm_onnx.arrays import FloatArray, IdArray
from minilm_onnx.engine.batches import cost, plan
from minilm_onnx.engine.cpus import staying_on
from minilm_onnx.engine.graph import load_graph, read_interface
from minilm_onnx.engine.native import Native, running_alone
from minilm_onnx.engine.policy import Policy
from minilm_onnx.engine.silent import onnxruntime
from minilm_onnx.errors import SessionError

# Work, in batches.cost's tokens, after which sessions of one thread are made: 0.3 s of it.
SESSIONS_PAY = 4000.0


@dataclass
class OneAtATime:
    """An onnxruntime session, and the turn to run it.

    Callers that share one get slower together than one after the other: all of them spin. Where
    each keeps to its thread, several turns may be of one session.
    """

    session: onnxruntime.InferenceSession
    turn: threading.Lock = field(default_factory=threading.Lock)
    number: int = 0  # of the thread it stands for, whose CPU it runs on


class Session:
    """An onnxruntime session that runs batches of texts of equal token length.

    Some batches are run by all threads together, the rest one a thread: the native operators do
    that in the same onnxruntime session, other graphs by further ones that are made when they are
    first needed. A call that comes while another is at work runs all its batches one a thread,
    since threads that share a batch wait for each other.

    Attributes:
        policy: how the CPU is used.
        interface: what the graph asks for and gives.
    """

    def __init__(
        self,
        graph: Path,
        policy: Policy,
        library: Native | None = None,
        verified: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        """Load a graph.

        Args:
            graph: an ONNX file.
            policy: how the CPU is used.
            library: see `load_graph`.
            verified: a block in which the graph is loaded again, for further sessions; raises if
                it is no longer what it was.

        Raises:
            SessionError: onnxruntime cannot load the graph.
            ArtifactError: the graph asks for an input that is unknown here, or gives no hidden
                state.
        """
        self.policy = policy
        self._graph, self._library, self._verified = graph, library, verified
        session = load_graph(graph, policy, library)
        self._shared: OneAtATime | None = OneAtATime(session)
        self._apart: list[OneAtATime] = []
        self._shared_work = 0.0
        self._calls = 0
        self._lock = threading.Lock()
        self._growing = threading.Lock()
        self._closed = False
        self.interface = read_interface(session)

    def run(self, ids: IdArray) -> FloatArray:
        """Compute the last hidden state of texts of equal length, with all threads.

        Args:
            ids: token ids, (B, T) int64.

        Returns:
            (B, T, H) float32.

        Raises:
            SessionError: onnxruntime failed.
        """
        shared = self._of_all_threads()
        with shared.turn, staying_on(self.policy.pinned, 0):
            return self.interface.run(shared.session, ids)

    def _of_all_threads(self) -> OneAtATime:
        with self._lock:
            self.check_open()
            if self._shared is None:  # after a fork
                with self._verified():
                    session = load_graph(self._graph, self.policy, self._library)
                self._shared = OneAtATime(session)
            return self._shared

    def check_open(self) -> None:
        """Raise SessionError if this was closed."""
        if self._closed:
            raise SessionError("encoder: expected an open one, got a closed one; create a new one")

    def close(self) -> None:
        """Let go of onnxruntime's sessions and their threads; nothing can be run any more."""
        with self._lock:
            self._closed = True
            self._shared, self._apart = None, []

    def leave_behind(self) -> None:
        """Start anew in a forked process."""
        # Not ended either, not even with the process: their threads are only in the parent.
        ctypes.pythonapi.Py_IncRef(ctypes.py_object((self._shared, self._apart)))
        self._shared, self._apart, self._calls = None, [], 0
        self._lock, self._growing = threading.Lock(), threading.Lock()

    def run_each(
        self,
        batches: Sequence[Sequence[IdArray]],
        take: Callable[[int, FloatArray], object],
    ) -> None:
        """Compute several batches, and hand over each as it is ready.

        Args:
            batches: token ids of B texts, each (T,) int64, T the same within a batch.
            take: called with a batch's position and its last hidden state, (B, T, H) float32, on
                the thread that computed it, so that no more than one a thread is ever held; what
                it raises stops the others.

        Raises:
            SessionError: onnxruntime failed.
        """
        self.check_open()
        shapes = [(len(texts), len(texts[0])) for texts in batches]
        work = sum(cost(*shape) for shape in shapes)
        with self._meeting() as others:
            shared, apart = plan(shapes, self.policy.threads, apart=others > 0)
            wanted = self.policy.threads if others else len(apart)
            sessions = self._sessions(wanted, work) if apart else []
            if not sessions:
                shared, apart = shared + apart, []
            for place in shared:
                take(place, self.run(np.stack(batches[place])))
            self._run_apart(batches, apart, sessions, others, take)

    def _run_apart(
        self,
        batches: Sequence[Sequence[IdArray]],
        apart: Sequence[int],
        sessions: Sequence[OneAtATime],
        first: int,
        take: Callable[[int, FloatArray], object],
    ) -> None:
        """Compute the batches at some positions, one a session; see `run_each`.

        Args:
            batches: all of a call.
            apart: which of them.
            sessions: of one thread each.
            first: which of these comes first, so that calls that meet do not all wait for one.
            take: see `run_each`.
        """
        # Not an iterator, which may give two threads one place where there is no interpreter lock.
        places = deque(apart)
        errors: list[BaseException] = []

        def work(number: int) -> None:
            try:
                while not errors:
                    try:
                        place = places.popleft()
                    except IndexError:
                        return
                    one = free_one(sessions, first + number)
                    ids = np.stack(batches[place])
                    with (
                        one.turn,
                        staying_on(self.policy.pinned, one.number),
                        running_alone(self._library),
                    ):
                        hidden = self.interface.run(one.session, ids)
                    take(place, hidden)
            except BaseException as error:  # an interrupt too must stop the others
                errors.append(error)

        # Threads live as long as the call: nothing to close, nothing to lose in a fork.
        helpers: list[threading.Thread] = []
        try:
            for number in range(1, min(len(sessions), len(apart))):
                helper = start_thread(work, number)
                helpers.append(helper)
            work(0)
        except BaseException as error:
            errors.append(error)
        finally:
            for helper in helpers:
                helper.join()
        if errors:
            raise errors[0]

    @contextmanager
    def _meeting(self) -> Iterator[int]:
        """Count this call among those at work, and give how many others there are."""
        with self._lock:
            others = self._calls
            self._calls += 1
        try:
            yield others
        finally:
            with self._lock:
                self._calls -= 1

    def _sessions(self, batches: int, work: float) -> list[OneAtATime]:
        """Give a session for each thread that batches run apart need, at most.

        The native operators can keep to the calling thread, so that one session does for all of
        them, and the weights are mapped once. Otherwise each thread has a session of one thread,
        since threads that share one take over each other's buffers, and with them what lies in
        the other core's cache: 1.09 times the time on mixed texts. They are made once enough
        work has come that a first small request does not wait for them.
        """
        count = min(batches, self.policy.threads)
        with self._growing:  # not the lock that every run takes, since this lasts
            apart = self._apart
            if self._library is not None:
                session = self._of_all_threads().session
                apart += [OneAtATime(session, number=place) for place in range(len(apart), count)]
            elif len(apart) < count:
                self._shared_work += work
                if self._shared_work < SESSIONS_PAY:
                    return apart[:count] if len(apart) > 1 else []
                alone = replace(self.policy, threads=1, pinned=())
                with self._verified():
                    more = [load_graph(self._graph, alone) for _ in range(count - len(apart))]
                apart += [
                    OneAtATime(one, number=place) for place, one in enumerate(more, len(apart))
                ]
            return apart[:count]


def start_thread(target: Callable[..., object], *arguments: object) -> threading.Thread:
    """Start a thread.

    Raises:
        SessionError: the system gives no more.
    """
    thread = threading.Thread(target=target, args=arguments, name="minilm-onnx")
    try:
        thread.start()
    except RuntimeError as error:
        raise SessionError(
            f"threads: expected to start a thread, got: {error}; free some memory, or allow this "
            "user more threads"
        ) from error
    return thread


def free_one(sessions: Sequence[OneAtATime], first: int) -> OneAtATime:
    """Give a session that nobody runs, counted from one of them; that one if all are busy."""
    count = len(sessions)
    order = [sessions[(first + step) % count] for step in range(count)]
    return next((one for one in order if not one.turn.locked()), order[0])
