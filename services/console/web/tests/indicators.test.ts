import { expect, test } from 'vitest'
import { crosses, figure, relation, withUnit } from '../src/alerts/figures'
import { keyMeasure, measureRows, place } from '../src/alerts/indicators'
import type { Evidence, Rule } from '../src/types'

const words = (text: string) => ({ zh: text, en: text })
const rain = (hours: number, value: number) => ({
  indicator: `rain_${hours}h`, name: words(`${hours} h rain`), value, unit: 'mm', window_s: hours * 3600,
})
const evidence: Evidence = {
  rule: 'rainstorm',
  rule_version: '1',
  station: 'QT-R-001',
  time: '2026-07-01T02:15:00+08:00',
  sentence: words('62 mm'),
  figure: words('62 mm'),
  metric: 'rain',
  measures: [rain(24, 62), rain(3, 62), rain(1, 20)],
  criterion: { level: 'orange', indicator: 'rain_3h', reach: 50, release: 40 },
}
const rule: Rule = {
  id: 'rainstorm', hazard: 'rainstorm', name: words('Rainstorm'), kind: 'station', source: '', version: '1',
  items: [
    {
      id: 'rain', name: words('Rain'), metric: 'rain', indicators: [],
      lines: [
        { level: 'red', indicator: 'rain_3h', reach: 100, release: 85 },
        { level: 'orange', indicator: 'rain_3h', reach: 55, release: 44 },
        { level: 'yellow', indicator: 'rain_1h', reach: null, release: null },
      ],
    },
    {
      id: 'other', name: words('Other'), metric: 'crack', indicators: [],
      lines: [{ level: 'blue', indicator: 'rain_3h', reach: 1, release: 0 }],
    },
  ],
}

test('the key measure is the one whose line was crossed; where none holds there is none', () => {
  expect(keyMeasure(evidence)?.value).toBe(62)
  expect(keyMeasure({ ...evidence, criterion: null })).toBeNull()
  const { criterion: _, measures: __, ...bare } = evidence
  expect(keyMeasure(bare)).toBeNull()
  expect(measureRows(bare, rule)).toEqual([])
})

test('every measure meets its own thresholds, shortest window first, and what was judged by comes before the catalogue', () => {
  const rows = measureRows(evidence, rule)
  expect(rows.map(({ window_s }) => window_s! / 3600)).toEqual([1, 3, 24])
  expect(rows[1]!.thresholds.map(({ level, reach }) => [level, reach])).toEqual([['orange', 50], ['red', 100]])
  expect(rows[1]).toMatchObject({ reached: 'orange', decided: true })
  expect(rows[0]).toMatchObject({ reached: null, decided: false, thresholds: [] })
})

test('bars of one unit share an axis that holds every figure; pure numbers do not', () => {
  const rows = measureRows(evidence, rule)
  expect(new Set(rows.map(({ high }) => high)).size).toBe(1)
  expect(rows[0]!.high).toBeGreaterThan(100)
  const share = (indicator: string, value: number) => ({ indicator, name: words(indicator), value, unit: '' })
  const bare = measureRows({ ...evidence, criterion: null, measures: [share('confidence', 0.6), share('fwi', 21)] }, undefined)
  expect(bare[0]!.high).toBeLessThan(1)
})

test('where smaller is worse, the gravest level reached is the one with the smallest threshold', () => {
  const beach: Rule = {
    ...rule,
    items: [
      {
        id: 'beach', name: words('Dry beach'), metric: 'dry_beach', indicators: [],
        lines: [
          { level: 'yellow', indicator: 'beach', reach: 70, release: 77, side: 'below' },
          { level: 'red', indicator: 'beach', reach: 50, release: 55, side: 'below' },
          { level: 'orange', indicator: 'beach', reach: 60, release: 66, side: 'below' },
        ],
      },
    ],
  }
  const measured = { indicator: 'beach', name: words('Dry beach'), unit: 'm' }
  const reached = (value: number) =>
    measureRows({ ...evidence, metric: 'dry_beach', criterion: null, measures: [{ ...measured, value }] }, beach)[0]!.reached
  expect([71, 70, 57.3, 50, -2].map(reached)).toEqual([null, 'yellow', 'orange', 'red', 'red'])
})

test('an axis begins at zero or below, and no bar leaves it', () => {
  const [row] = measureRows({ ...evidence, criterion: null, measures: [{ ...rain(1, -4) }] }, undefined)
  expect(place(row!, -4)).toBeGreaterThanOrEqual(0)
  expect(place(row!, 0)).toBeGreaterThan(place(row!, -4))
  expect(place(row!, 1e9)).toBe(100)
})

test('a sign never claims a crossing that was none', () => {
  expect([relation(50, 50), relation(49.99, 50)]).toEqual(['≥', '<'])
  expect([relation(60, 60, 'below'), relation(60.01, 60, 'below')]).toEqual(['≤', '>'])
  expect(crosses(60.01, 60, 'below')).toBe(false)
})

test('figures have four digits, and whole numbers are not cut', () => {
  expect([62.04, 19.99999, 0.012345, 12345.6, -0.2].map(figure)).toEqual(['62.04', '20', '0.01235', '12346', '-0.2'])
  expect([withUnit(86.2, '°'), withUnit(50, 'mm'), withUnit(0.6, '')]).toEqual(['86.2°', '50 mm', '0.6'])
})
