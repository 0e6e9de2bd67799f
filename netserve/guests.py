"""Guests: who is inside a door, what they hold, and who has to go when it is too much.

Strangers take all places and let them lie idle, begin requests that never end, send more than anybody could keep. That
is to keep nobody else out, so a full door does not simply refuse whoever comes next.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from netserve.doors import Limits


class Guest:
    """One who was accepted: counts from then on, until the connection has ended."""

    dismiss: Callable[[], object]
    """Ends whatever there is with the guest; set as soon as there is something."""

    def __init__(self, among: Guests, address: str | None) -> None:
        """``address`` is the IP address, None on a unix socket."""
        self.address = address
        self.busy = False
        """A request is being answered."""
        self.held = 0
        """Bytes that came from the guest and are kept, until they are answered."""
        self._among = among
        self.welcome = among.enter(self)

    def holds(self, size: int) -> None:
        """Hold some more bytes. It may be this guest who is dismissed for it."""
        self._among.hold(self, size)

    def answered(self) -> None:
        """Hold nothing any more, and be the last who has to go."""
        self.busy = False
        self._among.refresh(self)

    def leave(self) -> None:
        """Count no longer."""
        self._among.leave(self)


class Guests:
    """All guests of a door; who was not answered for the longest time comes first."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._all: OrderedDict[Guest, None] = OrderedDict()
        self._by_address: dict[str, OrderedDict[Guest, None]] = {}
        self._held = 0

    def __len__(self) -> int:
        return len(self._all)

    def enter(self, guest: Guest) -> bool:
        """Count one more; False if there is no place, and nobody who could go."""
        welcome = self._make_room(self._all, self._limits.connections)
        if guest.address is not None:
            own = self._by_address.get(guest.address, OrderedDict())
            welcome = self._make_room(own, self._limits.connections_per_address) and welcome
            self._by_address.setdefault(guest.address, OrderedDict())[guest] = None
        self._all[guest] = None
        return welcome

    def leave(self, guest: Guest) -> None:
        """Count one less."""
        if guest not in self._all:
            return
        del self._all[guest]
        self._held -= guest.held
        if guest.address is not None:
            own = self._by_address[guest.address]
            del own[guest]
            if not own:
                del self._by_address[guest.address]

    def hold(self, guest: Guest, size: int) -> None:
        """Count what a guest holds more; if that is too much of all, those who hold most have to go."""
        if guest not in self._all:
            return
        guest.held += size
        self._held += size
        while self._held > self._limits.received_size:
            self._dismiss(max(self._all, key=lambda each: each.held))

    def refresh(self, guest: Guest) -> None:
        """Note that a guest was answered."""
        if guest not in self._all:
            return
        self._held -= guest.held
        guest.held = 0
        self._all.move_to_end(guest)
        if guest.address is not None:
            self._by_address[guest.address].move_to_end(guest)

    def _make_room(self, guests: OrderedDict[Guest, None], most: int) -> bool:
        while len(guests) >= most:
            idle = next((each for each in guests if not each.busy), None)
            if idle is None:
                return False
            self._dismiss(idle)
        return True

    def _dismiss(self, guest: Guest) -> None:
        self.leave(guest)
        guest.dismiss()
