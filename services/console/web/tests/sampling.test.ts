import { expect, test } from 'vitest'
import { worthTelling } from '../src/stations/sampling'
import type { Command } from '../src/types'

const NOW = Date.parse('2026-07-01T04:00:00Z')

function command(state: Command['state'], until: string | null): Command {
  return {
    id: 'c', gateway: 'G-1', station: 'R-1', site: 'S-1', interval_s: 60, until, hazard: 'rainstorm', level: 'orange',
    state, attempts: 1, created: '', sent: null, answered: null, reason: null, in_force_s: null,
  }
}

const LATER = '2026-07-01T06:00:00Z'

test('what holds, waits or went wrong is told', () => {
  for (const state of ['pending', 'sent', 'accepted', 'refused', 'unanswered'] as const) {
    expect(worthTelling(command(state, LATER), NOW)).not.toBeNull()
  }
  expect(worthTelling(command('unanswered', null), NOW)).not.toBeNull()
})

test('what is over is not', () => {
  expect(worthTelling(undefined, NOW)).toBeNull()
  expect(worthTelling(command('accepted', null), NOW)).toBeNull()
  expect(worthTelling(command('superseded', LATER), NOW)).toBeNull()
  expect(worthTelling(command('accepted', '2026-07-01T04:00:00Z'), NOW)).toBeNull()
  expect(worthTelling(command('refused', '2026-07-01T03:00:00Z'), NOW)).toBeNull()
})
