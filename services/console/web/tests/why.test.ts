import { expect, test } from 'vitest'
import { roundBounds, timeTicks, whyOption, type Judgement } from '../src/alerts/whyOption'

const HOUR = 3_600_000
const at = (hour: number) => new Date(Date.parse('2026-07-01T00:00:00Z') + hour * HOUR).toISOString()
const judgement: Judgement = {
  points: [{ time: at(0), value: 5 }, { time: at(1), value: 30 }, { time: at(2), value: 27 }],
  unit: 'mm',
  asBars: true,
  indicator: { unit: 'mm', points: [{ time: at(0), value: 5 }, { time: at(1), value: 35 }, { time: at(2), value: 62 }] },
  level: 'orange',
  reach: 50,
  release: 40,
  side: 'above',
  window: { from: at(-1), to: at(2) },
  crossed: at(2),
  words: { locale: 'en', series: 'Rain', indicator: '3 h rain', reach: 'Orange 50', release: 'Release 40', crossed: 'crossed', window: 'window' },
}
const drawn = (changes: Partial<Judgement> = {}) => whyOption({ ...judgement, ...changes }) as any

test('ticks stand at even hours of Shanghai, at most a handful', () => {
  const ticks = timeTicks(Date.parse(at(0.3)), Date.parse(at(13)))
  expect(ticks.length).toBeLessThanOrEqual(7)
  for (const tick of ticks) expect(new Date(tick + 8 * HOUR).getUTCMinutes()).toBe(0)
  const days = timeTicks(Date.parse(at(0)), Date.parse(at(24 * 5)))
  for (const tick of days) expect(new Date(tick + 8 * HOUR).getUTCHours()).toBe(0)
  expect(timeTicks(5, 5).length).toBeLessThanOrEqual(1)
})

test.each([
  [[0, 62, 50, 40], true],
  [[57.3, 92, 60, 66], false],
  [[-3, -1], false],
  [[7, 7], false],
  [[0, 0], true],
  [[0.0012, 0.0031], false],
])('an axis has round ends and room for everything: %j', (values, fromZero) => {
  const { min, max, interval } = roundBounds(values, fromZero)
  expect(min).toBeLessThanOrEqual(Math.min(...values))
  expect(max).toBeGreaterThan(Math.max(...values))
  expect((max - min) / interval).toBeLessThan(12)
  if (fromZero) expect(min).toBe(0)
})

test('threshold, release and crossing belong to the curve that was judged, within its axis', () => {
  const { series, yAxis } = drawn()
  const [readings, curve] = series
  expect(readings.markLine).toBeUndefined()
  expect(readings.yAxisIndex).toBe(1)
  expect(curve.markLine.data.map((line: { yAxis?: number }) => line.yAxis)).toEqual([50, 40, undefined])
  expect(curve.markPoint.data[0].coord).toEqual([Date.parse(at(2)), 62])
  expect(yAxis[0].max).toBeGreaterThan(62)
  // A threshold far above every value is seen all the same.
  expect(drawn({ reach: 300, release: 240 }).yAxis[0].max).toBeGreaterThan(300)
})

test('the zone of danger lies beyond the threshold, on its side', () => {
  const zone = (side: 'above' | 'below') => {
    const { series, yAxis } = drawn({ side, indicator: null, asBars: false })
    const area = series[0].markArea.data.find(([from]: { yAxis?: number }[]) => from?.yAxis !== undefined)
    return { area, axis: yAxis[0] }
  }
  const above = zone('above')
  expect(above.area[1].yAxis).toBe(above.axis.max)
  const below = zone('below')
  expect(below.area[1].yAxis).toBe(below.axis.min)
})

test('without an indicator the readings are judged themselves, on one axis; a release and a window may be missing', () => {
  const { series, yAxis } = drawn({ indicator: null, release: null, window: null, crossed: null, asBars: false })
  expect(yAxis).toHaveLength(1)
  expect(series).toHaveLength(1)
  expect(series[0].markLine.data).toHaveLength(1)
  expect(series[0].markArea.data).toHaveLength(1)
  expect(series[0].markPoint).toBeUndefined()
})

test('an indicator of the readings’ own kind shares their axis', () => {
  expect(drawn({ asBars: false }).yAxis).toHaveLength(1)
  expect(drawn({ asBars: false, unit: 'm' }).yAxis).toHaveLength(2)
})

test('what was not believed stands out among the readings', () => {
  const points = [{ time: at(0), value: 5, quality: 'good' }, { time: at(1), value: 99, quality: 'suspect' }]
  const [readings] = drawn({ points }).series
  expect(readings.data.map((point: { symbol?: string }) => point.symbol)).toEqual([undefined, 'triangle'])
})
