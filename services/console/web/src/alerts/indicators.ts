/** What the evidence of an alert says in figures: the indicator that decided, and every one against its thresholds. */

import { severity } from '../level'
import type { Evidence, Level, Rule } from '../types'

export interface KeyIndicator {
  window: string
  value: number
  /** The threshold of the criterion that holds; null once none does. */
  reach: number | null
}

/** The window a criterion names, else the longest one measured. */
export function keyIndicator({ criterion, indicators_mm = {} }: Evidence): KeyIndicator | null {
  const window = criterion?.window ?? Object.keys(indicators_mm).sort(byLength).at(-1)
  const value = window === undefined ? undefined : indicators_mm[window]
  if (window === undefined || value === undefined) return null
  return { window, value, reach: criterion?.reach_mm ?? null }
}

export interface IndicatorRow {
  window: string
  value: number
  thresholds: { level: Level; reach: number }[]
  /** The gravest level whose threshold the value reaches. */
  reached: Level | null
}

export function indicatorRows(evidence: Evidence, rule: Rule | undefined): IndicatorRow[] {
  return Object.keys(evidence.indicators_mm).sort(byLength).map((window) => {
    const value = evidence.indicators_mm[window] ?? 0
    const thresholds = (rule?.criteria ?? [])
      .filter((criterion) => criterion.window_s === hours(window) * 3600)
      .map(({ level, reach_mm }) => ({ level, reach: reach_mm }))
      .sort((a, b) => severity(a.level) - severity(b.level))
    const reached = thresholds.filter(({ reach }) => value >= reach).at(-1)?.level ?? null
    return { window, value, thresholds, reached }
  })
}

function hours(window: string): number {
  return parseFloat(window)
}

function byLength(a: string, b: string): number {
  return hours(a) - hours(b)
}
