/** What the console's HTTP API says, as it crosses the wire. Times are ISO 8601 strings with an offset. */

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

export interface RuleCriterion {
  level: Level
  window_s: number
  reach_mm: number
  release_mm: number
}

export interface Rule {
  id: string
  version: string
  hazard: string
  name: Text
  criteria: RuleCriterion[]
}

export interface Evidence {
  rule: string
  rule_version: string
  station: string
  time: string
  /** Rain over each window, keyed "1h" … "24h". */
  indicators_mm: Record<string, number>
  criterion: { level: Level; window: string; reach_mm: number } | null
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

export interface Quarantined {
  id: string
  received: string
  last_seen: string
  times: number
  gateway: string
  topic: string
  code: string
  reason: Text
  size: number
  head: string
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
  reset: Record<string, never>
}
