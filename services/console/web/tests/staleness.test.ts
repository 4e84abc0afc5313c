import { expect, test } from 'vitest'
import { isStale, SILENCE_LIMIT_MS } from '../src/state/staleness'

test('a stream is live until it has been silent for the whole limit', () => {
  const pulse = { connected: true, lastEventAt: 1_000 }
  expect(isStale(pulse, 1_000 + SILENCE_LIMIT_MS - 1)).toBe(false)
  expect(isStale(pulse, 1_000 + SILENCE_LIMIT_MS)).toBe(true)
})

test('a broken connection is stale at once', () => {
  expect(isStale({ connected: false, lastEventAt: 1_000 }, 1_001)).toBe(true)
})
