/** Sites and stations with their latest readings, kept current by the stream. */

import { computed, reactive, shallowRef, ref } from 'vue'
import { api } from '../api'
import type { Latest, Site, Station, StreamEvents } from '../types'

export function newestReading(station: Station): number | null {
  const times = Object.values(station.latest).map((latest) => Date.parse(latest.time))
  return times.length ? Math.max(...times) : null
}

export function useStationBook() {
  const sites = shallowRef<Site[]>([])
  const stations = ref<Station[]>([])
  /** How many readings of each station the stream has brought: what a chart watches, back-fill included. */
  const arrivals = reactive(new Map<string, number>())
  const newest = ref<number | null>(null)

  const byId = computed(() => new Map(stations.value.map((station) => [station.id, station])))
  const siteById = computed(() => new Map(sites.value.map((site) => [site.id, site])))

  function sawReadingOf(time: number): void {
    if (newest.value === null || time > newest.value) newest.value = time
  }

  async function load(): Promise<void> {
    const [s, t] = await Promise.all([api.sites(), api.stations()])
    sites.value = s
    newest.value = null
    stations.value = t
    for (const station of t) {
      sawReadingOf(newestReading(station) ?? 0)
      arrivals.set(station.id, (arrivals.get(station.id) ?? 0) + 1)
    }
  }

  function hear({ items }: StreamEvents['readings']): void {
    for (const { station: id, metric, time, value, quality } of items) {
      const station = byId.value.get(id)
      if (!station) continue
      const latest: Latest | undefined = station.latest[metric]
      // Back-fill is older than what is shown: it belongs in the chart, not in the latest value.
      if (!latest || Date.parse(time) >= Date.parse(latest.time)) station.latest[metric] = { time, value, quality }
      arrivals.set(id, (arrivals.get(id) ?? 0) + 1)
      sawReadingOf(Date.parse(time))
    }
  }

  return { sites, stations, byId, siteById, arrivals, newest, load, hear, sawReadingOf }
}

export type StationBook = ReturnType<typeof useStationBook>
