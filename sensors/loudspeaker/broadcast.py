"""What a broadcast system was told and played: the webhook's body, and the last thousand announcements."""

from collections import OrderedDict, deque
from datetime import datetime
from typing import Final

import msgspec

_MOST_HEARD: Final = 1_000
_MOST_IDS: Final = 10_000
_LEVELS: Final = {"red": "红色", "orange": "橙色", "yellow": "黄色", "blue": "蓝色"}


class Headline(msgspec.Struct, frozen=True):
    zh: str = ""
    en: str = ""


class Alert(msgspec.Struct, frozen=True):
    level: str | None = None
    headline: Headline = Headline()


class Report(msgspec.Struct, frozen=True):
    """Which report of the alert this is, from 1; the final one ends it."""

    no: int = 1
    final: bool = False


class Broadcast(msgspec.Struct, frozen=True):
    """What to read aloud, how often, with what priority (1 first), in which divisions (12 digits)."""

    text: str
    repeat: int = 1
    priority: int = 0
    areas: tuple[str, ...] = ()


class Told(msgspec.Struct, frozen=True):
    broadcast: Broadcast
    alert: Alert = Alert()
    report: Report = Report()


class Message(msgspec.Struct, frozen=True):
    """The webhook's body; fields that a loudspeaker has no use for are left unread."""

    type: str
    timestamp: str
    data: Told


class Heard(msgspec.Struct, frozen=True):
    """One announcement that was played."""

    id: str
    received: datetime
    message: Message

    def line(self, name: str) -> str:
        """The announcement on one line, for the person who watches the terminal."""
        level = self.message.data.alert.level or ""
        # A text must not move the terminal's cursor or fake a second line.
        text = "".join(char if char.isprintable() else " " for char in self.message.data.broadcast.text)
        told = " ".join(part for part in (_LEVELS.get(level, ""), level or self.message.type) if part)
        return f"📢 {name} | {told} | {text} | 签名有效 signature verified"


class Player:
    """Plays each message once, however often it is delivered."""

    def __init__(self) -> None:
        self._heard: deque[Heard] = deque(maxlen=_MOST_HEARD)
        self._ids: OrderedDict[str, None] = OrderedDict()

    def play(self, id_: str, message: Message, now: datetime) -> Heard | None:
        """What is played now; None for a message that was played before."""
        if id_ in self._ids:
            return None
        self._ids[id_] = None
        if len(self._ids) > _MOST_IDS:
            self._ids.popitem(last=False)
        self._heard.append(heard := Heard(id_, now, message))
        return heard

    def heard(self) -> list[Heard]:
        """The last thousand announcements, oldest first."""
        return list(self._heard)
