"""The error tree: an error names the thing and the mend, and its class says who may try again.

TongluoError
├── SettingsError      the operator: correct the setting named in the message, then start again
├── MissingPartError   the operator: install, free or start the outside part named in the message
├── CountyError        the operator: every fault of a county description at once, one a line
├── RegistryMoved      whoever edits: the registry has changed meanwhile; compare anew
├── RuleError          the engineer: every fault of all rule files at once, by line; the running rules stay
├── WireError          nobody: the bytes are not ours or are of a newer version
├── LogUnavailable     the supervisor: the log's server cannot be reached or refuses for now; start the role again
├── Fenced             the consumer: another member owns the partition now; join again
├── RulesMoved         whoever edits: the rules have changed meanwhile; compare anew
└── DeliveryError      the outbox, unless `permanent`
"""

from collections.abc import Sequence

import msgspec

from tongluo.hazards import Words


class TongluoError(Exception):
    """Base of everything Tongluo raises on purpose."""


class SettingsError(TongluoError):
    """One or more settings are wrong; the message lists each with its variable."""


class MissingPartError(TongluoError):
    """Something outside (port, folder, server, tool) is not as needed; the message says how to mend it."""


class _Listed(TongluoError):
    """An error that carries every fault found, so that the reader mends them in one go."""

    def __init__(self, source: str, faults: Sequence[str]) -> None:
        self.source = source
        self.faults = tuple(faults)
        super().__init__(f"{source}:\n" + "\n".join(f"  - {fault}" for fault in faults))


class CountyError(_Listed):
    """A county description that cannot be used."""


class RegistryMoved(TongluoError):
    """The version an edit was made against is no longer the one that holds; nothing was written."""

    def __init__(self, over: int) -> None:
        self.over = over
        super().__init__(f"the registry has changed since version {over}: compare anew, then apply")


class RuleFault(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something to mend in a file of a rule catalogue. `line` counts from 1; `field` is the path to what is wrong."""

    words: Words
    file: str = ""
    line: int | None = None
    field: str = ""

    def __str__(self) -> str:
        """For an English reader, on one line."""
        return f"{self.where}{self.words.en}"

    @property
    def where(self) -> str:
        """`rainstorm.toml:12: item.rain.levels.rain_3h.red: `, as far as it is known."""
        place = f"{self.file}:{self.line}" if self.line is not None else self.file
        return "".join(f"{part}: " for part in (place, self.field) if part)


class RuleError(TongluoError):
    """A rule catalogue that cannot be used, with every fault of all its files at once."""

    def __init__(self, faults: Sequence[RuleFault]) -> None:
        self.faults = tuple(faults)
        super().__init__("the rules cannot be used:\n" + "\n".join(f"  - {fault}" for fault in faults))


class WireError(TongluoError):
    """Bytes that are not a record of ours."""


class LogUnavailable(TongluoError):
    """The event log's server does not answer, or not as it should; the message names it."""


class Fenced(TongluoError):
    """The commit came from a member that no longer owns the partition; nothing was written."""


class RulesMoved(TongluoError):
    """The version of the rules that a change was made against is no longer the newest; nothing was written."""

    def __init__(self, over: int) -> None:
        self.over = over
        super().__init__(f"the rules have changed since version {over}: compare anew, then apply")


class DeliveryError(TongluoError):
    """A channel could not hand over a report.

    `permanent` says that trying again is useless; `retry_after_s` is the receiver's own wish.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        permanent: bool = False,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.permanent = permanent
        self.retry_after_s = retry_after_s
