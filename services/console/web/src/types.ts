/** What the console's HTTP API says, as it crosses the wire. Times are ISO 8601 strings with an offset. */

import type { Evidence } from './judgement'

export type * from './judgement'

export type Level = 'blue' | 'yellow' | 'orange' | 'red'
export type AlertState = 'raised' | 'worsened' | 'eased' | 'cleared'
export type StationKind = 'rain_gauge' | 'displacement_point' | 'pond_section' | 'fire_camera'
export type SiteKind = 'catchment' | 'slope' | 'tailings_pond' | 'lookout'
export type Bucket = '1m' | '5m' | '15m' | '1h' | '6h' | '1d'
export type Mode = 'live' | 'event'

export interface Text {
  zh: string
  en: string
}

export interface Session {
  account: string
  role: string
}

export interface Division {
  code: string
  name: string
}

export interface Township extends Division {
  latitude: number
  longitude: number
  outline: [number, number][]
}

export interface Metric extends Text {
  unit: string
}

export interface County {
  code: string
  name: string
  name_en: string
  note: string
  mode: Mode
  now: string
  townships: Township[]
  metrics: Record<string, Metric>
}

export interface Site {
  id: string
  name: string
  kind: SiteKind
  division: string
  township: Division
  latitude: number
  longitude: number
}

export interface Latest {
  time: string
  value: number
  quality: string
}

export interface Station {
  id: string
  name: string
  kind: StationKind
  site: string
  gateway: string
  latitude: number
  longitude: number
  metrics: string[]
  interval_s: number
  latest: Record<string, Latest>
}

export interface Point {
  time: string
  value: number
  /** Absent on a bucketed point. */
  quality?: string
  /** Which tests of quality control it failed. */
  flags?: string[]
}

export interface Series {
  station: string
  metric: string
  unit: string
  from: string
  to: string
  bucket: Bucket | null
  aggregate: 'sum' | 'mean' | null
  source: 'reading' | 'reading_5m' | 'reading_1h' | 'reading_1d'
  points: Point[]
}

export interface Alert {
  id: string
  hazard: string
  hazard_name: Text
  site: { id: string; name: string; township: Division; latitude: number; longitude: number }
  /** null once cleared. */
  level: Level | null
  peak: Level
  state: AlertState
  onset: string
  updated: string
  cleared: string | null
  report_no: number
  headline: Text
  evidence: Evidence
  /** Of an exercise. */
  drill?: boolean
}

export interface Report {
  no: number
  time: string
  transition: AlertState
  level_from: Level | null
  level_to: Level | null
  headline: Text
  evidence: Evidence
}

export interface Delivery {
  id: string
  report_no: number
  subscription: { id: string; name: string }
  state: 'pending' | 'sending' | 'delivered' | 'failed' | 'superseded'
  attempts: number
  status: number | null
  error: string | null
  created: string
  delivered: string | null
}

export interface AlertDetail extends Alert {
  history: Report[]
  deliveries: Delivery[]
}

export interface AlertPage {
  items: Alert[]
  next: string | null
}

export interface NewSubscription {
  name: string
  url: string
  min_level: Level
  /** Empty: every hazard. */
  hazards: string[]
  /** Division codes; empty: the whole county. */
  areas: string[]
}

export interface Subscription extends NewSubscription {
  id: string
  enabled: boolean
  created: string
  deliveries: { delivered: number; pending: number; failed: number }
}

/** One entry of the quarantine; `sent` is on its way to be read again, `requeued` waits for that. */
interface QuarantineEntry {
  id: string
  received: string
  last_seen: string
  times: number
  gateway: string
  topic: string
  code: string
  reason: Text
  size: number
  state: 'kept' | 'requeued' | 'sent'
  attempts: number
  requeued: string | null
  requeued_by: string | null
}

export interface Quarantined extends QuarantineEntry {
  head: string
}

export interface QuarantinedDetail extends QuarantineEntry {
  text: string
  hex: string
  shown: number
  why_not: Text | null
}

export interface QuarantineSummary {
  codes: { code: string; entries: number; times: number; last_seen: string; requeueable: boolean }[]
  entries: number
  bytes: number
  waiting: number
  keep_days: number
  most_bytes: number
}

export type Cause =
  | 'gateway_offline' | 'gateway_power' | 'gateway_silent' | 'county_silent'
  | 'station_power' | 'station_silent' | 'unclear'

/** Silent stations with one cause: all of a gateway, or one. */
export interface Silence {
  gateway: string
  cause: Cause
  whole_gateway: boolean
  words: Text
  since: string
  last: string | null
  stations: { id: string; name: string; since: string; last: string | null }[]
}

export interface GatewayLife {
  id: string
  name: string
  /** null: it never said anything of itself. */
  online: boolean | null
  since: string | null
  heard: string | null
  battery: number | null
  stations: number
  silent: number
  last_heard: string | null
}

export interface Liveness {
  now: string
  silent_after: number
  stations: number
  silent: number
  never_heard: string[]
  silences: Silence[]
  gateways: GatewayLife[]
}

/** What was expected, came and is missing; `expected` null: no interval is registered for it. */
export interface Completeness {
  expected: number | null
  received: number
  late: number
  flagged: number
  flags: Record<string, number>
  missing: number
  rate: number | null
}

export interface Numbers {
  missing: number
  resets: number
  counted_by: 'station' | 'gateway'
}

export interface StationDay extends Completeness {
  date: string
  metrics: Record<string, Completeness>
  numbers: Numbers | null
}

export interface CompleteStation extends Completeness {
  id: string
  name: string
  gateway: string
  interval_s: number
  days: StationDay[]
}

export interface CompletenessReport {
  timezone: string
  from: string
  to: string
  flags: string[]
  days: (Completeness & { date: string })[]
  stations: CompleteStation[]
}

export interface DayDetail extends Omit<StationDay, 'metrics'> {
  station: string
  interval_s: number
  begin: string
  end: string
  expected_from: string
  expected_to: string
  truncated: boolean
  metrics: Record<
    string,
    Completeness & {
      readings: { time: string; recorded: string; flags: string[]; late: boolean; seq: number | null }[]
      gaps: { from: string; to: string }[]
    }
  >
}

/** What a station was asked to do. */
export interface Command {
  id: string
  gateway: string
  station: string
  site: string
  interval_s: number
  /** null: a release, back to the station's own interval. */
  until: string | null
  hazard: string
  level: Level | null
  state: 'pending' | 'sent' | 'accepted' | 'refused' | 'unanswered' | 'expired' | 'superseded'
  attempts: number
  created: string
  sent: string | null
  answered: string | null
  reason: string | null
  in_force_s: number | null
}

/** The events of `GET stream`, by name. */
export interface StreamEvents {
  hello: { now: string; mode: Mode }
  heartbeat: { now: string; newest_reading: string | null }
  readings: { items: (Point & { station: string; metric: string; quality: string })[] }
  alert: Alert
  delivery: Delivery & { alert: string }
  /** Who is silent has changed, or what a gateway says of itself. */
  liveness: Record<string, never>
  reset: Record<string, never>
}
