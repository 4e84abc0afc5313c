/** Figures of a judgement as people read them. Pure. */

import type { Measure, Side } from '../types'

/** To four digits, but never a whole number cut: 62.04, 0.0123, 12346. */
export function figure(value: number): string {
  return Math.abs(value) >= 1000 ? value.toFixed(0) : String(+value.toPrecision(4))
}

export function withUnit(value: number, unit: string): string {
  if (!unit) return figure(value)
  return unit === '°' ? `${figure(value)}°` : `${figure(value)} ${unit}`
}

export function crosses(value: number, reach: number, side: Side = 'above'): boolean {
  return side === 'below' ? value <= reach : value >= reach
}

/** How a value stands to its threshold, as a sign that is never wrong: `≥` and `≤` only where it has been crossed. */
export function relation(value: number, reach: number, side: Side = 'above'): string {
  if (crosses(value, reach, side)) return side === 'below' ? '≤' : '≥'
  return side === 'below' ? '>' : '<'
}

export function byWindow(a: Measure, b: Measure): number {
  return (a.window_s ?? 0) - (b.window_s ?? 0)
}
