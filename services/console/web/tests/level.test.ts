import { expect, test } from 'vitest'
import { byUrgency, highest, isLater, severity } from '../src/level'
import type { Alert } from '../src/types'

const alert = (id: string, more: Partial<Alert>) =>
  ({ id, state: 'raised', onset: '2026-07-01T02:00:00+08:00', updated: '2026-07-01T02:00:00+08:00', report_no: 1, ...more }) as Alert

test('levels rise from none over blue, yellow and orange to red', () => {
  expect(([null, 'blue', 'yellow', 'orange', 'red'] as const).map(severity)).toEqual([0, 1, 2, 3, 4])
})

test('the county shows the gravest level, and none when nothing is open', () => {
  expect(highest(['blue', 'red', 'yellow'])).toBe('red')
  expect(highest([null])).toBeNull()
  expect(highest([])).toBeNull()
})

test('open alerts stand before cleared ones, newer before older', () => {
  const cleared = alert('cleared', { state: 'cleared', onset: '2026-07-01T09:00:00+08:00' })
  const older = alert('older', {})
  const newer = alert('newer', { onset: '2026-07-01T03:00:00+08:00' })
  expect([cleared, older, newer].sort(byUrgency).map(({ id }) => id)).toEqual(['newer', 'older', 'cleared'])
})

test('an exercise stands below what is meant, however new', () => {
  const drill = alert('drill', { drill: true, onset: '2026-07-01T09:00:00+08:00' })
  const cleared = alert('cleared', { state: 'cleared' })
  expect([cleared, drill, alert('real', { drill: false })].sort(byUrgency).map(({ id }) => id)).toEqual(['real', 'drill', 'cleared'])
})

test('a later report wins over a reply that was slower on its way', () => {
  expect(isLater(alert('a', { report_no: 2 }), alert('a', { report_no: 1 }))).toBe(true)
  expect(isLater(alert('a', {}), alert('a', { updated: '2026-07-01T02:05:00+08:00' }))).toBe(false)
})
