import { expect, test } from 'vitest'
import { daysBefore, grade, percent, share, timeOfDay } from '../src/completeness/rate'

test('what is not all there is not called 100 %', () => {
  expect(percent(0.9999)).toBe('99.9 %')
  expect(percent(1)).toBe('100.0 %')
  expect(percent(null)).toBe('–')
  expect([1, 0.999, 0.95, 0.9, 0.2, null].map(grade)).toEqual(['whole', 'good', 'good', 'poor', 'bad', 'none'])
})

test('a moment lies in its day', () => {
  const [begin, end] = ['2026-07-01T16:00:00Z', '2026-07-02T16:00:00Z']
  expect(share('2026-07-02T04:00:00Z', begin, end)).toBe(0.5)
  expect(share('2026-07-03T04:00:00Z', begin, end)).toBe(1)
  expect(timeOfDay('2026-07-02T03:05:00Z', begin)).toBe('11:05')
  expect(timeOfDay(end, begin)).toBe('24:00')
  expect(timeOfDay('2026-07-01T15:57:30Z', begin)).toBe('00:00')
})

test('days go over months and years', () => {
  expect(daysBefore('2026-03-01', 1)).toBe('2026-02-28')
  expect(daysBefore('2026-12-31', -1)).toBe('2027-01-01')
})
