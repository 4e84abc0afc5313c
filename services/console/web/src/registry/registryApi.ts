/** The registry's part of the HTTP API, and what it says. */

import { query, send } from '../api'
import type { Division, Text } from '../types'

export const TABLES = ['stations', 'sites', 'gateways', 'responders'] as const
export type Table = (typeof TABLES)[number]

/** An entry as it crosses the wire: fields at their default are left out. */
export type Entry = { id: string; name: string } & Record<string, unknown>

export interface Version {
  no: number
  at: string
  who: string
  source: string
  note: string
  summary: Record<string, Partial<Record<What, number>>>
}

export interface Registry extends Record<Table, Entry[]> {
  version: Version
  divisions: (Division & { kind: string; parent?: string })[]
}

export type What = 'added' | 'removed' | 'changed'

export interface Change {
  kind: string
  id: string
  name: string
  what: What
  fields: { field: string; old: unknown; new: unknown }[]
}

export interface Fault {
  words: Text
  file: string
  line: number | null
  kind: string
  id: string
  /** Dotted: `limits.rain.highest`. */
  field: string
  warning: boolean
}

export interface Diff {
  version: number
  well: boolean
  faults: Fault[]
  changes: Change[]
}

const id = encodeURIComponent

async function json<T>(method: string, path: string, init: RequestInit = {}): Promise<T> {
  return (await (await send(method, path, init)).json()) as T
}

export const registryApi = {
  current: () => json<Registry>('GET', 'registry'),

  /** An entry with its tag, which goes back with a change so that nobody's work is overwritten. */
  async entry(table: Table, key: string): Promise<{ entry: Entry; tag: string }> {
    const response = await send('GET', `registry/${table}/${id(key)}`)
    return { entry: await response.json(), tag: response.headers.get('ETag') ?? '' }
  },

  /** Without a tag the entry is a new one. */
  put: (table: Table, key: string, fields: Record<string, unknown>, tag: string | null, note: string) =>
    json<{ version: number; faults: Fault[] }>('PUT', `registry/${table}/${id(key)}?${query({ note: note || null })}`, {
      headers: { 'Content-Type': 'application/json', ...(tag === null ? { 'If-None-Match': '*' } : { 'If-Match': tag }) },
      body: JSON.stringify(fields),
    }),
  remove: (table: Table, key: string, tag: string, note: string) =>
    send('DELETE', `registry/${table}/${id(key)}?${query({ note: note || null })}`, { headers: { 'If-Match': tag } }),

  diff: (file: File, replace: boolean) =>
    json<Diff>('POST', `registry/diff?${query({ filename: file.name, replace: String(replace) })}`, { body: file }),
  import: (file: File, replace: boolean, version: number, note: string) =>
    json<{ version: Version }>(
      'POST',
      `registry/import?${query({ filename: file.name, replace: String(replace), version, note: note || null })}`,
      { body: file },
    ),
  exportUrl: (format: 'toml' | 'csv' | 'geojson') => `/api/v1/registry/export?format=${format}`,

  history: (before: number | null = null) =>
    json<{ items: Version[] }>('GET', `registry/history?${query({ before, limit: 30 })}`),
  version: (no: number) =>
    json<{ version: Version; changes: Change[]; current: number; restoring: Change[] }>('GET', `registry/history/${no}`),
  restore: (no: number, version: number, note: string) =>
    json<{ version: Version }>('POST', `registry/restore/${no}?${query({ version, note: note || null })}`),
}
