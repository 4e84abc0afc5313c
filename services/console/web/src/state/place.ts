/** Where the reader is, carried by the URL: `#/alerts/ID`, `#/stations/ID`, `#/registry/TAB`, `#/completeness/ID`, … */

import { onScopeDispose, shallowRef } from 'vue'

export const VIEWS = ['alerts', 'stations', 'completeness', 'subscriptions', 'registry', 'rules', 'quarantine'] as const
export type View = (typeof VIEWS)[number]

export interface Place {
  view: View
  id: string | null
}

export function parsePlace(hash: string): Place {
  const [name = '', id = ''] = hash.replace(/^#\/?/, '').split('/')
  const view = VIEWS.find((known) => known === name) ?? 'alerts'
  return { view, id: id ? decodeURIComponent(id) : null }
}

export function linkTo(view: View, id: string | null = null): string {
  return id === null ? `#/${view}` : `#/${view}/${encodeURIComponent(id)}`
}

export function usePlace() {
  const place = shallowRef(parsePlace(location.hash))
  const follow = () => (place.value = parsePlace(location.hash))
  addEventListener('hashchange', follow)
  onScopeDispose(() => removeEventListener('hashchange', follow))
  return place
}

export function goTo(view: View, id: string | null = null): void {
  location.hash = linkTo(view, id)
}
