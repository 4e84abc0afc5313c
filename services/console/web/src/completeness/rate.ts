/** How complete a day is, in words and colours. Pure. */

export type Grade = 'whole' | 'good' | 'poor' | 'bad' | 'none'

/** A grade of an arrival rate; null, where nothing was expected, has none. */
export function grade(rate: number | null): Grade {
  if (rate === null) return 'none'
  if (rate >= 1) return 'whole'
  if (rate >= 0.95) return 'good'
  return rate >= 0.8 ? 'poor' : 'bad'
}

/** Rounded down: what is not all there is not called 100 %. */
export function percent(rate: number | null): string {
  return rate === null ? '–' : `${(Math.floor(rate * 1000) / 10).toFixed(1)} %`
}

/** How far into the day from `begin` to `end` a moment lies, from 0 to 1. */
export function share(moment: string, begin: string, end: string): number {
  const from = Date.parse(begin)
  return Math.min(1, Math.max(0, (Date.parse(moment) - from) / (Date.parse(end) - from)))
}

/** The local time of day, counted from the day's beginning; its end is 24:00. */
export function timeOfDay(moment: string, begin: string): string {
  const minutes = Math.round((Date.parse(moment) - Date.parse(begin)) / 60_000)
  const two = (n: number) => String(n).padStart(2, '0')
  return minutes < 0 ? '00:00' : `${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`
}

/** The calendar day so many days before another, both as YYYY-MM-DD. */
export function daysBefore(day: string, days: number): string {
  return new Date(Date.parse(`${day}T00:00:00Z`) - days * 86_400_000).toISOString().slice(0, 10)
}
