/** The console's HTTP API: one function per call, one error type, one place that notices a lost session. */

import type {
  Alert, AlertDetail, AlertPage, Bucket, Command, CompletenessReport, County, DayDetail, Liveness, NewSubscription,
  Quarantined, QuarantinedDetail, QuarantineSummary, RuleSet, Series, Session, Site, Station, Subscription, Why,
} from './types'

export const STREAM_URL = '/api/v1/stream'

/** A refusal or an unreachable server (`status` 0), told in the words of the server's problem document. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly retryAfterS: number | null = null,
    /** The problem document's own list of what is to be mended, where it has one. */
    readonly faults: unknown[] = [],
  ) {
    super(message)
  }
}

let signedOut: () => void = () => {}

/** Whoever shows the login page registers here; any 401 but that of signing in itself ends the session. */
export function onSignedOut(listener: () => void): void {
  signedOut = listener
}

async function refusal(response: Response): Promise<ApiError> {
  const problem = await response.json().catch(() => null)
  const words = problem?.detail ?? problem?.title ?? `HTTP ${response.status}`
  return new ApiError(response.status, words, Number(response.headers.get('Retry-After')) || null, problem?.faults ?? [])
}

/** One request below /api/v1; anything but a 2xx is thrown as an ApiError. */
export async function send(method: string, path: string, init: RequestInit = {}): Promise<Response> {
  const headers = { Accept: 'application/json', ...init.headers }
  const response = await fetch(`/api/v1/${path}`, { cache: 'no-store', ...init, method, headers }).catch(
    (error: Error) => {
      throw new ApiError(0, error.message)
    },
  )
  if (!response.ok) {
    if (response.status === 401 && path !== 'session') signedOut()
    throw await refusal(response)
  }
  return response
}

export async function call<T>(method: string, path: string, body?: unknown): Promise<T> {
  const init: RequestInit = {}
  if (body !== undefined) {
    init.headers = { 'Content-Type': 'application/json' }
    init.body = JSON.stringify(body)
  }
  const response = await send(method, path, init)
  // 202 and 204 have nothing to read.
  const text = await response.text()
  return (text ? JSON.parse(text) : undefined) as T
}

export function query(parameters: Record<string, string | number | null | undefined>): string {
  const given = Object.entries(parameters).filter(([, value]) => value !== null && value !== undefined)
  return new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString()
}

const id = encodeURIComponent

export interface SeriesQuery {
  metric: string
  from: string
  to: string
  bucket: Bucket | null
}

export type QuarantineQuery = Partial<Record<'search' | 'code' | 'gateway' | 'from' | 'to', string | null>>

export interface CompletenessQuery {
  from: string
  to: string
  township: string | null
}

/** Where a browser gets a file from; the session's cookie goes along. */
export const files = {
  completeness: (asked: CompletenessQuery) => `/api/v1/completeness/export.csv?${query({ ...asked })}`,
  quarantined: (entry: string) => `/api/v1/quarantine/${id(entry)}/payload`,
}

export const api = {
  session: () => call<Session>('GET', 'session'),
  signIn: (account: string, password: string) => call<Session>('POST', 'session', { account, password }),
  signOut: () => call<void>('DELETE', 'session'),

  county: () => call<County>('GET', 'county'),
  sites: () => call<Site[]>('GET', 'sites'),
  stations: () => call<Station[]>('GET', 'stations'),
  series: (station: string, asked: SeriesQuery) =>
    call<Series>('GET', `stations/${id(station)}/series?${query({ ...asked })}`),
  newestCommand: (station: string) =>
    call<{ items: Command[] }>('GET', `commands?${query({ station, limit: 1 })}`),
  rules: () => call<RuleSet>('GET', 'rules'),

  alerts: (state: 'open' | 'all', cursor: string | null = null) =>
    call<AlertPage>('GET', `alerts?${query({ state, limit: 50, cursor })}`),
  alert: (alert: string) => call<AlertDetail>('GET', `alerts/${id(alert)}`),
  why: (alert: string, report: number | null = null) =>
    call<Why>('GET', `alerts/${id(alert)}/why?${query({ report })}`),

  subscriptions: () => call<Subscription[]>('GET', 'subscriptions'),
  subscribe: (wanted: NewSubscription) =>
    call<Subscription & { secret: string }>('POST', 'subscriptions', wanted),
  unsubscribe: (subscription: string) => call<void>('DELETE', `subscriptions/${id(subscription)}`),
  testSubscription: (subscription: string) => call<void>('POST', `subscriptions/${id(subscription)}/test`),

  liveness: () => call<Liveness>('GET', 'liveness'),
  completeness: (asked: CompletenessQuery) => call<CompletenessReport>('GET', `completeness?${query({ ...asked })}`),
  stationDay: (station: string, day: string) => call<DayDetail>('GET', `completeness/${id(station)}/${id(day)}`),

  quarantine: (sought: QuarantineQuery, cursor: string | null = null) =>
    call<{ items: Quarantined[]; next: string | null }>('GET', `quarantine?${query({ ...sought, limit: 50, cursor })}`),
  quarantineSummary: (sought: QuarantineQuery = {}) =>
    call<QuarantineSummary>('GET', `quarantine/summary?${query({ ...sought })}`),
  quarantined: (entry: string) => call<QuarantinedDetail>('GET', `quarantine/${id(entry)}`),
  requeue: (entry: string) => call<{ requeued: number }>('POST', `quarantine/${id(entry)}/requeue`),
  requeueAll: (which: { code?: string; gateway?: string; search?: string }) =>
    call<{ requeued: number }>('POST', 'quarantine/requeue', which),
}

/** Every open alert, page after page: the map and the header must not miss one. */
export async function allOpenAlerts(): Promise<Alert[]> {
  const found: Alert[] = []
  let cursor: string | null = null
  do {
    const page: AlertPage = await api.alerts('open', cursor)
    found.push(...page.items)
    cursor = page.next
  } while (cursor)
  return found
}
