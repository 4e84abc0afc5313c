/** One station's series over a range, refetched as readings arrive, at most once every 2 s. */

import { onScopeDispose, ref, shallowRef, watch, type Ref } from 'vue'
import { api } from '../api'
import { useCounty } from '../state/county'
import { throttled } from '../state/throttled'
import { MINUTE } from '../time'
import type { Series } from '../types'
import { bucketFor, span, type Range } from './ranges'

export interface Shown extends Series {
  range: Range
}

export function useSeries(station: () => string, metric: Ref<string | null>, range: Ref<Range>) {
  const { stations, clock } = useCounty()
  const series = shallowRef<Shown | null>(null)
  const error = ref<string | null>(null)
  let asked = 0

  async function load(): Promise<void> {
    if (metric.value === null) return
    const turn = ++asked
    const shown = range.value
    const bucket = bucketFor(metric.value, shown)
    const { from, to } = span(shown, bucket, clock.now.value)
    try {
      const found = await api.series(station(), {
        metric: metric.value,
        bucket,
        from: new Date(from).toISOString(),
        to: new Date(to).toISOString(),
      })
      // A slower, older reply must not replace a newer one.
      if (turn === asked) series.value = { ...found, range: shown }
      error.value = null
    } catch (problem) {
      if (turn === asked) error.value = (problem as Error).message
    }
  }

  const refresh = throttled(load, 2000)
  watch([station, metric, range], load, { immediate: true })
  watch(() => stations.arrivals.get(station()), refresh)
  // Time passes even over a station that says nothing.
  const passing = setInterval(refresh, MINUTE)
  onScopeDispose(() => clearInterval(passing))

  return { series, error }
}
