"""An exporter's twin: a stock exporter made of the same arguments, for what the native one cannot do or tell."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from typing import Any, Protocol


class Follower(Protocol):
    """Uses the native exporter in the exporter's place."""

    def exporter_left_native(self) -> None: ...


class Twin:
    """The stock exporter, which is made when it is first needed.

    It has no reference to its exporter, which is to go away, with its connections, when nobody needs it.

    Args:
        arguments: Of its constructor.
        known: What attributes of it are, as long as it is not made.
    """

    def __init__(self, arguments: Callable[[], dict[str, Any]], known: Mapping[str, Any]) -> None:
        self.arguments = arguments
        self.known = known
        self.in_charge = False
        """Whether it exports in the native exporter's place, which it does to the end once it began."""
        self.followers: weakref.WeakSet[Follower] = weakref.WeakSet()

    @property
    def stock(self) -> Any:
        """None as long as it is not made."""
        return vars(self).get("_stock")

    def keep(self, stock: Any) -> Any:
        """The one to use. Not under a lock, which a forked child could find locked: of two that threads make at once
        one is kept."""
        return vars(self).setdefault("_stock", stock)

    def take_over(self) -> None:
        """From now on the stock exporter exports. It has been made."""
        if not self.in_charge:
            self.in_charge = True
            for follower in list(self.followers):
                follower.exporter_left_native()
