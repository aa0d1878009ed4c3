"""What all requests together may hold: from the first byte of a body to the last of an answer."""

from dataclasses import dataclass

from minilm_onnx.server.errors import OverloadedError

# What the smallest request takes; without so much, none is taken.
ROOM = 2**14
# Bytes of an answer: for a component of a vector its four, its digits as JSON, and what lies unused
# between allocations; for one of /embed_all, of whose answers one is made at a time; for a token
# what /tokenize tells of it.
COMPONENT, STATE, TOKEN = 28, 21, 128


@dataclass
class Budget:
    """Bytes that are held.

    Attributes:
        most: bytes that may be.
        held: bytes that are.
    """

    most: int
    held: int = 0

    @property
    def full(self) -> bool:
        """Whether there is no room for another request, however small."""
        return self.most - self.held < ROOM


@dataclass
class Hold:
    """What one request holds of a budget.

    Attributes:
        budget: of all requests.
        size: bytes that are counted for this one.
    """

    budget: Budget
    size: int = 0

    def begin(self) -> None:
        """Raise OverloadedError where there is no room for another request."""
        if self.budget.full:
            raise OverloadedError(1)

    def set(self, size: int) -> None:
        """Hold so many bytes instead of those before.

        A request is counted for seven eighths of the budget at most: so one of any size that its
        own limits allow is answered when it is alone, and small ones beside it.

        Raises:
            OverloadedError: they are more than others leave.
        """
        counted = min(size, self.budget.most * 7 // 8)
        more = counted - self.size
        if more > 0 and self.budget.held + more > self.budget.most:
            raise OverloadedError(1)
        self.size = counted
        self.budget.held += more

    def add(self, size: int) -> None:
        """Hold so many bytes more; see `set`."""
        self.set(self.size + size)
