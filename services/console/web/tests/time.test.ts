import { expect, test } from 'vitest'
import { duration, fromWallClock, moment, span, toWallClock } from '../src/time'

const now = Date.parse('2026-07-01T00:30:00+08:00')

test('today is Shanghai’s day, whatever the day in UTC', () => {
  expect(moment(Date.parse('2026-06-30T16:05:09Z'), now, 'en')).toBe('00:05')
  expect(moment(Date.parse('2026-06-30T16:05:09Z'), now, 'en', true)).toBe('00:05:09')
})

test('another day brings its date, another year its year', () => {
  expect(moment(Date.parse('2026-06-30T23:55:00+08:00'), now, 'zh-CN')).toBe('6月30日 23:55')
  expect(moment(Date.parse('2026-06-30T23:55:00+08:00'), now, 'en')).toBe('30 Jun 23:55')
  expect(moment(Date.parse('2025-08-02T07:00:00+08:00'), now, 'zh-CN')).toBe('2025年8月2日 07:00')
})

test('a length of time is told in its two largest units', () => {
  expect(duration(12_000, 'zh-CN')).toBe('12 秒')
  expect(duration(59 * 60_000, 'en')).toBe('59 min')
  expect(duration(125 * 60_000, 'en')).toBe('2 h 05 min')
  expect(duration(76 * 3_600_000, 'zh-CN')).toBe('3 天 4 小时')
  expect(duration(-5, 'en')).toBe('0 s')
})

test('a window is told in the unit it was meant in', () => {
  const told = [900, 3600, 5400, 86_400, 172_800, 259_200, 30].map((seconds) => span(seconds * 1000, 'en'))
  expect(told).toEqual(['15 min', '1 h', '90 min', '24 h', '48 h', '3 d', '30 s'])
})

test('what is typed into a field for date and time is Shanghai’s wall clock, whatever the machine’s', () => {
  expect(fromWallClock('2026-07-01T00:30')).toBe('2026-06-30T16:30:00.000Z')
  expect(toWallClock(now)).toBe('2026-07-01T00:30')
  expect(fromWallClock('')).toBeNull()
})
