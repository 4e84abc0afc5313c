/** The part of the HTTP API that changes rules, tries them on the past, and lets them run in the shadow. */

import { call, query } from '../api'
import type { Level, RuleFault, RulesVersion, Text } from '../types'

export type Files = Record<string, string>

export interface Checked {
  faults: RuleFault[]
  /** What the files change, in words. */
  diff: Text[]
  /** Whether these very files have been tried on the past. */
  reported?: boolean
}

/** A file that differs; its lines as in a unified difference, none of a large one. */
export interface FileChange {
  file: string
  change: 'added' | 'removed' | 'changed'
  lines: string[]
}

export interface VersionDetail {
  version: RulesVersion
  /** What it changed in the one before, and what restoring it would change now. */
  changed: FileChange[]
  restoring: FileChange[]
}

/** How well warnings met events; null where there is nothing to divide by. `lead_s`: the median from warning to event. */
export interface Skill {
  hits: number
  misses: number
  false_alarms: number
  pod: number | null
  far: number | null
  csi: number | null
  lead_s: number | null
  /** 95 %, from and to. */
  pod_interval?: [number, number] | null
  far_interval?: [number, number] | null
  csi_interval?: [number, number] | null
}

/** What one set of rules said of the period; `skill` null: no true events were given. */
export interface Outcome {
  alerts: number
  /** Alerts, or changes of level, by the level they lead to. */
  levels: Partial<Record<Level | 'none', number>>
  skill: Skill | null
}

/** An alert of either set of rules; null on the side that has none. */
export interface ReplayedAlert {
  hazard: string
  site: string
  old: { onset: string; peak: Level } | null
  new: { onset: string; peak: Level } | null
  /** Whether an event followed; null: not known. */
  hit?: boolean | null
}

export interface ReplayReport {
  from: string
  to: string
  readings: number
  /** From which level on alerts are held against events, and how long before an event they count. */
  level?: Level
  lead_max_s?: number
  /** How many true events were given; null: none were. */
  events?: number | null
  /** Those at sites without readings, which are in no count. */
  events_unwatched?: number
  /** false: the rules in force alone; then both outcomes say the same. */
  compared?: boolean
  /** What the reader must know, such as what could not be replayed. */
  notes?: Text[]
  old: Outcome
  new: Outcome
  alerts: ReplayedAlert[]
}

export interface Replay {
  state: 'waiting' | 'running' | 'done' | 'failed' | 'cancelled'
  /** From 0 to 1. */
  progress: number
  error?: string | null
  report?: ReplayReport | null
  /** The report as a page of its own. */
  html?: string | null
}

export interface ReplayWish {
  files?: Files
  from: string
  to: string
  events_csv?: string
}

/** A place and time at which the rules in force and those in the shadow say different things. */
export interface Difference {
  time: string
  rule?: string
  hazard: string
  site: string
  live: Level | null
  shadow: Level | null
}

export interface Shadow {
  started: string
  /** The event time from which on it judges. */
  since: string
  by: string
  note?: string
  diff: Text[]
  /** Why it judges nothing. */
  refused?: RuleFault[] | null
  /** There are more changes than were compared. */
  capped?: boolean
  live: Outcome
  shadow: Outcome
  differences: Difference[]
}

const id = encodeURIComponent
export const VERSIONS_A_PAGE = 30

export const rulesApi = {
  check: (files: Files) => call<Checked>('POST', 'rules/check', { files }),
  versions: (before: number | null = null) =>
    call<RulesVersion[]>('GET', `rules/versions?${query({ before, limit: VERSIONS_A_PAGE })}`),
  version: (no: number) => call<VersionDetail>('GET', `rules/versions/${no}`),
  restore: (no: number, over: number, note: string) =>
    call<{ version: RulesVersion }>('POST', `rules/restore/${no}?${query({ over, note: note || null })}`),
  /** `without_report`: the files were not tried on the past, and the note says why. */
  apply: (over: number, files: Files, note: string, withoutReport: boolean) =>
    call<{ version: RulesVersion }>('PUT', 'rules', { over, files, note, ...(withoutReport && { without_report: true }) }),

  replay: (wish: ReplayWish) => call<{ id: string }>('POST', 'rules/replay', wish),
  replayed: (replay: string) => call<Replay>('GET', `rules/replay/${id(replay)}`),

  cancelReplay: (replay: string) => call<void>('DELETE', `rules/replay/${id(replay)}`),

  shadow: () => call<Shadow | null>('GET', 'rules/shadow'),
  startShadow: (files: Files, note: string) => call<void>('PUT', 'rules/shadow', { files, note }),
  endShadow: () => call<void>('DELETE', 'rules/shadow'),
}
