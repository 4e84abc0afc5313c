"""Exact rolling sums over event-time windows for one station."""

from bisect import bisect_left, bisect_right

import msgspec


class RollingSums(msgspec.Struct):
    """Readings of one station and their sums over several windows, all in integers, so that nothing drifts.

    Times are microseconds since the epoch, amounts thousandths of a millimetre. The sum over a window of length w at
    time t covers (t - w, t]: a reading stamped with the end of its interval belongs to it. `newest` is the station's
    own watermark: another station's clock has no part in it.
    """

    spans: tuple[int, ...]
    late_allowed: int
    times: list[int] = []
    amounts: list[int] = []
    sums: list[int] = []
    heads: list[int] = []

    @property
    def newest(self) -> int | None:
        return self.times[-1] if self.times else None

    def advance(self, time: int) -> None:
        """Let what has left the windows by `time` fall out of the sums. `time` never goes back."""
        if not self.sums:
            self.sums, self.heads = [0] * len(self.spans), [0] * len(self.spans)
        for nth, span in enumerate(self.spans):
            head, total, first = self.heads[nth], self.sums[nth], time - span
            while head < len(self.times) and self.times[head] <= first:
                total -= self.amounts[head]
                head += 1
            self.heads[nth], self.sums[nth] = head, total

    def add(self, time: int, amount: int) -> bool:
        """Take a reading in; False if its time is already there (twice counts once) or too late to be judged."""
        newest = self.newest
        if newest is None or time > newest:
            self.advance(time)
            self.times.append(time)
            self.amounts.append(amount)
            self.sums = [total + amount for total in self.sums]
            self._forget()
            return True
        return self._insert(time, amount, newest)

    def fell_below(self, nth: int, limit: int, time: int) -> int | None:
        """When the nth sum, with no further rain, falls below `limit`, if that is at or before `time`."""
        total, span = self.sums[nth], self.spans[nth]
        for at, amount in zip(self.times[self.heads[nth] :], self.amounts[self.heads[nth] :], strict=True):
            if at + span > time:
                return None
            total -= amount
            if total < limit:
                return at + span
        return None

    def _insert(self, time: int, amount: int, newest: int) -> bool:
        """A late reading: put in its place, and the sums made anew."""
        place = bisect_left(self.times, time)
        known = place < len(self.times) and self.times[place] == time
        if known or time < newest - self.late_allowed:
            return False
        self.times.insert(place, time)
        self.amounts.insert(place, amount)
        self.heads = [bisect_right(self.times, newest - span) for span in self.spans]
        self.sums = [sum(self.amounts[head:]) for head in self.heads]
        return True

    def _forget(self) -> None:
        """Drop what no window and no late duplicate can ask for, now and then rather than at every reading."""
        keep_from = self.times[-1] - max(self.spans) - self.late_allowed
        cut = bisect_right(self.times, keep_from)
        if cut > 64 and cut * 2 > len(self.times):
            del self.times[:cut]
            del self.amounts[:cut]
            self.heads = [head - cut for head in self.heads]
