/** Who is silent, as the server judges it: asked for at first, and whenever the stream says that it has changed. */

import { computed, shallowRef } from 'vue'
import { api } from '../api'
import type { Liveness, Station } from '../types'
import { newestReading } from './stationBook'
import { throttled } from './throttled'

const AT_MOST_EVERY_MS = 2000

const speaks = (station: Station) => station.metrics.some((metric) => metric !== 'battery')

export function useLivenessBook() {
  const life = shallowRef<Liveness | null>(null)
  const silent = computed(() => new Set(life.value?.silences.flatMap(({ stations }) => stations.map(({ id }) => id))))

  async function load(): Promise<void> {
    life.value = await api.liveness()
  }

  return {
    life,
    load,
    // What fails here is asked for again with everything else, when the stream is back.
    hear: throttled(() => void load().catch(() => {}), AT_MOST_EVERY_MS),
    /** Silent, or never heard at all; what has nothing to say by itself, as a camera, is neither. */
    isSilent: (station: Station) => silent.value.has(station.id) || (speaks(station) && newestReading(station) === null),
  }
}
