/** The console's HTTP API: one function per call, one error type, one place that notices a lost session. */

import type {
  Alert, AlertDetail, AlertPage, Bucket, Command, County, NewSubscription, Quarantined, Rule, Series, Session, Site, Station,
  Subscription,
} from './types'

export const STREAM_URL = '/api/v1/stream'

/** A refusal or an unreachable server (`status` 0), told in the words of the server's problem document. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
    readonly retryAfterS: number | null = null,
  ) {
    super(message)
  }
}

let signedOut: () => void = () => {}

/** Whoever shows the login page registers here; any 401 but that of signing in itself ends the session. */
export function onSignedOut(listener: () => void): void {
  signedOut = listener
}

async function problemOf(response: Response): Promise<string> {
  const problem = await response.json().catch(() => null)
  return problem?.detail ?? problem?.title ?? `HTTP ${response.status}`
}

async function call<T>(method: string, path: string, body?: unknown): Promise<T> {
  const init: RequestInit = { method, headers: { Accept: 'application/json' }, cache: 'no-store' }
  if (body !== undefined) {
    init.headers = { ...init.headers, 'Content-Type': 'application/json' }
    init.body = JSON.stringify(body)
  }
  const response = await fetch(`/api/v1/${path}`, init).catch((error: Error) => {
    throw new ApiError(0, error.message)
  })
  if (!response.ok) {
    if (response.status === 401 && path !== 'session') signedOut()
    const retryAfter = Number(response.headers.get('Retry-After'))
    throw new ApiError(response.status, await problemOf(response), retryAfter || null)
  }
  // 202 and 204 have nothing to read.
  const text = await response.text()
  return (text ? JSON.parse(text) : undefined) as T
}

function query(parameters: Record<string, string | number | null | undefined>): string {
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
  rules: () => call<Rule[]>('GET', 'rules'),

  alerts: (state: 'open' | 'all', cursor: string | null = null) =>
    call<AlertPage>('GET', `alerts?${query({ state, limit: 50, cursor })}`),
  alert: (alert: string) => call<AlertDetail>('GET', `alerts/${id(alert)}`),

  subscriptions: () => call<Subscription[]>('GET', 'subscriptions'),
  subscribe: (wanted: NewSubscription) =>
    call<Subscription & { secret: string }>('POST', 'subscriptions', wanted),
  unsubscribe: (subscription: string) => call<void>('DELETE', `subscriptions/${id(subscription)}`),
  testSubscription: (subscription: string) => call<void>('POST', `subscriptions/${id(subscription)}/test`),

  quarantine: () => call<{ items: Quarantined[] }>('GET', 'quarantine?limit=100'),
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
