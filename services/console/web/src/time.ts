/** Times as the duty room reads them: Asia/Shanghai, 24 h, the date only when it is not today. */

export type Locale = 'zh-CN' | 'en'

const SECOND = 1000
export const MINUTE = 60 * SECOND
export const HOUR = 60 * MINUTE
const DAY = 24 * HOUR
// China has one offset all year, so plain arithmetic is exact and needs no time-zone tables.
const SHANGHAI = 8 * HOUR

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

function two(n: number): string {
  return String(n).padStart(2, '0')
}

/** A Date whose UTC fields are the wall clock in Shanghai. */
function shanghai(time: number): Date {
  return new Date(time + SHANGHAI)
}

export function clock(time: number, seconds = false): string {
  const t = shanghai(time)
  const minutes = `${two(t.getUTCHours())}:${two(t.getUTCMinutes())}`
  return seconds ? `${minutes}:${two(t.getUTCSeconds())}` : minutes
}

export function calendarDate(time: number, now: number, locale: Locale): string {
  const t = shanghai(time)
  const zh = locale === 'zh-CN'
  const day = zh ? `${t.getUTCMonth() + 1}月${t.getUTCDate()}日` : `${t.getUTCDate()} ${MONTHS[t.getUTCMonth()]}`
  const year = t.getUTCFullYear()
  if (year === shanghai(now).getUTCFullYear()) return day
  return zh ? `${year}年${day}` : `${day} ${year}`
}

export function isToday(time: number, now: number): boolean {
  return Math.floor((time + SHANGHAI) / DAY) === Math.floor((now + SHANGHAI) / DAY)
}

export function moment(time: number, now: number, locale: Locale, seconds = false): string {
  const hours = clock(time, seconds)
  return isToday(time, now) ? hours : `${calendarDate(time, now, locale)} ${hours}`
}

const UNITS = {
  'zh-CN': { s: ' 秒', min: ' 分钟', h: ' 小时', d: ' 天' },
  en: { s: ' s', min: ' min', h: ' h', d: ' d' },
}

/** A length of time in its two largest units: "45 s", "12 min", "2 h 05 min", "3 d 4 h". */
export function duration(ms: number, locale: Locale): string {
  const unit = UNITS[locale]
  const length = Math.max(0, ms)
  if (length < MINUTE) return `${Math.floor(length / SECOND)}${unit.s}`
  if (length < HOUR) return `${Math.floor(length / MINUTE)}${unit.min}`
  if (length < DAY) return `${Math.floor(length / HOUR)}${unit.h} ${two(Math.floor((length % HOUR) / MINUTE))}${unit.min}`
  return `${Math.floor(length / DAY)}${unit.d} ${Math.floor((length % DAY) / HOUR)}${unit.h}`
}

/** How far back something looks, in one unit as it was meant: "15 min", "3 h", "24 h", "30 d". */
export function span(ms: number, locale: Locale): string {
  const unit = UNITS[locale]
  if (ms < MINUTE) return `${+(ms / SECOND).toFixed(1)}${unit.s}`
  if (ms % HOUR !== 0 && ms < DAY) return `${+(ms / MINUTE).toFixed(1)}${unit.min}`
  return ms > 2 * DAY && ms % DAY === 0 ? `${ms / DAY}${unit.d}` : `${+(ms / HOUR).toFixed(1)}${unit.h}`
}

/** What an `<input type="datetime-local">` holds, read as the wall clock in Shanghai; null where it holds nothing. */
export function fromWallClock(typed: string): string | null {
  const time = Date.parse(`${typed}Z`)
  return Number.isNaN(time) ? null : new Date(time - SHANGHAI).toISOString()
}

/** The other way round, to the minute. */
export function toWallClock(time: number): string {
  return shanghai(time).toISOString().slice(0, 16)
}
