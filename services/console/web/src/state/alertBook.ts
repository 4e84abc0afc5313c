/** The alerts the page knows, kept current by fetches and by the stream. */

import { computed, reactive, ref, shallowRef } from 'vue'
import { allOpenAlerts, api } from '../api'
import { byUrgency, highest, isLater, isOpen } from '../level'
import type { Alert, Level } from '../types'

/** How long a new or changed card stays marked. */
const FRESH_MS = 8_000

export function useAlertBook() {
  const byId = shallowRef(new Map<string, Alert>())
  const fresh = reactive(new Set<string>())
  const older = ref<string | null>(null)
  /** The newest change, for screen readers and the gong. */
  const newest = shallowRef<Alert | null>(null)
  /** What the stream tells while a load is under way, one list for each: the reply may be older. */
  const heardWhileLoading = new Set<Alert[]>()

  const all = computed(() => [...byId.value.values()].sort(byUrgency))
  const open = computed(() => all.value.filter(isOpen))
  /** Of what is open, what is meant: the header, the map's levels and the gong know nothing of exercises. */
  const real = computed(() => open.value.filter((alert) => !alert.drill))

  function put(alerts: Iterable<Alert>, into = new Map(byId.value)): void {
    for (const alert of alerts) {
      const known = into.get(alert.id)
      if (!known || !isLater(known, alert)) into.set(alert.id, alert)
    }
    byId.value = into
  }

  async function load(): Promise<void> {
    const heard: Alert[] = []
    heardWhileLoading.add(heard)
    try {
      const [opened, recent] = await Promise.all([allOpenAlerts(), api.alerts('all')])
      older.value = recent.next
      // Replaced, not merged: an alert that cleared during an outage must not linger as open.
      put([...recent.items, ...opened, ...heard], new Map())
    } finally {
      heardWhileLoading.delete(heard)
    }
  }

  async function loadOlder(): Promise<void> {
    const page = await api.alerts('all', older.value)
    older.value = page.next
    put(page.items)
  }

  function hear(alert: Alert): void {
    for (const heard of heardWhileLoading) heard.push(alert)
    const known = byId.value.get(alert.id)
    put([alert])
    if (known && !isLater(alert, known)) return
    newest.value = alert
    fresh.delete(alert.id)
    fresh.add(alert.id)
    setTimeout(() => fresh.delete(alert.id), FRESH_MS)
  }

  return {
    all,
    open,
    real,
    fresh,
    newest,
    older,
    load,
    loadOlder,
    hear,
    get: (id: string) => byId.value.get(id),
    highest: computed(() => highest(real.value.map((alert) => alert.level))),
    levelBySite: computed(() => {
      const levels = new Map<string, Level | null>()
      for (const alert of real.value) {
        levels.set(alert.site.id, highest([levels.get(alert.site.id) ?? null, alert.level]))
      }
      return levels
    }),
  }
}

export type AlertBook = ReturnType<typeof useAlertBook>
