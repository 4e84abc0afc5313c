/** When a stream is no longer to be trusted. Pure: the caller brings the clock. */

/** Heartbeats come every 5 s, so this is three missed in a row. */
export const SILENCE_LIMIT_MS = 15_000

export interface StreamPulse {
  connected: boolean
  /** When the last event of any kind arrived, in local milliseconds; before the first, when the page began to listen. */
  lastEventAt: number
}

export function isStale(pulse: StreamPulse, now: number): boolean {
  return !pulse.connected || now - pulse.lastEventAt >= SILENCE_LIMIT_MS
}
