import { expect, test } from 'vitest'
import { indicatorRows, keyIndicator } from '../src/alerts/indicators'
import type { Evidence, Rule } from '../src/types'

const evidence: Evidence = {
  rule: 'rainstorm',
  rule_version: '1',
  station: 'QT-R-001',
  time: '2026-07-01T02:15:00+08:00',
  indicators_mm: { '24h': 62, '3h': 62, '1h': 20 },
  criterion: { level: 'orange', window: '3h', reach_mm: 50 },
}
const rule: Rule = {
  id: 'rainstorm',
  version: '1',
  hazard: 'rainstorm',
  name: { zh: '暴雨', en: 'Rainstorm' },
  criteria: [
    { level: 'red', window_s: 10800, reach_mm: 100, release_mm: 85 },
    { level: 'orange', window_s: 10800, reach_mm: 50, release_mm: 40 },
  ],
}

test('the key indicator is the criterion’s window, or the longest once no criterion holds', () => {
  expect(keyIndicator(evidence)).toEqual({ window: '3h', value: 62, reach: 50 })
  expect(keyIndicator({ ...evidence, criterion: null })).toEqual({ window: '24h', value: 62, reach: null })
})

test('every window meets its own thresholds, shortest window first', () => {
  const rows = indicatorRows(evidence, rule)
  expect(rows.map(({ window }) => window)).toEqual(['1h', '3h', '24h'])
  expect(rows[1]).toMatchObject({ reached: 'orange', thresholds: [{ level: 'orange' }, { level: 'red' }] })
  expect(rows[0]?.reached).toBeNull()
})
