"""How much memory the bodies of a worker's requests may take together."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(eq=False)
class Place:
    """What one body takes of the room, now or once others have left."""

    size: int
    then: Callable[[], None]  # called when it is granted later than asked for
    granted: bool = False


class Room:
    """First come, first served; `size` bytes, at least what the largest body takes."""

    def __init__(self, size: int) -> None:
        self.free = size
        self.waiting: deque[Place] = deque()

    def enter(self, size: int, then: Callable[[], None]) -> Place:
        place = Place(size, then)
        self.waiting.append(place)
        if len(self.waiting) == 1 and size <= self.free:
            self._grant()
        return place

    def leave(self, place: Place) -> None:
        if place.granted:
            self.free += place.size
        else:
            self.waiting.remove(place)
        while self.waiting and self.waiting[0].size <= self.free:
            self._grant().then()

    def _grant(self) -> Place:
        place = self.waiting.popleft()
        place.granted = True
        self.free -= place.size
        return place
