/** What the evidence of an alert says in figures: the indicator that decided, and every one against its thresholds. */

import { severity } from '../level'
import type { Evidence, Level, LevelLine, Measure, Rule, Side } from '../types'
import { byWindow, crosses } from './figures'
import { isOfCamera } from './fire'

/** The measure whose line was crossed; none where no line holds. */
export function keyMeasure({ criterion, measures = [] }: Evidence): Measure | null {
  return measures.find(({ indicator }) => indicator === criterion?.indicator) ?? null
}

export interface Threshold {
  level: Level
  reach: number
}

export interface MeasureRow extends Measure {
  side: Side
  thresholds: Threshold[]
  /** The gravest level whose threshold the value is beyond. */
  reached: Level | null
  /** Whether this is the one that decided. */
  decided: boolean
  /** The ends of its bar's axis. */
  low: number
  high: number
}

interface Line {
  level: Level
  reach: number
  side: Side
}

/** Items may call different indicators alike: only those of the metric that was judged count, where it is told. */
function linesOf(indicator: string, { metric, criterion }: Evidence, rule: Rule | undefined): Line[] {
  const known = new Map<Level, Line>()
  const add = ({ level, reach, side = 'above' }: LevelLine) =>
    reach !== null && known.set(level, { level, reach, side })
  for (const item of rule?.items ?? []) {
    if (!metric || item.metric === metric) item.lines.filter((line) => line.indicator === indicator).forEach(add)
  }
  // What was judged by comes last: a table may give this station another reach than the rule does.
  if (criterion?.indicator === indicator) add(criterion)
  return [...known.values()].sort((a, b) => severity(a.level) - severity(b.level))
}

/** Room beyond the outermost figure, as a share of the axis. */
const ROOM = 1.12

export function measureRows(evidence: Evidence, rule: Rule | undefined): MeasureRow[] {
  const { measures = [], criterion } = evidence
  const rows = measures.filter(({ indicator }) => !isOfCamera(indicator)).map((measure) => {
    const lines = linesOf(measure.indicator, evidence, rule)
    const side: Side = lines[0]?.side ?? 'above'
    const reached = lines.filter(({ reach }) => crosses(measure.value, reach, side)).at(-1)?.level ?? null
    return { ...measure, side, reached, thresholds: lines, decided: measure.indicator === criterion?.indicator }
  })
  // Bars of one unit share one axis, so that their lengths can be compared; pure numbers have nothing in common.
  const axisOf = ({ unit, indicator }: Measure) => unit || indicator
  const figures = new Map<string, number[]>()
  for (const row of rows) {
    const known = figures.get(axisOf(row)) ?? []
    figures.set(axisOf(row), [...known, row.value, ...row.thresholds.map(({ reach }) => reach)])
  }
  return rows.sort(byWindow).map((row) => {
    const all = figures.get(axisOf(row))!
    const low = Math.min(0, ...all) * ROOM
    const high = Math.max(0, ...all) * ROOM
    return { ...row, low, high: high > low ? high : low + 1 }
  })
}

/** Where a value lies on its row's axis, in percent from the left. */
export function place({ low, high }: Pick<MeasureRow, 'low' | 'high'>, value: number): number {
  return Math.min(100, Math.max(0, (100 * (value - low)) / (high - low)))
}
