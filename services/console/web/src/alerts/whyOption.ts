/** What ECharts is told to draw of a judgement: readings, the indicator's curve, its lines, the window, the crossing. */

import type { EChartsCoreOption } from 'echarts/core'
import { calendarDate, clock, HOUR, MINUTE, type Locale } from '../time'
import type { Level, Sample, Side } from '../types'
import { figure } from './figures'

const INK = '#a9babf'
const LINE = '#2c3b40'
const WATER = '#4fb3e8'
const CURVE = '#eef4f5'
const SUSPECT = '#ff8a80'
/** As --red-ink and its like in styles/theme.css: canvas knows no custom properties. */
const LEVEL_INK: Record<Level, string> = { red: '#ff8a80', orange: '#ffa65c', yellow: '#f7dc6a', blue: '#85b8ff' }

export interface Judgement {
  points: (Sample & { quality?: string })[]
  unit: string
  asBars: boolean
  indicator: { unit: string; points: Sample[] } | null
  level: Level | null
  reach: number | null
  release: number | null
  side: Side
  window: { from: string; to: string } | null
  crossed: string | null
  words: {
    locale: Locale
    series: string
    indicator: string
    reach: string
    release: string
    crossed: string
    window: string
  }
}

const DAY = 24 * HOUR
const STEPS = [10 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR, 4 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 7 * DAY, 30 * DAY]
const MOST_TICKS = 6

/** Even hours and midnights of Shanghai between two moments. */
export function timeTicks(from: number, to: number): number[] {
  const step = STEPS.find((s) => (to - from) / s <= MOST_TICKS) ?? STEPS.at(-1)!
  const first = Math.ceil((from + 8 * HOUR) / step) * step - 8 * HOUR
  return Array.from({ length: Math.max(0, Math.floor((to - first) / step) + 1) }, (_, nth) => first + nth * step)
}

/** Round ends of an axis, and the step between its ticks, with room for everything in it. */
export function roundBounds(values: number[], fromZero: boolean): { min: number; max: number; interval: number } {
  const low = fromZero ? Math.min(0, ...values) : Math.min(...values)
  const high = Math.max(...values)
  const range = high - low || Math.abs(high) || 1
  const rough = range / 4
  const power = 10 ** Math.floor(Math.log10(rough))
  const interval = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= rough) ?? 10 * power
  const room = fromZero && low === 0 ? 0 : range * 0.06
  // Through a text, so that 3 × 0.1 is 0.3.
  const tidy = (value: number) => +value.toPrecision(12)
  return {
    min: tidy(Math.floor((low - room) / interval) * interval),
    max: tidy(Math.ceil((high + range * 0.06) / interval) * interval),
    interval,
  }
}

const values = (points: Sample[]) => points.map(({ value }) => value)
const pairs = (points: Sample[]) => points.map(({ time, value }) => [Date.parse(time), value])

function span({ points, indicator, window }: Judgement): { from: number; to: number } {
  const times = [...points, ...(indicator?.points ?? [])].map(({ time }) => Date.parse(time))
  if (window) times.push(Date.parse(window.from), Date.parse(window.to))
  return { from: Math.min(...times), to: Math.max(...times) }
}

function timeAxis(judgement: Judgement) {
  const { from, to } = span(judgement)
  const ticks = timeTicks(from, to)
  const { locale } = judgement.words
  const days = to - from > 3 * DAY
  return {
    type: 'value',
    min: from,
    max: to,
    axisLine: { lineStyle: { color: INK } },
    axisTick: { customValues: ticks },
    splitLine: { show: false },
    axisPointer: { label: { show: false } },
    axisLabel: {
      color: INK,
      fontSize: 12,
      hideOverlap: true,
      customValues: ticks,
      formatter: (time: number) => (days || clock(time) === '00:00' ? calendarDate(time, time, locale) : clock(time)),
    },
  }
}

/** Its colour is that of its curve; its unit stands in the legend, where it is in nothing's way. */
function valueAxis(color: string, bounds: object, more: object = {}) {
  return {
    type: 'value',
    axisLabel: { color, fontSize: 12, formatter: figure },
    splitLine: { lineStyle: { color: LINE } },
    ...bounds,
    ...more,
  }
}

/** The lines, the window, the zone beyond the threshold and the crossing: they belong to the curve that was judged. */
function marks(judgement: Judgement, bounds: { min: number; max: number }) {
  const { level, reach, release, side, window, crossed, words } = judgement
  const color = level ? LEVEL_INK[level] : INK
  const lines: object[] = []
  const label = (formatter: string, position: string) => ({ formatter, position, color, fontSize: 13, fontWeight: 'bold' })
  // Each line's words stand on its own side of it, so that two close lines can both be read.
  const [outside, inside] = side === 'below' ? ['insideStartBottom', 'insideStartTop'] : ['insideStartTop', 'insideStartBottom']
  if (reach !== null) {
    lines.push({ yAxis: reach, lineStyle: { color, width: 2.5, type: 'solid' }, label: label(words.reach, outside!) })
  }
  if (release !== null) {
    lines.push({ yAxis: release, lineStyle: { color, width: 1.5, type: 'dashed' }, label: label(words.release, inside!) })
  }
  if (crossed) {
    const { from, to } = span(judgement)
    const share = (Date.parse(crossed) - from) / (to - from)
    lines.push({
      xAxis: Date.parse(crossed),
      lineStyle: { color: CURVE, width: 1.5, type: 'solid' },
      label: {
        formatter: words.crossed,
        position: 'end',
        // Near an edge the words would run over it.
        align: share > 0.8 ? 'right' : share < 0.2 ? 'left' : 'center',
        color: CURVE,
        fontSize: 13,
        fontWeight: 'bold',
      },
    })
  }
  const areas: object[][] = []
  if (window) {
    areas.push([
      {
        xAxis: Date.parse(window.from),
        itemStyle: { color: '#ffffff', opacity: 0.09 },
        label: { formatter: words.window, position: 'insideTopLeft', color: INK, fontSize: 12, show: true },
      },
      { xAxis: Date.parse(window.to) },
    ])
  }
  if (reach !== null) {
    const end = side === 'below' ? bounds.min : bounds.max
    areas.push([{ yAxis: reach, itemStyle: { color, opacity: 0.13 }, label: { show: false } }, { yAxis: end }])
  }
  return {
    markLine: { silent: true, symbol: 'none', animation: false, data: lines },
    markArea: { silent: true, animation: false, data: areas },
  }
}

/** The dot at the crossing: the first value at or after it. */
function crossing({ crossed, level }: Judgement, curve: Sample[]) {
  const at = crossed ? Date.parse(crossed) : Number.NaN
  const point = curve.find(({ time }) => Date.parse(time) >= at)
  if (!point) return {}
  const color = level ? LEVEL_INK[level] : INK
  return {
    markPoint: {
      silent: true,
      animation: false,
      symbol: 'circle',
      symbolSize: 13,
      itemStyle: { color, borderColor: CURVE, borderWidth: 2 },
      label: { show: false },
      data: [{ coord: [at, point.value] }],
    },
  }
}

function readings({ points, asBars, words }: Judgement, axis: number, more: object) {
  const shape = asBars
    ? { type: 'bar', itemStyle: { color: WATER }, barMinWidth: 1, barMaxWidth: 14 }
    : {
        type: 'line',
        symbol: 'circle',
        symbolSize: points.length > 80 ? 0 : 4,
        lineStyle: { color: WATER, width: 1.8 },
        itemStyle: { color: WATER },
      }
  // What was not believed was not judged, either: it stands out.
  const data = points.map(({ time, value, quality = 'good' }) =>
    quality === 'good'
      ? { value: [Date.parse(time), value] }
      : { value: [Date.parse(time), value], symbol: 'triangle', symbolSize: 11, itemStyle: { color: SUSPECT } },
  )
  return { name: words.series, yAxisIndex: axis, data, ...shape, ...more }
}

function unitsOf({ words, unit, indicator }: Judgement): Record<string, string> {
  return { [words.series]: unit, [words.indicator]: indicator?.unit ?? unit }
}

function legend(judgement: Judgement) {
  const units = unitsOf(judgement)
  return {
    top: 0,
    left: 0,
    textStyle: { color: INK, fontSize: 13 },
    itemWidth: 16,
    itemHeight: 10,
    selectedMode: false,
    formatter: (name: string) => `${name} ${units[name] ?? ''}`,
  }
}

function tooltip(judgement: Judgement) {
  const { words } = judgement
  const units = unitsOf(judgement)
  return {
    trigger: 'axis',
    backgroundColor: '#0b1113',
    borderColor: INK,
    textStyle: { color: CURVE, fontSize: 14 },
    formatter: (drawn: { seriesName: string; value: [number, number] }[]) => {
      const time = drawn[0]?.value[0]
      if (time === undefined) return ''
      const told = drawn.map(({ seriesName, value }) => `${seriesName} ${figure(value[1])} ${units[seriesName] ?? ''}`)
      return [`${calendarDate(time, time, words.locale)} ${clock(time)}`, ...told].join('<br>')
    },
  }
}

export function whyOption(judgement: Judgement): EChartsCoreOption {
  const { points, unit, indicator, asBars, words } = judgement
  const curve = indicator?.points.length ? indicator.points : null
  const judged = curve ?? points
  const lines = [judgement.reach, judgement.release].filter((line) => line !== null)
  // One axis is enough where the readings themselves are of the indicator's kind: a level, a length.
  const oneAxis = !curve || (!asBars && indicator!.unit === unit)
  const shared = oneAxis && curve ? values(points) : []
  const bounds = roundBounds([...values(judged), ...lines, ...shared], asBars)
  const drawn = { ...marks(judgement, bounds), ...crossing(judgement, judged) }
  const line = {
    name: words.indicator,
    type: 'line',
    symbol: 'none',
    z: 3,
    lineStyle: { color: CURVE, width: 3 },
    itemStyle: { color: CURVE },
  }
  return {
    animationDuration: 200,
    grid: { left: 8, right: oneAxis ? 16 : 8, top: 50, bottom: 4, containLabel: true },
    legend: legend(judgement),
    tooltip: tooltip(judgement),
    xAxis: timeAxis(judgement),
    yAxis: [
      valueAxis(curve ? CURVE : WATER, bounds),
      ...(oneAxis
        ? []
        : [valueAxis(WATER, roundBounds(values(points), asBars), { splitLine: { show: false }, position: 'right' })]),
    ],
    series: curve
      ? [readings(judgement, oneAxis ? 0 : 1, {}), { ...line, data: pairs(curve), ...drawn }]
      : [readings(judgement, 0, drawn)],
  }
}
