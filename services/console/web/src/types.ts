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

/** On which side of its threshold an indicator is dangerous; `above` where it is left out. */
export type Side = 'above' | 'below'

export type Soil = 'dry' | 'normal' | 'wet'

/** One threshold of a rule; `reach` null: the ground, a curve, another level or the county's table gives it. */
export interface LevelLine {
  level: Level
  indicator: string
  reach: number | null
  release: number | null
  side?: Side
  by_soil?: Partial<Record<Soil, number>> | null
  /** The station's or site's parameter that a curve goes by. */
  curve_of?: string | null
  /** That many times the reach of another level. */
  share_of?: [Level, number] | null
}

export interface Indicator {
  name: string
  words: Text
  unit: string
  window_s?: number | null
}

/** One kind of measurement that a rule judges. */
export interface RuleItem {
  id: string
  name: Text
  metric: string
  indicators: Indicator[]
  lines: LevelLine[]
}

export interface Rule {
  id: string
  hazard: string
  name: Text
  /** What it judges by: `station`, `fire`, `silence`, `compound`. */
  kind: string
  source: string
  version: string
  /** Whether its findings become alerts, or only votes of other rules. */
  tell?: boolean
  items: RuleItem[]
  /** What a rule without items goes by; spans in seconds. */
  says?: Record<string, unknown> | null
}

/** A rule's text files as they were at one time. */
export interface RulesVersion {
  no: number
  version: string
  note: string
  by: string
  time: string | null
  source: string
  /** Whether it was tried on the past before. */
  reported?: boolean
}

/** Something to mend in a rule file; `line` counts from 1. */
export interface RuleFault {
  words: Text
  file?: string | null
  line?: number | null
  field?: string | null
}

export interface RuleSet {
  version: RulesVersion
  files: Record<string, string>
  rules: Rule[]
  /** A newer version that cannot be used. */
  refused?: { no: number; faults: RuleFault[] } | null
}

/** The line that was crossed. */
export interface Criterion {
  level: Level
  indicator: string
  reach: number
  release: number
  side?: Side
}

/** An indicator's value at the moment of judgement. */
export interface Measure {
  indicator: string
  name: Text
  value: number
  unit: string
  window_s?: number | null
}

/**
 * What one station, one item of it, or another rule's site says. `doubtful`: by suspect readings alone; `holds`: whether it
 * counts toward the condition it was asked for; `words`: what was asked, or why it says nothing.
 */
export interface Vote {
  voter: string
  level: Level | null
  item?: string
  doubtful?: boolean
  holds?: boolean | null
  since?: string | null
  words?: Text | null
}

/** When a slope may fail; without a `time` the reason why that cannot be told. */
export interface Forecast {
  time: string | null
  earliest?: string | null
  latest?: string | null
  fit?: number | null
  reason?: Text | null
}

/** Where a fire is (WGS 84), with the axes (m) and the bearing (degrees) of its error ellipse, 1 sigma. */
export interface Fix {
  latitude: number
  longitude: number
  major_m: number
  minor_m: number
  bearing_deg: number
  cameras?: string[]
}

/** What was looked at and found; whatever has its default is left out. */
export interface Evidence {
  rule: string
  rule_version: string
  station: string
  time: string
  sentence: Text
  figure: Text
  metric?: string
  source?: string
  measures?: Measure[]
  criterion?: Criterion | null
  used?: { count: number; first: string; last: string } | null
  votes?: Vote[]
  /** Found by readings that came after later ones had been judged. */
  late?: boolean
  forecast?: Forecast | null
  fix?: Fix | null
}

/** A value at a time, as the curves of a judgement have them. */
export interface Sample {
  time: string
  value: number
}

/** A judgement's evidence with what it takes to draw it: the readings, the indicator made of them, and its lines. */
export interface Why extends Evidence {
  /** Which report it is of: the newest one with a level, unless another was asked for. */
  report: number
  level: Level | null
  series: { metric: string; station: string; points: (Sample & { quality?: string })[]; capped?: boolean } | null
  /** null where the readings themselves were compared, or where no curve of it is kept. */
  indicator: {
    name: Text
    indicator: string
    unit: string
    points: Sample[]
    /** Whether the stored readings give what was judged. */
    agrees?: boolean
  } | null
  reach: number | null
  release: number | null
  side?: Side | null
  window: { from: string; to: string } | null
  crossed: string | null
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
