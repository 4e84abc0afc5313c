/** Warning levels in order of severity: blue < yellow < orange < red. */

import type { Alert, Level } from './types'

export const LEVELS: readonly Level[] = ['blue', 'yellow', 'orange', 'red']

/** 0 for none, 1 (blue) to 4 (red). */
export function severity(level: Level | null): number {
  return level === null ? 0 : LEVELS.indexOf(level) + 1
}

export function highest(levels: Iterable<Level | null>): Level | null {
  let found: Level | null = null
  for (const level of levels) if (severity(level) > severity(found)) found = level
  return found
}

export function isOpen(alert: Alert): boolean {
  return alert.state !== 'cleared'
}

/** The duty officer's order: open before cleared, what is meant before exercises, then the newest onset first. */
export function byUrgency(a: Alert, b: Alert): number {
  if (isOpen(a) !== isOpen(b)) return isOpen(a) ? -1 : 1
  if (!a.drill !== !b.drill) return a.drill ? 1 : -1
  return Date.parse(b.onset) - Date.parse(a.onset) || a.id.localeCompare(b.id)
}

/** Whether `a` says something later about the same alert than `b`; used when a reply and the stream cross. */
export function isLater(a: Alert, b: Alert): boolean {
  return a.report_no !== b.report_no ? a.report_no > b.report_no : Date.parse(a.updated) > Date.parse(b.updated)
}
