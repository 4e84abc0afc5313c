/** The fields of each kind of entry, and the way between an entry and what stands in a form. */

import { LEVELS } from '../level'
import type { Level } from '../types'
import type { Entry, Table } from './registryApi'

export type Input = 'text' | 'number' | 'choice' | 'site' | 'gateway' | 'division' | 'list'

export interface Field {
  name: string
  input: Input
  required?: boolean
  choices?: readonly string[]
}

const STATION_KINDS = ['rain_gauge', 'displacement_point', 'pond_section', 'fire_camera'] as const
const PURPOSES = ['watch', 'drill'] as const
const SITE_KINDS = ['catchment', 'slope', 'tailings_pond', 'lookout'] as const
const ID_AND_NAME: Field[] = [
  { name: 'id', input: 'text', required: true },
  { name: 'name', input: 'text', required: true },
]
const PLACE: Field[] = [
  { name: 'latitude', input: 'number', required: true },
  { name: 'longitude', input: 'number', required: true },
]

/** Metrics, limits and thresholds of a station have editors of their own. */
export const FIELDS: Record<Table, Field[]> = {
  stations: [
    ...ID_AND_NAME,
    { name: 'kind', input: 'choice', required: true, choices: STATION_KINDS },
    { name: 'site', input: 'site', required: true },
    { name: 'gateway', input: 'gateway', required: true },
    { name: 'division', input: 'division' },
    ...PLACE,
    { name: 'interval_s', input: 'number' },
    { name: 'address', input: 'text' },
    { name: 'base_level_m', input: 'number' },
    { name: 'rain_elements', input: 'list' },
    { name: 'purpose', input: 'choice', choices: PURPOSES },
  ],
  sites: [
    ...ID_AND_NAME,
    { name: 'kind', input: 'choice', required: true, choices: SITE_KINDS },
    { name: 'division', input: 'division', required: true },
    ...PLACE,
  ],
  gateways: [...ID_AND_NAME, { name: 'address', input: 'text' }],
  responders: [
    ...ID_AND_NAME,
    { name: 'duty', input: 'text' },
    { name: 'phone', input: 'text' },
    { name: 'areas', input: 'list', required: true },
  ],
}

export const LIMITS = ['lowest', 'highest', 'per_minute', 'stuck_after_s', 'spike', 'neighbours', 'warn_below'] as const
export type Limit = (typeof LIMITS)[number]

export interface Threshold {
  indicator: string
  levels: Record<Level, string>
}

/** What stands in the form: texts, as they are typed. */
export interface Draft {
  texts: Record<string, string>
  metrics: string[]
  limits: Record<string, Record<Limit, string>>
  thresholds: Threshold[]
}

const DEFAULT_INTERVAL_S = 300

export function noLimits(): Record<Limit, string> {
  return Object.fromEntries(LIMITS.map((limit) => [limit, ''])) as Record<Limit, string>
}

export function noThreshold(indicator = ''): Threshold {
  return { indicator, levels: Object.fromEntries(LEVELS.map((level) => [level, ''])) as Record<Level, string> }
}

function text(value: unknown): string {
  if (value === undefined || value === null) return ''
  return Array.isArray(value) ? value.join('; ') : String(value)
}

export function draftOf(table: Table, entry: Partial<Entry>): Draft {
  const texts = Object.fromEntries(FIELDS[table].map(({ name }) => [name, text(entry[name])]))
  if (table === 'stations') {
    texts.interval_s ||= String(DEFAULT_INTERVAL_S)
    texts.purpose ||= 'watch'
  }
  const limits = (entry.limits ?? {}) as Record<string, Partial<Record<Limit, number>>>
  const thresholds = (entry.thresholds ?? {}) as Record<string, Partial<Record<Level, number>>>
  return {
    texts,
    metrics: [...((entry.metrics as string[]) ?? [])],
    limits: Object.fromEntries(
      Object.entries(limits).map(([metric, set]) => [
        metric,
        Object.fromEntries(LIMITS.map((limit) => [limit, text(set[limit])])) as Record<Limit, string>,
      ]),
    ),
    thresholds: Object.entries(thresholds).map(([indicator, set]) => ({
      indicator,
      levels: Object.fromEntries(LEVELS.map((level) => [level, text(set[level])])) as Record<Level, string>,
    })),
  }
}

/** A number where it is one; else the text as it is, for the server to name what is wrong with it. */
function number(typed: string): number | string {
  const value = Number(typed)
  return Number.isFinite(value) ? value : typed
}

function numbers(typed: Record<string, string>): Record<string, number | string> {
  const given = Object.entries(typed).filter(([, value]) => String(value).trim() !== '')
  return Object.fromEntries(given.map(([name, value]) => [name, number(String(value))]))
}

function filled<T extends object>(parts: [string, T][]): Record<string, T> {
  return Object.fromEntries(parts.filter(([, part]) => Object.keys(part).length))
}

export function entryOf(table: Table, draft: Draft): Record<string, unknown> {
  const entry: Record<string, unknown> = {}
  for (const { name, input } of FIELDS[table]) {
    const typed = String(draft.texts[name] ?? '').trim()
    if (input === 'list') entry[name] = typed.split(/[;；,，、\s]+/).filter(Boolean)
    else if (typed) entry[name] = input === 'number' ? number(typed) : typed
  }
  if (table !== 'stations') return entry
  const limits = Object.entries(draft.limits).filter(([metric]) => draft.metrics.includes(metric))
  return {
    ...entry,
    metrics: draft.metrics,
    limits: filled(limits.map(([metric, set]) => [metric, numbers(set)])),
    thresholds: filled(draft.thresholds.map(({ indicator, levels }) => [indicator.trim(), numbers(levels)])),
  }
}
