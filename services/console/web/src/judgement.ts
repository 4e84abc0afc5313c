/** What rules say and what they found, as it crosses the wire: whatever has its default is left out. */

import type { Level, Text } from './types'

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
