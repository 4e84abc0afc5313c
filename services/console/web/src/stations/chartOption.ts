/** What ECharts is told to draw: rain as bars with its running total, anything else as a line. */

import type { EChartsCoreOption } from 'echarts/core'
import { calendarDate, clock, HOUR, type Locale } from '../time'
import type { Point } from '../types'
import { BUCKET_MS } from './ranges'
import type { Shown } from './seriesQuery'

const INK = '#a9babf'
const LINE = '#2c3b40'
const WATER = '#4fb3e8'
const TOTAL = '#f0c36a'
const SUSPECT = '#ff8a80'

export interface ChartWords {
  locale: Locale
  metric: string
  perBucket: string
  cumulative: string
  quality: (quality: string) => string
  flag: (flag: string) => string
}

export function runningTotal(points: Point[]): number[] {
  let total = 0
  return points.map(({ value }) => (total += value))
}

function axisTime(time: number, shown: Shown, locale: Locale): string {
  const date = calendarDate(time, time, locale)
  // Seven full dates would not fit side by side.
  if (shown.range === '7d') return locale === 'zh-CN' ? date.replace(/.*月/, '') : date
  return clock(time) === '00:00' ? date : clock(time)
}

/** Shanghai's midnight and even hours are whole steps of UTC hours, so ECharts' own UTC ticks would be eight hours off. */
function ticks(shown: Shown): { min: number; max: number; interval: number } {
  const interval = { '3h': HOUR / 2, '12h': 2 * HOUR, '24h': 4 * HOUR, '7d': 24 * HOUR }[shown.range]
  return { min: Date.parse(shown.from), max: Date.parse(shown.to), interval }
}

function evenTicks(shown: Shown): number[] {
  const { min, max, interval } = ticks(shown)
  const first = Math.ceil((min + 8 * HOUR) / interval) * interval - 8 * HOUR
  const values: number[] = []
  for (let time = first; time <= max; time += interval) values.push(time)
  return values
}

function timeAxis(shown: Shown, locale: Locale) {
  const { min, max } = ticks(shown)
  const values = evenTicks(shown)
  return {
    type: 'value',
    min,
    max,
    axisLine: { lineStyle: { color: INK } },
    axisTick: { customValues: values },
    splitLine: { show: false },
    axisLabel: {
      color: INK,
      fontSize: 12,
      hideOverlap: true,
      customValues: values,
      formatter: (time: number) => axisTime(time, shown, locale),
    },
    axisPointer: { label: { show: false } },
  }
}

function valueAxis(name: string, color: string, more: object = {}) {
  return {
    type: 'value',
    name,
    nameTextStyle: { color, fontSize: 13 },
    axisLabel: { color: INK, fontSize: 13 },
    splitLine: { lineStyle: { color: LINE } },
    ...more,
  }
}

function tooltip(shown: Shown, words: ChartWords) {
  const length = shown.bucket ? BUCKET_MS[shown.bucket] : 0
  const totals = runningTotal(shown.points)
  return {
    trigger: 'axis',
    backgroundColor: '#0b1113',
    borderColor: INK,
    textStyle: { color: '#eef4f5', fontSize: 14 },
    formatter: (drawn: { dataIndex: number }[]) => {
      const at = drawn[0]?.dataIndex ?? 0
      const point = shown.points[at]
      if (!point) return ''
      const start = Date.parse(point.time)
      const until = length ? `–${clock(start + length)}` : ''
      const lines = [`${calendarDate(start, start, words.locale)} ${clock(start)}${until}`]
      lines.push(`${words.metric} ${+point.value.toFixed(2)} ${shown.unit}`)
      if (shown.aggregate === 'sum') lines.push(`${words.cumulative} ${(totals[at] ?? 0).toFixed(1)} ${shown.unit}`)
      if (point.quality && point.quality !== 'good') lines.push(words.quality(point.quality))
      if (point.flags?.length) lines.push(point.flags.map(words.flag).join(' · '))
      return lines.join('<br>')
    },
  }
}

function rainSeries(shown: Shown, words: ChartWords) {
  const length = shown.bucket ? BUCKET_MS[shown.bucket] : 0
  const totals = runningTotal(shown.points)
  const times = shown.points.map(({ time }) => Date.parse(time))
  return [
    {
      type: 'bar',
      name: words.perBucket,
      itemStyle: { color: WATER },
      barWidth: '80%',
      // A bucket is named by its start; its bar stands in its middle.
      data: shown.points.map(({ value }, i) => [(times[i] ?? 0) + length / 2, value]),
    },
    {
      type: 'line',
      name: words.cumulative,
      yAxisIndex: 1,
      symbol: 'none',
      lineStyle: { color: TOTAL, width: 2.5 },
      itemStyle: { color: TOTAL },
      data: times.map((time, i) => [time + length / 2, totals[i]]),
    },
  ]
}

function lineSeries(shown: Shown, words: ChartWords) {
  const suspect = (point: Point) => point.quality !== undefined && point.quality !== 'good'
  return [
    {
      type: 'line',
      name: words.metric,
      lineStyle: { color: WATER, width: 2.5 },
      itemStyle: { color: WATER },
      showSymbol: shown.points.some(suspect) || shown.points.length < 2,
      data: shown.points.map((point) => ({
        value: [Date.parse(point.time), point.value],
        symbol: suspect(point) ? 'triangle' : 'circle',
        symbolSize: suspect(point) ? 12 : shown.points.length < 2 ? 8 : 0,
        itemStyle: { color: suspect(point) ? SUSPECT : WATER },
      })),
    },
  ]
}

export function chartOption(shown: Shown, words: ChartWords): EChartsCoreOption {
  const rain = shown.aggregate === 'sum'
  return {
    animationDuration: 300,
    grid: { left: 8, right: rain ? 8 : 16, top: 40, bottom: 4, containLabel: true },
    legend: { show: rain, top: 0, textStyle: { color: INK, fontSize: 13 }, itemWidth: 16, itemHeight: 10 },
    tooltip: tooltip(shown, words),
    xAxis: timeAxis(shown, words.locale),
    yAxis: rain
      ? [
          valueAxis('mm', WATER, { min: 0, minInterval: 0.5 }),
          valueAxis('mm', TOTAL, { min: 0, splitLine: { show: false } }),
        ]
      : [valueAxis(shown.unit, WATER, { scale: true })],
    series: rain ? rainSeries(shown, words) : lineSeries(shown, words),
  }
}
