/** What a rule without thresholds of its own goes by: the conditions of a compound one as a tree, else its settings. */

import type { Level } from '../types'

export interface Condition {
  rule: string
  level: Level
  where?: 'here' | 'near' | 'related' | 'named'
  within_km?: number
  relation?: string
  sites?: string[]
  count?: number
  hold?: number
}

export interface Combination {
  least: number
  of: (Condition | Combination)[]
}

export function isCombination(part: Condition | Combination): part is Combination {
  return 'of' in part
}

/** A compound rule's lines; none where it is of another kind. */
export function compoundLines(says: Record<string, unknown> | null | undefined): { level: Level; when: Combination }[] {
  return Array.isArray(says?.lines) ? says.lines : []
}

const EMPTY = new Set(['null', '""', '[]', '{}'])

/** Settings as texts by name, those that say nothing left out. */
export function settings(says: Record<string, unknown> | null | undefined): [string, string][] {
  return Object.entries(says ?? {})
    .filter(([name, value]) => name !== 'lines' && !EMPTY.has(JSON.stringify(value)))
    .map(([name, value]) => [name, typeof value === 'object' ? JSON.stringify(value) : String(value)])
}
